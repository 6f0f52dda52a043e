"""Transfers to somebody of another call, the consultation: he talks in it already, or it rings at him still.

`calls.transfers` starts them, of a REFER with Replaces (RFC 5589 §7) or for the application. All of it happens inside the server:
the two far ends stay, both legs of who brought them together go, and the other session closes with `TRANSFERRED`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.calls.channel import Channel
from trunkline.calls.link import Happening, News, Stage
from trunkline.calls.transfer import CalledTransfer, NewcomerTransfer, put, take_out, tie, vacant
from trunkline.constants import ClosedReason
from trunkline.events import CallSessionHangUp
from trunkline.sip.shown import shown_flow

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["MergedTransfer", "RingingTransfer"]


class MergedTransfer(NewcomerTransfer):
    """A transfer to who talks in another call."""

    def start(self, other: Course, newcomer: Channel, remaining: Channel | None) -> None:
        """Take him out of the other call.

        Args:
            other: The course of his session.
            newcomer: His channel.
            remaining: The leg there of who brings the two together, perhaps of a session that is bridged with `other`.
        """
        self.newcomer = newcomer
        self._other, self._remaining = other, remaining
        bridged = other.bridge if remaining is not None and remaining not in other.channels else None
        self._other_bridge = bridged
        self._far = bridged.opposite(other) if bridged is not None else other
        if remaining is not None:
            remaining.unlink()
        take_out(other, newcomer)
        newcomer.owner = self
        self._tie()

    def _arrived(self) -> None:
        if self._other_bridge is not None:
            self._other_bridge.released(self._other, Happening.CLOSED)
        for course in dict.fromkeys((self._other, self._far)):
            course.ledger.transferred_from(self.ledger)
            course.finish(ClosedReason.TRANSFERRED, Happening.CLOSED, News())

    def _give_up(self) -> None:
        """Give him back to his call."""
        self._stop_renewal()
        newcomer, other, remaining = self.newcomer, self._other, self._remaining
        newcomer.unlink()
        if newcomer.stage is not Stage.UP or other.closed_reason is not None:
            if newcomer.stage is Stage.UP:
                newcomer.hang_up(())
            newcomer.finish()
            if self._other_bridge is not None and remaining is not None:
                self._far.on_released(remaining, Happening.HUNG_UP)
            other.emit(CallSessionHangUp(other.call, newcomer.id))
            other.finish(ClosedReason.HANGUP, Happening.HUNG_UP, News())
            return
        newcomer.owner = other
        put(other, newcomer)
        if other.bridge is not self._other_bridge:
            # the application has ended their bridge
            other.watch_alone(newcomer)
        elif remaining is not None and remaining.stage is Stage.UP:
            tie(other, remaining, newcomer, self._other_bridge)
        elif self._other_bridge is not None:
            other.on_released(newcomer, Happening.HUNG_UP)
        else:
            other.watch_alone(newcomer)


class RingingTransfer(CalledTransfer):
    """A transfer to who is still being called in another call (semi-attended): he rings on, for who is kept."""

    def take(self, other: Course, newcomer: Channel) -> None:
        """Take the placing out of the other call, which is over; its caller hears 487, or BYE where he was answered."""
        self.newcomer = newcomer
        for channel in other.channels:
            channel.unlink()
        other.one = None
        newcomer.id, newcomer.log, newcomer.owner = vacant(self.leaving), self.course.log, self
        other.ledger.transferred_from(self.ledger)
        other.finish(ClosedReason.TRANSFERRED, Happening.CLOSED, News(status=487))

    def on_placed(self, channel: Channel) -> None:
        """From the newcomer: answered."""
        if channel.party is not None and channel.invite is not None:
            dialog = channel.invite.dialog
            now_s = self.course.env.endpoint.now_s
            self.ledger.joined(channel.id, channel.party, dialog.remote_target, shown_flow(dialog.flow), now_s)
        super().on_placed(channel)
