"""Rooms where any number of parties talk: each hears the sum of all others, mixed by a media worker.

`calls.conference` brings the parties of sessions in and out; here a room is what the workers have, and who is in it how.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.media.engine import Leg, MediaEngine

__all__ = ["Part", "Room"]

MAX_GAIN = 16.0


@dataclass(frozen=True, slots=True)
class Part:
    """How somebody takes part in a room."""

    gain: float = 1.0
    """What its voice is multiplied by, 0 to 16."""
    muted: bool = False
    """The others do not hear it."""
    deaf: bool = False
    """It does not hear the others."""

    def __post_init__(self) -> None:
        if not 0 <= self.gain <= MAX_GAIN:
            raise ValueError(f"gain: a factor from 0 to 16, not {self.gain}")


class Room:
    """A room of the media workers.

    Args:
        engine: Whose workers.
        beside: A leg on whose worker the room is to be.
    """

    def __init__(self, engine: MediaEngine, beside: Leg | None = None) -> None:
        self._driver = engine.driver
        self.number = self._driver.open_room(beside=beside.number if beside is not None else 0)
        self._parts: dict[int, Part] = {}

    def join(self, leg: Leg, part: Part) -> None:
        """Bring a leg in, out of its link.

        Raises:
            FileNotFoundError: The leg or the room is gone.
        """
        if leg.room is not self:
            leg.unlink()
            leg.room = self
        self._driver.join_room(self.number, leg.number, gain=part.gain, muted=part.muted, deaf=part.deaf)
        self._parts[leg.number] = part

    def change(self, leg: Leg, *, gain: float | None, muted: bool | None, deaf: bool | None) -> None:
        """Change how a leg takes part; what is None stays."""
        part = self._parts.get(leg.number)
        if part is not None and leg.is_open:
            changed = Part(
                part.gain if gain is None else gain,
                part.muted if muted is None else muted,
                part.deaf if deaf is None else deaf,
            )
            self.join(leg, changed)

    def want_audio(self, wanted: bool) -> None:
        """As of a leg; a room always has audio."""

    def leave(self, leg: Leg) -> None:
        """Take a leg out."""
        if leg.room is self:
            leg.room = None
        if self._parts.pop(leg.number, None) is not None:
            self._driver.leave_room(leg.number)

    def close(self) -> None:
        """Take everybody out; the room is gone."""
        self._parts.clear()
        self._driver.close_room(self.number)
