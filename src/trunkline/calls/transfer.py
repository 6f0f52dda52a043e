"""One transfer as it is carried out: somebody leaves a call, his other party is kept, a newcomer takes his place.

`calls.transfers` starts them. The newcomer is called (`CalledTransfer`), calls himself (`ReplacingTransfer`) or comes out of
another call (`calls.merged_transfer`); or the kept party's provider is asked (`calls.passed_transfer`). While one runs
the transfer owns the channel that leaves and the newcomer: whoever hangs up ends his own leg, and a transfer that fails
gives the call back. Who is kept may be of another session that `bridge` has tied to this one: then the bridge goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trunkline.calls.answering import answer_instead
from trunkline.calls.channel import Channel
from trunkline.calls.codecs import carried, common, theirs
from trunkline.calls.destinations import Wanted
from trunkline.calls.ending import explain_lost
from trunkline.calls.failure import reason
from trunkline.calls.link import BRIDGE, SESSION, Happening, Link, News, Stage
from trunkline.calls.outgoing import NotPlaced, Offering
from trunkline.calls.record import Ledger
from trunkline.calls.renewal import Renewal
from trunkline.calls.transfer_request import TransferOutcome
from trunkline.constants import ChannelId, ClosedReason, DtmfWay
from trunkline.events import CallSessionHangUp, CallSessionLost, FailedAttempt
from trunkline.sip.endpoint import Codec, Direction, MediaPlan, Message, NegotiationError, RequestReceived
from trunkline.sip.refer import Refer
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.bridge import Bridge
    from trunkline.calls.course import Course

__all__ = [
    "CalledTransfer",
    "NewcomerTransfer",
    "ReplacingTransfer",
    "Restored",
    "Transfer",
    "put",
    "take_out",
    "tie",
    "vacant",
]

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
        course: Of the session of who leaves.
        leaving: The channel that leaves; None where the session has one channel alone.
        kept: The other one, of the same session or of the one that it is bridged with.
        on_over: Hears the outcome, once, after the call has been rearranged or given back.
    """

    ledger: Ledger

    def __init__(
        self, course: Course, leaving: Channel | None, kept: Channel, on_over: Callable[[TransferOutcome], None]
    ) -> None:
        self.course = course
        self.bridge = course.bridge if kept not in course.channels else None
        self.kept_course = self.bridge.opposite(course) if self.bridge is not None else course
        self.ledger = course.ledger
        self.leaving = leaving
        self.kept = kept
        self.over = False
        self._on_over = on_over
        if leaving is not None:
            leaving.owner = self

    def stop(self, ended: Course, happening: Happening) -> None:
        """A session of it ends: give everything up."""
        if self.over:
            return
        self.over = True
        self._give_up()
        if self.leaving is not None:
            self.leaving.owner = self.course
        self._on_over(TransferOutcome.of(487, "the call is over"))
        if self.bridge is not None and self.kept.link is None:
            self._end_bridge(ended, happening)

    def _end_bridge(self, ended: Course, happening: Happening) -> None:
        """Tell who stays, where the two of the bridge were parted and their link tells nothing any more."""
        leaving = self.leaving
        if ended is self.course:
            self.kept_course.on_released(self.kept, happening)
        elif leaving is not None and leaving.stage is Stage.UP:
            self.course.on_released(leaving, happening)
        else:
            self.bridge_over(happening)
            self.course.finish(ClosedReason.FAILED, Happening.FAILED, News())

    def bridge_over(self, happening: Happening) -> None:
        """The bridge has ended by who was kept, though no link tells it."""
        if self.bridge is not None:
            self.bridge.released(self.course, happening)

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
        self.ledger.placing_over(channel.id, self.course.env.endpoint.now_s, why.attempts)
        self.fail(why.failure.status, why.failure.reason)

    def on_placing_timeout(self, channel: Channel, attempts: tuple[FailedAttempt, ...]) -> None:
        """From the newcomer: nobody answered in time."""
        self.ledger.placing_over(channel.id, self.course.env.endpoint.now_s, attempts)
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
        self._gone(
            channel, CallSessionLost(self.course.call, channel.id, why, explain_lost(channel.id, channel.party, why))
        )

    def on_refer(self, channel: Channel, request: RequestReceived, refer: Refer) -> None:
        """From a channel: not while this transfer runs."""
        self.course.env.endpoint.respond(request.tx, 491)

    def on_info(self, channel: Channel, message: Message) -> None:
        """From a channel: told like any other."""
        self.course.on_info(channel, message)

    def on_digit(self, channel: Channel, digit: str, duration_ms: int, way: DtmfWay) -> None:
        """From a channel: told like any other."""
        self.course.on_digit(channel, digit, duration_ms, way)

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
                    self.kept_course.watch_alone(self.kept)
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
            if self.bridge is not None:
                self.kept_course.on_released(self.kept, Happening.HUNG_UP)
            course.finish(ClosedReason.FAILED, Happening.FAILED, News(headers=(reason(status, words),)))

    def _restore(self, leaving: Channel) -> None:
        """Let the two talk again, where they were parted."""
        if leaving.link is None:
            tie(self.course, leaving, self.kept, self.bridge)


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


def tie(course: Course, one: Channel, other: Channel, bridge: Bridge | None) -> None:
    """Link two answered channels, of a session or of a bridge, and bring them to the same codecs."""
    other.unlink()
    link = Link(SESSION, one, other, course) if bridge is None else Link(BRIDGE, one, other, bridge)
    one.link = other.link = link
    other.align(one, Restored(one, other))


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
        kept.link = newcomer.link = Link(SESSION if self.bridge is None else BRIDGE, kept, newcomer, self)
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
        newcomer.owner = self.course
        self.kept.link.owner = self.course if self.bridge is None else self.bridge
        if self.leaving is not None and self.leaving.stage is Stage.UP:
            self.ledger.channel_over(self.leaving.id, self.leaving.plan, self.leaving.leg)
        newcomer.id = vacant(self.leaving)
        put(self.course, newcomer)
        if self.bridge is not None:
            self.bridge.take_in(self.course, newcomer)
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
        self.newcomer = Channel(course.env, self, vacant(self.leaving), course.log)
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


class ReplacingTransfer(NewcomerTransfer):
    """A transfer to who calls himself."""

    def start(self, channel: Channel) -> None:
        """Answer him and tie him in. NegotiationError and NoMediaPorts: nothing has changed."""
        self.newcomer = channel
        plan = self.kept.plan
        if plan is None or not answer_instead(channel, plan.receive_codecs, _OFFERED[plan.direction], plan.ptime_ms):
            raise NegotiationError("the call is over")
        self._tie()

    def _give_up(self) -> None:
        self._stop_renewal()
        self.newcomer.hang_up(())


def vacant(leaving: Channel | None) -> ChannelId:
    """Whose place a newcomer takes."""
    return leaving.id if leaving is not None else ChannelId.ONE
