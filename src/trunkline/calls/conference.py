"""A conference: the answered parties of any number of sessions in one room, each hearing all others.

Made by the application, which brings calls in with `join` and decides how each takes part. The room opens with the first party, beside it,
and closes with the last one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING

from trunkline.errors import CallEnded, CallStateError
from trunkline.media.conference import Part, Room
from trunkline.media.material import Frame, material_of
from trunkline.media.play_queue import PlayQueue
from trunkline.media.playback import Playback

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession
    from trunkline.media.audio import Audio
    from trunkline.media.engine import Leg, MediaEngine

__all__ = ["Conference"]


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
        self._seats: dict[CallSession, tuple[Leg, asyncio.Event]] = {}
        self._plays = PlayQueue()

    @property
    def calls(self) -> tuple[CallSession, ...]:
        """Who is in it, in the order of coming."""
        return tuple(self._seats)

    async def join(self, call: CallSession, *, gain: float = 1.0, muted: bool = False, deaf: bool = False) -> None:
        """Bring in a call's answered party; returns when it has left, or its call is over. Cancelled, it leaves.

        Args:
            call: An answered call that talks to nobody.
            gain: What its voice is multiplied by, 0 to 16.
            muted: The others do not hear it.
            deaf: It does not hear the others.

        Raises:
            CallStateError: The call has no answered party that is free.
            CallEnded: The call is over.
        """
        part = Part(gain, muted, deaf)
        leg = call.course.free_channel().leg
        if leg is None or call in self._seats:
            raise CallStateError("the call has no free answered channel")
        self._enter(call, leg, part)
        left = self._seats[call][1]
        closed = asyncio.ensure_future(call.course.wait_closed())
        leaving = asyncio.ensure_future(left.wait())
        try:
            await asyncio.wait((closed, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
            leaving.cancel()
            self._exit(call)

    def change(
        self, call: CallSession, *, gain: float | None = None, muted: bool | None = None, deaf: bool | None = None
    ) -> None:
        """Change how a party takes part; what is not given stays. Nothing happens for one that is not in it."""
        seat = self._seats.get(call)
        if seat is not None and self._room is not None:
            self._room.change(seat[0], gain=gain, muted=muted, deaf=deaf)

    def leave(self, call: CallSession) -> None:
        """Let a party go; its call is up, and its `join` returns."""
        seat = self._seats.get(call)
        if seat is not None:
            seat[1].set()

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
        room, media = self._room, self._media
        if room is None or media is None:
            raise CallStateError("nobody is in the conference")
        material = material_of(media, audio, times=times, sample_rate=sample_rate)
        return Playback(
            media, lambda: [room], material, self._plays, times=times, gain=gain, exclusive=False, at_once=at_once
        )

    def _enter(self, call: CallSession, leg: Leg, part: Part) -> None:
        if self._room is None:
            self._media = call.course.env.media
            self._room = Room(self._media, leg)
        self._seats[call] = (leg, asyncio.Event())
        try:
            self._room.join(leg, part)
        except FileNotFoundError as error:
            self._exit(call)
            raise CallEnded("the call's media leg is gone") from error

    def _exit(self, call: CallSession) -> None:
        seat = self._seats.pop(call, None)
        if seat is None or self._room is None:
            return
        self._room.leave(seat[0])
        if not self._seats:
            self._room.close()
            self._room = None
