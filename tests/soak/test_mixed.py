"""Registrations, calls, holds, transfers, subscriptions, messages and faults at once and for long, and then nothing is left of them.

A short run is part of the ordinary tests; `make soak-mixed MINUTES=30` runs the long one and writes its figures. Every request of a peer
gets a final answer, every session closes once and for a reason that its kind of errand may have, and everything is counted at the end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.soak.counting import Memory, census, memory
from tests.soak.mixed.world import MixedWorld, open_world

SHORT_S = 15.0
MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
RATE = float(os.environ.get("SOAK_RATE", "10"))
"""Errands that begin in a second."""
SEED = int(os.environ.get("SOAK_SEED", "0")) or int(time.time())
FIGURES = os.environ.get("SOAK_FIGURES", "")
"""Where the figures of the long run go."""

GROWTH = 0.03
"""By how much of it memory may have grown between the first fifth and the end: what is in use at rest, and the peak."""


GROWN = 15
"""Classes that are named of which there are more in the end."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No log lines for pytest to keep."""
    log = logging.getLogger("trunkline")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    yield
    log.setLevel(level)


async def soak(folder: Path, *stages_s: float, t1_s: float, fault_s: float) -> dict[str, Any]:
    """Let the world go on for so long, rest, and so on; the figures."""
    began = time.monotonic()
    measured: list[Memory] = []
    objects: list[Counter[str]] = []
    async with open_world(folder, seed=SEED, rate=RATE, t1_s=t1_s, fault_s=fault_s) as world:
        for seconds in stages_s:
            peers = await world.stage(seconds)
            try:
                await world.rest()
            except AssertionError:
                check_peers(peers)  # what went wrong there says more
                raise
            measured.append(memory())
            objects.append(census())
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {
            "seed": SEED,
            "day": datetime.now(UTC).date().isoformat(),
            "minutes": round(sum(stages_s) / 60, 1),
            "rate": RATE,
            "sessions": world.created,
            "records": world.recorded,
            "closed": {f"{kind}: {reason.name}": number for (kind, reason), number in sorted(world.closed.items())},
            "memory": [each.resident for each in measured],
            "memory_used": [each.used for each in measured],
            "memory_peak": [each.peak for each in measured],
            "grown": dict((objects[-1] - objects[0]).most_common(GROWN)),
            "server_cpu_s": round(used.ru_utime + used.ru_stime, 1),
            "wall_s": round(time.monotonic() - began, 1),
            "peers": peers,
        }
        check_peers(peers)
        check_sessions(world)
        return figures


def keep(figures: dict[str, Any]) -> None:
    """Write the figures of a run that passed where they are to go: the pages show them."""
    if FIGURES:
        Path(FIGURES).write_text(json.dumps(figures, indent=2) + "\n")


def check_peers(peers: dict[str, Any]) -> None:
    """Nothing is stuck, unanswered, or went another way than its script may."""
    seed = f"seed {SEED}"
    assert not peers["failed"], f"{seed}: {peers['failed']} failed, among them:\n" + "\n".join(peers["failures"])
    assert not peers["unanswered"], f"{seed}: unanswered: {peers['unanswered_named']}"
    assert (peers["still_open"], peers["calls_left"]) == ({}, 0), seed


def check_sessions(world: MixedWorld) -> None:
    """Each was closed once, for a reason that it may have, and recorded."""
    assert world.wrong == [], f"seed {SEED}"
    assert (world.left_open, world.recorded) == (0, world.created), f"seed {SEED}"


@pytest.mark.timeout(300)
def test_nothing_is_left_of_a_short_mixed_soak(tmp_path: Path) -> None:
    asyncio.run(soak(tmp_path, SHORT_S, t1_s=0.2, fault_s=4.0))


@pytest.mark.soak
@pytest.mark.timeout(MINUTES * 60 + 900)
def test_a_long_mixed_soak_ends_as_it_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_s = MINUTES * 12
    figures = asyncio.run(soak(tmp_path, first_s, 4 * first_s, t1_s=0.5, fault_s=12.0))
    with capsys.disabled():
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    for name in ("memory_used", "memory_peak"):
        first, last = figures[name]
        words = f"{name}: {first} bytes after the first fifth, {last} in the end; grown: {figures['grown']}"
        assert last <= first * (1 + GROWTH), words
    keep(figures)
