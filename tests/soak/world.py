"""A real server, its scripted parties in a process of their own, and what the system, the loop and the server count of it.

Timers run on a short T1, so that what RFC 3261 lets linger for 64*T1 is gone in seconds; timer D is 32 s all the same (§17.1.1.2).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.soak.crowd import Crowd
from tests.soak.scripts import KINDS, PHONE_PASSWORD
from trunkline import CallSession, SipServer
from trunkline.errors import CallFailed
from trunkline.events import CallSessionClosed
from trunkline.server.platform import Machine, SipDriver, SipOptions

__all__ = ["World", "open_world"]

T1_S = 0.05
REST_S = 60.0
"""How long the slowest timer may take, on a busy machine."""
MOST_GROWN = 25


class QuickMachine(Machine):
    """The real machine with a short T1."""

    def sip_driver(self, options: SipOptions) -> SipDriver:
        return super().sip_driver(replace(options, t1_s=T1_S))


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

    def count(self) -> dict[str, int]:
        """What is open now, as the system, the loop and the parts of the server count it."""
        running: Any = self.server._running
        dispatcher: Any = self.server._dispatcher
        loop: Any = asyncio.get_running_loop()
        sip, media = running.endpoint.driver.counters(), running.media.driver.counters()
        return {
            "file descriptors": len(os.listdir("/proc/self/fd")),
            "UDP sockets": _udp_sockets(),
            "threads": len(os.listdir("/proc/self/task")),
            "tasks": len(asyncio.all_tasks()),
            "timers": sum(not timer.cancelled() for timer in loop._scheduled),
            "sessions": len(self.server.calls),
            "handlers": dispatcher.running + len(dispatcher._queues) + len(dispatcher._deciding),
            "legs": running.media.open_legs,
            **{f"waited for: {name}": value for name, value in running.endpoint.live.items()},
            **{f"SIP thread: {name}": sip[name] for name in ("client_transactions", "server_transactions")},
            **{f"SIP thread: {name}": sip[name] for name in ("dialogs", "connections", "timers")},
            **{f"media workers: {name}": media[name] for name in ("legs", "ports_used")},
        }

    async def rest(self, start: dict[str, int]) -> None:
        """Wait until everything is as at the start.

        Raises:
            AssertionError: It is not, when the slowest timer has run out; says what is left.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REST_S
        while (now := self.count()) != start:
            if loop.time() > deadline:
                left = {
                    name: f"{now[name]}, {value} at the start" for name, value in start.items() if now[name] != value
                }
                raise AssertionError(f"left: {left}; grown: {(census() - self._census).most_common(MOST_GROWN)}")
            await asyncio.sleep(0.1)
        record: Any = self.server.recorder
        record._entries.clear()  # it keeps calls that are over, as many as it is told to


def census() -> Counter[str]:
    """How many objects of each class there are."""
    gc.collect()
    return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())


def resident_bytes() -> int:
    """Memory of the process, with what the allocator keeps for later given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _udp_sockets() -> int:
    """The process's UDP sockets, by the system's table of them."""
    own = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            own.add(os.readlink(link))
    tables = Path("/proc/net/udp").read_text() + Path("/proc/net/udp6").read_text()
    inodes = re.findall(r"^ *\d+: (?:\S+ +){8}(\d+)", tables, re.MULTILINE)
    return sum(f"socket:[{inode}]" in own for inode in inodes)


@contextlib.asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """A world that is closed in the end."""
    world = World()
    try:
        await world.start()
        yield world
    finally:
        await world.stop()
