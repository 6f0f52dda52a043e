"""The facade: what an application makes, configures and runs.

`SipServer` holds the configuration and the handlers; `running.Running` is what exists while it runs. Users and lines may be added before
the start and while it runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trunkline.errors import ConfigurationError, TrunklineError
from trunkline.events import Event
from trunkline.server.bindings import Binding
from trunkline.server.config import GroupOptions, LineOptions, ServerSettings, UserOptions, validated
from trunkline.server.dispatch import Dispatcher
from trunkline.server.groups import LineGroup, LineGroups
from trunkline.server.line import Line
from trunkline.server.line_settings import LineSettings
from trunkline.server.originating import Originating
from trunkline.server.platform import Machine, Platform
from trunkline.server.running import Running
from trunkline.server.trace_outputs import TraceOutputs
from trunkline.server.users import User, Users
from trunkline.sip.resolver import Resolver
from trunkline.storage.store import Store
from trunkline.trace.log import log_to
from trunkline.trace.recorder import Recorder

__all__ = ["SipServer"]

DIAL_TIMEOUT_S = 60.0


class SipServer(Originating):
    """A SIP server: users, lines, and the handlers that decide about their calls.

    Args:
        settings: The options as one object, as a configuration file gives them; or
        platform: where the drivers come from; the real machine unless given.
        resolver: Finds the addresses of lines' servers; the system's DNS unless given.
        options: The options of `ServerSettings` by name, at least `realm`.

    Raises:
        ConfigurationError: An option is unknown or out of range.

    Example:
        server = SipServer(realm="pbx.example")
        server.add_user("alice", password="…")
        server.add_line("itsp", username="15551234", password="…", server="sip.itsp.example")

        @server.on_incoming_call
        async def route(call):
            if call.from_peer_type is PeerType.USER:
                await call.accept(to_line="itsp")
            else:
                await call.accept(to_user="alice")

        async with server:
            await server.serve_forever()
    """

    def __init__(
        self,
        settings: ServerSettings | None = None,
        *,
        platform: Platform | None = None,
        resolver: Resolver | None = None,
        **options: Any,
    ) -> None:
        if settings is not None and options:
            raise ConfigurationError(next(iter(options)), "give either settings or single options")
        self.settings = settings or validated(ServerSettings, options)
        self._platform = platform or Machine()
        self._resolver = resolver
        self.recorder = Recorder(self.settings.recorded_entries)
        """Every event, and while `trace` is on every message."""
        log_to(self.recorder)
        self._dispatcher: Dispatcher | None = None
        self._handlers: list[tuple[type[Event], Callable[[Any], Any]]] = []
        self._users = Users()
        self._removed: dict[str, User] = {}
        """Stored users that were removed while the server did not run: the store does not know yet."""
        self._groups = LineGroups()
        self._configured_lines: dict[str, LineSettings] = {}
        self._running: Running | None = None
        self._traced = False
        self._pcap: Path | None = None
        self._wall_clock: Callable[[], float] = time.time
        self._outputs = TraceOutputs(self.recorder, lambda: self._wall_clock())

    def __repr__(self) -> str:
        return f"<SipServer {self.settings.realm} {'running' if self._running else 'stopped'}>"

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the listeners, take back what was stored, and register the lines.

        Raises:
            ListenError: An address cannot be listened on: taken (by whom, if known), not ours, or not allowed.
            ConfigurationError: The file of `trace` cannot be written.
            StorageError: The database cannot be used.
            TrunklineError: It runs already.
        """
        if self._running is not None:
            raise TrunklineError("the server runs already")
        now_s = asyncio.get_running_loop().time()
        try:
            if self._pcap is not None:
                self._outputs.open_pcap(self._pcap, now_s)
            self._outputs.open_hep(self.settings, now_s)
            store = await Store.open(self.settings.storage) if self.settings.storage is not None else None
            self._running = running = self._made(store)
            try:
                await self._forget_removed(store)
                await running.start(self._configured_lines.values(), traced=self._is_traced)
            except BaseException:
                self._running = None
                await running.abandon()
                raise
        except BaseException:
            self._outputs.close()
            raise

    async def _forget_removed(self, store: Store | None) -> None:
        if store is not None and self._removed:
            for user in self._removed.values():
                store.delete(user.record())
            await store.flush()
            self._removed.clear()

    def _made(self, store: Store | None) -> Running:
        self._dispatcher = Dispatcher(self.recorder, threads=self.settings.handler_threads)
        for kind, handler in self._handlers:
            self._dispatcher.add(kind, handler)
        return Running(
            self.settings,
            platform=self._platform,
            dispatcher=self._dispatcher,
            recorder=self.recorder,
            users=self._users,
            groups=self._groups,
            resolver=self._resolver,
            store=store,
            wall_clock=self._wall_clock,
        )

    async def stop(self) -> None:
        """End the calls, unregister the lines, and close everything. Idempotent.

        Waiting for peers that do not answer is bounded by `stop_timeout_s`.
        """
        running, self._running = self._running, None
        if running is not None:
            try:
                await running.stop()
            finally:
                self._outputs.close()

    async def __aenter__(self) -> SipServer:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def serve_forever(self) -> None:
        """Wait until the task is cancelled; for programs that do nothing else."""
        await asyncio.get_running_loop().create_future()

    # --- listeners ----------------------------------------------------------------------------------------------------

    @property
    def listening(self) -> tuple[str, ...]:
        """The URLs of the open listeners, with the ports that the system chose."""
        return tuple(self._now.listeners)

    def listen(self, url: str) -> str:
        """Open a further listener while the server runs.

        Args:
            url: As in the option `listen`.

        Returns:
            Its URL, with the port that the system chose where 0 was asked for; `close_listener` takes it.

        Raises:
            ListenError: It cannot be opened.
        """
        self._now.listen(url)
        return self.listening[-1]

    def close_listener(self, url: str) -> None:
        """Close one listener; the others go on. ListenError where there is none."""
        self._now.close_listener(url)

    def local_address(self, transport: str = "udp") -> tuple[str, int]:
        """Address and port of the first listener of a transport, for tests and for who wants to print it."""
        for listener in self._now.listeners.values():
            if listener.transport == transport:
                return listener.host, listener.port
        raise ConfigurationError("listen", f"there is no {transport} listener")

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Address and port where Prometheus reads `/metrics`; None where the option `metrics` names none."""
        metrics = self._now.metrics
        return metrics.address if metrics is not None else None

    # --- users --------------------------------------------------------------------------------------------------------

    def add_user(self, name: str, *, stored: bool = False, **options: Any) -> None:
        """Add a user: a name and password with which phones register.

        Args:
            name: The user part of its address and its digest login.
            stored: Keep it in the store, so that it is there after a restart without being added again.
            options: Those of `UserOptions`: `password`, `display_name`, `codecs`, `max_contacts`, `media_timeout_s`,
                `quality_alarm_mos`, `reliable`, `srtp`, `srtp_in_clear`, `session_expires_s`, `min_se_s`,
                `follow_redirects`, `rtcp_mux`, `large_over_tcp`, and `numbers`, the caller ids that its phones may show
                besides its name.

        Raises:
            ConfigurationError: An option is wrong, the name is taken, or it is to be stored and there is no store.
        """
        user = validated(UserOptions, options, key=f"users.{name}").user(name, self.settings, stored=stored)
        self._check_store(f"users.{name}", stored)
        self._users.add(user)
        self._removed.pop(name, None)
        if stored and self._running is not None and self._running.store is not None:
            self._running.store.put(user.record())

    def remove_user(self, name: str) -> None:
        """Remove a user; its phones are unregistered, its calls go on. UnknownPeer where there is none."""
        user = self._users.remove(name)
        if user.stored and self._running is None:
            self._removed[name] = user
        elif user.stored and self._running is not None and self._running.store is not None:
            self._running.store.delete(user.record())

    def has_user(self, name: str) -> bool:
        """Whether there is a user of that name."""
        return name in self._users

    def registrations(self, user: str) -> tuple[Binding, ...]:
        """Where a user's phones are now, the most preferred first. UnknownPeer where there is no such user."""
        return tuple(self._now.registrar.bindings(self._users[user].name))

    # --- lines --------------------------------------------------------------------------------------------------------

    def add_line(self, name: str, *, stored: bool = False, **options: Any) -> None:
        """Add a line: an account at a provider. It registers at once if the server runs, else at the start.

        Args:
            name: What routes call it.
            stored: Keep it in the store, so that it is there after a restart without being added again.
            options: Those of `LineSettings`: `username`, `server`, `password` and the rest.

        Raises:
            ConfigurationError: An option is wrong, the name is taken, or it is to be stored and there is no store.
        """
        settings = self._line_settings(name, options, stored=stored)
        if name in self._groups:
            raise ConfigurationError(f"lines.{name}", "there is a line group of that name")
        self._check_store(f"lines.{name}", stored)
        if self._running is not None:
            self._running.lines.add(settings)
            if stored:
                return
        elif name in self._configured_lines:
            raise ConfigurationError(f"lines.{name}", "there is a line of that name already")
        self._configured_lines[name] = settings

    async def remove_line(self, name: str) -> None:
        """Remove a line, after it has unregistered; its calls go on. UnknownPeer where there is none."""
        await self._now.lines.remove(name)
        self._configured_lines.pop(name, None)

    def register_line(self, name: str, expires_s: int | None = None) -> None:
        """Register a line now, and keep it registered. UnknownPeer where there is none.

        Args:
            name: Which.
            expires_s: The time to ask for, in seconds; the line's `expires_s` unless given.
        """
        self._now.lines.register(name, expires_s)

    async def unregister_line(self, name: str) -> bool:
        """Have a line's provider forget us, and register no more.

        Returns:
            Whether the provider confirmed, or had nothing to forget.
        """
        return await self._now.lines.unregister(name)

    def line(self, name: str) -> Line:
        """A line as it lives: state, last failure in words, next attempt, statistics. UnknownPeer where there is none."""
        return self._now.lines[name]

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines."""
        return tuple(self._now.lines)

    def add_line_group(self, name: str, *, stored: bool = False, **options: Any) -> None:
        """Put lines together under one name, which stands wherever a line's does: in `accept`, `dial` and routes.

        Args:
            name: The group's name; lines and groups share one name space.
            stored: Keep it in the store, so that it is there after a restart without being added again.
            options: Those of `GroupOptions`: `lines`, `strategy`, `weights`, `rates`, `rates_file`, `max_calls`,
            `calls_per_second` and `silence_s`.

        Raises:
            ConfigurationError: An option is wrong, the name is taken, there is no such line, or it is to be stored and
            there is no store. Lines that come from the store are there once the server runs; before, they are taken on
            trust.
        """
        group = validated(GroupOptions, options, key=f"line_groups.{name}").group(name, stored=stored)
        self._check_store(f"line_groups.{name}", stored)
        known = self._running.lines if self._running is not None else self._configured_lines
        if name in known:
            raise ConfigurationError(f"line_groups.{name}", "there is a line of that name")
        unknown = [line for line in group.lines if line not in known]
        if unknown and (self._running is not None or self.settings.storage is None):
            raise ConfigurationError(f"line_groups.{name}.lines", f"there is no line {unknown[0]}; add it first")
        self._groups.add(group)
        if stored and self._running is not None and self._running.store is not None:
            self._running.store.put(group.record())

    def remove_line_group(self, name: str) -> None:
        """Remove a group; its lines stay, and its calls go on. UnknownPeer where there is none."""
        group = self._groups.remove(name)
        if group.stored and self._running is not None and self._running.store is not None:
            self._running.store.delete(group.record())

    @property
    def line_groups(self) -> tuple[LineGroup, ...]:
        """All line groups."""
        return tuple(self._groups)

    def _line_settings(self, name: str, options: dict[str, Any], *, stored: bool) -> LineSettings:
        values = validated(LineOptions, options, key=f"lines.{name}").values(name, self.settings)
        return LineSettings(name=name, stored=stored, **values)

    # --- trace --------------------------------------------------------------------------------------------------------

    def trace(self, pcap: Path | None = None) -> None:
        """Record every SIP message from now on; for debugging, since it costs.

        Args:
            pcap: Also write them to this file: from now on, or from the start of the server on.

        Raises:
            ConfigurationError: The file cannot be written; told by `start` where the server does not run yet.
        """
        if self._running is not None:
            if pcap is not None and pcap != self._pcap:
                self._outputs.open_pcap(pcap, self._running.endpoint.now_s)
            self._running.trace(True)
        self._traced = True
        self._pcap = pcap or self._pcap

    @property
    def _is_traced(self) -> bool:
        return self._traced or self.settings.hep is not None

    # --- inside -------------------------------------------------------------------------------------------------------

    def add_handler(self, kind: type[Event], handler: Callable[[Any], Any]) -> None:
        """Call `handler` with each event of a kind; what the `on_…` decorators do."""
        self._handlers.append((kind, handler))
        if self._dispatcher is not None:
            self._dispatcher.add(kind, handler)
        if self._running is not None:
            self._running.handlers_changed()

    def _check_store(self, key: str, stored: bool) -> None:
        if stored and self.settings.storage is None:
            raise ConfigurationError(f"{key}.stored", "nothing is stored without a file; set the option storage")

    @property
    def _now(self) -> Running:
        if self._running is None:
            raise TrunklineError("the server does not run")
        return self._running
