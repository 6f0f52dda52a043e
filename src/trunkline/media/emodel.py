"""The E-model: what people would say of a call's sound, on the scale of 1 to 5, from what the network did to it.

Pure functions. ITU-T G.107 for narrowband with its default values for all that is not the network's, ITU-T G.107.1 for wideband; the two
have scales of their own, and a MOS of one says nothing beside one of the other. What codecs bring along is data in `CODECS`
(ITU-T G.113), each row with its source and `estimated` where no table has the pair. `media.quality` feeds it with the counts of legs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["CODECS", "CodecImpairment", "Scale", "burst_ratio", "codec_impairment", "mos", "rating"]

Scale = Literal["narrowband", "wideband"]

# Default values of G.107, Table 2: telephones, rooms and echoes as they are planned with.
SLR_DB, RLR_DB = 8.0, 2.0
"""Send and receive loudness rating."""
STMR_DB, LSTR_DB = 15.0, 18.0
"""Sidetone masking rating and listener sidetone rating."""
DS, PS_DBA, PR_DBA = 3.0, 35.0, 35.0
"""D-value of the sending telephone; room noise where is spoken and where is heard."""
TELR_DB, WEPL_DB = 65.0, 110.0
"""Talker echo loudness rating and weighted echo path loss: echo is cancelled."""
NC_DBM0P, NFOR_DBMP = -70.0, -64.0
"""Noise of the circuit and noise floor."""
QDU = 1.0
"""Quantization distortion units: one pair of coder and decoder."""

WIDEBAND_RO = 129.0
"""The rating of a perfect wideband connection (G.107.1 §7.2)."""
MOST_IE = 95.0
"""What the impairment rises to with the loss (G.107 (7-29), unchanged in G.107.1 (7-15))."""
MAX_DELAY_MS = 5_000.0
"""Far beyond what the model knows; keeps the powers in it finite."""


@dataclass(frozen=True, slots=True)
class CodecImpairment:
    """What a codec does to speech."""

    scale: Scale
    ie: float
    """Equipment impairment factor without loss."""
    bpl: float
    """Packet-loss robustness factor."""
    lookahead_ms: float
    """What it delays beside its packets: how far it looks ahead."""
    source: str
    """Where the values come from."""
    estimated: bool = False
    """Whether ITU-T has published no such pair of values, and another codec's stand in."""


# All are of ITU-T G.113 (09/2024), whose appendices call them provisional planning values. Table IV.4 has loss for listening with both ears
# alone, so that every wideband value of loss is an estimate for a handset.
_G711 = CodecImpairment(
    "narrowband",
    0.0,
    25.1,
    0.0,
    "Table I.4: G.711 with the concealment of its Appendix I; 4.3 without, as G.107 has it by default",
)
_L16 = "no coding, and no value: as a perfect connection; loss as G.711 with concealment"

CODECS: Mapping[str, CodecImpairment] = MappingProxyType(
    {
        "pcmu": _G711,
        "pcma": _G711,
        "g729": CodecImpairment(
            "narrowband", 11.0, 19.0, 5.0, "Table I.4: G.729A with voice activity detection, 20 ms a packet"
        ),
        "g722": CodecImpairment(
            "wideband",
            13.0,
            4.3,
            1.5,
            "Table IV.1 (64 kbit/s); for loss there is no value: that of G.722.2 at 12.65 kbit/s (Table IV.4), which has the same Ie",
            estimated=True,
        ),
        "opus": CodecImpairment(
            "wideband",
            8.0,
            4.9,
            6.5,
            "none has Opus: G.722.2 at 23.85 kbit/s (Tables IV.1 and IV.4), which listeners put no higher than Opus at 24 kbit/s; "
            "restored packets (FEC) count as lost",
            estimated=True,
        ),
        "gsm": CodecImpairment(
            "narrowband",
            20.0,
            10.0,
            0.0,
            "Table I.1: GSM full rate; for loss there is no value: that of GSM-EFR (Table I.4)",
            estimated=True,
        ),
        "l16/8000": CodecImpairment("narrowband", 0.0, 25.1, 0.0, _L16, estimated=True),
        "l16": CodecImpairment("wideband", 0.0, 25.1, 0.0, _L16, estimated=True),
    }
)
"""What codecs do to speech, by their name in SDP in small letters, or by name and clock rate."""


def codec_impairment(name: str, clock_rate: int) -> CodecImpairment | None:
    """What a codec does to speech; None where nothing is known of it.

    Args:
        name: Its name in SDP, in any case.
        clock_rate: Its clock rate in Hz.

    Example:
        >>> codec_impairment("PCMU", 8000).bpl
        25.1
    """
    key = name.lower()
    return CODECS.get(f"{key}/{clock_rate}") or CODECS.get(key)


def burst_ratio(loss: float, burst_packets: float) -> float:
    """How much longer bursts of loss are than if packets were lost by chance alone (G.107 §7.7: BurstR).

    Args:
        loss: The share of packets lost, 0 to 1.
        burst_packets: How many packets in a row are lost on average.

    Returns:
        1 for loss by chance, 2 for bursts twice as long; never below 1.

    Example:
        >>> burst_ratio(0.1, 4.0)
        3.6
    """
    return max(1.0, burst_packets * (1.0 - min(max(loss, 0.0), 1.0)))


def rating(codec: CodecImpairment, *, loss: float = 0.0, burst: float = 1.0, delay_ms: float = 0.0) -> float:
    """The rating R of a connection: about 93 for a perfect narrowband one, 129 for a wideband one, 0 for the worst.

    Args:
        codec: What the codec does.
        loss: The share of packets that are not played, 0 to 1.
        burst: The burst ratio of that loss, 1 for loss by chance.
        delay_ms: From mouth to ear, one way.
    """
    delay_ms = min(max(delay_ms, 0.0), MAX_DELAY_MS)
    base = _narrowband_rating(delay_ms) if codec.scale == "narrowband" else WIDEBAND_RO - _delay_itself(delay_ms)
    # an assumption for wideband: G.107.1 (7-15) knows loss by chance alone
    return max(0.0, base - effective_impairment(codec.ie, codec.bpl, loss=loss, burst=burst))


def effective_impairment(ie: float, bpl: float, *, loss: float, burst: float = 1.0) -> float:
    """The equipment impairment with loss (G.107 (7-29)).

    Args:
        ie: Without loss.
        bpl: The codec's robustness.
        loss: The share of packets lost, 0 to 1.
        burst: The burst ratio, 1 or more.

    Example:
        >>> round(effective_impairment(11.0, 19.0, loss=0.02), 1)
        19.0
    """
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    if percent <= 0.0:
        return ie
    return ie + (MOST_IE - ie) * percent / (percent / max(burst, 1.0) + bpl)


def mos(r: float, scale: Scale = "narrowband") -> float:
    """The mean opinion score of a rating, 1 to 4.5 (G.107 Annex B, G.107.1 Annex A).

    Args:
        r: The rating.
        scale: That of the rating.

    Example:
        >>> round(mos(93.2), 2), round(mos(129.0, "wideband"), 2)
        (4.41, 4.5)
    """
    x = r if scale == "narrowband" else r / 1.29
    if x <= 0.0:
        return 1.0
    if x >= 100.0:
        return 4.5
    # below 6.5 the polynomial falls under 1
    return max(1.0, 1.0 + 0.035 * x + x * (x - 60.0) * (100.0 - x) * 7e-6)


def _narrowband_rating(delay_ms: float) -> float:
    """R without equipment impairment, G.107 §7 with the defaults: Ro - Is - Id."""
    no = _noise()
    ro = 15.0 - 1.5 * (SLR_DB + no)  # (7-2)
    return ro - _simultaneous(ro, no, delay_ms) - _delay(ro, no, delay_ms)


def _noise() -> float:
    """The sum of all noise at the 0 dBr point, in dBm0p (7-3 to 7-7)."""
    olr = SLR_DB + RLR_DB
    nos = PS_DBA - SLR_DB - DS - 100.0 + 0.004 * (PS_DBA - olr - DS - 14.0) ** 2
    pre = PR_DBA + 10.0 * math.log10(1.0 + 10.0 ** ((10.0 - LSTR_DB) / 10.0))
    nor = RLR_DB - 121.0 + pre + 0.008 * (pre - 35.0) ** 2
    nfo = NFOR_DBMP + RLR_DB
    return 10.0 * math.log10(sum(10.0 ** (each / 10.0) for each in (NC_DBM0P, nos, nor, nfo)))


def _simultaneous(ro: float, no: float, delay_ms: float) -> float:
    """Is: loudness, sidetone and quantization (7-8 to 7-17)."""
    xolr = SLR_DB + RLR_DB + 0.2 * (64.0 + no - RLR_DB)
    iolr: float = 20.0 * ((1.0 + (xolr / 8.0) ** 8) ** (1 / 8) - xolr / 8.0)
    stmro = -10.0 * math.log10(10.0 ** (-STMR_DB / 10.0) + math.exp(-delay_ms / 4.0) * 10.0 ** (-TELR_DB / 10.0))
    ist: float = (
        12.0 * (1.0 + ((stmro - 13.0) / 6.0) ** 8) ** (1 / 8)
        - 28.0 * (1.0 + ((stmro + 1.0) / 19.4) ** 35) ** (1 / 35)
        - 13.0 * (1.0 + ((stmro - 3.0) / 33.0) ** 13) ** (1 / 13)
        + 29.0
    )
    q = 37.0 - 15.0 * math.log10(QDU)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    y = (ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0
    z = 46.0 / 30.0 - g / 40.0
    return iolr + ist + 15.0 * math.log10(1.0 + 10.0**y + 10.0**z)


def _delay(ro: float, no: float, delay_ms: float) -> float:
    """Id: what talker and listener hear of their echo, and the delay itself (7-18 to 7-28)."""
    terv = (
        TELR_DB
        - 40.0 * math.log10((1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0))
        + 6.0 * math.exp(-0.3 * delay_ms**2)
    )
    roe, re = -1.5 * (no - RLR_DB), 80.0 + 2.5 * (terv - 14.0)
    idte = (_hypotenuse((roe - re) / 2.0, 100.0) - 1.0) * (1.0 - math.exp(-delay_ms))
    # the way there and back, four-wire
    rle = 10.5 * (WEPL_DB + 7.0) * (2.0 * delay_ms + 1.0) ** -0.25
    idle = _hypotenuse((ro - rle) / 2.0, 169.0)
    return idte + idle + _delay_itself(delay_ms)


def _hypotenuse(half: float, square: float) -> float:
    return half + math.sqrt(half**2 + square)


def _delay_itself(delay_ms: float) -> float:
    """Idd: people fall into each other's words (7-27, 7-28). G.107.1 keeps it as it is."""
    if delay_ms <= 100.0:
        return 0.0
    x = math.log2(delay_ms / 100.0)
    idd: float = 25.0 * ((1.0 + x**6) ** (1 / 6) - 3.0 * (1.0 + (x / 3.0) ** 6) ** (1 / 6) + 2.0)
    return idd
