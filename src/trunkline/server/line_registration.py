"""A line's registration at its provider: REGISTER, refreshed ahead of expiry, tried again for ever, removed at the end.

The table of `line_states` says what follows what; `line_answers` reads the provider's answers; `back_off` says how long
to wait. This module sends, keeps the one timer and tells the application. It never gives up, and it never hammers:
credentials that the provider refuses are offered again after 5 minutes, then at growing distance, up to an hour (RFC
3261 §10.2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from random import Random

from trunkline.events import (
    Event,
    LineRegisterFailed,
    LineRegisterSuccess,
    LineRegisterTrying,
    LineUnregisterFailed,
    LineUnregisterSuccess,
    LineUnregisterTrying,
)
from trunkline.server.back_off import OUTAGE, REFUSED, BackOff
from trunkline.server.line import Line
from trunkline.server.line_answers import Cause, LineFailure, classify, granted_s, refresh_in_s
from trunkline.server.line_explanation import explain_leaving, explain_line
from trunkline.server.line_outbound import (
    OUTBOUND,
    contact_parameters,
    flow_timer_s,
    keep_alive_s,
    proxy_route,
    service_route,
)
from trunkline.server.line_states import TABLE, Action, Happening, LineState
from trunkline.server.server_health import Standing
from trunkline.sip.endpoint import Endpoint, Flow, Message, NameAddr, Uri
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.resolver import ResolutionError
from trunkline.sip.shown import shown_answer, shown_flow

__all__ = ["LineRegistration"]

log = logging.getLogger("trunkline.lines")

REMOVAL_TIMEOUT_S = 4.0
"""How long the provider has to confirm that it forgot us."""

PATH = "path"
"""RFC 3327 §5.1: proxies on the way may add a Path."""

NO_OUTBOUND_ON_THE_WAY = 439
"""The first hop does not support outbound (RFC 5626 §11.6): it is registered without."""

RECONNECT_S = 2.0
RECONNECT_APART_S = 30.0
"""A lost connection is made again, but no more often than this after a registration."""


class LineRegistration:
    """Registers one line. Lives on the loop.

    Args:
        line: Which.
        endpoint: Sends.
        contact: Our Contact value for the provider, for requests over a flow.
        emit: Takes the `LineRegister…` and `LineUnregister…` events; never raises.
        random: The source of jitter.
        on_changed: Called when the state has changed.
    """

    def __init__(
        self,
        line: Line,
        endpoint: Endpoint,
        contact: Callable[[Flow], str],
        emit: Callable[[Event], None],
        random: Random,
        on_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._line = line
        self._endpoint = endpoint
        self._contact = contact
        self._emit = emit
        self._random = random
        self._on_changed = on_changed
        self._outbound = line.settings.outbound
        self._tried: set[Flow] = set()
        self._asked: Flow | None = None
        self._outages = BackOff(OUTAGE, random)
        self._refusals = BackOff(REFUSED, random)
        self._accepted = False
        """The provider has taken our credentials, and not refused them since."""
        self._wanted_s = line.settings.expires_s
        self._asked_s = self._wanted_s
        self._call_id = endpoint.driver.mint_call_id()
        self._tag = endpoint.driver.mint_tag()
        self._cseq = 0
        self._attempt = 0
        self._in_flight = False
        self._told = False
        self._granted_at = 0.0
        self._kept_open: Flow | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left = asyncio.Event()
        self._actions: dict[Action, Callable[[LineFailure | None], None]] = {
            Action.TELL_TRYING: self._tell_trying,
            Action.TELL_REGISTERED: self._tell_registered,
            Action.TELL_FAILED: self._tell_failed,
            Action.TELL_LEAVING: self._tell_leaving,
            Action.TELL_LEFT: self._tell_left,
            Action.TELL_STUCK: self._tell_stuck,
            Action.SEND: self._send,
            Action.SEND_REMOVAL: self._send_removal,
            Action.WAIT_FOR_REFRESH: self._wait_for_refresh,
            Action.WAIT_AFTER_FAILURE: self._wait_after_failure,
            Action.WAIT_AFTER_REFUSAL: self._wait_after_refusal,
        }

    # --- commands ---------------------------------------------------------------------------------------------------

    def register(self, expires_s: int | None = None) -> None:
        """Register now, and stay registered.

        Args:
            expires_s: The time to ask for from now on; None for the line's setting.
        """
        self._wanted_s = expires_s or self._line.settings.expires_s
        self._asked_s = self._wanted_s
        self._told = False
        self._happened(Happening.START)

    async def unregister(self, timeout_s: float = REMOVAL_TIMEOUT_S + 1) -> bool:
        """Have the provider forget us, and register no more.

        Args:
            timeout_s: How long to wait for its confirmation.

        Returns:
            Whether nothing is left to wait for.
        """
        self._left.clear()
        self._happened(Happening.STOP)
        if self._line.state is LineState.OFF:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._left.wait()
        except TimeoutError:
            return False
        return True

    def flow_closed(self, flow: Flow) -> None:
        """A connection is gone: a provider at its end cannot reach us before the next REGISTER, which goes out soon."""
        if self._line.state is not LineState.REGISTERED or flow.transport == "udp" or not self._is_ours(flow):
            return
        # RFC 5626 §4.4: a flow that failed is replaced at once
        soon_s = 0.0 if self._outbound else RECONNECT_S
        self._arm(max(soon_s, self._granted_at + RECONNECT_APART_S - self._endpoint.now_s))

    def _is_ours(self, flow: Flow) -> bool:
        return self._asked is not None and (flow.transport, flow.remote) == (self._asked.transport, self._asked.remote)

    def server_changed(self) -> None:
        """The line has moved to another server, or a better one is up: the registration moves there at once."""
        if self._line.state is LineState.REGISTERED or self._fell_silent:
            self._happened(Happening.START)

    def server_recovered(self, flow: Flow, before: Standing) -> None:
        """A server is up again: there is no need to wait for the end of the back-off from silence.

        Where it was down, and is the one that granted the registration, it may have lost it with everything else, and is asked
        soon. One that was in doubt alone may be silent to REGISTER and nothing else: it is asked again, but not in a loop.
        """
        if before is not Standing.DOWN:
            if self._fell_silent and (self._line.next_attempt_in_s or 0.0) > OUTAGE.second_s:
                self._arm(OUTAGE.second_s * (1 + OUTAGE.jitter * (2 * self._random.random() - 1)))
        elif self._fell_silent:
            self._happened(Happening.START)
        elif self._line.state is LineState.REGISTERED and self._is_ours(flow):
            # pings take it down and up again, so that this is rare; many lines of it do not ask together
            self._arm(RECONNECT_S * self._random.random())

    @property
    def _fell_silent(self) -> bool:
        failure = self._line.last_failure
        return self._line.state is LineState.WAITING and failure is not None and not failure.status

    def server_down(self, flow: Flow) -> None:
        """A server answers no pings: a connection to it that seems to be open is dead (RFC 5626 §4.4.1)."""
        kept = self._kept_open
        if kept is not None and kept.connection and kept.remote == flow.remote and kept.transport == flow.transport:
            self._endpoint.driver.close_flow(kept.connection)

    def close(self) -> None:
        """Stop timers and tasks; nothing more is sent or told."""
        self._attempt += 1
        self._disarm()
        self._keep_open(None)
        if self._task is not None:
            self._task.cancel()

    # --- the table --------------------------------------------------------------------------------------------------

    def _happened(self, what: Happening, failure: LineFailure | None = None) -> None:
        step = TABLE.get((self._line.state, what))
        if step is None:
            return
        self._disarm()
        self._line.state = step.state
        for action in step.actions:
            self._actions[action](failure)
        self._on_changed()

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send(self, failure: LineFailure | None) -> None:
        if failure is not None and failure.min_expires_s is not None:
            self._asked_s = failure.min_expires_s
        self._tried.clear()
        self._send_to_next()

    def _send_to_next(self) -> None:
        attempt = self._next_attempt()
        self._task = asyncio.create_task(self._locate_and_send(attempt), name=f"register line {self._line.name}")

    def _send_removal(self, failure: LineFailure | None) -> None:
        flow = self._asked
        attempt, may_be_known = self._next_attempt(), self._in_flight or self._line.registered
        self._line.registered_until = None
        if flow is None or not may_be_known:
            self._happened(Happening.GRANTED)
            return
        self._request(attempt, flow, expires_s=0, timeout_s=REMOVAL_TIMEOUT_S)

    def _next_attempt(self) -> int:
        """Make all that is under way count no more."""
        self._attempt += 1
        if self._task is not None:
            self._task.cancel()
            self._task = None
        return self._attempt

    async def _locate_and_send(self, attempt: int) -> None:
        # Cancelled by the next attempt, so that this one still counts whenever it goes on.
        try:
            current = await self._line.server.locate()
        except ResolutionError as error:
            words = f"the provider cannot be found: {error}"
            self._failed(LineFailure(Happening.FAILED, 0, words, cause=Cause.NAME, said=error.reason))
        else:
            self._request(attempt, self._line.server.next(self._tried) or current, expires_s=self._asked_s)

    def _request(self, attempt: int, flow: Flow, *, expires_s: int, timeout_s: float | None = None) -> None:
        contact = self._contact(flow)
        if self._outbound:
            contact += "".join(f";{name}={value}" for name, value in contact_parameters(self._line.token))
        self._asked = flow
        self._in_flight = True
        self._line.counters.registers_sent += 1
        ClientRequest(
            self._endpoint,
            "REGISTER",
            lambda: self._build(contact, expires_s),
            flow,
            on_response=lambda message, over: self._answered(attempt, message, contact, flow, over),
            on_failure=lambda failure: self._unanswered(attempt, failure, flow),
            credentials=self._line.credentials,
            timeout_s=timeout_s,
        ).start()

    def _build(self, contact: str, expires_s: int) -> tuple[str, list[tuple[str, str]]]:
        settings = self._line.settings
        self._cseq += 1
        account = Uri("sip", settings.username, settings.aor_domain)
        extensions = (PATH, OUTBOUND) if self._outbound else (PATH,)
        return str(Uri("sip", None, settings.aor_domain, settings.domain_port)), [
            *self._line.proxy_routes,
            ("From", str(NameAddr(account, settings.display_name or None, [("tag", self._tag)]))),
            ("To", str(NameAddr(account))),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            ("Contact", f"{contact};expires={expires_s}"),
            ("Expires", str(expires_s)),
            ("Supported", ", ".join(extensions)),
        ]

    # --- answers ----------------------------------------------------------------------------------------------------

    def _answered(self, attempt: int, message: Message, contact: str, flow: Flow, over: Flow) -> None:
        if message.status < 200 or attempt != self._attempt:
            return
        self._in_flight = False
        if self._line.state is LineState.LEAVING:
            self._happened(Happening.GRANTED)
            return
        token, own = self._line.token, NameAddr.parse(contact)
        granted = granted_s(message, token=token, contact=own, asked_s=self._asked_s)
        if granted <= 0:
            words = "the provider granted no time"
            self._failed(LineFailure(Happening.FAILED, message.status, words, said=shown_answer(message)))
            return
        self._line.service_route = service_route(message, proxy_route(self._line.settings))
        self._keep_open(flow if flow.transport == "udp" else over, flow_timer_s(message))
        self._succeeded(granted, flow)

    def _succeeded(self, granted: int, flow: Flow) -> None:
        self._granted_at = self._endpoint.now_s
        self._line.registered_until = self._granted_at + granted
        self._line.last_failure = None
        self._line.counters.registrations += 1
        self._line.server.note_success(flow)
        self._line.server.use(flow)
        self._accepted = True
        self._outages.reset()
        self._refusals.reset()
        self._happened(Happening.GRANTED)

    def _unanswered(self, attempt: int, failure: Failure, flow: Flow) -> None:
        if attempt != self._attempt:
            return
        self._in_flight = False
        found = classify(failure, self._asked_s)
        if self._line.state is LineState.LEAVING or found.kind is Happening.TOO_BRIEF:
            self._happened(found.kind, found)
        elif found.status == NO_OUTBOUND_ON_THE_WAY and self._outbound:
            log.warning("line %s: no outbound on the way to the registrar; registering without", self._line.name)
            self._outbound = False
            self._send_to_next()
        elif found.elsewhere:
            self._try_elsewhere(found, flow)
        else:
            self._line.server.note_success(flow)
            self._failed(self._forgiven(found))

    def _forgiven(self, failure: LineFailure) -> LineFailure:
        """The first 401 after a success is tried again soon: a provider that was restarted meanwhile knows no nonce of before.

        It challenges anew without saying `stale` (RFC 3261 §22.3), just as it does where the password is wrong.
        """
        accepted, self._accepted = self._accepted, False
        if not accepted or failure.status not in (401, 407):
            return failure
        return replace(failure, kind=Happening.FAILED, retry_after_s=OUTAGE.first_s)

    def _try_elsewhere(self, failure: LineFailure, flow: Flow) -> None:
        """A server is silent, unreachable or answers 503: the next one, until all were tried (RFC 3263 §4.3)."""
        self._tried.add(flow)
        self._line.server.note_failure(flow, failure.reason, retry_after_s=failure.retry_after_s)
        if self._line.server.next(self._tried) is None:
            self._failed(failure)
            return
        log.warning("line %s: %s: %s; trying another server", self._line.name, shown_flow(flow), failure.reason)
        self._send_to_next()

    def _failed(self, failure: LineFailure) -> None:
        self._line.counters.failures += 1
        flow = self._asked if failure.cause is not Cause.NAME else None
        failure = replace(failure, explanation=explain_line(self._line.settings, failure, flow))
        self._line.last_failure = failure
        if failure.kind is Happening.REFUSED:
            self._line.registered_until = None
            self._line.service_route = ()
        self._happened(failure.kind, failure)

    # --- waiting ----------------------------------------------------------------------------------------------------

    def _wait_for_refresh(self, failure: LineFailure | None) -> None:
        granted = (self._line.registered_until or 0.0) - self._endpoint.now_s
        # Lines of one provider that were registered together are not refreshed together.
        self._arm(refresh_in_s(granted) * (1 - 0.05 * self._random.random()))

    def _wait_after_failure(self, failure: LineFailure | None) -> None:
        self._arm(self._outages.next_s(failure.retry_after_s if failure else None))

    def _wait_after_refusal(self, failure: LineFailure | None) -> None:
        self._arm(self._refusals.next_s(failure.retry_after_s if failure else None))

    def _arm(self, wait_s: float) -> None:
        self._disarm()
        self._line.next_attempt_at = self._endpoint.now_s + wait_s
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._happened, Happening.DUE)

    def _disarm(self) -> None:
        self._line.next_attempt_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _keep_open(self, flow: Flow | None, timer_s: int | None = None) -> None:
        """Keep a flow alive from now on, and no other. On a stream that is the connection, on UDP what NAT remembers."""
        if self._kept_open is not None and self._kept_open != flow:
            self._endpoint.driver.keep_alive(self._kept_open, 0)
        self._kept_open = flow if flow is not None and (flow.transport == "udp" or flow.connection) else None
        if self._kept_open is not None:
            interval_s = keep_alive_s(self._kept_open.transport, timer_s, self._random)
            self._endpoint.driver.keep_alive(self._kept_open, interval_s)

    # --- telling ----------------------------------------------------------------------------------------------------

    def _tell_trying(self, failure: LineFailure | None) -> None:
        self._emit(LineRegisterTrying(self._line.name))

    def _tell_registered(self, failure: LineFailure | None) -> None:
        if not self._told:
            self._told = True
            expires_s = round((self._line.registered_until or 0.0) - self._granted_at)
            log.info("line %s is registered for %d s", self._line.name, expires_s)
            self._emit(LineRegisterSuccess(self._line.name, expires_s))

    def _tell_failed(self, failure: LineFailure | None) -> None:
        self._told = False
        status, reason = (failure.status, failure.reason) if failure else (0, "")
        retry_in_s = self._line.next_attempt_in_s or 0.0
        log.warning("line %s: %d %s; next attempt in %.0f s", self._line.name, status, reason, retry_in_s)
        explained = failure.explanation if failure else None
        self._emit(LineRegisterFailed(self._line.name, status, reason, retry_in_s, explained))

    def _tell_leaving(self, failure: LineFailure | None) -> None:
        self._emit(LineUnregisterTrying(self._line.name))

    def _tell_left(self, failure: LineFailure | None) -> None:
        self._leave()
        self._emit(LineUnregisterSuccess(self._line.name))

    def _tell_stuck(self, failure: LineFailure | None) -> None:
        self._leave()
        status, reason = (failure.status, failure.reason) if failure else (0, "")
        explained = explain_leaving(self._line.settings, failure, self._asked) if failure else None
        log.warning("line %s is not unregistered: %s", self._line.name, explained or reason)
        self._emit(LineUnregisterFailed(self._line.name, status, reason, explained))

    def _leave(self) -> None:
        self._line.service_route = ()
        self._told = False
        self._keep_open(None)
        self._left.set()
