"""Whether a host is an address or a name: the first question of RFC 3263, which decides whether DNS is asked at all.

`resolver`, `dns_lookup` and `locate` ask it.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["literal"]


@lru_cache(4_096)
def literal(host: str) -> str | None:
    """The address that `host` is, in its usual form and without brackets; None for a name."""
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return None
