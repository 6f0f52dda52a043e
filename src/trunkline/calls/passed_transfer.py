"""Transfers that the kept party's provider is asked for by REFER: it calls whom it is told to, or ties two of its calls.

`calls.transfers` starts them where the line of who is kept says `transfer="refer"`. A `PassedTransfer` that succeeds ends every
session that had a part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.calls.channel import Channel
from trunkline.calls.link import Happening, News
from trunkline.calls.transfer import Transfer
from trunkline.constants import ClosedReason
from trunkline.events import CallSessionHangUp, CallSessionLost
from trunkline.sip.endpoint import SipParseError, Uri
from trunkline.sip.refer import Replaces, SentRefer

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["PassedTransfer"]


class PassedTransfer(Transfer):
    """A transfer that the kept party's provider carries out."""

    _sent: SentRefer | None = None
    _target: Channel | None = None
    _target_course: Course | None = None
    _others: tuple[Course, ...] = ()
    _left: CallSessionHangUp | CallSessionLost | None = None

    def start(self, refer_to: Uri, timeout_s: float) -> None:
        """Ask."""
        if self.kept.invite is None:
            self.fail(481, "the call is over")
            return
        try:
            self._sent = self.kept.invite.refers.send(refer_to, self, timeout_s)
        except ValueError as error:
            self.fail(491, str(error))

    def start_attended(self, other: Course, target: Channel, remaining: Course, timeout_s: float) -> None:
        """Ask for a call that replaces another of the same provider (RFC 5589 §7).

        Args:
            other: The course of that call.
            target: Its channel to the provider.
            remaining: The course of the leg there of who brings the two together; `other` unless the two are bridged.
            timeout_s: Seconds until it is given up.
        """
        if target.invite is None:
            self.fail(481, "the call to replace is over")
            return
        dialog = target.invite.dialog
        # RFC 3891 §3: as who gets the INVITE sees it, at whom its Contact names
        replaced = Replaces(dialog.call_id, to_tag=dialog.remote_tag, from_tag=dialog.local_tag)
        try:
            uri = Uri.parse(dialog.remote_target).replace(headers=[("Replaces", str(replaced))])
        except SipParseError:
            self.fail(481, "the provider names nothing that could be called")
            return
        self._target, self._target_course, self._others = target, other, (other, remaining)
        # it gets a BYE there as soon as it is replaced, perhaps before the outcome is told
        target.owner = self
        self.start(uri, timeout_s)

    def close_all(self) -> None:
        """It is carried out: nobody is left in these calls."""
        self.bridge_over(Happening.CLOSED)
        for course in (self.course, self.kept_course, *self._others):
            course.finish(ClosedReason.TRANSFERRED, Happening.CLOSED, News())

    def on_refer_accepted(self) -> None:
        """From the REFER."""

    def on_refer_over(self, status: int, reason: str) -> None:
        """From the REFER."""
        if status < 300:
            self._succeed(status, reason)
        else:
            self.fail(status, reason)

    def on_released(self, channel: Channel, happening: Happening) -> None:
        """From the target: the leg that it was bridged with is gone."""
        if self._target_course is not None:
            self._target_course.on_released(channel, happening)

    def _gone(self, channel: Channel, event: CallSessionHangUp | CallSessionLost) -> None:
        if channel is self._target:
            self._left = event
        else:
            super()._gone(channel, event)

    def _give_up(self) -> None:
        if self._sent is not None:
            self._sent.stop()
        target, course = self._target, self._target_course
        if target is None or course is None:
            return
        target.owner = course
        if isinstance(self._left, CallSessionHangUp):
            course.emit(CallSessionHangUp(course.call, target.id))
            course.finish(ClosedReason.HANGUP, Happening.HUNG_UP, News())
        elif self._left is not None:
            course.on_lost(target, self._left.reason)
