"""Calls that are overheard: a supervisor who listens in and coaches, and taps that copy what is said to the application.

A part of `CallSession`. Who listens is a guest in the room where the parties are mixed, heard by those whom he names: the
media workers keep him there while the call that he hears moves between bridges and rooms.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING

from trunkline.calls.sound import answered_legs
from trunkline.errors import CallEnded, CallStateError
from trunkline.media.audio import RATES
from trunkline.media.tap import Tap

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.calls.course import Course
    from trunkline.calls.session import CallSession
    from trunkline.media.engine import Leg

__all__ = ["Listening", "Overhearing"]


class Listening:
    """A party that hears another call, from `async with` to its end. Made by `CallSession.listen`.

    Args:
        course: Of the party that listens.
        other: Of the call that is heard.

    Raises:
        CallEnded: One of them is over.
        CallStateError: The one has no answered channel that is free, or nobody of the other is answered.
    """

    def __init__(self, course: Course, other: Course) -> None:
        leg = course.free_channel().leg
        if leg is None:
            raise CallStateError("the call has no free answered channel")
        self._courses = (course, other)
        self._leg: Leg = leg
        self._host = answered_legs(other)[0]
        self._heard_by: tuple[int, ...] = ()
        self._on = False

    async def __aenter__(self) -> Listening:
        if self._leg.room is not None or self._leg.linked is not None:
            raise CallStateError("the call talks to somebody by now")
        self._on = True
        self._leg.room = self
        self._host.want_audio(True)
        try:
            self._visit()
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def be_heard_by(self, *channels: Channel) -> None:
        """Speak to the parties on these channels alone from now on; to nobody when none is given.

        Args:
            channels: `zero` or `one` of a call, as `agent.zero` to coach an agent. One that is in another room hears nothing.

        Raises:
            CallEnded: Who listens, or the first party of the call that is heard, is gone.
        """
        self._heard_by = tuple(channel.leg.number for channel in channels if channel.leg is not None)
        if self._on:
            self._visit()

    async def ended(self) -> None:
        """Wait until one of the two calls is over."""
        waits = [asyncio.ensure_future(course.wait_closed()) for course in self._courses]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _visit(self) -> None:
        driver = self._courses[0].env.media.driver
        try:
            driver.visit(self._leg.number, self._host.number, heard_by=self._heard_by)
        except FileNotFoundError as error:
            raise CallEnded("a party's media leg is gone") from error
        except OSError as error:
            raise CallStateError("who listens to a call cannot be listened to") from error

    def _end(self) -> None:
        self._on = False
        if self._leg.room is self:
            self._leg.room = None
            if self._leg.is_open:
                self._courses[0].env.media.driver.leave_room(self._leg.number)
        self._host.want_audio(False)


class Overhearing:
    """Listening in and taps; a part of `CallSession`."""

    _course: Course

    def listen(self, other: CallSession) -> Listening:
        """Let this call's party hear both parties of another call, in `async with`.

        It is heard by whom `be_heard_by` names, at first by nobody, and goes where the other call's first party goes: over
        bridges, holds and conferences. That call is transcoded meanwhile; a party whose codec is only relayed is not heard, and
        neither is what is played to one party alone.

        Args:
            other: An answered call.

        Raises:
            CallEnded: One of the calls is over.
            CallStateError: This call has no answered party that is free, or the other none that is answered.
            ValueError: It is this call itself.

        Example:
            async with supervisor.listen(call) as listening:
                listening.be_heard_by(call.one)  # the agent is coached, the customer hears nothing of it
                await listening.ended()
        """
        if other is self:
            raise ValueError("other: a call cannot listen to itself")
        return Listening(self._course, other.course)

    def tap(self, *, sample_rate: int = 16_000) -> Tap:
        """Copies of what both parties say, as pairs of frames of 20 ms, in `async with`; the call is not touched.

        A call that is relayed stays relayed. The first frame of a pair is what the first party says, the second what it hears of
        the other one, or of the conference that it is in. A party whose codec is only relayed is silence.

        Args:
            sample_rate: 8000, 16000, 24000, 32000 or 48000 Hz.

        Raises:
            CallEnded: The call is over.
            CallStateError: Nobody is answered.
            ValueError: There is no such rate.

        Example:
            async with call.tap() as tap:
                async for caller, agent in tap:
                    transcribe(caller, agent)
        """
        if sample_rate not in RATES:
            raise ValueError(f"sample_rate: one of {', '.join(map(str, RATES))}, not {sample_rate}")
        return Tap(self._course.env.media, answered_legs(self._course)[0], sample_rate=sample_rate)
