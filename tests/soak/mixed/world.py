"""The server of the mixed soak, its application, and what is counted of it besides its parts: sessions, records, rows of its file."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.soak import counting
from tests.soak.counting import Counts, census
from tests.soak.crowd import Crowd
from tests.soak.mixed.mix import KINDS
from tests.soak.mixed.people import ACCOUNT, LINES, PASSING_ACCOUNT, PASSWORD, REALM, SECRET, USERS
from tests.soak.world import QuickMachine
from trunkline import CallSession, ChatMessage, SipServer, ToLine, ToUser, TransferRequest
from trunkline.constants import ClosedReason
from trunkline.errors import CallFailed
from trunkline.events import CallRecorded, CallSessionClosed, CallSessionConnected, CallSessionCreated
from trunkline.sip.resolver import CachingResolver, DnsLookup
from trunkline.sip.subscription import Expiry

__all__ = ["MixedWorld", "open_world"]

TIMEOUT_S = 60.0
UNANSWERED_S = 0.8
PING_S = 12.0
"""Not so often that there is never a moment without them, for counting."""
CHURN_S = 1.0
REST_S = 150.0
"""How long the slowest timer may take: the registration of a line that was refused for long, on a busy machine."""

REGISTERS_S = 60
"""What lines register for, so that they do so often."""

TABLES = ("dialogs", "messages", "bindings")


class DeliberateError(Exception):
    """What handlers raise."""


class MixedWorld:
    """The server, its application and the peers' process.

    Args:
        folder: For the server's file and the name server's address.
        t1_s: The server's T1.
    """

    def __init__(self, folder: Path, t1_s: float) -> None:
        self._folder = folder
        self._t1_s = t1_s
        self.crowd = Crowd("tests.soak.mixed")
        self.server: SipServer
        self.closed: Counter[tuple[str, ClosedReason]] = Counter()
        self.created = 0
        self.recorded = 0
        self.wrong: list[str] = []
        """What must not happen to sessions."""
        self._open: set[int] = set()
        self._census: Counter[str] = Counter()
        self._resolver: CachingResolver | None = None
        self._reader: sqlite3.Connection | None = None
        self._churning: asyncio.Task[None] | None = None
        self._start: Counts = {}
        self._churned = 0

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, seed: int, rate: float, fault_s: float) -> None:
        """Start the peers and the server, have all register, and count."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        await self.crowd.start()
        self.crowd.say({"seed": seed, "rate": rate, "fault_s": fault_s})
        where = await self.crowd.hear()
        (self._folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        lookup = DnsLookup(hosts=self._folder / "none", resolv_conf=self._folder / "resolv.conf", port=where["names"])
        self._resolver = CachingResolver(lookup, asyncio.get_running_loop().time, timeout_s=1.0)
        self.server = self._made(self._resolver)
        for name in LINES:
            self._add_line(name, where["lines"][name])
        self.server.add_line_group("trunk", lines=("shaky", "steady"))
        for name in USERS:
            self.server.add_user(name, password=PASSWORD)
        self._hear()
        await self.server.start()
        self._shorten_subscriptions()
        self.crowd.say(self.server.local_address())
        await self.crowd.hear()
        await self._collect_in_threads()
        self._reader = sqlite3.connect(self._folder / "soak.db")
        self._rows()
        await self._until_quiet()
        self._census = census()
        self._start = self.count()

    def _made(self, resolver: CachingResolver) -> SipServer:
        return SipServer(
            platform=QuickMachine(self._t1_s),
            resolver=resolver,
            realm=REALM,
            listen=["udp://127.0.0.1:0"],
            media_ports=(20_000, 29_999),
            media_workers=1,
            handler_threads=1,
            recorded_entries=100,
            registration_expiry_s=(1, 3_600, 7_200),
            storage=self._folder / "soak.db",
            stop_timeout_s=2.0,
        )

    def _add_line(self, name: str, server: str, *, username: str = ACCOUNT) -> None:
        self.server.add_line(
            name,
            username=username,
            password=SECRET,
            server=server,
            domain=f"{name}.example",
            expires_s=REGISTERS_S,
            ping_interval_s=PING_S,
            ping_down_after=1,
            ping_up_after=1,
            dialled_from="to",
        )

    def _shorten_subscriptions(self) -> None:
        """A minute is the least in the field, and longer than a short soak."""
        running: Any = self.server._running
        for package in (running.messaging.lamps, running.messaging.presence):
            package.expiry = Expiry(2, 3_600, 7_200)

    async def _collect_in_threads(self) -> None:
        """Start the one thread of each pool."""
        dispatcher: Any = self.server._dispatcher
        for pool in (dispatcher._decide, dispatcher._notify, None):
            await asyncio.get_running_loop().run_in_executor(pool, gc.collect)

    async def _until_quiet(self) -> None:
        """Until the lines are registered and nobody asks anything."""
        async with asyncio.timeout(REST_S):
            while not all(line.registered for line in self.server.lines) or any(self._asking().values()):
                await asyncio.sleep(0.1)

    def _asking(self) -> Counts:
        running: Any = self.server._running
        counters = running.endpoint.driver.counters()
        return {
            "storing": running.store.pending,
            **{name: counters[name] for name in ("client_transactions", "server_transactions")},
        }

    async def stop(self) -> None:
        """Close everything."""
        await self.crowd.stop()
        await self.server.stop()
        if self._resolver is not None:
            await self._resolver.close()
        if self._reader is not None:
            self._reader.close()

    # --- stages -------------------------------------------------------------------------------------------------------

    async def stage(self, seconds: float) -> dict[str, Any]:
        """Have the peers do things for so long, and wait until all of them are over. Their figures."""
        churning = asyncio.create_task(self._churn())
        self.crowd.say(seconds)
        try:
            figures: dict[str, Any] = await self.crowd.hear()
        finally:
            churning.cancel()
            await asyncio.gather(churning, return_exceptions=True)
        await self._put_back()
        return figures

    async def rest(self) -> None:
        """Wait until everything is as at the start; AssertionError says what is left."""
        try:
            await counting.rest(self.count, self._start, self._census, within_s=REST_S)
        except AssertionError as error:
            lines = {
                line.name: f"{line.unusable_reason}, next attempt in {line.next_attempt_in_s} s"
                for line in self.server.lines
                if not line.usable
            }
            raise AssertionError(f"{error}; lines: {lines}") from None
        record: Any = self.server.recorder
        record._entries.clear()

    async def _churn(self) -> None:
        """Users and lines come and go while the server runs."""
        steady = self.server.line("steady").settings.server
        while True:
            self._churned += 1
            name = f"passing{self._churned}"
            self.server.add_user(name, password=PASSWORD, stored=True)
            self._add_line(name, steady, username=PASSING_ACCOUNT)
            await asyncio.sleep(CHURN_S)
            await self._put_back()

    async def _put_back(self) -> None:
        name = f"passing{self._churned}"
        if self.server.has_user(name):
            self.server.remove_user(name)
        # the churning may have been cancelled between the two, or while the line said farewell
        if any(line.name == name for line in self.server.lines):
            await self.server.remove_line(name)

    # --- the application ----------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        self.server.on_incoming_call(self._route)
        self.server.on_call_session_created(self._note_created)
        self.server.on_call_session_connected(self._note_connected)
        self.server.on_call_session_closed(self._note_closed)
        self.server.on_call_recorded(self._note_recorded)
        self.server.on_transfer_requested(self._transfer)
        self.server.on_chat_message(self._chat)

    async def _route(self, call: CallSession) -> None:
        kind, _, rest = call.dial_number.partition("-")
        if kind == "raises":
            raise DeliberateError
        with contextlib.suppress(CallFailed):
            await call.accept(
                to=_target(rest.partition("-")[0]), timeout_s=UNANSWERED_S if kind == "unanswered" else TIMEOUT_S
            )

    def _transfer(self, request: TransferRequest) -> None:
        kind, _, rest = request.to.partition("-")
        if kind == "raises":
            raise DeliberateError
        request.accept(_target(rest.partition("-")[0]))

    async def _chat(self, message: ChatMessage) -> None:
        words = message.text.split()
        if words[0] == "waiting":
            self.server.set_message_waiting(words[1], new=int(words[2]))
            message.accept()
        elif words[0] == "replace":
            self.server.remove_user(words[1])
            self.server.add_user(words[1], password=PASSWORD)
            message.accept()
        elif message.to.isdigit():
            message.relay(to_line="steady")

    def _note_created(self, event: CallSessionCreated) -> None:
        self.created += 1
        self._open.add(event.call.id)

    def _note_connected(self, event: CallSessionConnected) -> None:
        if event.call.dial_number.startswith("raiseslater-"):
            raise DeliberateError

    def _note_closed(self, event: CallSessionClosed) -> None:
        call = event.call
        kind = call.dial_number.partition("-")[0]
        self.closed[kind, event.reason] += 1
        if call.id not in self._open:
            self.wrong.append(f"{call.dial_number} was closed twice, or never begun")
        self._open.discard(call.id)
        if kind not in KINDS or event.reason not in KINDS[kind].closes:
            self.wrong.append(f"{call.dial_number} was closed as {event.reason.name}")

    def _note_recorded(self, event: CallRecorded) -> None:
        self.recorded += 1

    # --- counting -----------------------------------------------------------------------------------------------------

    def count(self) -> Counts:
        """What is open now, in the server and in its file."""
        running: Any = self.server._running
        messaging = running.messaging
        published = messaging.presence._published.values()
        usable = sum(line.usable for line in self.server.lines)
        return {
            **counting.count(self.server),
            "lines": len(self.server.lines),
            "usable lines": usable,
            "users": len(running.users),
            "bindings": len(running.registrar),
            "subscriptions": len(messaging.watching),
            "publications": sum(len(each) for each in published),
            "waiting messages": len(messaging._mailbox),
            "lamps": len(messaging.lamps._by_call) + len(messaging.lamps._by_user),
            "changes to be stored": running.store.pending,
            **{f"rows: {table}": number for table, number in self._rows().items()},
        }

    def _rows(self) -> Counts:
        assert self._reader is not None
        # one connection for all of it: SQLite keeps the files of those that are closed beside others
        return {table: int(self._reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in TABLES}

    @property
    def left_open(self) -> int:
        """Sessions that were begun and not closed."""
        return len(self._open)


def _target(name: str) -> ToUser | ToLine:
    return ToLine(name) if name in (*LINES, "trunk") else ToUser(name)


@contextlib.asynccontextmanager
async def open_world(folder: Path, *, seed: int, rate: float, t1_s: float, fault_s: float) -> AsyncIterator[MixedWorld]:
    """A world that is closed in the end."""
    world = MixedWorld(folder, t1_s)
    try:
        await world.start(seed, rate, fault_s)
        yield world
    finally:
        await world.stop()
