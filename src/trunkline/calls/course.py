"""The course of one session: what is decided about it, what its channels report, its events in order, its end.

`CallSession` is its public face, `Exchange` keeps it while it lives. It never touches one channel because of the
other: the link does. All of it runs on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

from trunkline.calls.bridge import Bridge, talks
from trunkline.calls.channel import Channel
from trunkline.calls.codecs import with_events
from trunkline.calls.decision import NOBODY, UNDECIDED, Decision, Refusal
from trunkline.calls.dependence import Dependence
from trunkline.calls.destinations import Wanted, placings
from trunkline.calls.ending import explain_lost
from trunkline.calls.environment import CallLog, Environment
from trunkline.calls.explanation import explain_late, explain_unplaced
from trunkline.calls.failure import (
    NO_MEDIA_PORT,
    closed_by,
    contact_of,
    crossing,
    error_of,
    reason,
    reasons_of,
    warning,
)
from trunkline.calls.link import SESSION, Happening, Link, News, Stage, perform
from trunkline.calls.offered import offering_beside
from trunkline.calls.outgoing import HOPS, NotPlaced, Offering
from trunkline.calls.placement import Placement
from trunkline.calls.record import Ledger
from trunkline.calls.state import ALONE, WAITING, CallState
from trunkline.calls.transfers import Transfers
from trunkline.constants import ChannelId, ClosedReason, DtmfWay
from trunkline.errors import CallEnded, CallFailed, CallStateError, NoAnswer, NoMediaPorts
from trunkline.events import (
    AttemptFailed,
    CallEvent,
    CallSessionCancelled,
    CallSessionClosed,
    CallSessionConnected,
    CallSessionConnecting,
    CallSessionCreated,
    CallSessionDigit,
    CallSessionFailed,
    CallSessionHangUp,
    CallSessionInfo,
    CallSessionLost,
    CallSessionTimeout,
    FailedAttempt,
    IncomingCall,
)
from trunkline.media.play_queue import PlayQueue
from trunkline.sip.endpoint import Headers, Message, NegotiationError, RequestReceived
from trunkline.sip.refer import Refer
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession

__all__ = ["Course"]

Arguments = ParamSpec("Arguments")


class Course:
    """One session's course.

    Args:
        env: The surroundings.
        call: Its public face.
        log: Its logger.
        on_over: Called once when it is closed.
    """

    ledger: Ledger

    def __init__(
        self, env: Environment, call: CallSession, log: CallLog, on_over: Callable[[CallSession], None]
    ) -> None:
        self.env = env
        self.call = call
        self.log = log
        self.zero = Channel(env, self, ChannelId.ZERO, log)
        self.one: Channel | None = None
        self.bridge: Bridge | None = None
        self.closed_reason: ClosedReason | None = None
        self.hops_left = HOPS
        self.ledger = Ledger(env.endpoint.now_s)
        self.transfers = Transfers(self)
        self.plays = PlayQueue()
        self.failed_status = 0
        """Of the last placing; 0 while none has failed."""
        self._on_over = on_over
        self._wanted: Wanted | None = None
        self._placement: Placement | None = None
        self._decision = Decision(
            env,
            log,
            due=lambda: self._undecided,
            handled=lambda: env.sink.decision_pending(call),
            refuse=self._refuse,
        )
        self.dependence = Dependence(self.close)
        """For whom it was dialled, and who was dialled for it."""
        self._watchers: list[asyncio.Future[ClosedReason]] = []

    @property
    def state(self) -> CallState:
        """How far it is."""
        if self.closed_reason is not None:
            return CallState.CLOSED
        if self.one is None:
            return ALONE[self.zero.stage]
        return CallState.PLACING if self.one.stage is Stage.PLACING else CallState.CONNECTED

    # --- beginnings -------------------------------------------------------------------------------------------------

    def arrived(self) -> None:
        """Channel ZERO has its INVITE: tell the application, and wait for its decision."""
        call = self.call
        self.emit(CallSessionCreated(call))
        if self.closed_reason is not None:
            return
        self.emit(
            IncomingCall(
                call,
                caller_name=call.caller_name,
                caller_id=call.caller_id,
                dial_number=call.dial_number,
                from_peer_type=call.from_peer_type,
                from_peer_name=call.from_peer_name,
                user_agent=call.user_agent,
                from_ip=call.from_ip,
                from_port=call.from_port,
            )
        )
        if self._undecided:
            self._decision.wait(NOBODY)

    def dial(self, wanted: Wanted, timeout_s: float) -> Placement:
        """Place channel ZERO."""
        placement = Placement(lambda: self.env.here)
        self._wanted, self._placement = wanted, placement
        self.ledger.placed(wanted)
        self.emit(CallSessionCreated(self.call))
        if self.closed_reason is None:
            self.zero.place(wanted, Offering(codecs_for=lambda party: with_events(party.codecs)), timeout_s)
        else:
            placement.settle(self._ended())
        return placement

    # --- decisions --------------------------------------------------------------------------------------------------

    def accept(self, wanted: Wanted, timeout_s: float, placement: Placement) -> None:
        """Place channel ONE.

        Raises:
            CallStateError: It has been placed, or channel ZERO is not there yet, or is bridged.
        """
        if self.closed_reason is not None:
            placement.settle(self._ended())
            return
        if self.one is not None or self.zero.stage is Stage.PLACING or talks(self):
            raise CallStateError(f"the call cannot be accepted: it is {self.state.value}")
        self._decision.made()
        self.ledger.placed(wanted)
        one = Channel(self.env, self, ChannelId.ONE, self.log)
        self.one, self._wanted, self._placement = one, wanted, placement
        self.zero.link = one.link = Link(SESSION, self.zero, one, self)
        try:
            offering = offering_beside(self.zero, self.hops_left)
        except NoMediaPorts as error:
            self.log.error("%s", error)
            # in a step of its own, as every other failure: whoever accepts has begun to await it by then
            asyncio.get_running_loop().call_soon(self._not_placed, one, NO_MEDIA_PORT)
            return
        one.place(wanted, offering, timeout_s)

    def answer(self, headers: Headers = ()) -> None:
        """Answer channel ZERO with nobody behind it; `headers` go with the 200.

        Raises:
            CallStateError: It does not wait for an answer.
            CallEnded: The caller has given up.
            CallFailed: 488, no common codec; 503, no media port.
        """
        self.check_open()
        if self.zero.stage not in WAITING:
            raise CallStateError(f"the call cannot be answered: it is {self.state.value}")
        try:
            answered = self.zero.answer_alone(headers)
        except NegotiationError as error:
            raise self._unanswerable(488, error.reason) from error
        except NoMediaPorts as error:
            raise self._unanswerable(503, str(error)) from error
        if not answered:
            raise CallEnded("the caller gave up")
        self._decision.made()
        if self.one is None:
            self._connected()

    def respond(self, status: int, phrase: str | None, headers: list[tuple[str, str]], closed: ClosedReason) -> None:
        """Send the caller a provisional, or a final response that closes the session.

        Raises:
            CallStateError: The call does not wait for an answer.
        """
        self.check_open()
        if self.zero.stage not in WAITING:
            raise CallStateError(f"the call has no open request to answer: it is {self.state.value}")
        if status < 200:
            self.zero.provisional(status, phrase, headers)
        else:
            self.finish(closed, Happening.FAILED, News(status=status, reason=phrase, headers=tuple(headers)))

    def close(self, status: int = 480, cause: tuple[str, str] | None = None) -> None:
        """End it, whatever its state."""
        self.finish(ClosedReason.CLOSED, Happening.CLOSED, News(status=status, headers=(cause,) if cause else ()))

    def handler_failed(self, error: BaseException) -> None:
        """A handler raised: a failure that it let pass goes to the caller, anything else is a fault of ours."""
        refusal = self._decision.refusal
        if self._undecided and refusal is not None and isinstance(error, CallFailed):
            self._refuse(refusal)
        elif self.closed_reason is None:
            self.ledger.fault(error)
            if self.zero.stage in WAITING:
                self.finish(ClosedReason.FAILURE_SENT, Happening.FAILED, News(status=500))
            self.close(cause=reason(500, "Server Internal Error"))

    def handlers_done(self) -> None:
        """No handler that may decide runs any more: a failure that stands goes to the caller."""
        self._decision.settle()

    # --- for others -------------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """CallEnded when it is over."""
        if self.closed_reason is not None:
            raise self._ended()

    def free_channel(self) -> Channel:
        """The answered channel that talks to nobody.

        Raises:
            CallEnded: The session is over.
            CallStateError: There is none.
        """
        self.check_open()
        if self.one is not None or self.zero.stage is not Stage.UP or talks(self):
            raise CallStateError(f"the call has no free answered channel: it is {self.state.value}")
        return self.zero

    def watch_alone(self, channel: Channel) -> None:
        """A channel stays up alone: silence on it still counts."""
        if self.closed_reason is None and channel.stage is Stage.UP:
            channel.watch(True)

    async def wait_closed(self) -> ClosedReason:
        """Wait for the end."""
        if self.closed_reason is not None:
            return self.closed_reason
        waiter: asyncio.Future[ClosedReason] = asyncio.get_running_loop().create_future()
        self._watchers.append(waiter)
        try:
            return await waiter
        finally:
            if waiter in self._watchers:
                self._watchers.remove(waiter)

    # --- from the channels ------------------------------------------------------------------------------------------

    def on_connecting(self, channel: Channel, message: Message) -> None:
        """From a channel."""
        self.emit(CallSessionConnecting(self.call, channel.id, message.status, message.reason))

    def on_attempt_failed(self, channel: Channel, attempt: FailedAttempt) -> None:
        """From a channel."""
        self.ledger.attempt_failed(channel.id, attempt, self.env.endpoint.now_s)
        self.log.info("%s failed: %d %s", attempt.target or attempt.peer_name, attempt.status, attempt.reason)
        self.emit(AttemptFailed.of(self.call, channel.id, attempt))

    def on_placed(self, channel: Channel) -> None:
        """From a channel: it was answered."""
        if self.closed_reason is not None:
            return
        if channel is self.zero and channel.party is not None:
            # of several that were dialled, it is the one who answered
            self.call.from_peer_type, self.call.from_peer_name = channel.party.peer_type, channel.party.name
        if channel.link is None:
            self._connected()
        else:
            channel.link.tell(channel, Happening.ANSWERED, News(plan=channel.plan))

    def on_not_placed(self, channel: Channel, why: NotPlaced) -> None:
        """From a channel: no attempt is left."""
        if self.closed_reason is not None:
            return
        failure, peer_type, attempts = why.failure, why.peer_type, why.attempts
        refusal = Refusal(closed_by(failure), crossing(peer_type, failure))
        self.ledger.placing_failed(failure, why.explanation)
        self.ledger.placing_over(channel.id, self.env.endpoint.now_s, attempts)
        event = CallSessionFailed(
            self.call,
            channel.id,
            failure.status,
            failure.reason,
            contact_of(failure),
            attempts=attempts,
            explanation=why.explanation,
        )
        self._placing_failed(channel, error_of(peer_type, failure, attempts, why.explanation), event, refusal)

    def on_placing_timeout(self, channel: Channel, attempts: tuple[FailedAttempt, ...]) -> None:
        """From a channel: nobody answered in time."""
        failure = Failure(408, "nobody answered in time")
        explained = explain_late(attempts, failure)
        self.ledger.placing_failed(failure, explained)
        self.ledger.placing_over(channel.id, self.env.endpoint.now_s, attempts)
        error = NoAnswer(failure.status, failure.reason, attempts, explained)
        self._placing_failed(channel, error, CallSessionTimeout(self.call, attempts, explained), UNDECIDED)

    def on_caller_gave_up(self, channel: Channel, message: Message) -> None:
        """From channel ZERO: CANCEL, 487 has gone out."""
        self.emit(CallSessionCancelled(self.call))
        self.finish(ClosedReason.CANCELLED, Happening.CANCELLED, News(headers=tuple(reasons_of(message))))

    def on_hangup(self, channel: Channel, message: Message) -> None:
        """From a channel: BYE."""
        self.emit(CallSessionHangUp(self.call, channel.id))
        self.finish(ClosedReason.HANGUP, Happening.HUNG_UP, News(headers=tuple(reasons_of(message))))

    def on_lost(self, channel: Channel, why: str) -> None:
        """From a channel: silence, or a dead dialog."""
        if self.closed_reason is not None:
            return
        self.log.warning("channel %s is lost: %s", channel.id.name, why)
        explained = explain_lost(channel.id, channel.party, why)
        self.ledger.lost(why, explained)
        self.emit(CallSessionLost(self.call, channel.id, why, explained))
        news = News(headers=(reason(408, "Session lost"),))
        self.finish(ClosedReason.SESSION_LOST, Happening.LOST, news)

    def on_released(self, channel: Channel, happening: Happening) -> None:
        """From a channel whose bridge ended at the other side."""
        bridge, self.bridge = self.bridge, None
        self.watch_alone(channel)
        if bridge is not None:
            bridge.released(self, happening)

    def on_refer(self, channel: Channel, request: RequestReceived, refer: Refer) -> None:
        """From a channel: its party asks for a transfer."""
        self.transfers.on_refer(channel, request, refer)

    def on_info(self, channel: Channel, message: Message) -> None:
        """From a channel: its party sent an INFO."""
        self.emit(CallSessionInfo(self.call, channel.id, message.header("Content-Type") or "", message.body))

    def on_digit(self, channel: Channel, digit: str, duration_ms: int, way: DtmfWay) -> None:
        """From a channel: its party pressed a key."""
        self.emit(CallSessionDigit(self.call, channel.id, digit, duration_ms, way))

    def on_linked(self) -> None:
        """From the link: the two hear each other."""
        self._connected()

    def on_link_failed(self, failure: Failure) -> None:
        """From the link: they have no codec in common."""
        if self.one is not None and self.closed_reason is None:
            self.one.hang_up([reason(failure.status, failure.reason)])
            self._not_placed(self.one, failure)

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _undecided(self) -> bool:
        """Whether nothing is decided about it: the caller waits, or was answered and then a placing failed."""
        if self.closed_reason is not None or self.one is not None:
            return False
        return self.zero.stage in WAITING or (self.zero.stage is Stage.UP and self._decision.refusal is not None)

    def _unanswerable(self, status: int, words: str) -> CallFailed:
        """The caller cannot be answered, and is told so unless something else is decided."""
        headers = (warning(words),) if status == 488 else ()
        self.ledger.placing_failed(Failure(status, words), explain_unplaced(status, words))
        self._decision.fail(Refusal(ClosedReason.FAILED, News(status=status, headers=headers)), ())
        return CallFailed.of(status, words)

    def _not_placed(self, channel: Channel, failure: Failure) -> None:
        """A failure of our own."""
        if self._wanted is not None:
            first = next(placings(self._wanted))
            peer_type = channel.party.peer_type if channel.party is not None else first.peer_type
            self.on_not_placed(channel, NotPlaced(failure, peer_type, explain_unplaced(failure.status, failure.reason)))

    def _placing_failed(self, channel: Channel, error: CallFailed, event: CallEvent, refusal: Refusal) -> None:
        if self.closed_reason is not None:
            return
        if channel is self.one:
            self.one = None
            self.zero.unlink()
            self.watch_alone(self.zero)
        channel.finish()
        self.failed_status = error.status
        placement, self._placement = self._placement, None
        self._decision.fail(refusal, placement.awaiting if placement is not None else ())
        if placement is not None:
            placement.settle(error)
        self.emit(event)
        if channel is self.zero:
            self._refuse(refusal)
        elif self._undecided and self._decision.refusal is refusal:
            self._decision.wait(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        self.finish(refusal.closed, Happening.FAILED, refusal.news)

    def _connected(self) -> None:
        if self.closed_reason is not None:
            return
        for channel in self.channels:
            channel.watch(True)
        self.ledger.connected(self.env.endpoint.now_s)
        self.env.on_up(self.call)
        placement, self._placement = self._placement, None
        self.emit(CallSessionConnected(self.call))
        if placement is not None:
            placement.settle()

    @property
    def channels(self) -> list[Channel]:
        """Those that there are."""
        return [self.zero] if self.one is None else [self.zero, self.one]

    def _ended(self) -> CallEnded:
        why = self.closed_reason.name.lower() if self.closed_reason is not None else "closed"
        return CallEnded(f"the call is over: {why}")

    def emit(self, event: CallEvent) -> None:
        """Tell the application; nothing after `closed`."""
        if self.closed_reason is None or isinstance(event, CallSessionClosed):
            self.env.sink.emit(event)

    def finish(self, closed: ClosedReason, happening: Happening, news: News) -> None:
        """End both channels by the table, let go of everything, say `closed`. Once, whatever goes wrong on the way."""
        if self.closed_reason is not None:
            return
        self._guarded(self.transfers.stop, happening)
        self.closed_reason = closed
        try:
            self._decision.made()
            self._end_channels(happening, news)
            self._let_go()
        finally:
            self.log.info("closed: %s", closed.name.lower())
            self.ledger.closed(closed, news, self.env.endpoint.now_s)
            self._on_over(self.call)
            self.emit(CallSessionClosed(self.call, closed))
            for watcher in (each for each in self._watchers if not each.done()):
                watcher.set_result(closed)

    def _end_channels(self, happening: Happening, news: News) -> None:
        channels = self.channels
        for channel in channels:
            if channel.leg is not None:
                self.ledger.channel_over(channel.id, channel.plan, channel.leg)
        for channel in channels:
            if channel.link is not None:
                self._guarded(channel.link.tell, channel, happening, news)
        for channel in channels:
            if not self._guarded(perform, SESSION, channel, channel, happening, news):
                # no message could be built of the words and headers: the end is said without them
                self._guarded(perform, SESSION, channel, channel, happening, News(status=news.status))
            self._guarded(channel.finish)

    def _let_go(self) -> None:
        for close in self.dependence.end():
            self._guarded(close)
        if self._placement is not None:
            self._placement.settle(self._ended())

    def _guarded(self, step: Callable[Arguments, object], *args: Arguments.args, **kwargs: Arguments.kwargs) -> bool:
        """Take one step of the end; False when it failed, which must not keep the others from being taken."""
        try:
            step(*args, **kwargs)
        except Exception:
            self.log.exception("a step of the end of the call failed")
            return False
        return True
