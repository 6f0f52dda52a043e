"""One transfer as it is carried out: somebody leaves a call, his other party is kept, a newcomer takes his place.

`calls.transfers` starts them. The newcomer is called (`CalledTransfer`) or comes out of another call (`MergedTransfer`);
or the kept party's provider is asked by REFER (`PassedTransfer`). While one runs the transfer owns the channel that
leaves and the newcomer: whoever hangs up ends his own leg, and a transfer that fails gives the call back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trunkline.calls.answering import answer_instead
from trunkline.calls.channel import Channel
from trunkline.calls.codecs import carried, common, theirs
from trunkline.calls.destinations import Wanted
from trunkline.calls.failure import reason
from trunkline.calls.link import SESSION, Happening, Link, News, Stage
from trunkline.calls.outgoing import NotPlaced, Offering
from trunkline.calls.record import Ledger
from trunkline.calls.renewal import Renewal
from trunkline.calls.transfer_request import TransferOutcome
from trunkline.constants import ChannelId, ClosedReason
from trunkline.events import CallSessionHangUp, CallSessionLost, FailedAttempt
from trunkline.sip.endpoint import Codec, Direction, MediaPlan, Message, NegotiationError, RequestReceived, Uri
from trunkline.sip.refer import Refer, SentRefer
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["CalledTransfer", "MergedTransfer", "PassedTransfer", "ReplacingTransfer", "Transfer"]

_OFFERED: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendrecv",
    "recvonly": "sendonly",
    "inactive": "sendrecv",
}
"""What a newcomer is offered, by our direction towards who is kept: a hold by who leaves ends with him, one of who is
kept stands."""

_HELD: tuple[Direction, ...] = ("sendonly", "inactive")


class Transfer:
    """What all transfers have in common; its own channels tell it what happens to them.

    Args:
        course: Of the session.
        leaving: The channel that leaves; None where the session has one channel alone.
        kept: The other one.
        on_over: Hears the outcome, once, after the call has been rearranged or given back.
    """

    ledger: Ledger

    def __init__(
        self, course: Course, leaving: Channel | None, kept: Channel, on_over: Callable[[TransferOutcome], None]
    ) -> None:
        self.course = course
        self.ledger = course.ledger
        self.leaving = leaving
        self.kept = kept
        self.over = False
        self._on_over = on_over
        if leaving is not None:
            leaving.owner = self

    def stop(self) -> None:
        """The session ends: give everything up."""
        if not self.over:
            self.over = True
            self._give_up()
            if self.leaving is not None:
                self.leaving.owner = self.course
            self._on_over(TransferOutcome.of(487, "the call is over"))

    def on_cancelled(self) -> None:
        """Nobody waits for it any more: give the call back."""
        self.fail(487, "the transfer was given up")

    def farewell(self) -> None:
        """BYE to who has left, if he has not said it."""
        if self.leaving is not None and self.leaving.stage is Stage.UP:
            self.leaving.hang_up(())

    # --- from the channels ------------------------------------------------------------------------------------------

    def on_connecting(self, channel: Channel, message: Message) -> None:
        """From the newcomer."""
        self.course.on_connecting(channel, message)

    def on_attempt_failed(self, channel: Channel, attempt: FailedAttempt) -> None:
        """From the newcomer."""
        self.course.on_attempt_failed(channel, attempt)

    def on_placed(self, channel: Channel) -> None:
        """From the newcomer: answered."""

    def on_not_placed(self, channel: Channel, why: NotPlaced) -> None:
        """From the newcomer: nobody could be reached."""
        self.fail(why.failure.status, why.failure.reason)

    def on_placing_timeout(self, channel: Channel, attempts: tuple[FailedAttempt, ...]) -> None:
        """From the newcomer: nobody answered in time."""
        self.fail(408, "nobody answered in time")

    def on_caller_gave_up(self, channel: Channel, message: Message) -> None:
        """From a channel: none of these waits for an answer of ours."""

    def on_released(self, channel: Channel, happening: Happening) -> None:
        """From a channel: none of these is bridged."""

    def on_hangup(self, channel: Channel, message: Message) -> None:
        """From a channel: BYE."""
        self._gone(channel, CallSessionHangUp(self.course.call, channel.id))

    def on_lost(self, channel: Channel, why: str) -> None:
        """From a channel: silence, or a dead dialog."""
        self._gone(channel, CallSessionLost(self.course.call, channel.id, why))

    def on_refer(self, channel: Channel, request: RequestReceived, refer: Refer) -> None:
        """From a channel: not while this transfer runs."""
        self.course.env.endpoint.respond(request.tx, 491)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        """Let go of the newcomer."""

    def _gone(self, channel: Channel, event: CallSessionHangUp | CallSessionLost) -> None:
        if channel is self.leaving:
            if not self.over:
                self.course.emit(event)
                self.ledger.channel_over(channel.id, channel.plan, channel.leg)
                tied = channel.link is not None
                channel.finish()
                if tied:
                    self.kept.unlink()
                    self.course.watch_alone(self.kept)
            else:
                channel.finish()
        elif not self.over:
            self.fail(480, "whom it was transferred to hung up")

    def _succeed(self, status: int, words: str) -> None:
        if not self.over:
            self.over = True
            self._on_over(TransferOutcome.of(status, words))

    def fail(self, status: int, words: str) -> None:
        """Give the call back; where nobody is left to have it, end it."""
        if self.over:
            return
        self.over = True
        self._give_up()
        course, leaving = self.course, self.leaving
        left_alone = leaving is not None and leaving.stage is not Stage.UP
        if leaving is not None:
            leaving.owner = course
            if not left_alone:
                self._restore(leaving)
        self._on_over(TransferOutcome.of(status, words))
        if left_alone:
            course.finish(ClosedReason.FAILED, Happening.FAILED, News(headers=(reason(status, words),)))

    def _restore(self, leaving: Channel) -> None:
        """Let the two talk again, where they were parted."""
        if leaving.link is None:
            tie(self.course, leaving, self.kept, Restored(leaving, self.kept))


class Restored:
    """The owner of a link of two who are to talk again."""

    def __init__(self, *channels: Channel) -> None:
        self._channels = channels

    def on_linked(self) -> None:
        """From the alignment."""
        for channel in self._channels:
            channel.watch(True)

    def on_link_failed(self, failure: Failure) -> None:
        """From the alignment: what cannot be relayed is not heard, and the call goes on."""
        self._channels[0].log.warning("the two parties are left without a common codec: %s", failure.reason)


def tie(course: Course, one: Channel, other: Channel, until_linked: Restored) -> None:
    """Link two answered channels of a session, and bring them to the same codecs."""
    other.unlink()
    one.link = other.link = Link(SESSION, one, other, course)
    other.align(one, until_linked)


def put(course: Course, channel: Channel) -> None:
    """Make it a channel of this session, by its id."""
    channel.log = course.log
    if channel.id is ChannelId.ZERO:
        course.zero = channel
    else:
        course.one = channel


def take_out(course: Course, channel: Channel) -> None:
    """A channel goes to another session: what is left here talks to nobody."""
    course.ledger.channel_over(channel.id, channel.plan, channel.leg)
    gone = Channel(course.env, course, channel.id, course.log)
    gone.stage = Stage.OVER
    for each in course.channels:
        each.unlink()
    put(course, gone)


class NewcomerTransfer(Transfer):
    """A transfer that ties a newcomer in."""

    newcomer: Channel
    _renewal: Renewal | None = None
    _then: Callable[[], None]

    def _tie(self) -> None:
        """Part the two who talked, and let who is kept talk to the newcomer: no hold by who leaves, common codecs."""
        if self.leaving is not None:
            self.leaving.unlink()
        kept, newcomer = self.kept, self.newcomer
        kept.unlink()
        newcomer.unlink()
        kept.link = newcomer.link = Link(SESSION, kept, newcomer, self)
        here, there = kept.plan, newcomer.plan
        if here is None or there is None:
            self.fail(488, "there is nothing to talk over")
        elif there.direction in _HELD and there.direction != _OFFERED[here.direction]:
            # a hold by who brought the two together
            self._renew(newcomer, there.receive_codecs, _OFFERED[here.direction], self._join)
        else:
            self._join()

    def _join(self) -> None:
        """Take who is kept off hold too, and let the two talk."""
        kept, newcomer = self.kept, self.newcomer
        here, there = kept.plan, newcomer.plan
        if here is None or there is None:
            self.fail(480, "a party is gone")
            return
        wanted = theirs(there)
        codecs = carried(there.receive_codecs, here.receive_codecs) or common(there.receive_codecs, kept.usable)
        if here.direction == wanted or not codecs:
            kept.align(newcomer)
        else:
            self._renew(kept, codecs, wanted, lambda: kept.align(newcomer))

    def _renew(self, channel: Channel, codecs: Sequence[Codec], direction: Direction, then: Callable[[], None]) -> None:
        self._then = then
        self._renewal = Renewal(channel, codecs, direction, self, patient=True)
        self._renewal.start()

    def on_renewed(self, plan: MediaPlan) -> None:
        """From a re-INVITE that takes somebody off hold."""
        self._renewal = None
        if not self.over:
            self._then()

    def on_not_renewed(self, failure: Failure) -> None:
        """From the re-INVITE: they stay as they are."""
        self._renewal = None
        if not self.over:
            self._then()

    def on_linked(self) -> None:
        """From the link: they hear each other."""
        if self.over or self.kept.link is None:
            return
        newcomer = self.newcomer
        self.kept.link.owner = newcomer.owner = self.course
        if self.leaving is not None and self.leaving.stage is Stage.UP:
            self.ledger.channel_over(self.leaving.id, self.leaving.plan, self.leaving.leg)
        newcomer.id = _vacant(self.leaving)
        put(self.course, newcomer)
        for channel in (self.kept, newcomer):
            channel.watch(True)
        self._arrived()
        self._succeed(200, "OK")

    def on_link_failed(self, failure: Failure) -> None:
        """From the link: they have no codec in common."""
        self.fail(failure.status, failure.reason)

    def _arrived(self) -> None:
        """The newcomer has his place."""

    def _stop_renewal(self) -> None:
        if self._renewal is not None:
            self._renewal.stop()
            self._renewal = None
        if self.kept.link is not None and self.kept.link.owner is self:
            self.kept.unlink()


class CalledTransfer(NewcomerTransfer):
    """A transfer for which somebody is called."""

    def start(self, wanted: Wanted, timeout_s: float) -> None:
        """Call him."""
        course, kept = self.course, self.kept
        self.newcomer = Channel(course.env, self, _vacant(self.leaving), course.log)
        plan = kept.plan
        offering = Offering(
            codecs_for=kept.codecs_for,
            direction=_OFFERED[plan.direction] if plan is not None else "sendrecv",
            # each transfer counts as a hop, so that calls that are transferred in circles end
            max_forwards=course.hops_left - 1,
            beside=kept.leg,
        )
        course.hops_left -= 1
        self.newcomer.place(wanted, offering, timeout_s)

    def on_placed(self, channel: Channel) -> None:
        """From the newcomer: answered."""
        self._tie()

    def _give_up(self) -> None:
        self._stop_renewal()
        if self.newcomer.stage is Stage.PLACING:
            self.newcomer.give_up(())
        elif self.newcomer.stage is Stage.UP:
            self.newcomer.hang_up(())
        self.newcomer.finish()


class MergedTransfer(NewcomerTransfer):
    """A transfer to who talks in another call: the two far ends stay, both legs of who brought them together go."""

    def start(self, other: Course, newcomer: Channel) -> None:
        """Take him out of the other call."""
        self.newcomer = newcomer
        self._other = other
        take_out(other, newcomer)
        newcomer.owner = self
        self._tie()

    def _arrived(self) -> None:
        self._other.finish(ClosedReason.TRANSFERRED, Happening.CLOSED, News())

    def _give_up(self) -> None:
        """Give him back to his call."""
        self._stop_renewal()
        newcomer, other = self.newcomer, self._other
        newcomer.unlink()
        if newcomer.stage is not Stage.UP or other.closed_reason is not None:
            if newcomer.stage is Stage.UP:
                newcomer.hang_up(())
            newcomer.finish()
            other.emit(CallSessionHangUp(other.call, newcomer.id))
            other.finish(ClosedReason.HANGUP, Happening.HUNG_UP, News())
            return
        newcomer.owner = other
        put(other, newcomer)
        remaining = next((each for each in other.channels if each is not newcomer and each.stage is Stage.UP), None)
        if remaining is None:
            other.watch_alone(newcomer)
        else:
            tie(other, remaining, newcomer, Restored(remaining, newcomer))


class ReplacingTransfer(NewcomerTransfer):
    """A transfer to who calls himself."""

    def start(self, channel: Channel) -> None:
        """Answer him and tie him in. NegotiationError and NoMediaPorts: nothing has changed."""
        self.newcomer = channel
        plan = self.kept.plan
        if plan is None or not answer_instead(channel, plan, _OFFERED[plan.direction]):
            raise NegotiationError("the call is over")
        self._tie()

    def _give_up(self) -> None:
        self._stop_renewal()
        self.newcomer.hang_up(())


class PassedTransfer(Transfer):
    """A transfer that the kept party's provider is asked for by REFER; it ends the session when it succeeds."""

    _sent: SentRefer | None = None

    def start(self, refer_to: Uri, timeout_s: float) -> None:
        """Ask."""
        if self.kept.invite is None:
            self.fail(481, "the call is over")
            return
        try:
            self._sent = self.kept.invite.refers.send(refer_to, self, timeout_s)
        except ValueError as error:
            self.fail(491, str(error))

    def on_refer_accepted(self) -> None:
        """From the REFER."""

    def on_refer_over(self, status: int, reason: str) -> None:
        """From the REFER."""
        if status < 300:
            self._succeed(status, reason)
        else:
            self.fail(status, reason)

    def _give_up(self) -> None:
        if self._sent is not None:
            self._sent.stop()


def _vacant(leaving: Channel | None) -> ChannelId:
    """Whose place a newcomer takes."""
    return leaving.id if leaving is not None else ChannelId.ONE
