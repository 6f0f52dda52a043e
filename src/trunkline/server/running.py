"""A server while it runs: everything that exists between `start` and `stop`, and which part a request goes to.

`SipServer` makes one at `start`. It wires the parts of this package to the endpoint, the media engine and the calls, and holds no decision
of its own beyond which part a request outside a dialog belongs to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable

from trunkline.calls.exchange import CallOptions, Exchange
from trunkline.errors import ListenError
from trunkline.events import (
    CallEvent,
    CallRecorded,
    CallSessionDigit,
    ChatMessageReceived,
    Event,
    RegisterUser,
    TransferRequested,
)
from trunkline.media.engine import MediaEngine
from trunkline.server.addresses import OwnAddresses
from trunkline.server.auth import Authenticator
from trunkline.server.call_records import CallRecords
from trunkline.server.config import ServerSettings, parse_listen
from trunkline.server.dispatch import Dispatcher
from trunkline.server.groups import LineGroups
from trunkline.server.identify import Caller, Identifier, Unproven
from trunkline.server.journal import Journal
from trunkline.server.lamps import CallLamps
from trunkline.server.line_settings import LineSettings
from trunkline.server.lines import Lines
from trunkline.server.messaging import Messaging, Neighbourhood
from trunkline.server.metrics import Metrics
from trunkline.server.platform import MediaOptions, Platform, SipOptions
from trunkline.server.policy import ChallengePolicy
from trunkline.server.ports import listen_error
from trunkline.server.quality_watch import QualityWatch
from trunkline.server.rate import SourceRate
from trunkline.server.recovery import Recovery
from trunkline.server.refusals import Refusals
from trunkline.server.registrar import Registrar
from trunkline.server.registration import ExpiryBounds
from trunkline.server.routing import EmergencyCalls, Routing
from trunkline.server.stored_peers import StoredPeers
from trunkline.server.users import Users
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Endpoint, FlowClosed, FlowOpened, Listener, RequestReceived, Shed, Traced
from trunkline.sip.resolver import CachingResolver, DnsLookup, Resolver
from trunkline.sip.session_timer import SessionTimes
from trunkline.sip.traced import traced_message
from trunkline.sip.uas import answer_options, refuse
from trunkline.storage.records import Snapshot
from trunkline.storage.store import Store
from trunkline.trace.recorder import Recorder

__all__ = ["Running"]

log = logging.getLogger("trunkline.server")

UNCHALLENGED_PER_S = 20.0
UNCHALLENGED_BURST = 100
"""OPTIONS, and REGISTER that a handler decides about, that one source may send: an office of phones behind one address."""

RETRY_AFTER_S = 5


class Running:
    """The parts of a running server.

    Args:
        settings: The server's options.
        platform: Where its drivers come from.
        dispatcher: Hands events to handlers.
        recorder: Gets what the endpoint traces.
        users: Who may register.
        groups: The line groups.
        resolver: Finds lines' servers; None for one of its own, which asks the system's DNS.
        store: What outlives the process; None for nothing.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        platform: Platform,
        dispatcher: Dispatcher,
        recorder: Recorder,
        users: Users,
        groups: LineGroups,
        resolver: Resolver | None,
        store: Store | None,
        wall_clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._own_resolver = CachingResolver(DnsLookup(), lambda: self.endpoint.now_s) if resolver is None else None
        self._dispatcher = dispatcher
        self._recorder = recorder
        self.users = users
        self._groups = groups
        self.store = store
        self._driver = platform.sip_driver(_sip_options(settings))
        self.endpoint = Endpoint(self._driver)
        media_options = MediaOptions(settings.media_ports, settings.media_workers)
        self.media = MediaEngine(platform.media_driver(media_options))
        self.endpoint.hold_too(self.media.driver)
        self.listeners: dict[str, Listener] = {}
        self.addresses = OwnAddresses(
            domains=(settings.realm, *settings.domains),
            advertise=settings.advertise,
            media_address=settings.media_address,
            line=self._line_settings,
        )
        authenticator = Authenticator(self.endpoint, users, realm=settings.realm, algorithm=settings.digest_algorithm)
        emit = dispatcher.emit
        self.registrar = Registrar(
            self.endpoint,
            users,
            authenticator,
            self.addresses,
            self._emit_registration,
            wall_clock=wall_clock,
            bounds=ExpiryBounds(*settings.registration_expiry_s),
            store=store,
        )
        names = resolver or self._own_resolver
        assert names is not None
        self.lines = Lines(self.endpoint, names, self.addresses, emit, random.Random(), store=store)
        self._policy = ChallengePolicy(
            self.endpoint,
            self.lines,
            realm=settings.realm,
            algorithm=settings.digest_algorithm,
            set_flood_exempt=self._driver.set_flood_exempt,
        )
        self._authenticator = authenticator
        self._identifier = Identifier(users, self.lines, authenticator, self.addresses)
        routing = Routing(
            users,
            self.registrar,
            self.lines,
            domain=settings.realm,
            groups=groups,
            emergency=EmergencyCalls(settings.emergency_numbers, settings.emergency_line),
            random=random.Random(),
            clock=lambda: self.endpoint.now_s,
            active_calls=self._calls_of_line,
            is_ours=self.addresses.is_ours,
        )
        options = CallOptions(
            session_name=settings.session_name,
            decision_timeout_s=settings.decision_timeout_s,
            stop_timeout_s=settings.stop_timeout_s,
            timers=SessionTimes(settings.session_expires_s, settings.min_se_s),
        )
        directory = Neighbourhood(
            users,
            self.registrar,
            routing,
            self.addresses,
            authenticator,
            realm=settings.realm,
            mint_token=self._driver.mint_token,
        )
        self.messaging = Messaging(
            self.endpoint,
            settings,
            directory,
            self._identifier,
            authenticator,
            emit,
            wall_clock=wall_clock,
            store=store,
        )
        sink = CallLamps(dispatcher, self.messaging.lamps)
        journal = Journal(store, wall_clock) if store is not None else None
        self.exchange = Exchange(self.endpoint, self.media, routing, self.addresses, sink, options, journal)
        self._recovery = (
            Recovery(self.endpoint, store, self.addresses.listens, self._credentials_of_line)
            if store is not None
            else None
        )
        self.metrics: Metrics | None = None
        """What Prometheus reads; None where the option names no address."""
        self._call_records = CallRecords(
            emit,
            lambda: dispatcher.handles(CallRecorded) or self.metrics is not None,
            store=store,
            keep_days=settings.call_records_days,
            now_s=lambda: self.endpoint.now_s,
            wall_clock=wall_clock,
        )
        self.quality_watch = QualityWatch(emit, lambda: self.exchange.sessions)
        """Tells whose sound becomes bad."""
        self.exchange.on_over = self._call_records.session_over
        self.exchange.when_up(self._call_records.session_up)
        self.refusals = Refusals(
            emit,
            self._call_records.refused,
            has_lines=lambda: len(self.lines) > 0,
            mint_id=self._driver.mint_token,
            now_s=lambda: self.endpoint.now_s,
            wall_clock=wall_clock,
        )
        self.exchange.on_refused = self.refusals.refused
        self.exchange.hear_digits_while(lambda: dispatcher.handles(CallSessionDigit))
        self._unchallenged = {
            method: SourceRate(UNCHALLENGED_PER_S, UNCHALLENGED_BURST) for method in ("OPTIONS", "REGISTER")
        }
        self._served: dict[str, Callable[[RequestReceived], None]] = {
            "INVITE": self._invite,
            "REGISTER": self.registrar.register,
            "OPTIONS": self._options,
            "MESSAGE": self.messaging.message,
            "SUBSCRIBE": self.messaging.watching.subscribe,
            "PUBLISH": self.messaging.presence.publish,
        }

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, lines: Iterable[LineSettings], *, traced: bool) -> None:
        """Take back what was stored, open the listeners, register the lines.

        Raises:
            ListenError: An address cannot be listened on; nothing stays open.
            StorageError: The store cannot be read.
        """
        self._serve_metrics()
        self.endpoint.on_request = self._request
        self.endpoint.on_flow = self._flow
        self.endpoint.on_shed = _shed
        self.endpoint.on_trace = self._traced
        self.users.on_removed = lambda user: self._drop_user(user.name)
        self.lines.on_change = self._policy.push
        self.endpoint.attach()
        self.media.attach()
        self._dispatcher.start(self)
        self._driver.set_trace(traced)
        snapshot = await self.store.load() if self.store is not None else None
        await self._call_records.recover()
        self._add(lines, snapshot)
        self._check_emergency_line()
        # before anybody can ask: nobody is challenged with a wrong realm
        self.handlers_changed()
        for url in self._settings.listen:
            self.listen(url)
        # no await since the first listener: no REGISTER comes before what was bound
        if snapshot is not None:
            self.registrar.restore(snapshot.bindings, self.addresses.listens)
            self.messaging.restore(snapshot.messages)
        self.lines.start()
        if snapshot is not None and self._recovery is not None:
            self._recovery.start(snapshot.dialogs)
        self._call_records.start()
        self.quality_watch.start()

    async def stop(self) -> None:
        """End the calls, unregister the lines, write what waits, close everything."""
        try:
            self.messaging.watching.end_all()
            async with asyncio.TaskGroup() as group:
                group.create_task(self.exchange.close_all())
                group.create_task(self.lines.stop())
            # while there are handlers to tell and a media engine to ask
            self._call_records.close()
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """Close everything without a word to anybody. Whatever one part raises, the others are closed."""
        async with contextlib.AsyncExitStack() as last_first:
            if self.store is not None:
                last_first.push_async_callback(self.store.close)
            last_first.callback(self._call_records.close)
            last_first.push_async_callback(self.quality_watch.close)
            last_first.push_async_callback(self.media.recordings.close)
            last_first.callback(self.media.detach)
            last_first.callback(self.endpoint.detach)
            last_first.callback(self.registrar.close)
            last_first.push_async_callback(self.messaging.close)
            if self._recovery is not None:
                last_first.push_async_callback(self._recovery.close)
            if self._own_resolver is not None:
                last_first.push_async_callback(self._own_resolver.close)
            last_first.push_async_callback(self.lines.close)
            last_first.push_async_callback(self._dispatcher.stop)
            if self.metrics is not None:
                last_first.push_async_callback(self.metrics.close)

    def _serve_metrics(self) -> None:
        if self._settings.metrics is not None:
            self.metrics = Metrics(self, self._recorder)
            self.metrics.serve(self._settings.metrics)

    def _add(self, configured: Iterable[LineSettings], snapshot: Snapshot | None) -> None:
        if snapshot is not None:
            self.lines.restore_tokens(snapshot.tokens)
        for settings in configured:
            self.lines.add(settings)
        if snapshot is not None and self.store is not None:
            peers = StoredPeers(self.users, self.lines, self._groups)
            peers.put(self.store)
            peers.restore(snapshot)

    def _check_emergency_line(self) -> None:
        line = self._settings.emergency_line
        if line is not None and line not in self.lines and line not in self._groups:
            # it may be added while the server runs; until then calls go through what the application says
            log.warning("emergency_line: there is no line or line group %s yet", line)

    # --- listeners ----------------------------------------------------------------------------------------------------

    def listen(self, url: str) -> Listener:
        """Open a listener. ListenError says why it cannot be opened and, if known, what holds the port."""
        transport, host, port = parse_listen(url)
        try:
            listener = self._driver.listen(transport, host, port)
        except OSError as error:
            raise listen_error(url, transport, port, error) from error
        shown = f"[{listener.host}]" if ":" in listener.host else listener.host
        self.listeners[f"{transport}://{shown}:{listener.port}"] = listener
        self.addresses.set_listeners(list(self.listeners.values()))
        return listener

    def close_listener(self, url: str) -> None:
        """Close a listener. ListenError where there is none of that address."""
        listener = self.listeners.pop(url, None)
        if listener is None:
            raise ListenError(url, f"nothing listens there; open are {', '.join(self.listeners) or 'none'}")
        self._driver.close_listener(listener)
        self.addresses.set_listeners(list(self.listeners.values()))

    # --- handlers -----------------------------------------------------------------------------------------------------

    def handlers_changed(self) -> None:
        """Whether an application decides about registrations changes whom Rust challenges."""
        asks = self._dispatcher.handles(RegisterUser)
        self.registrar.asks = self._policy.asks_for_registrations = asks
        self.messaging.messages.asks = self._dispatcher.handles(ChatMessageReceived)
        self._policy.push()

    def handler_failed(self, event: Event, error: Exception, handler: str) -> None:
        """From the dispatcher: a handler raised."""
        if isinstance(event, TransferRequested):
            log.error("call %d: handler %s failed", event.call.id, handler, exc_info=error)
            event.request.fail()
        elif isinstance(event, CallEvent):
            self.exchange.handler_failed(event.call, error, handler)
        if isinstance(event, CallEvent):
            return
        log.error("handler %s failed", handler, exc_info=error)
        if isinstance(event, RegisterUser) and not event.request.decided:
            event.request.reject(500)
        if isinstance(event, ChatMessageReceived) and not event.message.decided:
            event.message.reject(500)

    def handlers_done(self, event: Event) -> None:
        """From the dispatcher: nobody decides any more."""
        if isinstance(event, TransferRequested):
            event.request.settle()
        elif isinstance(event, CallEvent):
            self.exchange.handlers_done(event.call)
        elif isinstance(event, RegisterUser):
            event.request.settle()
        elif isinstance(event, ChatMessageReceived):
            event.message.settle()

    def overloaded(self, overloaded: bool) -> None:
        """From the dispatcher: handlers pile up, or no longer do."""
        log.warning("handlers pile up: new calls are shed" if overloaded else "handlers have caught up")
        self._driver.set_overloaded(overloaded)

    # --- from the endpoint --------------------------------------------------------------------------------------------

    def trace(self, enabled: bool) -> None:
        """Record messages from now on, or no longer."""
        self._driver.set_trace(enabled)

    def _request(self, request: RequestReceived) -> None:
        if self._is_too_much(request):
            # no words and no work: whoever floods learns and costs as little as possible
            self.endpoint.respond(request.tx, 503, None, [("Retry-After", str(RETRY_AFTER_S))])
        elif not refuse(self.endpoint, request):
            self._served[request.message.method](request)

    def _is_too_much(self, request: RequestReceived) -> bool:
        """Whether it is one that nobody is challenged for, and its source sends too many of those."""
        method = request.message.method
        if request.trusted or not (method == "OPTIONS" or (method == "REGISTER" and self.registrar.asks)):
            return False
        return not self._unchallenged[method].allows(request.flow.remote[0], self.endpoint.now_s)

    def _options(self, request: RequestReceived) -> None:
        answer_options(self.endpoint, request, [self.messaging.watching.allow_events])

    def _emit_registration(self, event: Event) -> None:
        self._dispatcher.emit(event)
        self.messaging.heard(event)

    def _drop_user(self, name: str) -> None:
        self.registrar.drop_user(name)
        self.messaging.drop_user(name)

    def _invite(self, request: RequestReceived) -> None:
        found = self._identifier.identify(request)
        if isinstance(found, Caller):
            self.exchange.incoming(
                request,
                found.party,
                caller_name=found.caller_name,
                caller_id=found.caller_id,
                dial_number=found.dial_number,
                anonymous=found.anonymous,
                asserted_identity=found.asserted_identity,
            )
        elif isinstance(found, Unproven):
            self._authenticator.challenge(request)
        else:
            self.endpoint.respond(request.tx, found.status, found.reason)
            self.refusals.unknown(request, found)

    def _flow(self, event: FlowOpened | FlowClosed) -> None:
        if isinstance(event, FlowClosed):
            self.registrar.flow_closed(event.flow)
            self.lines.flow_closed(event.flow)

    def _traced(self, event: Traced) -> None:
        self._recorder.add(traced_message(event))

    # --- asked by others ----------------------------------------------------------------------------------------------

    @property
    def sip_counters(self) -> dict[str, int]:
        """The endpoint's totals and live counts."""
        return self._driver.counters()

    @property
    def media_counters(self) -> dict[str, int]:
        """The media engine's."""
        return self.media.driver.counters()

    # --- looked up ----------------------------------------------------------------------------------------------------

    def _line_settings(self, name: str) -> LineSettings | None:
        return self.lines.settings(name)

    def _credentials_of_line(self, name: str) -> ClientCredentials | None:
        line = self.lines.find(name)
        return line.credentials if line is not None else None

    def _calls_of_line(self, name: str) -> list[object | None]:
        courses = [call.course for call in self.exchange.sessions]
        channels = [channel for course in courses for channel in (*course.channels, *course.transfers.newcomers)]
        return [hold for channel in channels for hold in channel.holds(name)]


def _shed(event: Shed) -> None:
    if event.overload:
        log.warning("%d requests were answered 503, for the application is behind", event.overload)
    if event.flood:
        log.warning("%d packets of sources that flood were dropped", event.flood)


def _sip_options(settings: ServerSettings) -> SipOptions:
    return SipOptions(
        user_agent=settings.user_agent or None,
        node=settings.node,
        flood_rate=settings.flood_rate,
        flood_burst=settings.flood_burst,
        advertise=settings.advertise,
    )
