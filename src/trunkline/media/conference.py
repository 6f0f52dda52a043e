"""Rooms where any number of parties talk: each hears the sum of all others, mixed by a media worker.

`calls.conference` brings the parties of sessions in and out; here a room is what the workers have, and who is in it how.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from trunkline.media.engine import Leg, MediaEngine

__all__ = ["Part", "Room"]

MAX_GAIN = 16.0
MAX_NAMED = 256
"""Members that one may name in `hears` or `heard_by`."""


@dataclass(frozen=True, slots=True)
class Part:
    """How somebody takes part in a room."""

    gain: float = 1.0
    """What its voice is multiplied by, 0 to 16."""
    muted: bool = False
    """The others do not hear it."""
    deaf: bool = False
    """It does not hear the others."""
    hears: tuple[int, ...] | None = None
    """The legs that it hears, where they let it; None for everybody."""
    heard_by: tuple[int, ...] | None = None
    """The legs that hear it, where they want to; None for everybody."""

    def __post_init__(self) -> None:
        if not 0 <= self.gain <= MAX_GAIN:
            raise ValueError(f"gain: a factor from 0 to 16, not {self.gain}")
        for name, circle in (("hears", self.hears), ("heard_by", self.heard_by)):
            if circle is not None and len(circle) > MAX_NAMED:
                raise ValueError(f"{name}: at most {MAX_NAMED} parties, not {len(circle)}")


class Room:
    """A room of the media workers.

    Args:
        engine: Whose workers.
        beside: A leg on whose worker the room is to be.
        speaks: Called with the number of the leg that speaks, or None, whenever that changes.
    """

    sides: tuple[Literal["heard"], ...] = ("heard",)
    """What of it can be recorded: what all say together, without those who are heard by a few."""

    def __init__(
        self, engine: MediaEngine, beside: Leg | None = None, speaks: Callable[[int | None], None] = lambda leg: None
    ) -> None:
        self._engine = engine
        self._driver = engine.driver
        self.number = self._driver.open_room(beside=beside.number if beside is not None else 0)
        self._members: set[int] = set()
        engine.watch_room(self.number, speaks)

    def join(self, leg: Leg, part: Part) -> None:
        """Bring a leg in, out of its link; in the room already, change how it takes part.

        Raises:
            FileNotFoundError: The leg or the room is gone.
        """
        if leg.room is not self:
            leg.unlink()
            leg.room = self
        self._driver.join_room(
            self.number,
            leg.number,
            gain=part.gain,
            muted=part.muted,
            deaf=part.deaf,
            hears=part.hears,
            heard_by=part.heard_by,
        )
        self._members.add(leg.number)

    def levels(self) -> dict[int, float]:
        """How loud each leg is, in dBm0, before mute and gain; -90 for silence. Waits for the worker, which takes microseconds."""
        return dict(self._driver.levels(self.number))

    def want_audio(self, wanted: bool) -> None:
        """As of a leg; a room always has audio."""

    def leave(self, leg: Leg) -> None:
        """Take a leg out."""
        if leg.room is self:
            leg.room = None
        if leg.number in self._members:
            self._members.discard(leg.number)
            self._driver.leave_room(leg.number)

    def close(self) -> None:
        """Take everybody out; the room is gone."""
        self._members.clear()
        self._engine.unwatch_room(self.number)
        self._driver.close_room(self.number)
