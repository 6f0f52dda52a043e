"""A real server, and its scripted parties in a process of their own.

Timers run on a short T1, so that what RFC 3261 lets linger for 64*T1 is gone in seconds; timer D is 32 s all the same (§17.1.1.2).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from tests.soak.counting import Counts, census, count, rest
from tests.soak.crowd import Crowd
from tests.soak.scripts import KINDS, PHONE_PASSWORD
from trunkline import CallSession, SipServer
from trunkline.errors import CallFailed
from trunkline.events import CallSessionClosed
from trunkline.server.platform import Machine, SipDriver, SipOptions

__all__ = ["QuickMachine", "World", "open_world"]

T1_S = 0.05


class QuickMachine(Machine):
    """The real machine with a T1 of its own."""

    def __init__(self, t1_s: float = T1_S) -> None:
        self._t1_s = t1_s

    def sip_driver(self, options: SipOptions) -> SipDriver:
        return super().sip_driver(replace(options, t1_s=self._t1_s))


class World:
    """The server and its parties."""

    def __init__(self) -> None:
        self.server = SipServer(
            platform=QuickMachine(),
            realm="soak.example",
            listen=["udp://127.0.0.1:0"],
            media_ports=(20_000, 29_999),
            media_workers=1,
            handler_threads=1,
            recorded_entries=100,
            flood_rate=1e6,
            flood_burst=1e6,
        )
        self.crowd = Crowd()
        self.closed: Counter[tuple[str, str]] = Counter()
        self._census: Counter[str] = Counter()
        self.server.on_incoming_call(self._route)
        self.server.on_call_session_closed(self._note_closed)

    async def start(self) -> None:
        """Start the parties, the server, and the one thread of its handlers."""
        caller, callee, _ = await self.crowd.start()
        for name, (host, port) in (("callers", caller), ("callees", callee)):
            self.server.add_line(name, username=name, password="line secret", server=f"{host}:{port}", register=False)
        self.server.add_user("alice", password=PHONE_PASSWORD)
        await self.server.start()
        self.crowd.meet(self.server.local_address())
        dispatcher: Any = self.server._dispatcher
        for pool in (dispatcher._decide, dispatcher._notify):
            await asyncio.get_running_loop().run_in_executor(pool, gc.collect)
        self._census = census()

    async def stop(self) -> None:
        """Close everything."""
        await self.crowd.stop()
        await self.server.stop()

    # --- the application ----------------------------------------------------------------------------------------------

    async def _route(self, call: CallSession) -> None:
        kind = KINDS[call.dial_number.partition("-")[0]]
        with contextlib.suppress(CallFailed):
            await call.accept(to_line="callees", timeout_s=kind.timeout_s)

    def _note_closed(self, event: CallSessionClosed) -> None:
        self.closed[event.call.dial_number.partition("-")[0], event.reason.name] += 1

    # --- counting -----------------------------------------------------------------------------------------------------

    def count(self) -> Counts:
        """What is open now."""
        return count(self.server)

    async def rest(self, start: Counts) -> None:
        """Wait until everything is as at the start; AssertionError says what is left."""
        await rest(self.count, start, self._census)
        record: Any = self.server.recorder
        record._entries.clear()  # it keeps calls that are over, as many as it is told to


@contextlib.asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """A world that is closed in the end."""
    world = World()
    try:
        await world.start()
        yield world
    finally:
        await world.stop()
