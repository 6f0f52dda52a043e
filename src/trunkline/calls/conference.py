"""A conference: the answered parties of any number of sessions in one room, each hearing all others.

Made by the application, which brings calls in with `join` and decides how each takes part and who hears whom. The room opens with the
first party, beside it, and closes with the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trunkline.errors import CallEnded, CallStateError
from trunkline.events import CallSessionSpeaking
from trunkline.media.conference import Part, Room
from trunkline.media.material import Frame, material_of
from trunkline.media.play_queue import PlayQueue
from trunkline.media.playback import Playback
from trunkline.media.recording import Recording

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession
    from trunkline.media.audio import Audio
    from trunkline.media.engine import Leg, MediaEngine

__all__ = ["Circle", "Conference"]

Circle = Collection["CallSession"] | Literal["everybody"]
"""Parties of a conference: these, whether they are in it yet or not, or everybody."""

SILENCE_DBM0 = -90.0


@dataclass(frozen=True, slots=True)
class _Seat:
    """How a call takes part."""

    leg: Leg
    gain: float
    muted: bool
    deaf: bool
    hears: Circle
    heard_by: Circle
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def names(self, call: CallSession) -> bool:
        return any(not isinstance(circle, str) and call in circle for circle in (self.hears, self.heard_by))


class Conference:
    """A room for calls. Belongs to the loop.

    Example:
        conference = Conference()

        @server.on_incoming_call
        async def enter(call: CallSession) -> None:
            await call.answer()
            await conference.join(call)
    """

    def __init__(self) -> None:
        self._room: Room | None = None
        self._media: MediaEngine | None = None
        self._seats: dict[CallSession, _Seat] = {}
        self._speaker: CallSession | None = None
        self._plays = PlayQueue()

    @property
    def calls(self) -> tuple[CallSession, ...]:
        """Who is in it, in the order of coming."""
        return tuple(self._seats)

    @property
    def speaker(self) -> CallSession | None:
        """Whose party speaks; None in a pause.

        It is the loudest above -40 dBm0 of those who are heard by everybody; another takes its place when it has been louder by 6 dB for
        200 ms, nobody after a second of quiet. `on_call_session_speaking` tells each change.
        """
        return self._speaker

    def levels(self) -> dict[CallSession, float]:
        """How loud each party is now, in dBm0, before mute and gain; -90 for silence."""
        found = self._room.levels() if self._room is not None else {}
        return {call: found.get(seat.leg.number, SILENCE_DBM0) for call, seat in self._seats.items()}

    async def join(
        self,
        call: CallSession,
        *,
        gain: float = 1.0,
        muted: bool = False,
        deaf: bool = False,
        hears: Circle = "everybody",
        heard_by: Circle = "everybody",
    ) -> None:
        """Bring in a call's answered party; returns when it has left, or its call is over. Cancelled, it leaves.

        One hears another where `hears` of the one and `heard_by` of the other allow it: with `heard_by=()` a party listens in, with
        `heard_by=[agent]` it coaches. Announcements are heard by all who are not deaf.

        Args:
            call: An answered call that talks to nobody.
            gain: What its voice is multiplied by, 0 to 16.
            muted: The others do not hear it.
            deaf: It does not hear the others.
            hears: The calls whose parties it hears, at most 256.
            heard_by: The calls whose parties hear it, at most 256.

        Raises:
            CallStateError: The call has no answered party that is free.
            CallEnded: The call is over.
            ValueError: The gain is out of range, or too many are named.
        """
        leg = call.course.free_channel().leg
        if leg is None or call in self._seats:
            raise CallStateError("the call has no free answered channel")
        seat = _Seat(leg, gain, muted, deaf, hears, heard_by)
        self._enter(call, seat, self._part(seat))
        closed = asyncio.ensure_future(call.course.wait_closed())
        leaving = asyncio.ensure_future(seat.left.wait())
        try:
            await asyncio.wait((closed, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            leaving.cancel()
            self._exit(call)

    def change(
        self,
        call: CallSession,
        *,
        gain: float | None = None,
        muted: bool | None = None,
        deaf: bool | None = None,
        hears: Circle | None = None,
        heard_by: Circle | None = None,
    ) -> None:
        """Change how a party takes part; what is not given stays. Nothing happens for one that is not in it.

        Raises:
            ValueError: The gain is out of range, or too many are named.
        """
        seat = self._seats.get(call)
        if seat is None:
            return
        said: dict[str, Any] = {"gain": gain, "muted": muted, "deaf": deaf, "hears": hears, "heard_by": heard_by}
        changed = replace(seat, **{name: value for name, value in said.items() if value is not None})
        part = self._part(changed)
        self._seats[call] = changed
        self._apply(changed, part)

    def leave(self, call: CallSession) -> None:
        """Let a party go; its call is up, and its `join` returns."""
        seat = self._seats.get(call)
        if seat is not None:
            seat.left.set()

    def close(self) -> None:
        """Let everybody go."""
        for call in self.calls:
            self.leave(call)

    def play(
        self,
        audio: Audio | AsyncIterable[Frame],
        *,
        times: int = 1,
        gain: float = 1.0,
        at_once: bool = False,
        sample_rate: int | None = None,
    ) -> Playback:
        """Play to everybody, over what they say, as `CallSession.play` does; what is played meanwhile waits for its turn.

        Args:
            audio: A file's path or bytes, or an asynchronous iterator of int16 samples.
            times: How often; 0 for until it is stopped.
            gain: What it is multiplied by, 0 to 16.
            at_once: Wait for no turn: it is mixed over what is played already.
            sample_rate: Of an iterator: 8000, 16000, 24000, 32000 or 48000 Hz.

        Returns:
            What pauses, moves and stops it. Awaited, it gives whether all of it was played: False when it was stopped or the last
            party went; it raises `AudioError` when it cannot be read, or is no audio.

        Raises:
            AudioError: Too many wait already.
            CallStateError: Nobody is in it.
            ValueError: An argument is out of range.
        """
        media, room = self._open()
        material = material_of(media, audio, times=times, sample_rate=sample_rate)
        return Playback(
            media, lambda: [room], material, self._plays, times=times, gain=gain, exclusive=False, at_once=at_once
        )

    def record(self, path: Path | str, *, sample_rate: int = 8000) -> Recording:
        """Record what all say together to a WAV file, from `async with` or `start` to `stop` or until the last party goes.

        Who is heard by a few alone is not in it; announcements are.

        Args:
            path: The file; what is there is overwritten.
            sample_rate: Of the file: 8000, 16000, 24000, 32000 or 48000 Hz.

        Raises:
            CallStateError: Nobody is in it.
        """
        media, room = self._open()
        return Recording(media, room, Path(path), layout="mono", sample_rate=sample_rate)

    def _open(self) -> tuple[MediaEngine, Room]:
        if self._room is None or self._media is None:
            raise CallStateError("nobody is in the conference")
        return self._media, self._room

    def _part(self, seat: _Seat) -> Part:
        return Part(seat.gain, seat.muted, seat.deaf, self._legs(seat.hears), self._legs(seat.heard_by))

    def _legs(self, circle: Circle) -> tuple[int, ...] | None:
        if isinstance(circle, str):
            return None
        return tuple(self._seats[call].leg.number for call in circle if call in self._seats)

    def _apply(self, seat: _Seat, part: Part) -> None:
        if self._room is not None and seat.leg.is_open:
            self._room.join(seat.leg, part)

    def _enter(self, call: CallSession, seat: _Seat, part: Part) -> None:
        if self._room is None:
            self._media = call.course.env.media
            self._room = Room(self._media, seat.leg, self._spoke)
        self._seats[call] = seat
        try:
            self._room.join(seat.leg, part)
        except FileNotFoundError as error:
            self._exit(call)
            raise CallEnded("the call's media leg is gone") from error
        for other in self._seats.values():
            if other.names(call):
                self._apply(other, self._part(other))

    def _exit(self, call: CallSession) -> None:
        seat = self._seats.pop(call, None)
        if seat is None or self._room is None:
            return
        if self._speaker is call:
            self._speaker = None
        self._room.leave(seat.leg)
        if not self._seats:
            self._room.close()
            self._room = None

    def _spoke(self, leg: int | None) -> None:
        """From the room: this leg speaks now."""
        before = self._speaker
        self._speaker = next((call for call, seat in self._seats.items() if seat.leg.number == leg), None)
        if before is not self._speaker:
            self._tell(before, False)
            self._tell(self._speaker, True)

    def _tell(self, call: CallSession | None, speaking: bool) -> None:
        # nothing comes after `closed`
        if call is not None and call.closed_reason is None:
            call.course.env.sink.emit(CallSessionSpeaking(call, self, speaking))
