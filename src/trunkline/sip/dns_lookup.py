"""One question to the system's name servers, by dnspython's asynchronous resolver, after the hosts file.

`resolver` calls `DnsLookup` where its cache has no answer. getaddrinfo would block a thread for as long as the system
likes and says no TTL. Records that can be of no use, as an SRV record of port 0, are left out here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.message
import dns.rdatatype
import dns.resolver

from trunkline.sip.dns_answers import Answer, Kind, Naptr, NoRecords, Record, ResolutionError, Srv
from trunkline.sip.literal import literal_text

__all__ = ["MAX_RECORDS", "DnsLookup", "read_hosts", "read_records"]

QUERY_TIMEOUT_S = 5.0
"""How long one question may take, over all name servers and their repeats."""

MAX_RECORDS = 16
"""Records of one answer that are used."""

HOSTS_TTL_S = 60.0
MAX_HOSTS_BYTES = 1_000_000

SERVICE_LABELS = 2
"""The labels in front of the host in the name of an SRV record: `_sip._udp`."""


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

    async def __call__(self, name: str, kind: Kind) -> Answer[Any]:
        """The records of a name. NoRecords where there are none, ResolutionError where nobody answers."""
        local = await asyncio.to_thread(read_hosts, self._hosts)
        if _host_of(name, kind) in local:
            return _of_hosts(name, kind, local)
        try:
            resolver = await asyncio.to_thread(_configured, self._resolv_conf, self._port)
        except dns.exception.DNSException as error:
            raise ResolutionError(name, f"no name server is configured ({error})") from error
        return _answer(name, kind, await _asked(resolver, name, kind))


def _configured(resolv_conf: Path, port: int) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.port = port
    resolver.read_resolv_conf(str(resolv_conf))
    return resolver


async def _asked(resolver: dns.asyncresolver.Resolver, name: str, kind: Kind) -> dns.resolver.Answer:
    # A search list is for bare host names: what it makes of others is another domain's.
    search = kind in ("A", "AAAA") and "." not in name
    try:
        return await resolver.resolve(name, kind, search=search, lifetime=QUERY_TIMEOUT_S)
    except dns.resolver.NXDOMAIN as error:
        raise NoRecords(name, "no such name", _negative_ttl_s(error.kwargs["responses"].values())) from error
    except dns.resolver.NoAnswer as error:
        raise NoRecords(name, _EMPTY[kind], _negative_ttl_s([error.kwargs["response"]])) from error
    except (dns.exception.DNSException, OSError) as error:
        raise ResolutionError(name, _words(error)) from error


_EMPTY: dict[Kind, str] = {
    "A": "the name has no IPv4 address",
    "AAAA": "the name has no IPv6 address",
    "SRV": "no such service",
    "NAPTR": "no NAPTR record",
}

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (dns.resolver.LifetimeTimeout, "the name servers do not answer"),
    (dns.resolver.NoNameservers, "the name servers refuse or fail"),
    (dns.exception.DNSException, "no valid name"),
    (OSError, "the name servers cannot be reached"),
)


def _words(error: Exception) -> str:
    return next(words for kind, words in _WORDS if isinstance(error, kind))


def _negative_ttl_s(responses: Iterable[dns.message.Message]) -> float | None:
    """How long "there is none" holds: the SOA record's TTL or its minimum, the shorter (RFC 2308 §5)."""
    bounds = [
        min(rrset.ttl, rrset[0].minimum)
        for response in responses
        for rrset in response.authority
        if rrset.rdtype == dns.rdatatype.SOA
    ]
    return float(min(bounds)) if bounds else None


# --- records ------------------------------------------------------------------------------------------------------------


def _answer(name: str, kind: Kind, found: dns.resolver.Answer) -> Answer[Any]:
    usable = read_records(kind, found.rrset or ())
    if not usable:
        raise NoRecords(name, _EMPTY[kind])
    return Answer(tuple(usable), float(found.rrset.ttl if found.rrset else 0))


def read_records(kind: Kind, records: Iterable[Any]) -> list[Record]:
    """The usable records of dnspython's, as ours.

    Args:
        kind: What they are.
        records: The members of a record set.
    """
    return list(_READ[kind](records))[:MAX_RECORDS]


def _addresses(records: Iterable[Any]) -> Iterator[Record]:
    return (str(record) for record in records)


def _services(records: Iterable[Any]) -> Iterator[Record]:
    for record in records:
        target = record.target.to_text(omit_final_dot=True).lower()
        if record.port or target in (".", ""):
            yield Srv(record.priority, record.weight, record.port, "" if target == "." else target)


def _transports(records: Iterable[Any]) -> Iterator[Record]:
    for record in records:
        yield Naptr(
            record.order,
            record.preference,
            record.flags.decode(errors="replace").lower(),
            record.service.decode(errors="replace").upper(),
            record.regexp.decode(errors="replace"),
            record.replacement.to_text(omit_final_dot=True).lower(),
        )


_READ: dict[Kind, Callable[[Iterable[Any]], Iterator[Record]]] = {
    "A": _addresses,
    "AAAA": _addresses,
    "SRV": _services,
    "NAPTR": _transports,
}


# --- the hosts file -----------------------------------------------------------------------------------------------------


def _host_of(name: str, kind: Kind) -> str:
    """The host that a question is about: a name in the hosts file has its addresses and no other record."""
    return name.lower().split(".", SERVICE_LABELS)[-1] if kind == "SRV" else name.lower()


def _of_hosts(name: str, kind: Kind, hosts: Mapping[str, tuple[str, ...]]) -> Answer[str]:
    version = {"A": False, "AAAA": True}.get(kind)
    found = tuple(address for address in hosts.get(name.lower(), ()) if (":" in address) is version)
    if not found:
        raise NoRecords(name, _EMPTY[kind], HOSTS_TTL_S)
    return Answer(found, HOSTS_TTL_S)


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
        address = literal_text(fields[0]) if fields else None
        if address is not None:
            for name in fields[1:]:
                names[name.lower()] = (*names.get(name.lower(), ()), address)
    return {name: tuple(sorted(found, key=lambda a: ":" in a)) for name, found in names.items()}
