"""Codecs by the names that configuration uses, as SDP writes them (RFC 3551 §6, RFC 7587, RFC 4733, RFC 3389)."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.errors import ConfigurationError
from trunkline.sip.endpoint import Codec

__all__ = ["COMFORT_NOISE", "DEFAULT_CODECS", "codecs_named"]

COMFORT_NOISE = "CN"
"""Not to send what nobody would hear, where the peer does the same (RFC 3389); beside codecs that have no such thing themselves."""

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
_HUSHED = frozenset({"PCMU", "PCMA", "L16"})
"""Codecs that send all the time, at the rate of their clock. Opus and G.729 have their own way, G.722 samples faster than its clock."""
_BY_NAME = {name.lower(): codec for name, codec in _KNOWN.items()}

DEFAULT_CODECS = ("PCMA", "PCMU")


def codecs_named(names: Iterable[str], *, key: str = "codecs") -> tuple[Codec, ...]:
    """The codecs of these names, in this order, and telephone-event for each of their clocks.

    Args:
        names: As in SDP, in any case; L16 may have its rate behind a slash. CN is comfort noise for all of them that it fits.
        key: What to name in the error.

    Raises:
        ConfigurationError: A name is unknown, or there is none.
    """
    found, with_noise = [], False
    for name in names:
        if name.upper() == COMFORT_NOISE:
            with_noise = True
            continue
        codec = _BY_NAME.get(name.lower())
        if codec is None:
            raise ConfigurationError(key, f"unknown codec {name!r}; known are {', '.join((*_KNOWN, COMFORT_NOISE))}")
        found.append(codec)
    if not found:
        raise ConfigurationError(key, "at least one codec is needed")
    noise = _companions("CN", [codec for codec in found if codec.name in _HUSHED]) if with_noise else ()
    return (*found, *noise, *_companions("telephone-event", found, fmtp="0-16"))


def _companions(name: str, codecs: Iterable[Codec], fmtp: str | None = None) -> Iterable[Codec]:
    """What accompanies codecs, of each of their clocks (RFC 4733 §2.1, RFC 3389 §4)."""
    clocks = dict.fromkeys(codec.clock_rate for codec in codecs)
    return (Codec(name, clock, fmtp=fmtp) for clock in clocks)
