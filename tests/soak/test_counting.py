"""What the soaks measure of memory: what is kept counts, and the holes beside it do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.soak.counting import Memory

BLOCK, BLOCKS = 1_000, 20_000
HALF = BLOCK * BLOCKS // 2

STEPS = f"""
import json
from tests.soak.counting import memory

seen = [memory()]
kept = [bytes({BLOCK}) for _ in range({BLOCKS})]
seen.append(memory())
kept = kept[::2]
seen.append(memory())
print(json.dumps(seen))
"""


def measured() -> list[Memory]:
    """Before, with many blocks, and with every second one of them; in a process that runs as those of the soaks do."""
    environment = {**os.environ, "PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", STEPS]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env=environment)
    return [Memory(*each) for each in json.loads(ran.stdout)]


def test_what_is_kept_is_in_use_and_holes_beside_it_are_not() -> None:
    before, full, half = measured()
    assert full.used - before.used >= 2 * HALF
    assert full.used - half.used >= 0.9 * HALF
    assert full.resident - half.resident <= 0.1 * HALF  # every page has one that lives


def test_the_peak_is_never_below_what_is_there() -> None:
    before, full, half = measured()
    assert full.peak >= full.resident
    assert half.peak >= full.peak >= before.peak + HALF
