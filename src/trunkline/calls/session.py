"""The public face of a session: what a handler reads, decides and awaits. The session's `Course` carries it out.

The methods that only command (`accept`, `reject`, `respond`, `redirect`, `close`) may be called from any thread;
those to await belong to the loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from trunkline.calls.bridge import Bridge, BridgeOutcome
from trunkline.calls.channel import Channel
from trunkline.calls.course import Course
from trunkline.calls.destinations import Destination, ToUser, Wanted
from trunkline.calls.environment import CallLog, Environment
from trunkline.calls.forwarding import Diverted, diversions
from trunkline.calls.gathering import Gathering
from trunkline.calls.headers import GivenHeaders, checked_headers
from trunkline.calls.hearing import Hearing
from trunkline.calls.informing import Informing
from trunkline.calls.overhearing import Overhearing
from trunkline.calls.peers import Origin, Placing
from trunkline.calls.placement import Placement
from trunkline.calls.playing import Playing
from trunkline.calls.saying import check_line, checked_wanted, one_destination
from trunkline.calls.securing import SecuredCall
from trunkline.calls.sounding import Sounding
from trunkline.calls.state import CallState
from trunkline.calls.transferring import Transferring
from trunkline.constants import ClosedReason, PeerType
from trunkline.errors import CallError

if TYPE_CHECKING:
    from trunkline.calls.exchange import Exchange

__all__ = ["CallSession", "CallState"]

DIAL_TIMEOUT_S = 60.0


class CallSession(Transferring, Informing, Playing, Sounding, Overhearing, Hearing, Gathering, SecuredCall):
    """A call: channel ZERO, which arrived or was dialled first, and channel ONE, which the application places.

    Made by the server; handlers get it with every event of the call.
    """

    def __init__(
        self,
        exchange: Exchange,
        env: Environment,
        call_id: int,
        token: str,
        *,
        caller_name: str,
        caller_id: str,
        dial_number: str,
        from_peer_type: PeerType,
        from_peer_name: str,
        user_agent: str = "",
        from_ip: str = "",
        from_port: int = 0,
        anonymous: bool = False,
        asserted_identity: str = "",
        on_over: Callable[[CallSession], None],
    ) -> None:
        self.id = call_id
        """Unique while the server runs; in every log line of the call."""
        self.token = token
        """Unique beyond this server: carries its node and worker id."""
        self.caller_name = caller_name
        """The caller's display name; "" where there is none."""
        self.caller_id = caller_id
        """The caller's number or name."""
        self.dial_number = dial_number
        """What was dialled."""
        self.from_peer_type = from_peer_type
        """Whether a user or a line called; for a dialled call, what was called."""
        self.from_peer_name = from_peer_name
        """That user's or line's name."""
        self.user_agent = user_agent
        """What the caller's SIP program calls itself; "" where it does not."""
        self.from_ip = from_ip
        """Where the INVITE came from; "" for a dialled call."""
        self.from_port = from_port
        """The port of that address; 0 for a dialled call."""
        self.anonymous = anonymous
        """Whether the caller wants to stay unknown (RFC 3323); legs that are placed for the call keep to it."""
        self.asserted_identity = asserted_identity
        """The number that the line's provider vouches for (RFC 3325), for the application alone where the call is
        anonymous; "" where there is none, and for users."""
        self._exchange = exchange
        self._env = env
        self._course = Course(env, self, CallLog(call_id), on_over)

    def __repr__(self) -> str:
        return f"<CallSession {self.id} {self.state.value}>"

    @property
    def state(self) -> CallState:
        """How far it is."""
        return self._course.state

    @property
    def closed_reason(self) -> ClosedReason | None:
        """Why it is over; None while it is not."""
        return self._course.closed_reason

    @property
    def zero(self) -> Channel:
        """The leg that arrived or was dialled first."""
        return self._course.zero

    @property
    def one(self) -> Channel | None:
        """The leg that the application placed; None while there is none."""
        return self._course.one

    @property
    def diversions(self) -> tuple[Diverted, ...]:
        """Whom the call was meant for before it came here, the latest first.

        As Diversion or else History-Info tell it (RFC 5806, RFC 7044); only a line's word is worth something.
        """
        message = self.zero.message
        return diversions(message) if message is not None and message.is_request else ()

    def header(self, name: str) -> str | None:
        """A header field of the caller's INVITE, as User-to-User (RFC 7433); for a dialled call, of the callee's 200.

        `zero.headers(name)` and `one.headers(name)` give all of a name, per leg.

        Args:
            name: Long or compact, in any case.

        Returns:
            The value; None where there is none.
        """
        return next(iter(self.zero.headers(name)), None)

    @property
    def course(self) -> Course:
        """What the layers of the server work with."""
        return self._course

    # --- decisions --------------------------------------------------------------------------------------------------

    def accept(
        self,
        *,
        to_user: str | None = None,
        to_line: str | None = None,
        to: Destination | None = None,
        dial_number: str | None = None,
        caller_name: str | None = None,
        caller_id: str | None = None,
        privacy: bool | None = None,
        headers: GivenHeaders | None = None,
        follow_redirects: int | None = None,
        timeout_s: float = DIAL_TIMEOUT_S,
    ) -> Placement:
        """Call a user or a number through a line, and connect the caller with whoever answers.

        Placing begins at once; the result may be awaited, waited for in another thread, or left alone. On a call that
        is answered already it adds the second party.

        After `failed` or `timeout` it may be called again with another target, by a handler of incoming_call, failed or
        timeout that still runs, or by the task that awaited the result, whoever started it. The caller waits while one
        of these runs, `decision_timeout_s` at most, and is told the failure when the last of them has ended; where
        there is none, at once.

        Args:
            to_user: The user all of whose phones ring.
            to_line: The line or line group through which `dial_number` is called.
            to: Several: `ToUser`, `ToLine`, `AtOnce`, and lists of them, which are tried in turn. Exactly one of the
            three is given.
            dial_number: Instead of the number that the caller dialled.
            caller_name: Instead of the caller's display name.
            caller_id: Instead of the caller's number.
            privacy: Whether the caller stays anonymous; as the call that came in, or else as the line has it, unless
            given.
            headers: Header fields for the INVITE, as `{"User-to-User": "..."}` (RFC 7433); pairs where a name comes several
            times.
            follow_redirects: How many targets of a 3xx are tried, 0 to 10; as the user or line has it unless given.
            timeout_s: Seconds until it is given up, however many were tried by then.

        Returns:
            A `Placement`: awaiting it gives None when connected, and raises `CallFailed` (`Busy`, `Declined`,
            `NoAnswer`, `NotRegistered`) when nobody answered, or `CallEnded` when the caller gave up.

        Raises:
            CallStateError: It has been accepted, and is neither over nor refused; from another thread the placement
            raises it.
            ValueError: Not exactly one target is given, `timeout_s` is not positive, a text has a line break, or a header
            field is not for the application to set.
        """
        to = one_destination(to_user, to_line, to)
        placing = self._wanted(to, dial_number, caller_name, caller_id, privacy, headers, follow_redirects)
        if timeout_s <= 0:
            raise ValueError("timeout_s: must be more than 0")
        placement = Placement(lambda: self._env.here)
        if self._env.here:
            self._course.accept(placing, timeout_s, placement)
            return placement

        def place() -> None:
            try:
                self._course.accept(placing, timeout_s, placement)
            except CallError as error:
                placement.settle(error)

        self._env.post(place)
        return placement

    def reject(self, status: int = 603, reason: str | None = None, *, headers: GivenHeaders | None = None) -> None:
        """Refuse the call; the session closes with `REJECTED`.

        Args:
            status: 400 to 699.
            reason: The reason phrase, instead of the usual one.
            headers: Header fields of the response.

        Raises:
            CallStateError: It has been answered.
            CallEnded: It is over.
            ValueError: The status is no failure, the reason has a line break, or a header field is not for the application
            to set.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"status: {status} refuses nothing; 400 to 699 do")
        check_line("reason", reason)
        own = list(checked_headers(headers))
        self._env.run(lambda: self._course.respond(status, reason, own, ClosedReason.REJECTED))

    def respond(
        self,
        status: int,
        reason: str | None = None,
        contact: str | None = None,
        *,
        headers: GivenHeaders | None = None,
    ) -> None:
        """Send the caller a response of your own: a provisional, a redirection or a failure.

        A 3xx closes the session with `REDIRECT_SENT`, a 4xx to 6xx with `FAILURE_SENT`.

        Args:
            status: 101 to 199 or 300 to 699.
            reason: The reason phrase, instead of the usual one.
            contact: The Contact of a 3xx: a URI, or a name and a URI in angle brackets.
            headers: Further header fields of the response.

        Raises:
            CallStateError: It has been answered.
            CallEnded: It is over.
            ValueError: No such status can be sent, a 3xx has no Contact, a text has a line break, or a header field is not
            for the application to set.
        """
        if not (101 <= status <= 199 or 300 <= status <= 699):
            raise ValueError(f"status: {status} cannot be sent; 101 to 199 and 300 to 699 can")
        redirect = 300 <= status < 400
        if redirect and status != 380 and not contact:
            raise ValueError("contact: a redirection says where to")
        check_line("reason", reason)
        check_line("contact", contact)
        fields = list(checked_headers(headers))
        if contact:
            fields.insert(0, ("Contact", contact if "<" in contact else f"<{contact}>"))
        closed = ClosedReason.REDIRECT_SENT if redirect else ClosedReason.FAILURE_SENT
        self._env.run(lambda: self._course.respond(status, reason, fields, closed))

    def redirect(self, contact: str) -> None:
        """Send the caller elsewhere with 302 (RFC 3261 §21.3.3); the session closes with `REDIRECT_SENT`.

        Args:
            contact: Where to: a URI.

        Raises:
            CallStateError: It has been answered.
            CallEnded: It is over.
            ValueError: There is no contact, or it has a line break.
        """
        self.respond(302, None, contact)

    def close(self) -> None:
        """End the call: 480 to a caller who waits, CANCEL to who is being called, BYE to who is up. Idempotent."""
        self._env.run(self._course.close)

    # --- on the loop ------------------------------------------------------------------------------------------------

    async def answer(self, *, headers: GivenHeaders | None = None) -> None:
        """Answer the caller with nobody behind: the caller hears silence until `accept` or `bridge` brings somebody.

        Args:
            headers: Header fields of the 200, as `{"User-to-User": "..."}`.

        Raises:
            CallStateError: It does not wait for an answer.
            CallEnded: The caller gave up, or the session is over.
            CallFailed: 488, no codec in common; 503, no media port is free.
            ValueError: A header field is not for the application to set.
        """
        self._course.answer(checked_headers(headers))

    async def dial_user(
        self,
        name: str,
        *,
        dial_number: str | None = None,
        caller_name: str | None = None,
        caller_id: str | None = None,
        privacy: bool | None = None,
        headers: GivenHeaders | None = None,
        follow_redirects: int | None = None,
        timeout_s: float = DIAL_TIMEOUT_S,
    ) -> CallSession:
        """Call a user on behalf of this caller, as a session of its own; `bridge` lets the two talk.

        It is given up by itself when this call ends before the two are bridged.

        Args:
            name: The user.
            dial_number: What the user's phone is told was dialled; the name where not given.
            caller_name: Instead of this caller's display name.
            caller_id: Instead of this caller's number.
            privacy: Whether this caller stays anonymous; as on this call unless given.
            headers: Header fields for the INVITE.
            follow_redirects: How many targets of a 3xx are tried, 0 to 10; as the user has it unless given.
            timeout_s: Seconds until it is given up.

        Returns:
            The answered session; its channel ZERO is the user's phone.

        Raises:
            CallEnded: This call ended meanwhile.
            CallFailed: `Busy`, `Declined`, `NoAnswer`, `NotRegistered` or another failure.
            ValueError: A text has a line break, or a header field is not for the application to set.
        """
        number = dial_number or name
        placing = self._wanted(ToUser(name), number, caller_name, caller_id, privacy, headers, follow_redirects)
        return await self._exchange.dial(placing, timeout_s=timeout_s, on_behalf_of=self)

    async def dial(
        self, to: Destination, *, dial_number: str | None = None, timeout_s: float = DIAL_TIMEOUT_S
    ) -> CallSession:
        """Call anybody on behalf of this caller, as `dial_user` does a user.

        Args:
            to: Whom, as `accept` takes it.
            dial_number: What is dialled, where a destination names no number of its own; as on this call unless given.
            timeout_s: Seconds until it is given up.

        Returns:
            The answered session.

        Raises:
            CallEnded: This call ended meanwhile.
            CallFailed: `Busy`, `Declined`, `NoAnswer`, `NotRegistered` or another failure.
            ValueError: It is nothing that can be called.
        """
        wanted = self._wanted(to, dial_number, None, None, None, None)
        return await self._exchange.dial(wanted, timeout_s=timeout_s, on_behalf_of=self)

    async def bridge(self, other: CallSession) -> BridgeOutcome:
        """Let this call's party and the other's talk until one of them goes.

        Both are answered and talk to nobody. Hold and resume cross. When the awaiting task is cancelled both stay up.

        Args:
            other: The other session.

        Returns:
            Who ended it and how; the other session is still up.

        Raises:
            CallStateError: One of the sessions has no answered channel that is free.
            CallEnded: One of them was over before.
            CallFailed: 488, they have no codec in common.
        """
        if other is self:
            raise ValueError("other: a call cannot be bridged with itself")
        return await Bridge(self._course, other._course).run()

    def wait_closed(self) -> Awaitable[ClosedReason]:
        """Wait until the session is over; returns why. Raises nothing."""
        return self._course.wait_closed()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _wanted(
        self,
        to: Destination,
        dial_number: str | None,
        caller_name: str | None,
        caller_id: str | None,
        privacy: bool | None,
        headers: GivenHeaders | None,
        follow_redirects: int | None = None,
    ) -> Wanted:
        said = Placing(
            peer_type=PeerType.USER,
            peer_name="",
            dial_number=self.dial_number if dial_number is None else dial_number,
            caller_name=self.caller_name if caller_name is None else caller_name,
            caller_id=self.caller_id if caller_id is None else caller_id,
            privacy=(True if self.anonymous else None) if privacy is None else privacy,
            headers=checked_headers(headers),
            origin=self._origin(),
            follow_redirects=follow_redirects,
        )
        return checked_wanted(to, said)

    def _origin(self) -> Origin | None:
        """What a leg is told of the call that it is placed for; None for a call that was dialled."""
        message = self.zero.message
        if message is None or not message.is_request:
            return None
        status = self._course.failed_status
        return Origin(self.from_peer_type, self.from_peer_name, self.dial_number, message, status)
