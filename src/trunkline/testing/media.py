"""Stands in for the media workers on the virtual network: it allots ports, notes what it is told and carries no audio.

`network.VirtualHost` has one. Audio is tested over real sockets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from _trunkline import Heard, LegSilent, LegStatistics, MediaEvent

__all__ = ["VirtualLeg", "VirtualMedia"]


@dataclass(slots=True)
class VirtualLeg:
    """A leg that carries nothing and remembers how it was configured."""

    address: str
    port: int
    configured: dict[str, Any] = field(default_factory=dict)
    linked: int = 0
    tone_hz: float | None = None
    digits: str = ""


class NothingCarried:
    """What is left of a leg that carried nothing."""

    def statistics(self) -> LegStatistics | None:
        """Nothing was carried."""
        return None


class VirtualMedia:
    """Stands in for the media workers: allots ports and notes what it is told; `fall_silent` makes a leg's silence event."""

    def __init__(self) -> None:
        self.legs: dict[int, VirtualLeg] = {}
        self._numbers = itertools.count(1)
        self._ports = itertools.count(20_000, 2)
        self._events: list[MediaEvent] = []
        self._wake: Callable[[], None] | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever events wait."""
        self._wake = wake

    def drain(self, limit: int = 512) -> list[MediaEvent]:
        """The events that wait."""
        events, self._events = self._events, []
        return events

    def open_leg(self, address: str, *, beside: int = 0) -> tuple[int, int]:
        """A number and a port that nobody else has."""
        number, port = next(self._numbers), next(self._ports)
        self.legs[number] = VirtualLeg(address, port)
        return number, port

    def configure(self, leg: int, **plan: Any) -> None:
        """Note the plan."""
        if leg in self.legs:
            self.legs[leg].configured = plan

    def link(self, a: int, b: int) -> None:
        """Note the link."""
        if a in self.legs and b in self.legs:
            self.legs[a].linked, self.legs[b].linked = b, a

    def unlink(self, leg: int) -> None:
        """Note that it is gone."""
        if leg in self.legs:
            other = self.legs.get(self.legs[leg].linked)
            self.legs[leg].linked = 0
            if other is not None:
                other.linked = 0

    def fall_silent(self, leg: int) -> None:
        """As if nothing had arrived on the leg for its silence timeout."""
        self._events.append(LegSilent(leg))
        if self._wake is not None:
            self._wake()

    def play_tone(self, leg: int, frequency_hz: float, level_dbm0: float = -10.0) -> None:
        """Note the tone."""
        if leg in self.legs:
            self.legs[leg].tone_hz = frequency_hz

    def stop_tone(self, leg: int) -> None:
        """Note that it is over."""
        if leg in self.legs:
            self.legs[leg].tone_hz = None

    def send_digits(self, leg: int, digits: str, duration_ms: int = 100) -> None:
        """Note the digits."""
        if leg in self.legs:
            self.legs[leg].digits += digits

    def listen(self, leg: int) -> None:
        """Nothing is heard here."""

    def heard(self, leg: int) -> Heard:
        """Audio does not cross a network in memory."""
        raise NotImplementedError("audio is tested over real sockets")

    def statistics(self, leg: int) -> LegStatistics | None:
        """Nothing was carried."""
        return None

    def end_leg(self, leg: int) -> NothingCarried:
        """Free the port."""
        self.unlink(leg)
        self.legs.pop(leg, None)
        return NothingCarried()

    def counters(self) -> dict[str, int]:
        """Legs that are open."""
        return {"legs": len(self.legs)}

    def close(self) -> None:
        """Forget all legs."""
        self.legs.clear()
