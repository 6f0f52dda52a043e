"""What DNS says, as values: answers with the time that they hold, SRV and NAPTR records, and the ways not to answer.

`dns_lookup` makes them of what name servers send, `resolver` keeps them, `locate` reads them (RFC 3263). Tests bring
a `Lookup` of their own; `trunkline.testing.Zone` is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

__all__ = ["Answer", "Kind", "Lookup", "Naptr", "NoRecords", "Record", "ResolutionError", "Srv"]

Kind = Literal["A", "AAAA", "SRV", "NAPTR"]
"""The types of records that are asked for."""


class ResolutionError(Exception):
    """A name cannot be resolved now. `reason` says why in words."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.reason = reason


class NoRecords(ResolutionError):
    """The name servers say that there is nothing of the kind, which holds for a while (RFC 2308).

    Args:
        host: The name.
        reason: In words.
        ttl_s: How long it holds, of the zone's SOA record; None where none came.
    """

    def __init__(self, host: str, reason: str, ttl_s: float | None = None) -> None:
        super().__init__(host, reason)
        self.ttl_s = ttl_s


@dataclass(frozen=True, slots=True)
class Srv:
    """A server of a service (RFC 2782)."""

    priority: int
    """The lowest is to be used first."""
    weight: int
    """Its share among those of one priority."""
    port: int
    target: str
    """Its name; "" where the domain says that it has no such service."""


@dataclass(frozen=True, slots=True)
class Naptr:
    """A transport of a domain (RFC 3403, as RFC 3263 §4.1 uses it)."""

    order: int
    preference: int
    flags: str
    service: str
    """As `SIP+D2U`; upper case."""
    regexp: str
    replacement: str
    """The name to ask for SRV records."""


Record = str | Srv | Naptr
"""An address in text, or one of the other two."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """Records of one name and kind; at least one."""

    records: tuple[T, ...]
    ttl_s: float
    """Seconds for which they hold."""


class Lookup(Protocol):
    """Asks the name servers one question."""

    async def __call__(self, name: str, kind: Kind) -> Answer[Any]:
        """The records of a name.

        Raises:
            NoRecords: There are none.
            ResolutionError: Nobody answers, or not what was asked.
        """
