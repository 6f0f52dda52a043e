"""The peers' process: what they remember is not the server's memory.

`tests.soak.crowd` starts it as `python -m tests.soak.mixed` and speaks to it in lines of JSON: the options of `Soak`, back where its
providers are, where the server is. Each further order is a stage: a number of seconds in which errands begin and faults happen. It
answers when all errands are over, with the figures so far.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import traceback
from collections import Counter
from random import Random
from typing import Any

from tests.soak.mixed.answers import ANSWERS
from tests.soak.mixed.errand import Errand
from tests.soak.mixed.faults import Faults
from tests.soak.mixed.mix import KINDS
from tests.soak.mixed.people import People

LIMIT_S = 240.0
"""An errand that takes longer is stuck."""
QUIET_S = 60.0
KEPT = 10
"""Failures that are told in full."""


class Soak:
    """Has errands run, so many a second.

    Args:
        seed: Decides which.
        rate: How many begin in a second.
        fault_s: How long a fault lasts at most.
    """

    def __init__(self, seed: int, rate: float, fault_s: float) -> None:
        self.people = People(seed)
        self._seed = seed
        self._rate = rate
        self._faults = Faults(self.people, Random(f"{seed} faults"), fault_s)
        self._random = Random(seed)
        self._began = 0
        self._went: Counter[tuple[str, str]] = Counter()
        self._failed = 0
        self._failures: list[str] = []

    async def stage(self, seconds: float) -> dict[str, Any]:
        """Have errands begin for so long, and wait until they are over. The figures so far."""
        loop = asyncio.get_running_loop()
        faults = asyncio.create_task(self._faults.run())
        begun: set[asyncio.Task[None]] = set()
        due, until = loop.time(), loop.time() + seconds
        while due < until:
            await asyncio.sleep(max(0.0, due - loop.time()))
            task = asyncio.create_task(self._errand(self._random.choices(*_WEIGHTED)[0]))
            begun.add(task)
            task.add_done_callback(begun.discard)
            due += self._random.expovariate(self._rate)
        faults.cancel()
        await asyncio.gather(faults, return_exceptions=True)
        await asyncio.gather(*begun)
        for peer in self.people.all:
            await peer.endpoint.wait_quiet(QUIET_S)
        return self._figures()

    async def _errand(self, kind: str) -> None:
        self._began += 1
        serial = self._began
        errand = Errand(self.people, kind, serial, Random(f"{self._seed} {serial}"))
        try:
            async with asyncio.timeout(LIMIT_S):
                try:
                    went = await KINDS[kind].script(errand)
                finally:
                    await errand.close()
        except Exception:
            self._fail(f"{kind} {serial}: {traceback.format_exc()}")
            return
        self._went[kind, went] += 1
        if went not in KINDS[kind].goes:
            self._fail(f"{kind} {serial} went: {went}")

    def _fail(self, words: str) -> None:
        self._failed += 1
        if len(self._failures) < KEPT:
            self._failures.append(words)

    def _figures(self) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        open_ones = {peer.name: peer.endpoint.open_transactions for peer in self.people.all}
        return {
            "errands": self._began,
            "went": {f"{kind}: {went}": number for (kind, went), number in sorted(self._went.items())},
            "failed": self._failed,
            "failures": self._failures,
            "answered": dict(sorted(ANSWERS.answered.items())),
            "unanswered": ANSWERS.unanswered,
            "unanswered_named": ANSWERS.named,
            "abandoned": ANSWERS.abandoned,
            "still_open": {name: number for name, number in open_ones.items() if number},
            "calls_left": sum(len(peer.calls) for peer in self.people.all),
            "strays": self.people.strays,
            "faults": dict(self._faults.done),
            "packets_lost": sum(relay.lost for relay in self.people.relays.values()),
            "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        }


_WEIGHTED = (list(KINDS), [kind.weight for kind in KINDS.values()])


def _say(words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


async def _hear() -> Any:
    """The next order; None when whoever gives them is gone."""
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else None


async def main() -> None:
    """Do what the lines on standard input say, until there are no more."""
    _say("ready")
    soak = Soak(**await _hear())
    await soak.people.open()
    _say(soak.people.addresses)
    host, port = await _hear()
    await soak.people.move_in((host, port))
    _say(None)
    while (seconds := await _hear()) is not None:
        _say(await soak.stage(seconds))


if __name__ == "__main__":
    asyncio.run(main())
