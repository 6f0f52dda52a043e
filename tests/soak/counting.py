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
from typing import Any, NamedTuple

from trunkline import SipServer

__all__ = ["Counts", "Memory", "census", "count", "memory", "resident_bytes", "rest"]

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
        "timers": sum(not timer.cancelled() for timer in loop._scheduled) + _deadlines(running),
        "sessions": len(server.calls),
        "handlers": dispatcher.running + len(dispatcher._queues) + len(dispatcher._deciding),
        "legs": running.media.open_legs,
        **{f"waited for: {name}": value for name, value in running.endpoint.live.items()},
        **{f"SIP thread: {name}": sip[name] for name in ("client_transactions", "server_transactions")},
        **{f"SIP thread: {name}": sip[name] for name in ("dialogs", "connections", "timers")},
        **{f"media workers: {name}": media[name] for name in ("legs", "ports_used")},
    }


def _deadlines(running: Any) -> int:
    """Deadlines of calls that will happen, less the loop's timers that stand for all of them until they would have been due."""
    queues = running.exchange._env._deadlines._queues.values()
    return sum(each.callback is not None for queue in queues for each in queue) - len(queues)


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


class Memory(NamedTuple):
    """How much memory the process has, in bytes."""

    resident: int
    """As the system counts it, at rest."""
    used: int
    """Without the holes that the C library keeps in pages in which something lives: those depend on where the newest of it came to lie."""
    peak: int
    """The most that it ever was."""


def memory() -> Memory:
    """Measure it, with what the allocator keeps for later given back."""
    resident = resident_bytes()
    holes = _status_bytes("/proc/self/smaps", "Rss", of="[heap]") - _malloc_bytes()
    return Memory(resident, resident - max(holes, 0), _status_bytes("/proc/self/status", "VmHWM"))


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2`, malloc.h."""

    _fields_ = [(f"field{number}", ctypes.c_size_t) for number in range(10)]


_USED = "field7"
"""`uordblks`: what is handed out of the heap. It is one heap where MALLOC_ARENA_MAX is 1."""


def _malloc_bytes() -> int:
    """What the C library's allocator has handed out, without pieces that have a mapping of their own."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Mallinfo
    return int(getattr(ask(), _USED))


def _status_bytes(path: str, name: str, *, of: str = "") -> int:
    """A number of kilobytes that the system tells; of the mapping that is called so."""
    told = Path(path).read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", told[told.index(of) :], re.MULTILINE)
    assert found is not None, f"{path} has no {name}"
    return int(found[1]) * 1024


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
