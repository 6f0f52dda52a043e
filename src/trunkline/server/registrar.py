"""The registrar (RFC 3261 §10.3): REGISTER requests of users' phones become bindings, which `routing` asks for.

`dispatch` hands in requests that passed `sip.uas` and the events of connections. The order is the RFC's: domain,
decision and authentication, right to the address, contacts, order, commit, 200 with all bindings. Decisions about
values are in `registration` and `bindings`; this module answers, keeps flows open, lets bindings lapse, tells the
application and the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from typing import Protocol

from trunkline.events import Event, RegisterUser, RegisterUserFailed, RegisterUserSuccess, UnregisterUser
from trunkline.server.auth import Authenticator
from trunkline.server.binding_records import of_record, record_of
from trunkline.server.bindings import Binding, BindingTable, Outcome, OutOfOrder
from trunkline.server.register_request import RegisterRequest
from trunkline.server.registration import (
    ExpiryBounds,
    Fault,
    RegisterRefused,
    contact_value,
    is_removal_of_all,
    path_of,
    reached_over_flow,
    wanted_contacts,
)
from trunkline.server.user_explanation import explain_refusal
from trunkline.server.users import User, Users
from trunkline.sip.endpoint import Endpoint, Flow, Message, RequestReceived, SipParseError, Uri
from trunkline.storage.records import BindingRecord

__all__ = ["Binding", "BindingStore", "OwnDomains", "RegisterRequest", "Registrar"]

log = logging.getLogger("trunkline.registrar")

KEEP_ALIVE_S = 25.0
"""How often a NAT'd phone's UDP flow is kept open; many NATs forget after 30 s."""

DECISION_TIMEOUT_S = 15.0
"""How long a REGISTER waits for `on_register_user` before it is authenticated; the phone gives up at 32 s (Timer F)."""


class BindingStore(Protocol):
    """Where bindings are written behind."""

    def put(self, record: BindingRecord) -> None:
        """Write it, soon."""

    def delete(self, record: BindingRecord) -> None:
        """Delete it, soon."""


class OwnDomains(Protocol):
    """Which domains and addresses are ours."""

    def is_ours(self, uri: Uri, flow: Flow) -> bool:
        """Whether a URI in a message that came over `flow` is in a domain of ours."""


class Registrar:
    """Takes REGISTER requests and knows where users are. Lives on the loop.

    Args:
        endpoint: Answers, and keeps flows open.
        users: Who may register.
        authenticator: Verifies them.
        domains: Which addresses are ours.
        emit: Takes `RegisterUser…` and `UnregisterUser` events; never raises.
        wall_clock: Seconds since the epoch, for the store and the Date header.
        bounds: Of the expiry.
        store: Keeps bindings over a restart; None for none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        users: Users,
        authenticator: Authenticator,
        domains: OwnDomains,
        emit: Callable[[Event], None],
        *,
        wall_clock: Callable[[], float],
        bounds: ExpiryBounds | None = None,
        store: BindingStore | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._users = users
        self._authenticator = authenticator
        self._domains = domains
        self._emit = emit
        self._wall_clock = wall_clock
        self._bounds = bounds or ExpiryBounds()
        self._store = store
        self._table = BindingTable()
        self._timer: asyncio.TimerHandle | None = None
        self.asks = False
        """Whether there is an `on_register_user` handler: requests wait for its decision."""

    # --- asked by others --------------------------------------------------------------------------------------------

    def bindings(self, user: str) -> Sequence[Binding]:
        """Where a user is now, the most preferred contact first."""
        return self._table.of(user, self._endpoint.now_s)

    def __len__(self) -> int:
        return len(self._table)

    # --- requests ---------------------------------------------------------------------------------------------------

    def register(self, request: RequestReceived) -> None:
        """Take a REGISTER. It is answered now, or after its handlers have decided."""
        pending = self._pending(request)
        try:
            self._check_domain(request)
        except RegisterRefused as refused:
            self._refuse(pending, refused)
            return
        if not self.asks:
            pending.authenticate()
            return
        pending.wait(DECISION_TIMEOUT_S)
        self._emit(RegisterUser(pending))

    def _pending(self, request: RequestReceived) -> RegisterRequest:
        return RegisterRequest(
            request,
            asyncio.get_running_loop(),
            authenticate=self._authenticate,
            accept=self._accept,
            reject=lambda pending, status, reason: self._refuse(
                pending, RegisterRefused(status, reason or "", fault=Fault.APPLICATION)
            ),
        )

    def _check_domain(self, request: RequestReceived) -> None:
        # §10.3 step 1: bindings of other domains are not ours to give, and we pass no REGISTER on
        try:
            ours = self._domains.is_ours(request.message.uri, request.flow)
        except SipParseError as error:
            raise RegisterRefused(error.status or 400, error.reason) from error
        if not ours:
            raise RegisterRefused(403, "Not a domain of this server", fault=Fault.DOMAIN)

    def _authenticate(self, pending: RegisterRequest) -> None:
        # §10.3 steps 3 and 4
        user = self._authenticator.proves(pending.request)
        if user is not None and user.name == pending.user:
            self._process(pending, user)
        elif user is not None:
            words = f"{user.name} registers for itself alone"
            self._refuse(pending, RegisterRefused(403, words, fault=Fault.OTHER_USER))
        else:
            # RFC 3261 §22.1: wrong credentials are challenged anew, like none. Only a guess is a failure worth telling.
            self._authenticator.challenge(pending.request)
            if pending.has_credentials:
                fault = self._authenticator.fault_of(pending.request)
                self._tell_failed(pending, RegisterRefused(401, "wrong password or unknown user", fault=fault))

    def _accept(self, pending: RegisterRequest, name: str) -> None:
        user = self._users.find(name)
        if user is None:
            fault = Fault.UNKNOWN_USER if name == pending.user else Fault.ATTACHED
            self._refuse(pending, RegisterRefused(404, "Unknown user", fault=fault))
        else:
            self._process(pending, user)

    def _process(self, pending: RegisterRequest, user: User) -> None:
        message, flow = pending.request.message, pending.request.flow
        try:
            # §10.3 step 5
            if not self._domains.is_ours(message.to.uri, flow):
                raise RegisterRefused(404, "The address is in no domain of this server", fault=Fault.DOMAIN)
            outcome = self._apply(message, flow, user)
        except RegisterRefused as refused:
            self._refuse(pending, refused)
        except OutOfOrder:
            # §10.3 step 8: what cannot be committed whole fails with 500
            self._refuse(pending, RegisterRefused(500, "A newer REGISTER was here before", fault=Fault.OUT_OF_ORDER))
        else:
            self._commit(outcome)
            self._answer(pending.request, user)
            self._tell(outcome, pending)

    def _apply(self, message: Message, flow: Flow, user: User) -> Outcome:
        now = self._endpoint.now_s
        if is_removal_of_all(message):
            return self._table.clear(user.name, message.call_id, message.cseq, now)
        wanted = wanted_contacts(message, self._bounds, maximum=user.max_contacts)
        origin = Binding(
            user=user.name,
            uri=message.to.uri,
            instance="",
            q=1.0,
            call_id=message.call_id,
            cseq=message.cseq,
            expires_at=now,
            updated_at=now,
            flow=flow,
            path=path_of(message),
            nat=reached_over_flow(message, flow),
            user_agent=(message.header("User-Agent") or "")[:200],
        )
        return self._table.apply(user.name, wanted, origin, maximum=user.max_contacts)

    def _answer(self, request: RequestReceived, user: User) -> None:
        # §10.3 step 8; RFC 3327 §5.3 wants the Path back
        now = self._endpoint.now_s
        headers = [("Contact", contact_value(binding, now)) for binding in self._table.of(user.name, now)]
        headers += [("Path", value) for value in request.message.values("Path")]
        headers.append(("Date", formatdate(self._wall_clock(), usegmt=True)))
        self._endpoint.respond(request.tx, 200, None, headers)

    def _refuse(self, pending: RegisterRequest, refused: RegisterRefused) -> None:
        self._endpoint.respond(pending.request.tx, refused.status, refused.reason or None, refused.headers)
        self._tell_failed(pending, refused)

    # --- bindings ---------------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[BindingRecord], listens: Callable[[Flow], bool]) -> int:
        """Take bindings back after a restart, with the time that they have left; returns how many.

        Args:
            records: What the store kept.
            listens: Whether we have a listener for a flow's local address, transport and family.
        """
        now, wall_now = self._endpoint.now_s, self._wall_clock()
        for record in sorted(records, key=lambda record: record.updated_at):
            binding = of_record(record, now=now, wall_now=wall_now, listens=listens)
            if binding is not None and record.user in self._users:
                if self._table.restore(binding):
                    self._keep_open(binding)
            elif self._store is not None:
                self._store.delete(record)
        self._arm()
        return len(self._table)

    def flow_closed(self, flow: Flow) -> None:
        """A connection is gone, and with it what was reached over it."""
        if flow.connection:
            self._drop(self._table.drop_connection(flow.connection), lapsed=True)

    def drop_user(self, user: str) -> None:
        """A user is removed, and where it was is forgotten."""
        self._drop(self._table.drop_user(user), lapsed=False)

    def close(self) -> None:
        """Stop the timer; what is bound stays stored."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _commit(self, outcome: Outcome) -> None:
        for binding in (*outcome.gone, *outcome.superseded):
            self._forget(binding)
        for binding in (*outcome.added, *outcome.refreshed):
            self._keep_open(binding)
            if self._store is not None:
                self._store.put(record_of(binding, now=self._endpoint.now_s, wall_now=self._wall_clock()))
        self._arm()

    def _drop(self, gone: Sequence[Binding], *, lapsed: bool) -> None:
        for binding in gone:
            self._forget(binding)
            self._emit(UnregisterUser(binding.user, binding.contact, lapsed))
        self._arm()

    def _forget(self, binding: Binding) -> None:
        if self._store is not None:
            self._store.delete(record_of(binding, now=self._endpoint.now_s, wall_now=self._wall_clock()))
        if self._is_kept_open(binding) and not self._table.reached_over(binding.flow):
            self._endpoint.driver.keep_alive(binding.flow, 0)

    def _keep_open(self, binding: Binding) -> None:
        if self._is_kept_open(binding):
            self._endpoint.driver.keep_alive(binding.flow, KEEP_ALIVE_S)

    @staticmethod
    def _is_kept_open(binding: Binding) -> bool:
        return binding.nat and binding.flow.transport == "udp"

    def _arm(self) -> None:
        due = self._table.next_lapse
        if self._timer is not None:
            if due is not None and self._timer.when() <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._lapse, due)

    def _lapse(self, due: float) -> None:
        self._timer = None
        # The loop calls a hair before the time; a clock that stands still until then would call for ever.
        self._drop(self._table.drop_lapsed(max(due, self._endpoint.now_s)), lapsed=True)

    # --- events -----------------------------------------------------------------------------------------------------

    def _tell(self, outcome: Outcome, pending: RegisterRequest) -> None:
        for binding in outcome.removed:
            self._emit(UnregisterUser(binding.user, binding.contact, lapsed=False))
        for binding in (*outcome.replaced, *outcome.evicted):
            log.info("%s: %s made room for another contact", binding.user, binding.contact)
            self._emit(UnregisterUser(binding.user, binding.contact, lapsed=False))
        for refresh, bindings in ((False, outcome.added), (True, outcome.refreshed)):
            for binding in bindings:
                self._emit(_success(binding, pending, refresh=refresh))

    def _tell_failed(self, pending: RegisterRequest, refused: RegisterRefused) -> None:
        status, reason = refused.status, refused.reason
        log.info("REGISTER for %.80r from %s refused: %d %s", pending.user, pending.from_ip, status, reason)
        self._emit(
            RegisterUserFailed(
                pending.user, status, reason, pending.from_ip, pending.from_port, explain_refusal(pending, refused)
            )
        )


def _success(binding: Binding, pending: RegisterRequest, *, refresh: bool) -> RegisterUserSuccess:
    return RegisterUserSuccess(
        user=binding.user,
        contact=binding.contact,
        expires_s=round(binding.expires_at - binding.updated_at),
        user_agent=pending.user_agent,
        from_ip=pending.from_ip,
        from_port=pending.from_port,
        refresh=refresh,
    )
