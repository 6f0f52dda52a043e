"""Names to addresses, asynchronously: A and AAAA, a bounded wait, a cache, and dead DNS stops nothing.

Lines ask here for their server's addresses. `CachingResolver` keeps what was found for its TTL, keeps failures for a
while, and goes on using an old answer when the name servers are silent (RFC 8767). `DnsLookup` asks them, by
dnspython's asynchronous resolver, after the hosts file; getaddrinfo would block a thread for as long as the system
likes and says no TTL. Tests bring a `Lookup` of their own. SRV comes later.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.resolver

__all__ = ["CachingResolver", "DnsLookup", "Found", "Lookup", "ResolutionError", "Resolver", "literal", "read_hosts"]

log = logging.getLogger("trunkline.sip.resolver")

TIMEOUT_S = 5.0
"""How long a lookup may take altogether."""

MIN_TTL_S = 5.0
MAX_TTL_S = 3_600.0
"""Bounds of how long an answer is believed, whatever its TTL."""

NEGATIVE_TTL_S = 15.0
"""How long a failure stands before the name servers are asked again."""

STALE_S = 86_400.0
"""How long past its TTL an answer serves while no better one can be had (RFC 8767 §5: one to three days)."""

MAX_NAMES = 1_024
"""Names that are remembered; the one asked for longest ago goes."""

MAX_ADDRESSES = 16
"""Addresses of one name that are used."""

HOSTS_TTL_S = 60.0
MAX_HOSTS_BYTES = 1_000_000


class ResolutionError(Exception):
    """A name has no address now. `reason` says why in words."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found."""

    addresses: tuple[str, ...]
    """IPv4 first, each family in the order of the answer; IPv6 without brackets."""
    ttl_s: float


class Lookup(Protocol):
    """Asks for the addresses of one name."""

    async def __call__(self, host: str) -> Found:
        """All addresses of a name.

        Raises:
            ResolutionError: There are none, or nobody answers.
        """


class Resolver(Protocol):
    """What lines need: the addresses of a host."""

    async def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name or literal; at least one.

        Raises:
            ResolutionError: There is none.
        """


@dataclass(slots=True)
class _Entry:
    addresses: tuple[str, ...]
    """Empty when the last lookup failed and nothing older serves."""
    fresh_until: float
    stale_until: float
    reason: str = ""


class CachingResolver:
    """A `Resolver` with a cache, one lookup at a time for each name, and a bounded wait.

    Args:
        lookup: Asks the name servers.
        clock: Monotonic seconds; the loop's.
        timeout_s: The longest that a lookup may take.
    """

    def __init__(self, lookup: Lookup, clock: Callable[[], float], *, timeout_s: float = TIMEOUT_S) -> None:
        self._lookup = lookup
        self._clock = clock
        self._timeout_s = timeout_s
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._running: dict[str, asyncio.Task[_Entry]] = {}

    async def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name or literal; at least one. Literals and names in the cache wait for nobody.

        Raises:
            ResolutionError: There is none.
        """
        address = literal(host)
        if address is not None:
            return (address,)
        name = host.rstrip(".").lower()
        entry = self._entries.get(name)
        if entry is None or entry.fresh_until <= self._clock():
            # Shielded: the lookup serves all who wait for it, whoever of them gives up.
            entry = await asyncio.shield(self._running.get(name) or self._start(name))
        else:
            self._entries.move_to_end(name)
        if not entry.addresses:
            raise ResolutionError(host, entry.reason)
        return entry.addresses

    async def close(self) -> None:
        """End the lookups that run."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, name: str) -> asyncio.Task[_Entry]:
        task = asyncio.create_task(self._ask(name), name=f"resolve {name}")
        self._running[name] = task
        task.add_done_callback(lambda done: self._running.pop(name, None))
        return task

    async def _ask(self, name: str) -> _Entry:
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._lookup(name)
        except TimeoutError:
            entry = self._failed(name, "the name servers do not answer")
        except ResolutionError as error:
            entry = self._failed(name, error.reason)
        except Exception as error:  # whatever a lookup does, the server goes on
            log.exception("error while resolving %s", name)
            entry = self._failed(name, f"{type(error).__name__} in the resolver")
        else:
            entry = self._found(found)
        self._keep(name, entry)
        return entry

    def _found(self, found: Found) -> _Entry:
        fresh_until = self._clock() + min(max(found.ttl_s, MIN_TTL_S), MAX_TTL_S)
        return _Entry(found.addresses[:MAX_ADDRESSES], fresh_until, fresh_until + STALE_S)

    def _failed(self, name: str, reason: str) -> _Entry:
        now = self._clock()
        old = self._entries.get(name)
        if old is not None and old.addresses and now < old.stale_until:
            log.warning("%s: %s; using the addresses known before", name, reason)
            return _Entry(old.addresses, now + NEGATIVE_TTL_S, old.stale_until, reason)
        return _Entry((), now + NEGATIVE_TTL_S, now, reason)

    def _keep(self, name: str, entry: _Entry) -> None:
        self._entries[name] = entry
        self._entries.move_to_end(name)
        if len(self._entries) > MAX_NAMES:
            self._entries.popitem(last=False)


class DnsLookup:
    """Asks the hosts file, then the name servers of resolv.conf.

    Args:
        hosts: The hosts file.
        resolv_conf: Where the name servers are named.
        port: Theirs.
    """

    def __init__(
        self, *, hosts: Path = Path("/etc/hosts"), resolv_conf: Path = Path("/etc/resolv.conf"), port: int = 53
    ) -> None:
        self._hosts = hosts
        self._resolv_conf = resolv_conf
        self._port = port

    async def __call__(self, host: str) -> Found:
        """All addresses of a name. ResolutionError where there are none, or nobody answers."""
        named = (await asyncio.to_thread(read_hosts, self._hosts)).get(host.lower())
        if named:
            return Found(named, HOSTS_TTL_S)
        try:
            resolver = await asyncio.to_thread(_configured, self._resolv_conf, self._port)
        except dns.exception.DNSException as error:
            raise ResolutionError(host, f"no name server is configured ({error})") from error
        answers = await asyncio.gather(_ask(resolver, host, "A"), _ask(resolver, host, "AAAA"), return_exceptions=True)
        return _merge(host, answers)


def _configured(resolv_conf: Path, port: int) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.port = port
    resolver.read_resolv_conf(str(resolv_conf))
    return resolver


async def _ask(resolver: dns.asyncresolver.Resolver, host: str, kind: str) -> Found:
    answer = await resolver.resolve(host, kind, search=True, lifetime=TIMEOUT_S)
    records = answer.rrset or ()
    return Found(tuple(str(record) for record in records), float(answer.rrset.ttl if answer.rrset else 0))


def _merge(host: str, answers: Sequence[Found | BaseException]) -> Found:
    """Both families as one answer; one of them is enough."""
    found = [answer for answer in answers if isinstance(answer, Found) and answer.addresses]
    if found:
        return Found(
            tuple(address for answer in found for address in answer.addresses), min(answer.ttl_s for answer in found)
        )
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    for error in errors:
        if not isinstance(error, dns.exception.DNSException | OSError):
            raise error
    raise ResolutionError(host, _words(errors))


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (dns.resolver.NXDOMAIN, "no such name"),
    (dns.resolver.LifetimeTimeout, "the name servers do not answer"),
    (dns.resolver.NoNameservers, "the name servers refuse or fail"),
    (dns.resolver.NoAnswer, "the name has no address"),
    (dns.exception.DNSException, "no valid name"),
    (OSError, "the name servers cannot be reached"),
)


def _words(errors: Sequence[BaseException]) -> str:
    for kind, words in _WORDS:
        if any(isinstance(error, kind) for error in errors):
            return words
    return "the name has no address"


@lru_cache(4_096)
def literal(host: str) -> str | None:
    """The address that `host` is, in its usual form and without brackets; None for a name."""
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None


def read_hosts(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Names and their addresses of a hosts file; empty where there is none. Blocks: called in a thread."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_HOSTS_BYTES).decode(errors="replace")
    except OSError:
        return {}
    names: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        address = literal(fields[0]) if fields else None
        if address is not None:
            for name in fields[1:]:
                names[name.lower()] = (*names.get(name.lower(), ()), address)
    return {name: tuple(sorted(found, key=lambda a: ":" in a)) for name, found in names.items()}
