"""Literal IP addresses in messages and flows, parsed once each.

A few hosts stand in very many messages, and parsing one costs more than most decisions that hang on it. `dialog` asks
for the address of a Contact or Route, `calls` for that of a description; `resolver` and `locate` whether DNS is asked at
all, the first question of RFC 3263.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["IpAddress", "literal", "literal_text"]

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(4_096)
def literal(host: str) -> IpAddress | None:
    """The address that a host is; None for a name.

    Args:
        host: As a URI, a description or a flow has it.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@lru_cache(4_096)
def literal_text(host: str) -> str | None:
    """The address that a host is, in its usual form and without brackets; None for a name."""
    address = literal(host.removeprefix("[").removesuffix("]"))
    return None if address is None else str(address)
