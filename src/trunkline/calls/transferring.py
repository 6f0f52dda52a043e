"""The transfers that an application asks for: a part of `CallSession`.

`calls.transfers` of the session's course carries them out.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from trunkline.calls.channel import Channel
from trunkline.calls.consultation import Consultation
from trunkline.calls.destinations import Destination, Several, ToUser, Wanted
from trunkline.calls.headers import GivenHeaders
from trunkline.calls.transfer_request import TRANSFER_TIMEOUT_S, TransferOutcome
from trunkline.constants import ChannelId, PeerType
from trunkline.errors import CallStateError
from trunkline.sip.endpoint import SipParseError, Uri

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["Transferring"]


class Transferring:
    """Transfers of a call, each with one typed outcome."""

    caller_name: str
    caller_id: str
    dial_number: str
    anonymous: bool
    _course: Course

    async def transfer(
        self,
        to: Destination | str,
        *,
        channel: ChannelId = ChannelId.ONE,
        dial_number: str | None = None,
        timeout_s: float = TRANSFER_TIMEOUT_S,
    ) -> TransferOutcome:
        """Let the party on the other channel talk to somebody else; the one on `channel` leaves.

        It is carried out inside the server: `to` is called, and takes the place of who leaves when it answers. A plain
        number or URI is asked of the provider by REFER (RFC 3515) where the party that is kept is a line with
        `transfer="refer"`; then the session closes with `TRANSFERRED`. However it fails, the call goes on as it was. A call
        with one answered party alone keeps that one.

        Args:
            to: Whom: as `accept` takes it, a user's name, or what the provider of such a line is to call.
            channel: Who leaves.
            dial_number: What is dialled over a line; as the call has it unless given.
            timeout_s: Seconds until it is given up.

        Returns:
            How it ended; told by `on_transfer_accepted`, `on_transfer_failed` or `on_transfer_timeout` too. Cancelling the
            task that waits for it gives the call back.

        Raises:
            CallStateError: The call has no two parties that talk, nor one alone; or a transfer of it runs already.
            CallEnded: It is over.
            ValueError: `to` is nothing that can be called, or `timeout_s` is not positive.
        """
        if timeout_s <= 0:
            raise ValueError("timeout_s: must be more than 0")
        course = self._course
        course.check_open()
        leaving, kept = course.transfers.pair(channel)
        if isinstance(to, str):
            if kept.party is not None and kept.party.transfer == "refer":
                return await self._outcome(course.transfers.pass_on(leaving, kept, to, timeout_s))
            to = self._user(kept, to)
        of_kept = course.transfers.course_of(kept).call
        wanted = of_kept.wanted_by(kept, to, self.dial_number if dial_number is None else dial_number)
        return await self._outcome(course.transfers.transfer(leaving, kept, wanted, timeout_s))

    async def transfer_to_session(
        self, other: Transferring, *, channel: ChannelId | None = None, other_channel: ChannelId | None = None
    ) -> TransferOutcome:
        """Let a party of this call and one of another talk; both legs of who brought them together go.

        The other session closes with `TRANSFERRED`; this one goes on with the two. Where it fails both calls go on.

        Args:
            other: The other session.
            channel: Who leaves this call; whoever is in both unless given, a user before a line, else channel ONE. In a
                call with one party alone nobody leaves.
            other_channel: The same of the other call.

        Returns:
            How it ended.

        Raises:
            CallStateError: One of the calls has no two parties that talk, nor one alone; or a transfer of it runs.
            CallEnded: One is over.
            ValueError: It is the same session.
        """
        if other is self:
            raise ValueError("other: a call cannot be transferred to itself")
        here, there = self._course, other._course
        here.check_open()
        there.check_open()
        mine, theirs = _who_leaves(here, there)
        leaving, kept = here.transfers.pair(mine if channel is None else channel)
        gone, newcomer = there.transfers.pair(theirs if other_channel is None else other_channel)
        consultation = Consultation.of(there.transfers.course_of(gone or newcomer), gone, newcomer)
        if consultation.near_course.transfers.far_end(gone) is not newcomer:
            raise CallStateError("a transfer of the other call runs already")
        if newcomer in (leaving, kept):
            raise CallStateError("the two calls are bridged with each other")
        return await self._outcome(here.transfers.merge(leaving, kept, consultation))

    def wanted_by(self, kept: Channel, to: Destination, number: str) -> Wanted:
        """From the transfers: what is to be placed so that `kept` talks to `to`."""
        if kept.id is ChannelId.ZERO and kept.message is not None and kept.message.is_request:
            return self._wanted(to, number, None, None, None, None)
        # who was called is the caller of the new leg: his number is what was dialled
        return _without_origin(self._wanted(to, number, "", self.dial_number, False, None))

    def _wanted(
        self,
        to: Destination,
        dial_number: str | None,
        caller_name: str | None,
        caller_id: str | None,
        privacy: bool | None,
        headers: GivenHeaders | None,
    ) -> Wanted:
        raise NotImplementedError

    async def _outcome(self, outcome: asyncio.Future[TransferOutcome]) -> TransferOutcome:
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            if not outcome.done():
                self._course.transfers.cancel()
            raise

    def _user(self, kept: Channel, to: str) -> ToUser:
        """The user that a name or URI names."""
        if ":" not in to:
            return ToUser(to)
        try:
            uri = Uri.parse(to)
        except SipParseError as error:
            raise ValueError(f"to: {to} is no URI: {error}") from error
        flow = kept.invite.dialog.flow if kept.invite is not None else None
        user = self._course.env.directory.user_of(uri, flow) if flow is not None else None
        if user is None:
            raise ValueError(f"to: {to} is no user of ours; ToLine says through which line a number is called")
        return ToUser(user)


def _who_leaves(here: Course, there: Course) -> tuple[ChannelId, ChannelId]:
    """Who is in both calls, a user rather than a line; channel ONE of each where nobody is."""
    found = [
        (mine.party.peer_type is not PeerType.USER, my_id, their_id)
        for my_id, mine in here.transfers.parties
        for their_id, theirs in there.transfers.parties
        if mine.party is not None and theirs.party is not None
        if (mine.party.peer_type, mine.party.name) == (theirs.party.peer_type, theirs.party.name)
    ]
    _, my_id, their_id = min(found, key=lambda each: each[0], default=(False, ChannelId.ONE, ChannelId.ONE))
    return my_id, their_id


def _without_origin(wanted: Wanted) -> Wanted:
    if isinstance(wanted, Several):
        return replace(wanted, parts=tuple(_without_origin(part) for part in wanted.parts))
    return wanted._replace(origin=None)
