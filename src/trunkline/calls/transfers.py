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
from trunkline.calls.destinations import Destination, Several, ToUser, Wanted
from trunkline.calls.environment import Environment
from trunkline.calls.link import Happening, News, Stage
from trunkline.calls.peers import PlacementError, Placing
from trunkline.calls.transfer import CalledTransfer, MergedTransfer, PassedTransfer, ReplacingTransfer, Transfer
from trunkline.calls.transfer_request import TransferOutcome, TransferRequest, TransferResult
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import CallEnded, CallStateError
from trunkline.events import TransferAccepted, TransferFailed, TransferRequested, TransferTimeout
from trunkline.sip.endpoint import NameAddr, RequestReceived, SipParseError
from trunkline.sip.refer import Refer, Referral, Replaces

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["Transfers", "find_dialog"]

MAX_TRANSFERS = 30
"""Transfers that are tried in one session: more is a loop."""

_EVENTS = {
    TransferResult.ACCEPTED: TransferAccepted,
    TransferResult.FAILED: TransferFailed,
    TransferResult.TIMEOUT: TransferTimeout,
}

OnOver = Callable[[TransferOutcome], None]


def find_dialog(env: Environment, replaces: Replaces) -> tuple[Course, Channel] | None:
    """The answered channel whose dialog a Replaces names (RFC 3891 §3), and its course."""
    key = (replaces.call_id, replaces.to_tag, replaces.from_tag)
    for call in env.sessions():
        for channel in call.course.channels:
            if channel.invite is not None and channel.stage is Stage.UP and channel.invite.dialog.key == key:
                return call.course, channel
    return None


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

    def stop(self) -> None:
        """The session ends."""
        current, self._current = self._current, None
        if current is not None:
            current.stop()
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
        if refer.replaces is not None:
            self._merge_referred(channel, kept, referral, refer.replaces)
        else:
            self._ask(channel, kept, request, referral)

    def _merge_referred(self, channel: Channel, kept: Channel, referral: Referral, replaces: Replaces) -> None:
        """Attended (RFC 5589 §7): the dialog to be replaced is one of ours, so that nothing is sent to anybody."""
        found = find_dialog(self._course.env, replaces)
        newcomer = found[0].transfers.far_end(found[1]) if found is not None else None
        if found is None or newcomer is None or found[0] is self._course:
            self._told(referral, TransferOutcome.of(481, "there is no such call to replace"))
            return
        transfer = MergedTransfer(self._course, channel, kept, self._reporting(referral))
        self._current = transfer
        transfer.start(found[0], newcomer)

    def _ask(self, channel: Channel, kept: Channel, request: RequestReceived, referral: Referral) -> None:
        """Blind: the application decides, or the default does. Who asked may hang up meanwhile."""
        course = self._course
        waiting = self._current = Transfer(course, channel, kept, self._reporting(referral))
        asked = TransferRequest(
            course.env,
            course.call,
            channel.id,
            referral.refer.uri,
            referral.refer.referred_by,
            carry_out=lambda to, number, timeout_s: self._decided(waiting, request, referral, to, number, timeout_s),
            refuse=lambda status, words: self._open(waiting).fail(status, words),
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

    def _told(self, referral: Referral, outcome: TransferOutcome) -> None:
        self._emit(outcome)
        referral.finish(outcome.status, outcome.reason)

    def _reporting(self, referral: Referral) -> OnOver:
        """Tell the outcome to who asked; he leaves when he has heard that it succeeded."""

        def over(outcome: TransferOutcome) -> None:
            transfer, self._current = self._current, None
            if outcome.accepted and transfer is not None:
                self._leavers.append(transfer)
                referral.on_over = lambda: self._left(transfer)
            self._told(referral, outcome)
            if isinstance(transfer, PassedTransfer) and outcome.accepted:
                self._passed()

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
        outcome, on_over = self._awaited()
        self._call(leaving, kept, wanted, timeout_s, on_over)
        return outcome

    def pass_on(
        self, leaving: Channel | None, kept: Channel, to: str, timeout_s: float
    ) -> asyncio.Future[TransferOutcome]:
        """Ask who is kept to call somebody. CallStateError as `transfer`."""
        self._check_free()
        outcome, on_over = self._awaited()
        self._pass(leaving, kept, to, timeout_s, on_over)
        return outcome

    def merge(
        self, leaving: Channel | None, kept: Channel, other: Course, newcomer: Channel
    ) -> asyncio.Future[TransferOutcome]:
        """Let who is kept talk to somebody of another call. CallStateError as `transfer`."""
        self._check_free()
        outcome, on_over = self._awaited()
        transfer = MergedTransfer(self._course, leaving, kept, on_over)
        self._current = transfer
        transfer.start(other, newcomer)
        return outcome

    def replaced(self, leaving: Channel, kept: Channel, newcomer: Channel) -> None:
        """Somebody calls with Replaces.

        Raises:
            NegotiationError: He cannot be answered; the call is as it was.
            NoMediaPorts: There is no port.
        """
        _, on_over = self._awaited()
        transfer = ReplacingTransfer(self._course, leaving, kept, on_over)
        newcomer.owner = transfer
        self._current = transfer
        try:
            transfer.start(newcomer)
        except BaseException:
            self._current, leaving.owner = None, self._course
            raise

    def cancel(self) -> None:
        """Nobody waits for the transfer any more: the call is given back."""
        if self._current is not None:
            self._current.on_cancelled()

    def _awaited(self) -> tuple[asyncio.Future[TransferOutcome], OnOver]:
        future: asyncio.Future[TransferOutcome] = asyncio.get_running_loop().create_future()

        def over(outcome: TransferOutcome) -> None:
            transfer, self._current = self._current, None
            self._emit(outcome)
            if not future.done():
                future.set_result(outcome)
            if outcome.accepted and transfer is not None:
                transfer.farewell()
                if isinstance(transfer, PassedTransfer):
                    self._passed()

        return future, over

    def far_end(self, channel: Channel | None) -> Channel | None:
        """The channel that stays when that one leaves: the other one, where it is free to."""
        if self._busy:
            return None
        if channel is not None:
            return self._other(channel)
        course = self._course
        alone = course.one is None and course.zero.stage is Stage.UP and course.zero.link is None
        return course.zero if alone else None

    @property
    def newcomers(self) -> list[Channel]:
        """Who is being called, and has no place in the session yet."""
        return [self._current.newcomer] if isinstance(self._current, CalledTransfer) else []

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._current is not None

    def _check_free(self) -> None:
        self._course.check_open()
        if self._busy:
            raise CallStateError("a transfer of this call runs already")

    def _other(self, channel: Channel) -> Channel | None:
        """The other channel of the session, where both are answered and talk to each other."""
        zero, one = self._course.zero, self._course.one
        if one is None or channel not in (zero, one):
            return None
        other = one if channel is zero else zero
        tied = channel.link is not None and channel.link.other(channel) is other
        return other if tied and channel.stage is other.stage is Stage.UP else None

    def _wanted(self, kept: Channel, to: Destination, number: str, referrer: str) -> Wanted:
        return _referred(self._course.call.wanted_by(kept, to, number), referrer)

    def pair(self, leaving: ChannelId) -> tuple[Channel | None, Channel]:
        """Who leaves, and who is kept.

        Raises:
            CallStateError: The two do not talk to each other, nor is there one alone who talks to nobody.
        """
        course = self._course
        if course.one is None and (alone := self.far_end(None)) is not None:
            return None, alone
        channel = course.zero if leaving is ChannelId.ZERO else course.one
        other = self._other(channel) if channel is not None else None
        if other is None:
            raise CallStateError(f"the call cannot be transferred: it is {course.state.value}")
        return channel, other

    def _call(self, leaving: Channel | None, kept: Channel, wanted: Wanted, timeout_s: float, on_over: OnOver) -> None:
        transfer = CalledTransfer(self._course, leaving, kept, on_over)
        self._current = transfer
        transfer.start(wanted, timeout_s)

    def _pass(self, leaving: Channel | None, kept: Channel, to: str, timeout_s: float, on_over: OnOver) -> None:
        transfer = PassedTransfer(self._course, leaving, kept, on_over)
        self._current = transfer
        assert kept.party is not None
        try:
            refer_to = self._course.env.directory.refer_to(kept.party.name, to)
        except PlacementError as error:
            transfer.fail(error.status, error.reason)
            return
        transfer.start(refer_to, timeout_s)

    def _passed(self) -> None:
        """The provider has carried it out: nobody is left in this call."""
        self._course.finish(ClosedReason.TRANSFERRED, Happening.CLOSED, News())

    def _emit(self, outcome: TransferOutcome) -> None:
        course = self._course
        course.log.info("transfer %s: %d %s", outcome.result.value, outcome.status, outcome.reason)
        course.emit(_EVENTS[outcome.result](course.call, outcome))


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
