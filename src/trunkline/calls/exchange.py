"""All live sessions: makes one of each INVITE and of each `dial`, and ends them when the server stops.

`server` calls it: `incoming` when a peer's INVITE has passed the UAS checks, `dial` from the facade, `handler_failed`
and `handlers_done` from the dispatcher.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

from trunkline.calls.destinations import Wanted, placings
from trunkline.calls.environment import CallOptions, Environment
from trunkline.calls.failure import warning
from trunkline.calls.peers import Addresses, Directory, Journal, Party, Sink
from trunkline.calls.refused import Refused
from trunkline.calls.replacing import replace_dialog
from trunkline.calls.session import CallSession
from trunkline.errors import CallEnded, CallFailed
from trunkline.media.engine import MediaEngine
from trunkline.sip.dialog import DialogError
from trunkline.sip.endpoint import Endpoint, Headers, Message, NegotiationError, RequestReceived, SipParseError
from trunkline.sip.refer import ReferRefused, replaces_of
from trunkline.sip.session_timer import requires, supports

__all__ = ["CallOptions", "Exchange"]

log = logging.getLogger("trunkline.calls")


class Exchange:
    """All live sessions.

    Args:
        endpoint: The SIP endpoint.
        media: The media engine.
        directory: Finds the targets of a placing.
        addresses: Our own addresses, as a peer is told them.
        sink: Takes every event of every session.
        options: The configuration.
        journal: Writes down the dialogs of calls; None for nowhere.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        media: MediaEngine,
        directory: Directory,
        addresses: Addresses,
        sink: Sink,
        options: CallOptions | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._env = Environment(endpoint, media, directory, addresses, sink, options or CallOptions(), journal)
        self._sessions: dict[int, CallSession] = {}
        self._env.sessions = lambda: self.sessions
        self.on_over: Callable[[CallSession], None] = lambda call: call.course.ledger.forget()
        """Hears of each session that is over, before its `closed` is told."""
        self.on_refused: Callable[[Refused], None] = lambda refused: None
        """Hears of each INVITE of a known peer that makes no session, but for those that come while the server stops."""
        self._numbers = itertools.count(1)
        self._stopping = False

    def when_up(self, hear: Callable[[CallSession], None]) -> None:
        """Have `hear` called with each session whose parties hear each other now, before its `connected` is told."""
        self._env.on_up = hear

    def hear_digits_while(self, wanted: Callable[[], bool]) -> None:
        """Have tones of digits heard in every call while `wanted` says so; else where a party is alone, or the other takes no tones."""
        self._env.hears_digits = wanted

    @property
    def sessions(self) -> tuple[CallSession, ...]:
        """The sessions that are not closed, oldest first."""
        return tuple(self._sessions.values())

    # --- beginnings -------------------------------------------------------------------------------------------------

    def incoming(
        self,
        request: RequestReceived,
        party: Party,
        *,
        caller_name: str,
        caller_id: str,
        dial_number: str,
        anonymous: bool = False,
        asserted_identity: str = "",
    ) -> CallSession | None:
        """Make a session of an INVITE outside any dialog.

        Args:
            request: The INVITE; its sender is known and it has passed the checks of RFC 3261 §8.2.
            party: Who sent it.
            caller_name: The display name to tell the application.
            caller_id: The number or name.
            dial_number: What was dialled.
            anonymous: Whether the caller wants to stay so.
            asserted_identity: The number that the caller's provider vouches for.

        Returns:
            The session; None when the INVITE takes somebody's place in another one (RFC 3891), and when it was refused at
            once: 503 while the server stops, 400 where no dialog can be made of it, 422 where its session would expire too
            soon, 420 or 421 where it requires what is switched off, or cannot do what is required, 488
            with a Warning in words where its description offers nothing that this peer may use.
        """
        env = self._env
        env.attach()
        if self._stopping:
            env.endpoint.respond(request.tx, 503)
            return None
        try:
            replaces = replaces_of(request.message)
        except ReferRefused as refused:
            env.endpoint.respond(request.tx, refused.status, refused.reason)
            words = refused.reason or "its Replaces is malformed"
            self.on_refused(Refused(request, party, caller_name, caller_id, dial_number, refused.status, words))
            return None
        if replaces is not None:
            replace_dialog(env, request, party, replaces)
            return None
        remote = request.flow.remote
        call = self._new(
            caller_name=caller_name,
            caller_id=caller_id,
            dial_number=dial_number,
            party=party,
            user_agent=request.message.header("User-Agent") or "",
            source=(remote[0], remote[1]),
            anonymous=anonymous,
            asserted_identity=asserted_identity,
        )
        refusal = self._arrive(call, request, party)
        if refusal is not None:
            status, headers, words = refusal
            env.endpoint.respond(request.tx, status, None, headers)
            self.on_refused(Refused(request, party, caller_name, caller_id, dial_number, status, words))
            return None
        self._sessions[call.id] = call
        call.course.arrived()
        return call

    async def dial(self, wanted: Wanted, *, timeout_s: float, on_behalf_of: CallSession | None = None) -> CallSession:
        """Call somebody as a session of its own, with nobody on the other side yet.

        Args:
            wanted: Whom, and what they are told.
            timeout_s: Seconds until it is given up.
            on_behalf_of: A call with which it is given up.

        Returns:
            The answered session.

        Raises:
            CallFailed: `Busy`, `Declined`, `NoAnswer`, `NotRegistered` or another failure.
            CallEnded: It was closed before the answer, or the call on whose behalf it is made has ended.
        """
        self._env.attach()
        if self._stopping:
            raise CallEnded("the server stops")
        if on_behalf_of is not None:
            on_behalf_of.course.check_open()
        placing = next(placings(wanted))
        party = Party(placing.peer_type, placing.peer_name, ())
        call = self._new(
            caller_name=placing.caller_name,
            caller_id=placing.caller_id,
            dial_number=placing.dial_number,
            party=party,
        )
        self._sessions[call.id] = call
        if on_behalf_of is not None:
            on_behalf_of.course.dependence.take(call.course.dependence)
        try:
            await call.course.dial(wanted, timeout_s)
        except BaseException:
            # cancelled, or whatever else keeps us from waiting for it; one that failed is closed already
            call.course.close()
            raise
        return call

    # --- from the dispatcher ----------------------------------------------------------------------------------------

    def handler_failed(self, call: CallSession, error: BaseException, handler_name: str) -> None:
        """A handler raised: 500 to a caller who waits, BYE with a Reason to whoever is up; nothing else is touched.

        Args:
            call: The call that it handled.
            error: What it raised. `CallEnded` is no error; a `CallFailed` that it let pass goes to the caller as the
            failure it is.
            handler_name: Named in the log.
        """
        if isinstance(error, CallEnded):
            return
        if call.closed_reason is not None:
            log.info("call %d: handler %s raised after the end: %r", call.id, handler_name, error)
        elif isinstance(error, CallFailed):
            log.info("call %d: handler %s let %s pass", call.id, handler_name, error)
        else:
            log.error("call %d: handler %s failed", call.id, handler_name, exc_info=error)
        call.course.handler_failed(error)

    def handlers_done(self, call: CallSession) -> None:
        """No handler that may decide about this call runs any more."""
        call.course.handlers_done()

    # --- the end ----------------------------------------------------------------------------------------------------

    async def close_all(self) -> None:
        """End every session and wait, a few seconds at most, until BYE and CANCEL are answered. New INVITEs get 503."""
        self._stopping = True
        try:
            for call in self.sessions:
                self._close(call)
            if not await self._env.endpoint.wait_quiet(self._env.options.stop_timeout_s):
                log.info("not every peer has answered its BYE or CANCEL")
        finally:
            await self._env.end_tasks()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _new(
        self,
        *,
        caller_name: str,
        caller_id: str,
        dial_number: str,
        party: Party,
        user_agent: str = "",
        source: tuple[str, int] = ("", 0),
        anonymous: bool = False,
        asserted_identity: str = "",
    ) -> CallSession:
        return CallSession(
            self,
            self._env,
            next(self._numbers),
            self._env.endpoint.driver.mint_token(),
            caller_name=caller_name,
            caller_id=caller_id,
            dial_number=dial_number,
            from_peer_type=party.peer_type,
            from_peer_name=party.name,
            user_agent=user_agent,
            from_ip=source[0],
            from_port=source[1],
            anonymous=anonymous,
            asserted_identity=asserted_identity,
            on_over=self._over,
        )

    @staticmethod
    def _close(call: CallSession) -> None:
        try:
            call.course.close(status=503)
        except Exception:
            log.exception("call %d could not be closed", call.id)

    def _over(self, call: CallSession) -> None:
        self._sessions.pop(call.id, None)
        self.on_over(call)

    def _arrive(self, call: CallSession, request: RequestReceived, party: Party) -> tuple[int, Headers, str] | None:
        """Give the INVITE to channel ZERO; or the status, headers and words to refuse it with."""
        message = request.message
        timer = self._env.session_timer(party)
        too_brief = timer.refusal(message)
        if too_brief is not None:
            return 422, too_brief, "its session would expire too soon"
        if not timer.enabled and requires(message, "timer"):
            # RFC 3261 §8.2.2.3: switched off for this peer
            return 420, [("Unsupported", "timer")], "session timers are required"
        if party.reliable == "never" and requires(message, "100rel"):
            return 420, [("Unsupported", "100rel")], "reliable provisional responses are required"
        if party.reliable == "required" and not supports(message, "100rel"):
            # RFC 3261 §21.4.15
            return 421, [("Require", "100rel")], "reliable provisional responses are not supported"
        try:
            call.course.zero.arrive(request, party, party.accept_token or call.token, timer)
        except DialogError as error:
            return error.status, (), error.reason
        except NegotiationError as error:
            return 488, [warning(error.reason)], error.reason
        except SipParseError as error:
            return error.status or 400, (), error.reason
        if not call.course.zero.usable:
            offered = call.course.zero.offer
            names = ", ".join(codec.name for codec in offered.codecs) if offered is not None else ""
            words = f"none of the offered codecs may be used here: {names}"
            return 488, [warning(words)], words
        call.course.hops_left = _hops(message)
        return None


def _hops(message: Message) -> int:
    """Max-Forwards of a request; 70 where it has none that can be read (RFC 3261 §16.3, step 3)."""
    try:
        hops = message.integer("Max-Forwards")
    except SipParseError:
        return 70
    return 70 if hops is None else hops
