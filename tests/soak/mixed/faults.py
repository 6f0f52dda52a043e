"""The faults of the mixed soak: what is done, one after another, to the provider `shaky`, to the network of `dave` and to DNS."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

from tests.soak.mixed.people import People
from trunkline.testing import Fault

__all__ = ["Faults"]

PAUSE_S = 3.0
"""At most so long nothing is wrong in between."""

LOSSES = (0.1, 0.2, 0.3)
DNS_FAULTS = (Fault.DEAD, Fault.REFUSES, Fault.FAILS, Fault.LIES)


class Faults:
    """Does one after another until it is cancelled.

    Args:
        people: To whom.
        random: Chooses.
        longest_s: How long one lasts at most; less than 64*T1 of who asks again meanwhile.
    """

    def __init__(self, people: People, random: Random, longest_s: float) -> None:
        self._people = people
        self._random = random
        self._longest_s = longest_s
        self.done: Counter[str] = Counter()
        self._kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "provider restarted": self._restart,
            "provider silent": self._silence,
            "provider's network cut": lambda: self._lose("shaky", 1.0),
            "phone's network cut": lambda: self._lose("dave", 1.0),
            "packets of the provider lost": lambda: self._lose("shaky", self._random.choice(LOSSES)),
            "packets of the phone lost": lambda: self._lose("dave", self._random.choice(LOSSES)),
            "DNS at fault": self._break_dns,
        }

    async def run(self) -> None:
        """Do them."""
        while True:
            await asyncio.sleep(self._random.uniform(0.5, PAUSE_S))
            name = self._random.choice(list(self._kinds))
            self.done[name] += 1
            await self._kinds[name]()

    async def _for_a_while(self) -> None:
        await asyncio.sleep(self._random.uniform(0.5, self._longest_s))

    async def _restart(self) -> None:
        """It is gone without a word, and there again, and knows nothing of its calls."""
        before = self._people.providers["shaky"]
        before.vanish()
        try:
            await self._for_a_while()
        finally:
            await self._people.open_provider("shaky", like=before)

    async def _silence(self) -> None:
        """It answers nothing outside of calls."""
        self._people.providers["shaky"].silent = True
        try:
            await self._for_a_while()
        finally:
            self._people.providers["shaky"].silent = False

    async def _lose(self, whose: str, share: float) -> None:
        self._people.relays[whose].loss = share
        try:
            await self._for_a_while()
        finally:
            self._people.relays[whose].loss = 0.0

    async def _break_dns(self) -> None:
        self._people.zone.fault = self._random.choice(DNS_FAULTS)
        try:
            await self._for_a_while()
        finally:
            self._people.zone.fault = Fault.NONE
