"""Many calls of every kind over real sockets, and then nothing is left of them.

The short run is part of the ordinary tests, `make soak` runs the long one. It has Python take its memory from the system's allocator, which
gives free pages back: Python's own keeps an arena of a megabyte for one object that lives, and says little about a leak. What is measured
is the memory of the server's process; the parties have one of their own.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator

import pytest

from tests.soak.counting import resident_bytes
from tests.soak.scripts import KINDS, MIX
from tests.soak.world import open_world

SHORT, LONG, SETTLED = 1_500, 20_000, 4_000
GROWTH = 0.02
"""By how much of it memory may have grown between the first calls and the last."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No log lines for pytest to keep."""
    log = logging.getLogger("trunkline")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    yield
    log.setLevel(level)


async def soak(*stages: int) -> list[int]:
    """Place calls until there were so many, rest, and so on; memory at each rest."""
    memory, placed = [], 0
    async with open_world() as world:
        start = world.count()
        for calls in stages:
            await world.crowd.place(range(placed, calls))
            placed = calls
            await world.rest(start)
            memory.append(resident_bytes())
        assert world.closed == {
            (name, kind.closed.name): MIX.count(name) * placed // len(MIX) for name, kind in KINDS.items()
        }
    return memory


@pytest.mark.timeout(240)
def test_nothing_is_left_of_many_calls() -> None:
    asyncio.run(soak(SHORT))


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_memory_after_twenty_thousand_calls_is_as_after_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    first, last = asyncio.run(soak(SETTLED, LONG))
    with capsys.disabled():
        sys.stdout.write(f"\n{first} bytes after {SETTLED} calls, {last} after {LONG}: {last / first - 1:+.2%}\n")
    assert last <= first * (1 + GROWTH), f"{first} bytes after {SETTLED} calls, {last} after {LONG}"
