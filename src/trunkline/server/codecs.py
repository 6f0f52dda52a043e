"""Codecs by the names that configuration uses, as SDP writes them (RFC 3551 §6, RFC 7587, RFC 4733)."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.errors import ConfigurationError
from trunkline.sip.endpoint import Codec

__all__ = ["DEFAULT_CODECS", "TELEPHONE_EVENT", "codecs_named"]

TELEPHONE_EVENT = Codec("telephone-event", 8000, fmtp="0-16")
"""DTMF digits; goes with every list of codecs."""

_BY_NAME = {
    "pcmu": Codec("PCMU", 8000),
    "pcma": Codec("PCMA", 8000),
    # RFC 3551 §4.5.2: G.722 samples at 16 kHz and is written 8000 for historical reasons
    "g722": Codec("G722", 8000),
    "g729": Codec("G729", 8000),
    "gsm": Codec("GSM", 8000),
    "opus": Codec("opus", 48000, 2),
}

DEFAULT_CODECS = ("PCMA", "PCMU")


def codecs_named(names: Iterable[str], *, key: str = "codecs") -> tuple[Codec, ...]:
    """The codecs of these names, in this order, and telephone-event.

    Args:
        names: As in SDP, in any case.
        key: What to name in the error.

    Raises:
        ConfigurationError: A name is unknown, or there is none.
    """
    found = []
    for name in names:
        codec = _BY_NAME.get(name.lower())
        if codec is None:
            raise ConfigurationError(
                key, f"unknown codec {name!r}; known are {', '.join(c.name for c in _BY_NAME.values())}"
            )
        found.append(codec)
    if not found:
        raise ConfigurationError(key, "at least one codec is needed")
    return (*found, TELEPHONE_EVENT)
