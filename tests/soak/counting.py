"""What is open in a server's process, as the system, the loop and the parts of the server count it, and how much memory it has.

Both soaks count before they begin, and when everything should be over: the same numbers, or the names of what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trunkline import SipServer

__all__ = ["Counts", "census", "count", "resident_bytes", "rest"]

Counts = dict[str, int]

REST_S = 60.0
"""How long the slowest timer may take, on a busy machine."""
MOST_GROWN = 25


def count(server: SipServer) -> Counts:
    """What is open now."""
    running: Any = server._running
    dispatcher: Any = server._dispatcher
    loop: Any = asyncio.get_running_loop()
    sip, media = running.endpoint.driver.counters(), running.media.driver.counters()
    return {
        "file descriptors": len(os.listdir("/proc/self/fd")),
        "UDP sockets": _udp_sockets(),
        "threads": len(os.listdir("/proc/self/task")),
        "tasks": len(asyncio.all_tasks()),
        "timers": sum(not timer.cancelled() for timer in loop._scheduled),
        "sessions": len(server.calls),
        "handlers": dispatcher.running + len(dispatcher._queues) + len(dispatcher._deciding),
        "legs": running.media.open_legs,
        **{f"waited for: {name}": value for name, value in running.endpoint.live.items()},
        **{f"SIP thread: {name}": sip[name] for name in ("client_transactions", "server_transactions")},
        **{f"SIP thread: {name}": sip[name] for name in ("dialogs", "connections", "timers")},
        **{f"media workers: {name}": media[name] for name in ("legs", "ports_used")},
    }


async def rest(counted: Callable[[], Counts], start: Counts, before: Counter[str], *, within_s: float = REST_S) -> None:
    """Wait until everything is as at the start.

    Args:
        counted: What is open now.
        start: What was.
        before: The `census` of then.
        within_s: How long to wait.

    Raises:
        AssertionError: It is not, when the slowest timer has run out; says what is left.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while (now := counted()) != start:
        if loop.time() > deadline:
            left = {name: f"{now[name]}, {value} at the start" for name, value in start.items() if now[name] != value}
            grown = (census() - before).most_common(MOST_GROWN)
            raise AssertionError(f"left: {left}; open: {sorted(_open_files())}; grown: {grown}")
        await asyncio.sleep(0.1)


def census() -> Counter[str]:
    """How many objects of each class there are."""
    gc.collect()
    return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())


def resident_bytes() -> int:
    """Memory of the process, with what the allocator keeps for later given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> Iterator[str]:
    """What each file descriptor of the process is."""
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            yield os.readlink(link)


def _udp_sockets() -> int:
    """The process's UDP sockets, by the system's table of them."""
    own = set(_open_files())
    tables = Path("/proc/net/udp").read_text() + Path("/proc/net/udp6").read_text()
    inodes = re.findall(r"^ *\d+: (?:\S+ +){8}(\d+)", tables, re.MULTILINE)
    return sum(f"socket:[{inode}]" in own for inode in inodes)
