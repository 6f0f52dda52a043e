"""Stands in for the media workers on the virtual network: it allots ports, notes what it is told and carries no audio.

`network.VirtualHost` has one. What is played lasts as long as it would (`virtual_audio`); how it sounds is tested over real sockets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from _trunkline import (
    Heard,
    LegDigit,
    LegForeign,
    LegSilent,
    LegStatistics,
    MediaEvent,
    PcmSink,
    PcmSource,
    RoomSpeaker,
    SoundChanged,
    SourceEnded,
)
from trunkline.media.sound import Sound
from trunkline.testing.virtual_audio import VirtualSink, VirtualSource

__all__ = ["VirtualLeg", "VirtualMedia"]


@dataclass(slots=True)
class VirtualLeg:
    """A leg that carries nothing and remembers how it was configured."""

    address: str
    port: int
    configured: dict[str, Any] = field(default_factory=dict)
    linked: int = 0
    transcodes: bool = False
    """Whether the link is a transcoding one."""
    room: int = 0
    host: int = 0
    """Whose guest it is."""
    part: dict[str, Any] = field(default_factory=dict)
    tone_hz: float | None = None
    digits: str = ""
    attended: bool = False
    """Whether somebody hears what its audio is made of."""
    hears_digits: bool = False
    """Whether tones are listened for."""


class NothingCarried:
    """What is left of a leg that carried nothing."""

    def statistics(self) -> LegStatistics | None:
        """Nothing was carried."""
        return None


class VirtualMedia:
    """Stands in for the media workers: allots ports and notes what it is told; `fall_silent` makes a leg's silence event."""

    def __init__(self) -> None:
        self.legs: dict[int, VirtualLeg] = {}
        self.rooms: set[int] = set()
        self._numbers = itertools.count(1)
        self._streams: dict[int, tuple[int, VirtualSource | VirtualSink]] = {}
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

    def link(self, a: int, b: int, *, transcode: bool = False) -> None:
        """Note the link."""
        if a in self.legs and b in self.legs:
            self.legs[a].linked, self.legs[b].linked = b, a
            self.legs[a].transcodes = self.legs[b].transcodes = transcode

    def unlink(self, leg: int) -> None:
        """Note that it is gone."""
        if leg in self.legs:
            other = self.legs.get(self.legs[leg].linked)
            self.legs[leg].linked = 0
            if other is not None:
                other.linked = 0

    def fall_foreign(self, leg: int) -> None:
        """As if the linked leg's peer had sent in a codec that this one's did not agree to."""
        self._events.append(LegForeign(leg))
        if self._wake is not None:
            self._wake()

    def open_room(self, *, beside: int = 0) -> int:
        """A room's number."""
        room = next(self._numbers)
        self.rooms.add(room)
        return room

    def close_room(self, room: int) -> None:
        """Nobody is in it any more."""
        self.rooms.discard(room)
        for leg in self.legs.values():
            if leg.room == room:
                leg.room = 0
        self._end_streams(room)

    def join_room(
        self,
        room: int,
        leg: int,
        *,
        gain: float = 1.0,
        muted: bool = False,
        deaf: bool = False,
        hears: Sequence[int] | None = None,
        heard_by: Sequence[int] | None = None,
    ) -> None:
        """Note who is where, and how.

        Raises:
            FileNotFoundError: There is no such room or leg.
        """
        if room not in self.rooms or leg not in self.legs:
            raise FileNotFoundError(f"there is no room {room} or no leg {leg}")
        self.unlink(leg)
        self.legs[leg].room = room
        self.legs[leg].part = {"gain": gain, "muted": muted, "deaf": deaf, "hears": hears, "heard_by": heard_by}

    def leave_room(self, leg: int) -> None:
        """Note that it is out."""
        if leg in self.legs:
            self.legs[leg].room = self.legs[leg].host = 0

    def visit(self, guest: int, host: int, *, heard_by: Sequence[int] | None = None) -> None:
        """Note whose guest it is.

        Raises:
            FileNotFoundError: There is no such leg.
        """
        if guest not in self.legs or host not in self.legs:
            raise FileNotFoundError(f"there is no leg {guest} or {host}")
        self.unlink(guest)
        self.legs[guest].host = host
        self.legs[guest].part = {"heard_by": heard_by}

    def levels(self, room: int) -> list[tuple[int, float]]:
        """Nobody says anything."""
        return [(number, -90.0) for number, leg in self.legs.items() if leg.room == room]

    def speak(self, room: int, leg: int | None) -> None:
        """As if another one spoke in a room now."""
        self._events.append(RoomSpeaker(room, leg))
        if self._wake is not None:
            self._wake()

    def open_source(self, target: int, sample_rate: int, *, frames: int = 100, exclusive: bool = False) -> PcmSource:
        """What takes as long to be played as on a wire, and is heard by nobody."""
        self._check(target)
        source = VirtualSource(next(self._numbers), sample_rate, frames, self._source_ended)
        self._streams[source.number] = (target, source)
        return cast(PcmSource, source)

    def open_sink(
        self,
        target: int,
        sample_rate: int,
        *,
        side: Literal["heard", "said"] = "heard",
        frames: int = 100,
        wakes: bool = False,
    ) -> PcmSink:
        """What gives silence. None that wakes its reader: frames in Python are tested over real sockets."""
        if wakes:
            raise NotImplementedError("frames are tested over real sockets")
        self._check(target)
        sink = VirtualSink(next(self._numbers), sample_rate, frames)
        self._streams[sink.number] = (target, sink)
        return cast(PcmSink, sink)

    def end_stream(self, target: int, stream: int) -> None:
        """Nobody plays or fills it any more."""
        _, found = self._streams.pop(stream, (target, None))
        if found is not None:
            found.end()

    def playing(self, leg: int) -> int:
        """How many sources are being played to a leg."""
        return sum(target == leg and isinstance(stream, VirtualSource) for target, stream in self._streams.values())

    def _check(self, target: int) -> None:
        if target not in self.legs and target not in self.rooms:
            raise FileNotFoundError(f"there is no leg or room {target}")

    def _source_ended(self, number: int, complete: bool) -> None:
        self._streams.pop(number, None)
        self._events.append(SourceEnded(number, complete))
        if self._wake is not None:
            self._wake()

    def _end_streams(self, target: int) -> None:
        for number in [number for number, (of, _) in self._streams.items() if of == target]:
            self.end_stream(target, number)

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

    def hear_digits(self, leg: int, on: bool) -> None:
        """Note whether tones are listened for."""
        if leg in self.legs:
            self.legs[leg].hears_digits = on

    def press(self, leg: int, digit: str, duration_ms: int = 100, clock_rate: int = 8000) -> None:
        """As if the leg's peer had pressed a key: a telephone event of that clock, with 0 a tone."""
        self._events.append(LegDigit(leg, digit, duration_ms, clock_rate))
        if self._wake is not None:
            self._wake()

    def listen(self, leg: int) -> None:
        """Nothing is heard here."""

    def attend(self, leg: int, wanted: bool) -> None:
        """Note who is attended to."""
        if leg in self.legs:
            self.legs[leg].attended = wanted

    def sound(
        self,
        leg: int,
        sound: Sound,
        *,
        age_s: float = 0.0,
        frequency_hz: float = 0.0,
        ended_dbm0: float = -20.0,
    ) -> None:
        """As if a leg that is attended to had begun to hear another kind of sound, `age_s` seconds ago."""
        if leg in self.legs and self.legs[leg].attended:
            self._events.append(SoundChanged(leg, sound, age_s, frequency_hz, ended_dbm0))
            if self._wake is not None:
                self._wake()

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
        self._end_streams(leg)
        return NothingCarried()

    def counters(self) -> dict[str, int]:
        """Legs that are open."""
        return {"legs": len(self.legs)}

    def close(self) -> None:
        """Forget all legs."""
        self.legs.clear()
