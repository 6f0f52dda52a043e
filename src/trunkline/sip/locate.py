"""From a host to the servers behind it, in the order in which they are to be tried (RFC 3263 §4, RFC 2782).

`server.line_server` asks for a line's provider. A literal address or a port asks for no SRV record; else NAPTR records
choose among the transports that our listeners have, SRV records give servers with priority and weight, and their
addresses are looked up in the families that our listeners have. Questions that do not hang on each other are asked at
once. The random source of the weights is an argument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from trunkline.sip.dns_answers import Answer, Kind, Naptr, NoRecords, ResolutionError, Srv
from trunkline.sip.endpoint import Flow
from trunkline.sip.literal import literal_text
from trunkline.sip.resolver import FAILURE_TTL_S, Resolver

__all__ = ["SIP_PORT", "TRANSPORTS", "Candidate", "Located", "Locator", "by_weight"]

SIP_PORT = 5060

TRANSPORTS = ("udp", "tcp")
"""Those that we have, in the order in which they are preferred where DNS names none."""

SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp"}
"""The NAPTR services of these transports (RFC 3263 §4.1)."""

MAX_CANDIDATES = 16
"""Servers of one line that are tried."""

LOCATE_TIMEOUT_S = 10.0
"""How long all questions about one host may take: two rounds of lookups, each bounded by itself."""

PROBES: tuple[tuple[Kind, str], ...] = (("A", "192.0.2.1"), ("AAAA", "2001:db8::1"))
"""An address of each family, to ask whether a listener reaches it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that requests may go to."""

    transport: str
    address: str
    port: int
    rank: int = 0
    """Its place by NAPTR order and SRV priority: 0 is to be tried first; those of one rank share the load."""
    weight: int = 0
    """Its share among those of one rank."""

    @property
    def flow(self) -> Flow:
        """Where requests to it go."""
        return Flow(self.transport, (self.address, self.port))


@dataclass(frozen=True, slots=True)
class Located:
    """The servers of a host, in the order in which they are to be tried; at least one."""

    candidates: tuple[Candidate, ...]
    ttl_s: float
    """Seconds after which to ask again."""


@dataclass(frozen=True, slots=True)
class _Service:
    """Servers of one transport, as SRV records name them."""

    transport: str
    servers: tuple[Srv, ...]


class Locator:
    """Finds the servers of hosts.

    Args:
        resolver: Asks DNS.
        random: Chooses among servers by their weight.
        reaches: Whether a listener of ours can send over a flow: transport and address family.
    """

    def __init__(self, resolver: Resolver, random: Random, reaches: Callable[[Flow], bool]) -> None:
        self._resolver = resolver
        self._random = random
        self._reaches = reaches

    async def locate(self, host: str, port: int | None = None, transport: str | None = None) -> Located:
        """The servers of a host.

        Args:
            host: A name or literal address.
            port: If one was named; then SRV is not asked.
            transport: "udp" or "tcp" if one was named; else DNS chooses.

        Raises:
            ResolutionError: There is none that we can reach, or nobody says within `LOCATE_TIMEOUT_S`.
        """
        wanted = [transport] if transport is not None else list(TRANSPORTS)
        ours = [each for each in wanted if self._families(each)]
        if not ours:
            raise ResolutionError(host, f"no {transport or 'SIP'} listener of ours is open")
        try:
            async with asyncio.timeout(LOCATE_TIMEOUT_S):
                if port is not None or literal_text(host) is not None:
                    return await self._at_port(host, port or SIP_PORT, ours)
                return await self._by_service(host, ours, named=transport is not None)
        except TimeoutError:
            raise ResolutionError(host, "the name servers do not answer") from None

    # --- a named port, or no SRV record -----------------------------------------------------------------------------

    async def _at_port(self, host: str, port: int, ours: Sequence[str]) -> Located:
        # RFC 3263 §4.1: with a port or an address and without a transport it is UDP
        return self._at(host, port, ours, await self._resolver.addresses(host, self._kinds(ours)))

    def _at(self, host: str, port: int, ours: Sequence[str], found: Answer[str]) -> Located:
        for transport in ours:
            usable = self._usable(Candidate(transport, address, port) for address in found.records)
            if usable:
                return Located(usable, found.ttl_s)
        raise ResolutionError(host, f"no {ours[0]} listener of ours reaches {', '.join(found.records)}")

    def _families(self, transport: str) -> list[Kind]:
        return [kind for kind, probe in PROBES if self._reaches(Flow(transport, (probe, SIP_PORT)))]

    def _kinds(self, ours: Iterable[str]) -> list[Kind]:
        able = {kind for transport in ours for kind in self._families(transport)}
        return [kind for kind, _ in PROBES if kind in able]

    def _usable(self, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Those that we can send to, each once."""
        seen: dict[Flow, Candidate] = {}
        for candidate in candidates:
            if self._reaches(candidate.flow):
                seen.setdefault(candidate.flow, candidate)
        return tuple(seen.values())[:MAX_CANDIDATES]

    # --- by NAPTR and SRV -------------------------------------------------------------------------------------------

    async def _by_service(self, host: str, ours: Sequence[str], *, named: bool) -> Located:
        guessed = [(transport, f"_sip._{transport}.{host}") for transport in ours]
        async with _Asking() as asking:
            # RFC 3263 §4.1: a transport that was named asks for no NAPTR record
            pointers = None if named else asking.start(self._resolver.transports(host))
            guesses = {name: asking.start(self._resolver.services(name)) for _, name in guessed}
            plain = asking.start(self._resolver.addresses(host, self._kinds(ours)))
            pointed, naptr_ttl_s = await _pointed(pointers, ours)
            names = pointed or guessed
            asked = [guesses.get(name) or asking.start(self._resolver.services(name)) for _, name in names]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            services, srv_ttl_s = _services(names, answers)
            if services:
                found = await self._of_services(host, services)
            else:
                # §4.2: no SRV record, so the host itself, at the default port
                found = self._at(host, SIP_PORT, ours, await plain)
        return Located(found.candidates, min(found.ttl_s, naptr_ttl_s, srv_ttl_s))

    async def _of_services(self, host: str, services: Sequence[_Service]) -> Located:
        ordered = [
            (service.transport, server, (place, server.priority))
            for place, service in enumerate(services)
            for server in by_weight(service.servers, self._random)
        ]
        if not ordered:
            raise ResolutionError(host, "the domain says that it has no SIP service")
        questions = {(transport, server.target) for transport, server, _ in ordered}
        keys = sorted(questions)
        answers = await asyncio.gather(
            *(self._resolver.addresses(target, self._families(transport)) for transport, target in keys),
            return_exceptions=True,
        )
        found = dict(zip(keys, answers, strict=True))
        ranks = {key: rank for rank, key in enumerate(sorted({key for _, _, key in ordered}))}
        usable = self._usable(
            Candidate(transport, address, server.port, ranks[key], server.weight)
            for transport, server, key in ordered
            for address in _records(found[transport, server.target])
        )
        if not usable:
            raise ResolutionError(host, f"its servers cannot be found: {_first_reason(found.values())}")
        return Located(usable, min(_ttl_s(answer) for answer in found.values()))


class _Asking:
    """Questions that run beside each other; those that nobody needs any more are given up at the end."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, question: Awaitable[T]) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.ensure_future(question)
        self._tasks.append(task)
        return task

    async def __aenter__(self) -> _Asking:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pointed(
    pointers: asyncio.Task[Answer[Naptr]] | None, ours: Sequence[str]
) -> tuple[list[tuple[str, str]], float]:
    """Transports and names for SRV that NAPTR records give, in their order; and for how long."""
    if pointers is None:
        return [], float("inf")
    try:
        answer = await pointers
    except ResolutionError as error:
        return [], _silence_ttl_s(error)
    usable = [record for record in answer.records if _is_usable(record) and SERVICES[record.service] in ours]
    usable.sort(key=lambda record: (record.order, record.preference))
    return [(SERVICES[record.service], record.replacement) for record in usable], answer.ttl_s


def _is_usable(record: Naptr) -> bool:
    # RFC 3263 §4.1: flag "s", no regular expression; services that we do not know are passed over
    return record.flags == "s" and not record.regexp and record.service in SERVICES and bool(record.replacement)


def _services(
    names: Sequence[tuple[str, str]], answers: Sequence[Answer[Srv] | BaseException]
) -> tuple[list[_Service], float]:
    """What the SRV records say, and for how long; a transport that the domain declines has no servers (RFC 2782)."""
    services: list[_Service] = []
    ttl_s = float("inf")
    for (transport, _), answer in zip(names, answers, strict=True):
        if isinstance(answer, Answer):
            services.append(_Service(transport, tuple(record for record in answer.records if record.target)))
            ttl_s = min(ttl_s, answer.ttl_s)
        elif isinstance(answer, ResolutionError):
            ttl_s = min(ttl_s, _silence_ttl_s(answer))
        else:
            raise answer
    return services, ttl_s


def _silence_ttl_s(error: ResolutionError) -> float:
    """Where nobody said that there is nothing, it is asked again soon."""
    return float("inf") if isinstance(error, NoRecords) else FAILURE_TTL_S


def _records(answer: Answer[str] | BaseException) -> Iterator[str]:
    if isinstance(answer, Answer):
        yield from answer.records
    elif not isinstance(answer, ResolutionError):
        raise answer


def _ttl_s(answer: Answer[str] | BaseException) -> float:
    return answer.ttl_s if isinstance(answer, Answer) else FAILURE_TTL_S


def _first_reason(answers: Iterable[Answer[str] | BaseException]) -> str:
    errors = [str(answer) for answer in answers if isinstance(answer, ResolutionError)]
    return errors[0] if errors else "no listener of ours reaches them"


def by_weight(servers: Iterable[Srv], random: Random) -> list[Srv]:
    """Servers by priority, and among equals at random by weight (RFC 2782).

    Args:
        servers: Of one name.
        random: The random source; `randint` is called once for each server but the last of a priority.
    """
    ordered: list[Srv] = []
    # those of weight 0 first, so that they have a small chance
    left = sorted(servers, key=lambda server: (server.priority, server.weight))
    while left:
        equals = [server for server in left if server.priority == left[0].priority]
        left = left[len(equals) :]
        while equals:
            ordered.append(equals.pop(_drawn(equals, random)))
    return ordered


def _drawn(equals: Sequence[Srv], random: Random) -> int:
    if len(equals) == 1:
        return 0
    drawn = random.randint(0, sum(server.weight for server in equals))
    running = 0
    for place, server in enumerate(equals):
        running += server.weight
        if running >= drawn:
            return place
    return len(equals) - 1
