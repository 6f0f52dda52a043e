"""A bridge: the answered channels of two sessions tied together until one of them goes.

Made by `CallSession.bridge`. It uses the same link as a session's own channels, with the table `BRIDGE`: what ends
one side lets the other go, and its session stays for the handler.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from trunkline.calls.link import BRIDGE, Happening, Link
from trunkline.errors import CallFailed
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.calls.course import Course
    from trunkline.calls.session import CallSession

__all__ = ["Bridge", "BridgeEnd", "BridgeOutcome", "talks"]


class BridgeEnd(Enum):
    """How a bridge came to its end."""

    HANGUP = "hangup"
    """A party hung up."""
    LOST = "lost"
    """A party's media fell silent, or its dialog turned out to be dead."""
    CLOSED = "closed"
    """A session was closed on our side."""


_HOW = {Happening.HUNG_UP: BridgeEnd.HANGUP, Happening.LOST: BridgeEnd.LOST}


@dataclass(frozen=True, slots=True)
class BridgeOutcome:
    """Who ended a bridge, and how. The other session is still up, unless it was closed since."""

    ended_by: CallSession
    how: BridgeEnd


def talks(course: Course) -> bool:
    """Whether the party of channel ZERO is tied to somebody: to channel ONE, in a bridge, or in a conference."""
    leg = course.zero.leg
    return bool(course.zero.link or course.bridge or (leg is not None and leg.room is not None))


class Bridge:
    """Two channels of two sessions that talk.

    Args:
        left: The course of one session.
        right: The course of the other.

    Raises:
        CallStateError: One of them has no answered channel that is free.
    """

    def __init__(self, left: Course, right: Course) -> None:
        self._courses = (left, right)
        self._channels: tuple[Channel, Channel] = (left.free_channel(), right.free_channel())
        self._outcome: asyncio.Future[BridgeOutcome] = asyncio.get_running_loop().create_future()

    async def run(self) -> BridgeOutcome:
        """Tie them and wait for the end. Cancelled, both sides stay up and hear silence.

        Raises:
            CallFailed: 488, they have no codec in common.
        """
        left, right = self._channels
        link = Link(BRIDGE, left, right, self)
        for course, channel in zip(self._courses, self._channels, strict=True):
            course.bridge = self
            course.dependence.leave()
            channel.link = link
        try:
            link.tell(left, Happening.ANSWERED)
            return await self._outcome
        finally:
            self._untie()

    def released(self, course: Course, happening: Happening) -> None:
        """From the course that stays: the other side is gone."""
        if not self._outcome.done():
            self._outcome.set_result(BridgeOutcome(self.opposite(course).call, _HOW.get(happening, BridgeEnd.CLOSED)))

    def opposite(self, course: Course) -> Course:
        """The other session."""
        left, right = self._courses
        return right if course is left else left

    def take_in(self, course: Course, newcomer: Channel) -> None:
        """From a transfer: on that session's side somebody else talks now."""
        left, right = self._channels
        self._channels = (newcomer, right) if course is self._courses[0] else (left, newcomer)

    def on_linked(self) -> None:
        """From the alignment: they hear each other."""
        for channel in self._channels:
            channel.watch(True)

    def on_link_failed(self, failure: Failure) -> None:
        """From the alignment: no common codec."""
        if not self._outcome.done():
            self._outcome.set_exception(CallFailed.of(failure.status, failure.reason))

    def _untie(self) -> None:
        for course in self._courses:
            course.transfers.unbridged(self)
        for course, channel in zip(self._courses, self._channels, strict=True):
            if course.bridge is self:
                course.bridge = None
                if channel.link is not None and channel.link.owner is self:
                    channel.unlink()
                    course.watch_alone(channel)
