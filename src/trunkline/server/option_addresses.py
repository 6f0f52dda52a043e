"""IP addresses among the options, checked for `config`, which tells what is wrong with the key's name in front."""

from __future__ import annotations

import ipaddress

__all__ = ["advertised", "is_address", "local_address"]


def advertised(addresses: dict[str, str]) -> dict[str, str]:
    """Public addresses by local ones, as they are. ValueError where one is none, or a pair of two families."""
    for pair in addresses.items():
        for text in pair:
            if not is_address(text):
                raise ValueError(f"{text!r} is no address; give both as 203.0.113.1 or 2001:db8::1")
        if len({":" in text for text in pair}) > 1:
            raise ValueError(f"{pair[0]} and {pair[1]} are of two families")
    return addresses


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def local_address(text: str) -> str:
    """The address of an interface, as it is. ValueError for anything else."""
    if not is_address(text) or ipaddress.ip_address(text).is_unspecified:
        raise ValueError(f"{text!r} is no address of this machine; name one, as 192.0.2.1")
    return text
