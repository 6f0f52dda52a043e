"""The facade: what an application makes, configures and runs.

`SipServer` holds the configuration and the handlers; `running.Running` is what exists while it runs. Users and lines may be added before
the start and while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trunkline.calls.peers import Placing
from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.errors import ConfigurationError, TrunklineError
from trunkline.events import Event
from trunkline.messaging.courier import Letter, MessageResult
from trunkline.messaging.message import TEXT, body_headers, destination
from trunkline.messaging.message_summary import Waiting
from trunkline.server.bindings import Binding
from trunkline.server.config import LineOptions, ServerSettings, UserOptions, validated
from trunkline.server.dispatch import Dispatcher
from trunkline.server.handlers import Handlers
from trunkline.server.line import Line
from trunkline.server.line_settings import LineSettings
from trunkline.server.platform import Machine, Platform
from trunkline.server.running import Running
from trunkline.server.users import Users
from trunkline.sip.resolver import Resolver
from trunkline.storage.store import Store
from trunkline.trace.log import log_to
from trunkline.trace.pcap import PcapWriter
from trunkline.trace.recorder import Recorder

__all__ = ["SipServer"]

DIAL_TIMEOUT_S = 60.0


class SipServer(Handlers):
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
        self._configured_lines: dict[str, LineSettings] = {}
        self._running: Running | None = None
        self._traced = False
        self._pcap: Path | None = None
        self._open_files = contextlib.ExitStack()
        self._wall_clock: Callable[[], float] = time.time

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
        loop = asyncio.get_running_loop()
        if self._pcap is not None:
            self._write_pcap(self._pcap, loop.time())
        try:
            store = await Store.open(self.settings.storage) if self.settings.storage is not None else None
            self._running = running = self._made(store)
            try:
                await running.start(self._configured_lines.values(), traced=self._traced)
            except BaseException:
                self._running = None
                await running.abandon()
                raise
        except BaseException:
            self._open_files.close()
            raise

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
                self._open_files.close()

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

    # --- users --------------------------------------------------------------------------------------------------------

    def add_user(self, name: str, *, stored: bool = False, **options: Any) -> None:
        """Add a user: a name and password with which phones register.

        Args:
            name: The user part of its address and its digest login.
            stored: Keep it in the store, so that it is there after a restart without being added again.
            options: Those of `UserOptions`: `password`, `display_name`, `codecs`, `max_contacts`, `media_timeout_s`,
            and `numbers`, the caller ids that its phones may show besides its name.

        Raises:
            ConfigurationError: An option is wrong, the name is taken, or it is to be stored and there is no store.
        """
        user = validated(UserOptions, options, key=f"users.{name}").user(name, self.settings, stored=stored)
        self._check_store(f"users.{name}", stored)
        self._users.add(user)
        if stored and self._running is not None and self._running.store is not None:
            self._running.store.put(user.record())

    def remove_user(self, name: str) -> None:
        """Remove a user; its phones are unregistered, its calls go on. UnknownPeer where there is none."""
        user = self._users.remove(name)
        if user.stored and self._running is not None and self._running.store is not None:
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

    def _line_settings(self, name: str, options: dict[str, Any], *, stored: bool) -> LineSettings:
        values = validated(LineOptions, options, key=f"lines.{name}").values(name, self.settings)
        return LineSettings(name=name, stored=stored, **values)

    # --- calls --------------------------------------------------------------------------------------------------------

    @property
    def calls(self) -> tuple[CallSession, ...]:
        """The sessions that are not closed, oldest first."""
        return self._now.exchange.sessions

    async def dial(
        self,
        number: str,
        *,
        line: str,
        caller_name: str = "",
        caller_id: str = "",
        timeout_s: float = DIAL_TIMEOUT_S,
    ) -> CallSession:
        """Call a number through a line, as a session of its own.

        Args:
            number: What is dialled.
            line: The line's name.
            caller_name: The display name that the callee is shown, where the line's settings let it.
            caller_id: The number that the callee is shown, where the line's settings let it.
            timeout_s: Seconds until it is given up.

        Returns:
            The answered session; its channel ZERO is the callee.

        Raises:
            CallFailed: `Busy`, `Declined`, `NoAnswer`, or another failure with its status.
            CallEnded: The session was closed before the answer.
        """
        placing = Placing(PeerType.LINE, line, number, caller_name, caller_id)
        return await self._now.exchange.dial(placing, timeout_s=timeout_s)

    async def dial_user(
        self, name: str, *, caller_name: str = "", caller_id: str = "", timeout_s: float = DIAL_TIMEOUT_S
    ) -> CallSession:
        """Call a user, all of whose phones ring, as a session of its own.

        Args:
            name: The user.
            caller_name: The display name that the phone shows.
            caller_id: The number that the phone shows.
            timeout_s: Seconds until it is given up.

        Returns:
            The answered session; its channel ZERO is the user's phone.

        Raises:
            CallFailed: `Busy`, `Declined`, `NoAnswer`, `NotRegistered`, or another failure with its status.
            CallEnded: The session was closed before the answer.
        """
        placing = Placing(PeerType.USER, name, name, caller_name, caller_id)
        return await self._now.exchange.dial(placing, timeout_s=timeout_s)

    # --- messages and lamps -------------------------------------------------------------------------------------------

    async def send_message(
        self,
        text: str | bytes,
        *,
        to_user: str | None = None,
        to_line: str | None = None,
        number: str = "",
        from_name: str = "",
        from_id: str = "",
        content_type: str = TEXT,
    ) -> MessageResult:
        """Send a message to all phones of a user, or to a number through a line, and wait for what becomes of it.

        For a user who is away it waits in the store. The events of messages are told too.

        Args:
            text: What it says; text goes as UTF-8, bytes as they are.
            to_user: The user. Exactly one of this and `to_line` is given.
            to_line: The line.
            number: To whom, over the line.
            from_name: The sender's display name.
            from_id: What the sender is known by; anonymous to a user, the line's account to a line unless given.
            content_type: What it is.

        Returns:
            Its status: `delivered`, `stored`, or the failure in words.

        Raises:
            ValueError: Not exactly one of `to_user` and `to_line` is given, or the type cannot be sent.
        """
        body = text.encode() if isinstance(text, str) else text
        letter = Letter(from_name, from_id, tuple(body_headers(content_type)), body)
        return await self._now.messaging.messages.send(letter, destination(to_user, to_line, number))

    def set_message_waiting(
        self, user: str, *, new: int, old: int = 0, urgent_new: int = 0, urgent_old: int = 0
    ) -> None:
        """Say how many voice messages wait for a user; its phones show it (RFC 3842). Kept while the server runs.

        Args:
            user: Whose.
            new: Messages not heard yet.
            old: Messages heard.
            urgent_new: How many of the new ones are urgent.
            urgent_old: How many of the old ones are.

        Raises:
            UnknownPeer: There is no such user.
            ValueError: A count is negative, or more are urgent than there are.
        """
        waiting = Waiting(new, old, urgent_new, urgent_old)
        self._now.messaging.summary.set(self._users[user].name, waiting)

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
                self._write_pcap(pcap, self._running.endpoint.now_s)
            self._running.trace(True)
        self._traced = True
        self._pcap = pcap or self._pcap

    def _write_pcap(self, path: Path, now_s: float) -> None:
        try:
            file = self._open_files.enter_context(path.open("wb", buffering=0))
        except OSError as error:
            raise ConfigurationError("pcap", f"{path} cannot be written: {error.strerror}") from error
        stop = self.recorder.listen(PcapWriter(file, wall_offset_s=self._wall_clock() - now_s).add)
        self._open_files.callback(stop)

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
