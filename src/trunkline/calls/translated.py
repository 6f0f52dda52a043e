"""Whether a peer's session description shows that NAT stands between it and us, though its signalling does not.

`Channel` asks for each description, since a phone or a gateway on the way may write a Via that fits and leave SDP as it
was. Where the answer is yes, media may be learned from the address that signalling comes from; exactly the address of
the description is heard in any case.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from trunkline.sip.literal import IpAddress, literal

__all__ = ["translated"]

_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8",  # RFC 1918 §3
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",  # RFC 6598 §7
            "fc00::/7",  # RFC 4193 §3.1
        ),
    )
)


@lru_cache(4_096)
def translated(described: str, source: str, *, registered: bool) -> bool:
    """Whether what a peer describes cannot be where its media comes from.

    A private address of a peer whose signalling comes from a public one; or any other address than that of a
    registered user, whose phone sends both. A provider's media may well come from another machine than its signalling.

    Args:
        described: The address in its session description.
        source: The address that its signalling comes from.
        registered: Whether that is where a registered user is.
    """
    here, there = _unmapped(source), _unmapped(described)
    if here is None or there is None or here == there:
        return False
    return registered or (_private(there) and _public(here))


def _unmapped(text: str) -> IpAddress | None:
    address = literal(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _private(address: IpAddress) -> bool:
    return any(address in network for network in _PRIVATE)


def _public(address: IpAddress) -> bool:
    return not (_private(address) or address.is_loopback or address.is_link_local or address.is_unspecified)
