"""Names to records, asynchronously: a bounded cache, a bounded wait, and dead DNS stops nothing.

`locate` asks here for addresses, SRV and NAPTR records. `CachingResolver` keeps what was found for its TTL and what
there is not for a while (RFC 2308), and goes on using an old answer when the name servers are silent (RFC 8767). Who
asks them is a `Lookup`: `DnsLookup` on a machine, a `Zone` of the test kit in a test.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from trunkline.sip.dns_answers import Answer, Kind, Lookup, Naptr, NoRecords, ResolutionError, Srv
from trunkline.sip.dns_lookup import MAX_RECORDS, DnsLookup, read_hosts
from trunkline.sip.literal import literal_text

__all__ = [
    "Answer",
    "CachingResolver",
    "DnsLookup",
    "Lookup",
    "Naptr",
    "NoRecords",
    "ResolutionError",
    "Resolver",
    "Srv",
    "read_hosts",
]

log = logging.getLogger("trunkline.sip.resolver")

TIMEOUT_S = 5.0
"""How long a lookup may take altogether."""

MIN_TTL_S = 5.0
MAX_TTL_S = 3_600.0
"""Bounds of how long an answer is believed, whatever its TTL."""

MAX_NEGATIVE_TTL_S = 300.0
"""The longest that "there is none" is believed: a provider's slip must not silence a line for hours (RFC 2308 §5)."""

FAILURE_TTL_S = 15.0
"""How long a failure stands before the name servers are asked again (RFC 2308 §7: at most five minutes)."""

STALE_S = 86_400.0
"""How long past its TTL an answer serves while no better one can be had (RFC 8767 §5: one to three days)."""

MAX_NAMES = 4_096
"""Answers that are remembered; the one asked for longest ago goes."""

MAX_LOOKUPS = 128
"""Questions that may be open at once; more wait."""

FAMILIES: tuple[Kind, ...] = ("A", "AAAA")


class Resolver(Protocol):
    """What finding a server needs of DNS."""

    async def addresses(self, host: str, kinds: Iterable[Kind] = FAMILIES) -> Answer[str]:
        """The addresses of a name or literal; at least one.

        Args:
            host: Which.
            kinds: "A", "AAAA" or both: the families to ask for.

        Raises:
            ResolutionError: There is none.
        """

    async def services(self, name: str) -> Answer[Srv]:
        """The SRV records of a name as `_sip._udp.itsp.example`. NoRecords where there is none, or ResolutionError."""

    async def transports(self, domain: str) -> Answer[Naptr]:
        """The NAPTR records of a domain. NoRecords where there is none, or ResolutionError."""


@dataclass(slots=True)
class _Entry:
    """What is known of one name and kind."""

    answer: Answer[Any] | None
    """None when the last lookup failed and nothing older serves."""
    fresh_until: float
    stale_until: float
    error: ResolutionError | None = None


class CachingResolver:
    """A `Resolver` with a cache, one lookup at a time for each question, and a bounded wait.

    Args:
        lookup: Asks the name servers.
        clock: Monotonic seconds; the loop's.
        timeout_s: The longest that a lookup may take.
    """

    def __init__(self, lookup: Lookup, clock: Callable[[], float], *, timeout_s: float = TIMEOUT_S) -> None:
        self._lookup = lookup
        self._clock = clock
        self._timeout_s = timeout_s
        self._entries: OrderedDict[tuple[str, Kind], _Entry] = OrderedDict()
        self._running: dict[tuple[str, Kind], asyncio.Task[_Entry]] = {}
        self._open = asyncio.Semaphore(MAX_LOOKUPS)

    async def addresses(self, host: str, kinds: Iterable[Kind] = FAMILIES) -> Answer[str]:
        """The addresses of a name or literal; at least one. Literals and names in the cache wait for nobody.

        Raises:
            ResolutionError: There is none.
        """
        address = literal_text(host)
        if address is not None:
            return Answer((address,), MAX_TTL_S)
        answers = await asyncio.gather(*(self._ask(host, kind) for kind in kinds), return_exceptions=True)
        return _merged(host, answers)

    async def services(self, name: str) -> Answer[Srv]:
        """The SRV records of a name. NoRecords where there is none, ResolutionError where nobody says."""
        return await self._ask(name, "SRV")

    async def transports(self, domain: str) -> Answer[Naptr]:
        """The NAPTR records of a domain. NoRecords where there is none, ResolutionError where nobody says."""
        return await self._ask(domain, "NAPTR")

    async def close(self) -> None:
        """End the lookups that run."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _ask(self, host: str, kind: Kind) -> Answer[Any]:
        key = (host.rstrip(".").lower(), kind)
        entry = self._entries.get(key)
        if entry is None or entry.fresh_until <= self._clock():
            # Shielded: the lookup serves all who wait for it, whoever of them gives up.
            entry = await asyncio.shield(self._running.get(key) or self._start(key))
        else:
            self._entries.move_to_end(key)
        if entry.answer is None:
            error = entry.error or ResolutionError(host, "")
            raise type(error)(host, error.reason)
        return Answer(entry.answer.records, max(entry.fresh_until - self._clock(), 0.0))

    def _start(self, key: tuple[str, Kind]) -> asyncio.Task[_Entry]:
        task = asyncio.create_task(self._look_up(key), name=f"resolve {key[0]} {key[1]}")
        self._running[key] = task
        task.add_done_callback(lambda done: self._running.pop(key, None))
        return task

    async def _look_up(self, key: tuple[str, Kind]) -> _Entry:
        name, kind = key
        try:
            async with asyncio.timeout(self._timeout_s), self._open:
                entry = self._found(await self._lookup(name, kind))
        except TimeoutError:
            entry = self._failed(key, ResolutionError(name, "the name servers do not answer"))
        except NoRecords as error:
            entry = self._absent(error)
        except ResolutionError as error:
            entry = self._failed(key, error)
        except Exception as error:  # whatever a lookup does, the server goes on
            log.exception("error while resolving %s", name)
            entry = self._failed(key, ResolutionError(name, f"{type(error).__name__} in the resolver"))
        self._keep(key, entry)
        return entry

    def _found(self, answer: Answer[Any]) -> _Entry:
        fresh_until = self._clock() + min(max(answer.ttl_s, MIN_TTL_S), MAX_TTL_S)
        return _Entry(Answer(answer.records[:MAX_RECORDS], answer.ttl_s), fresh_until, fresh_until + STALE_S)

    def _absent(self, error: NoRecords) -> _Entry:
        # RFC 2308 §5: without a SOA record it is not to be kept; yet never asked for again at once
        now, ttl_s = self._clock(), MIN_TTL_S if error.ttl_s is None else error.ttl_s
        return _Entry(None, now + min(max(ttl_s, MIN_TTL_S), MAX_NEGATIVE_TTL_S), now, error)

    def _failed(self, key: tuple[str, Kind], error: ResolutionError) -> _Entry:
        now = self._clock()
        old = self._entries.get(key)
        if old is not None and old.answer is not None and now < old.stale_until:
            if old.error is None:
                log.warning("%s %s: %s; using what was known before", *key, error.reason)
            return _Entry(old.answer, now + FAILURE_TTL_S, old.stale_until, error)
        return _Entry(None, now + FAILURE_TTL_S, now, error)

    def _keep(self, key: tuple[str, Kind], entry: _Entry) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_NAMES:
            self._entries.popitem(last=False)


def _merged(host: str, answers: Iterable[Answer[str] | BaseException]) -> Answer[str]:
    """Both families as one answer, IPv4 first; one of them is enough."""
    found, failed = [], []
    for answer in answers:
        if isinstance(answer, Answer):
            found.append(answer)
        elif isinstance(answer, ResolutionError):
            failed.append(answer)
        else:
            raise answer
    if found:
        addresses = tuple(address for answer in found for address in answer.records)
        return Answer(addresses[:MAX_RECORDS], min(answer.ttl_s for answer in found))
    # that nobody answers says more than that one family has no address
    for error in sorted(failed, key=lambda error: isinstance(error, NoRecords)):
        several = len(failed) > 1 and error.reason.startswith("the name has no IP")
        raise type(error)(host, "the name has no address" if several else error.reason)
    raise ResolutionError(host, "no listener of ours has an address family")
