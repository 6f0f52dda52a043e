"""The transfers of one session: who may ask for one, what is decided, what is told to whom.

`Course` owns one `Transfers`. REFERs of its channels come here, and what the application asks for; `calls.transfer`
carries them out, one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from trunkline.calls.channel import Channel
from trunkline.calls.consultation import Consultation
from trunkline.calls.destinations import Destination, Several, ToUser, Wanted, placings
from trunkline.calls.link import Happening, News, Stage
from trunkline.calls.merged_transfer import MergedTransfer, RingingTransfer
from trunkline.calls.passed_transfer import PassedTransfer
from trunkline.calls.peers import PlacementError, Placing
from trunkline.calls.record import shown_party
from trunkline.calls.transfer import CalledTransfer, ReplacingTransfer, Transfer
from trunkline.calls.transfer_request import TRANSFER_TIMEOUT_S, TransferOutcome, TransferRequest, TransferResult
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import CallEnded, CallStateError
from trunkline.events import TransferAccepted, TransferFailed, TransferRequested, TransferTimeout
from trunkline.sip.endpoint import NameAddr, RequestReceived, SipParseError
from trunkline.sip.refer import Refer, Referral, ReferRefused, Replaces

if TYPE_CHECKING:
    from trunkline.calls.bridge import Bridge
    from trunkline.calls.course import Course

__all__ = ["Transfers"]

MAX_TRANSFERS = 30
"""Transfers that are tried in one session: more is a loop."""

_EVENTS = {
    TransferResult.ACCEPTED: TransferAccepted,
    TransferResult.FAILED: TransferFailed,
    TransferResult.TIMEOUT: TransferTimeout,
}

OnOver = Callable[[TransferOutcome], None]


class Transfers:
    """The transfers of one session.

    Args:
        course: Of the session.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._current: Transfer | None = None
        self._leavers: list[Transfer] = []
        self._count = 0

    def stop(self, happening: Happening) -> None:
        """The session ends."""
        if self._current is not None:
            self._current.stop(self._course, happening)
        leavers, self._leavers = self._leavers, []
        for leaver in leavers:
            leaver.farewell()

    # --- from a phone -----------------------------------------------------------------------------------------------

    def on_refer(self, channel: Channel, request: RequestReceived, refer: Refer) -> None:
        """A REFER that can be understood."""
        course = self._course
        kept = self._other(channel)
        if channel.invite is None or kept is None:
            course.env.endpoint.respond(request.tx, 603, "There Is No Other Party To Transfer")
            return
        if self._busy:
            course.env.endpoint.respond(request.tx, 491)
            return
        self._count += 1
        if self._count > MAX_TRANSFERS:
            course.env.endpoint.respond(request.tx, 603, "Too Many Transfers")
            return
        course.log.info("channel %s asks to be transferred to %s", channel.id.name, refer.uri)
        referral = channel.invite.refers.accept(request, refer)
        how = "blind" if refer.replaces is None else "attended"
        self._note(how, channel, kept, str(refer.uri.replace(headers=())))
        if refer.replaces is not None:
            self._merge_referred(channel, kept, referral, refer.replaces)
        else:
            self._ask(channel, kept, request, referral)

    def _merge_referred(self, channel: Channel, kept: Channel, referral: Referral, replaces: Replaces) -> None:
        """Attended (RFC 5589 §7): the dialog to be replaced is one of ours."""
        try:
            other = Consultation.named(self._course.env, replaces)
            if other.near in (channel, kept):
                raise ReferRefused(481, "the call to replace is the one that is transferred")
        except ReferRefused as refused:
            self._told(referral, TransferOutcome.of(refused.status, refused.reason))
            return
        self._join(channel, kept, other, self._reporting(referral))

    def _ask(self, channel: Channel, kept: Channel, request: RequestReceived, referral: Referral) -> None:
        """Blind: the application decides, or the default does. Who asked may hang up meanwhile."""
        course = self._course
        waiting = Transfer(course, channel, kept, self._reporting(referral))
        self._begin(waiting)
        asked = TransferRequest(
            course.env,
            course.call,
            channel.id,
            referral.refer.uri,
            referral.refer.referred_by,
            carry_out=lambda to, number, timeout_s: self._decided(waiting, request, referral, to, number, timeout_s),
            refuse=lambda status, words: self._open(waiting).fail(status, words),
            take=lambda: self._taken(waiting, referral),
        )
        course.emit(TransferRequested(course.call, channel.id, asked))

    def _open(self, waiting: Transfer) -> Transfer:
        if self._current is not waiting:
            raise CallEnded("the call is over")
        return waiting

    def _decided(
        self,
        waiting: Transfer,
        request: RequestReceived,
        referral: Referral,
        to: Destination | None,
        number: str,
        timeout_s: float,
    ) -> None:
        leaving, kept = self._open(waiting).leaving, waiting.kept
        user = self._course.env.directory.user_of(referral.refer.uri, request.flow) if to is None else None
        destination = ToUser(user) if user is not None else to
        passed = destination is None and kept.party is not None and kept.party.transfer == "refer"
        if destination is not None:
            wanted = self._wanted(kept, destination, number, _referrer(leaving, referral))
            waiting.over = True
            self._call(leaving, kept, wanted, timeout_s, self._reporting(referral))
        elif passed:
            waiting.over = True
            self._pass(leaving, kept, number, timeout_s, self._reporting(referral))
        else:
            waiting.fail(603, "nothing is known of whom it is to be transferred to")

    def _taken(self, waiting: Transfer, referral: Referral) -> None:
        """The application keeps the other party: the bridge is over, and with it the session of who asked."""
        bridge = self._open(waiting).bridge
        if bridge is None:
            raise CallStateError("the two are not bridged, so that nobody could be kept alone")
        course = waiting.course
        waiting.over = True
        if waiting.leaving is not None:
            waiting.leaving.owner = course
        self._end()
        bridge.released(waiting.kept_course, Happening.HUNG_UP)
        referral.on_over = lambda: course.finish(ClosedReason.TRANSFERRED, Happening.CLOSED, News())
        self._told(referral, TransferOutcome.of(200, "OK"))

    def _told(self, referral: Referral, outcome: TransferOutcome) -> None:
        self._emit(outcome)
        referral.finish(outcome.status, outcome.reason)

    def _reporting(self, referral: Referral) -> OnOver:
        """Tell the outcome to who asked; he leaves when he has heard that it succeeded."""

        def over(outcome: TransferOutcome) -> None:
            transfer = self._end()
            if outcome.accepted and transfer is not None:
                self._leavers.append(transfer)
                referral.on_over = lambda: self._left(transfer)
            self._told(referral, outcome)
            if isinstance(transfer, PassedTransfer) and outcome.accepted:
                transfer.close_all()

        return over

    def _left(self, transfer: Transfer) -> None:
        if transfer in self._leavers:
            self._leavers.remove(transfer)
            transfer.farewell()

    # --- from the application ---------------------------------------------------------------------------------------

    def transfer(
        self, leaving: Channel | None, kept: Channel, wanted: Wanted, timeout_s: float
    ) -> asyncio.Future[TransferOutcome]:
        """Call somebody who takes the place of `leaving`.

        Raises:
            CallStateError: Another transfer runs.
        """
        self._check_free()
        first = next(placings(wanted))
        number = f" {first.dial_number}" if first.peer_type is PeerType.LINE else ""
        self._note("application", None, kept, f"{first.peer_type.name.lower()} {first.peer_name}{number}")
        outcome, on_over = self._awaited()
        self._call(leaving, kept, wanted, timeout_s, on_over)
        return outcome

    def pass_on(
        self, leaving: Channel | None, kept: Channel, to: str, timeout_s: float
    ) -> asyncio.Future[TransferOutcome]:
        """Ask who is kept to call somebody. CallStateError as `transfer`."""
        self._check_free()
        self._note("application", None, kept, to)
        outcome, on_over = self._awaited()
        self._pass(leaving, kept, to, timeout_s, on_over)
        return outcome

    def merge(self, leaving: Channel | None, kept: Channel, other: Consultation) -> asyncio.Future[TransferOutcome]:
        """Let who is kept talk to somebody of another call. CallStateError as `transfer`."""
        self._check_free()
        self._note("application", None, kept, shown_party(other.far.party))
        outcome, on_over = self._awaited()
        self._join(leaving, kept, other, on_over)
        return outcome

    def replaced(self, leaving: Channel, kept: Channel, newcomer: Channel) -> None:
        """Somebody calls with Replaces.

        Raises:
            NegotiationError: He cannot be answered; the call is as it was.
            NoMediaPorts: There is no port.
        """
        self._note("replaces", newcomer, kept, shown_party(newcomer.party))
        _, on_over = self._awaited()
        transfer = ReplacingTransfer(self._course, leaving, kept, on_over)
        newcomer.owner = transfer
        self._begin(transfer)
        try:
            transfer.start(newcomer)
        except BaseException:
            self._end()
            leaving.owner = self._course
            raise

    def cancel(self) -> None:
        """Nobody waits for the transfer any more: the call is given back."""
        if self._current is not None:
            self._current.on_cancelled()

    def _awaited(self) -> tuple[asyncio.Future[TransferOutcome], OnOver]:
        future: asyncio.Future[TransferOutcome] = asyncio.get_running_loop().create_future()

        def over(outcome: TransferOutcome) -> None:
            transfer = self._end()
            self._emit(outcome)
            if not future.done():
                future.set_result(outcome)
            if outcome.accepted and transfer is not None:
                transfer.farewell()
                if isinstance(transfer, PassedTransfer):
                    transfer.close_all()

        return future, over

    def far_end(self, channel: Channel | None) -> Channel | None:
        """The channel that stays when that one leaves: the other one, where it is free to."""
        if self._busy:
            return None
        if channel is not None:
            return self._other(channel)
        course = self._course
        alone = course.one is None and course.zero.stage is Stage.UP and course.zero.link is None and not course.bridge
        return course.zero if alone else None

    @property
    def newcomers(self) -> list[Channel]:
        """Who is being called, and has no place in the session yet."""
        current = self._current
        return [current.newcomer] if isinstance(current, CalledTransfer) and current.course is self._course else []

    def picked_up(self, newcomer: Channel) -> None:
        """Somebody answers in the place of the newcomer that is called."""
        if isinstance(self._current, CalledTransfer):
            self._current.newcomer, newcomer.owner = newcomer, self._current

    def unbridged(self, bridge: Bridge) -> None:
        """From a bridge that ends: a transfer over it is given up."""
        if self._current is not None and self._current.bridge is bridge:
            self._current.on_cancelled()

    def course_of(self, channel: Channel) -> Course:
        """The course of a channel of this session, or of the one that it is bridged with."""
        bridge = self._course.bridge
        return self._course if bridge is None or channel in self._course.channels else bridge.opposite(self._course)

    @property
    def parties(self) -> list[tuple[ChannelId, Channel]]:
        """Who is in the call, by channel; who is bridged with it counts as channel ONE."""
        course = self._course
        bridged = course.bridge.opposite(course).channels if course.bridge is not None else []
        return list(zip(ChannelId, (*course.channels, *bridged), strict=False))

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._current is not None

    def _check_free(self) -> None:
        self._course.check_open()
        if self._busy:
            raise CallStateError("a transfer of this call runs already")

    def _begin(self, transfer: Transfer) -> None:
        for course in (transfer.course, transfer.kept_course):
            course.transfers._current = transfer

    def _end(self) -> Transfer | None:
        transfer = self._current
        if transfer is not None:
            for course in (transfer.course, transfer.kept_course):
                course.transfers._current = None
        return transfer

    def _other(self, channel: Channel) -> Channel | None:
        """The other channel of the session or bridge, where both are answered and talk to each other."""
        parties = [party for _, party in self.parties]
        if channel not in parties or channel.link is None:
            return None
        other = channel.link.other(channel)
        return other if other in parties and channel.stage is other.stage is Stage.UP else None

    def _wanted(self, kept: Channel, to: Destination, number: str, referrer: str) -> Wanted:
        return _referred(self.course_of(kept).call.wanted_by(kept, to, number), referrer)

    def pair(self, leaving: ChannelId) -> tuple[Channel | None, Channel]:
        """Who leaves, and who is kept.

        Raises:
            CallStateError: The two do not talk to each other, nor is there one alone who talks to nobody.
        """
        course = self._course
        if course.one is None and (alone := self.far_end(None)) is not None:
            return None, alone
        channel = dict(self.parties).get(leaving)
        other = self._other(channel) if channel is not None else None
        if other is None:
            raise CallStateError(f"the call cannot be transferred: it is {course.state.value}")
        return channel, other

    def _call(self, leaving: Channel | None, kept: Channel, wanted: Wanted, timeout_s: float, on_over: OnOver) -> None:
        transfer = CalledTransfer(self._leavers_course(leaving), leaving, kept, on_over)
        self._begin(transfer)
        transfer.start(wanted, timeout_s)

    def _pass(self, leaving: Channel | None, kept: Channel, to: str, timeout_s: float, on_over: OnOver) -> None:
        transfer = PassedTransfer(self._leavers_course(leaving), leaving, kept, on_over)
        self._begin(transfer)
        assert kept.party is not None
        try:
            refer_to = self._course.env.directory.refer_to(kept.party.name, to)
        except PlacementError as error:
            transfer.fail(error.status, error.reason)
            return
        transfer.start(refer_to, timeout_s)

    def _join(self, leaving: Channel | None, kept: Channel, other: Consultation, on_over: OnOver) -> None:
        """Let who is kept talk to the far end of another call."""
        course, far = self._leavers_course(leaving), other.far
        if far.stage is Stage.PLACING:
            ringing = RingingTransfer(course, leaving, kept, on_over)
            self._begin(ringing)
            ringing.take(other.course, far)
        elif _passes(kept, far):
            passed = PassedTransfer(course, leaving, kept, on_over)
            self._begin(passed)
            passed.start_attended(other.course, far, other.near_course, TRANSFER_TIMEOUT_S)
        else:
            merged = MergedTransfer(course, leaving, kept, on_over)
            self._begin(merged)
            merged.start(other.course, far, other.near)

    def _leavers_course(self, leaving: Channel | None) -> Course:
        return self._course if leaving is None else self.course_of(leaving)

    def _note(self, how: str, by: Channel | None, kept: Channel, to: str) -> None:
        course = self._course
        asker = by.party if by is not None else None
        course.ledger.transfer_asked(how, asker, kept.party, to, course.env.endpoint.now_s)

    def _emit(self, outcome: TransferOutcome) -> None:
        course = self._course
        course.ledger.transfer_over(outcome)
        course.log.info("transfer %s: %d %s", outcome.result.value, outcome.status, outcome.reason)
        course.emit(_EVENTS[outcome.result](course.call, outcome))


def _passes(kept: Channel, far: Channel) -> bool:
    """Whether both are calls of one line that wants its transfers passed on."""
    here, there = kept.party, far.party
    if here is None or there is None or here.transfer != "refer":
        return False
    return here.peer_type is there.peer_type is PeerType.LINE and here.name == there.name


def _referrer(channel: Channel | None, referral: Referral) -> str:
    """The Referred-By that the newcomer is told: what he said, else his own address (RFC 3892 §2.1)."""
    invite = channel.invite if channel is not None else None
    said = referral.refer.referred_by or (invite.dialog.remote if invite is not None else "")
    try:
        return str(NameAddr(NameAddr.parse(said).uri))
    except SipParseError:
        return ""


def _referred(wanted: Wanted, referrer: str) -> Wanted:
    """Users are told who transferred; providers are not."""
    if isinstance(wanted, Several):
        return replace(wanted, parts=tuple(_referred(part, referrer) for part in wanted.parts))
    if not referrer or wanted.peer_type is not PeerType.USER:
        return wanted
    return _with_header(wanted, "Referred-By", referrer)


def _with_header(placing: Placing, name: str, value: str) -> Placing:
    return placing._replace(headers=(*placing.headers, (name, value)))
