"""The other call of an attended transfer: who is in it, whom of them a Replaces names, and why it may not be joined.

`calls.transfers` joins its far end with who is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.calls.channel import Channel
from trunkline.calls.dialogs import find_answered, find_called, find_waiting
from trunkline.calls.environment import Environment
from trunkline.calls.link import Stage
from trunkline.sip.refer import ReferRefused, Replaces

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["Consultation"]


@dataclass(frozen=True, slots=True)
class Consultation:
    """Another call, whose far end is to talk to who is kept."""

    course: Course
    """Of the far end."""
    far: Channel
    """Who stays: answered, or still being called."""
    near_course: Course
    """Of the near end: the same, unless the two are bridged."""
    near: Channel | None
    """The leg of who brings the calls together; None in a call with one party alone."""

    @classmethod
    def of(cls, course: Course, near: Channel | None, far: Channel) -> Consultation:
        """Of two who talk, in a session or in two that are bridged; `course` is the near end's."""
        return cls(course.transfers.course_of(far), far, course, near)

    @classmethod
    def named(cls, env: Environment, replaces: Replaces) -> Consultation:
        """The one that a REFER's Replaces names, as its phone's own call.

        Raises:
            ReferRefused: There is none, or it cannot be joined: why, in words for the phone and the application.
        """
        answered = find_answered(env, replaces)
        if answered is not None and replaces.early_only:
            # RFC 3891 §3
            raise ReferRefused(486, "the call to replace has been answered")
        found = answered or find_waiting(env, replaces)
        if found is None:
            called = find_called(env, replaces) is not None
            words = "the call to replace rings here: answer it first" if called else "there is no such call to replace"
            raise ReferRefused(481, words)
        course, near = found
        one = course.one
        if near is course.zero and one is not None and one.stage is Stage.PLACING:
            return cls(course, one, course, near)
        far = course.transfers.far_end(near) if near.stage is Stage.UP else None
        if far is None:
            raise ReferRefused(481, "nobody is called or talks in the call to replace")
        return cls.of(course, near, far)
