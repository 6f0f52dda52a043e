"""How often one source may ask what nobody is challenged for: a token bucket a source, in a bounded table.

`running` asks it before Python serves OPTIONS outside dialogs, and REGISTER where an `on_register_user` handler decides. What is
challenged needs none: Rust answers it.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["SourceRate"]

MAX_SOURCES = 4_096
"""Sources that are remembered; the one that asked longest ago is forgotten, and has a full bucket when it comes again."""

PREFIX_V6 = 64
"""What one subscriber has of IPv6 (RFC 6177 §2): its addresses are one source."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class SourceRate:
    """Token buckets, one a source.

    Args:
        per_s: Requests a second that a source may send on and on.
        burst: Requests that it may send at once.
        max_sources: Sources that are remembered.
    """

    def __init__(self, per_s: float, burst: int, *, max_sources: int = MAX_SOURCES) -> None:
        self._per_s = per_s
        self._burst = burst
        self._max_sources = max_sources
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, host: str, now_s: float) -> bool:
        """Count a request; False when its source has sent too many.

        Args:
            host: The address that it came from.
            now_s: The loop's clock.
        """
        source = _source(host)
        bucket = self._buckets.get(source)
        if bucket is None:
            bucket = self._buckets[source] = _Bucket(self._burst, now_s)
            if len(self._buckets) > self._max_sources:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(source)
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.at_s) * self._per_s)
        bucket.at_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _source(host: str) -> str:
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((address, PREFIX_V6), strict=False))
