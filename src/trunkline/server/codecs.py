"""Codecs by the names that configuration uses, as SDP writes them (RFC 3551 §6, RFC 7587, RFC 4733)."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.errors import ConfigurationError
from trunkline.sip.endpoint import Codec

__all__ = ["DEFAULT_CODECS", "TELEPHONE_EVENT", "codecs_named"]

TELEPHONE_EVENT = Codec("telephone-event", 8000, fmtp="0-16")
"""DTMF digits; goes with every list of codecs."""

_KNOWN = {
    "PCMU": Codec("PCMU", 8000),
    "PCMA": Codec("PCMA", 8000),
    # RFC 3551 §4.5.2: G.722 samples at 16 kHz and is written 8000 for historical reasons
    "G722": Codec("G722", 8000),
    "G729": Codec("G729", 8000),
    "GSM": Codec("GSM", 8000),
    # RFC 7587 §6.1: whoever decodes it, we or the other phone, can use the repeats after a loss
    "opus": Codec("opus", 48000, 2, fmtp="useinbandfec=1"),
    "L16": Codec("L16", 16000),
    # of 20 ms at 48 kHz there is more than fits a packet
    **{f"L16/{rate}": Codec("L16", rate) for rate in (8000, 16000, 24000, 32000)},
}
_BY_NAME = {name.lower(): codec for name, codec in _KNOWN.items()}

DEFAULT_CODECS = ("PCMA", "PCMU")


def codecs_named(names: Iterable[str], *, key: str = "codecs") -> tuple[Codec, ...]:
    """The codecs of these names, in this order, and telephone-event.

    Args:
        names: As in SDP, in any case; L16 may have its rate behind a slash.
        key: What to name in the error.

    Raises:
        ConfigurationError: A name is unknown, or there is none.
    """
    found = []
    for name in names:
        codec = _BY_NAME.get(name.lower())
        if codec is None:
            raise ConfigurationError(key, f"unknown codec {name!r}; known are {', '.join(_KNOWN)}")
        found.append(codec)
    if not found:
        raise ConfigurationError(key, "at least one codec is needed")
    return (*found, TELEPHONE_EVENT)
