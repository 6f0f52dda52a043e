"""How good the sound of one leg is: loss, jitter, round trip and MOS of each direction, from the counts of the media workers.

`calls.hearing` shows it, `calls.record` writes it down, `server.quality_watch` compares two looks at the counts. Numbers alone, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.media.emodel import Scale, burst_ratio, codec_impairment, mos, rating
from trunkline.media.engine import LegStatistics

if TYPE_CHECKING:
    from trunkline.sip.endpoint import Codec, MediaPlan

__all__ = ["Counts", "LegQuality", "Quality", "Spoken", "Tally", "leg_quality", "since", "spoken_in"]

PACKET_MS = 20.0
"""What a packet holds unless a description says otherwise."""

FEWEST_PACKETS = 25
"""Of fewer packets nothing is said: one lost packet of ten is no loss of a tenth."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Some counts, of a time span or of a whole call."""

    packets_received: int = 0
    packets_sent: int = 0
    packets_lost: int = 0
    loss_bursts: int = 0
    packets_discarded: int = 0
    jitter_ms: float = 0.0
    buffer_ms: float | None = None
    remote_packets_lost: int | None = None
    remote_jitter_ms: float | None = None
    round_trip_ms: float | None = None


Counts = LegStatistics | Tally
"""What is counted of a leg."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the sound of one direction of a leg is."""

    codec: str
    """Its name in SDP, as `PCMU`."""
    scale: Scale
    """What `mos` is measured by: a MOS of one scale says nothing beside one of the other."""
    loss: float
    """The share of packets that were not heard, 0 to 1: lost on the way, or too late for the jitter buffer where there is one."""
    burst: float
    """How much longer the bursts of loss are than by chance; 1 where that is not known."""
    jitter_ms: float
    """Interarrival jitter (RFC 3550 §6.4.1)."""
    round_trip_ms: float | None
    """Between us and the peer, by its RTCP; None where it sends none."""
    delay_ms: float
    """One way, as the model takes it: half the round trip, the jitter buffer, the packet and what the codec looks ahead."""
    r: float
    """The E-model's rating."""
    mos: float
    """The mean opinion score that it stands for, 1 to 4.5."""


@dataclass(frozen=True, slots=True)
class LegQuality:
    """Both directions of a leg; None where too little was heard, or nothing is known of the codec."""

    received: Quality | None
    """What the party says, as it arrives here."""
    sent: Quality | None
    """What is said to the party, as its RTCP reports that it arrives there."""


_NO_VOICE = frozenset({"telephone-event", "cn"})

Spoken = tuple[tuple[str, int] | None, tuple[str, int] | None, float]
"""The codecs for voice that are received and sent, by name and clock rate, and how many milliseconds a packet holds."""


def _voice(codecs: Iterable[Codec]) -> tuple[str, int] | None:
    found = (each for each in codecs if each.name.lower() not in _NO_VOICE)
    return next(((each.name, each.clock_rate) for each in found), None)


def spoken_in(plan: MediaPlan | None) -> Spoken:
    """What a plan says of voice."""
    if plan is None:
        return None, None, PACKET_MS
    return _voice(plan.receive_codecs), _voice(plan.send_codecs), float(plan.ptime_ms or 20)


def leg_quality(
    counts: Counts, received: tuple[str, int] | None, sent: tuple[str, int] | None, *, packet_ms: float = PACKET_MS
) -> LegQuality:
    """How good a leg sounds.

    The jitter buffer is ours where the leg has one. Where it has none, for what is relayed and for the party's own, twice the jitter is
    assumed, and a packet at least.

    Args:
        counts: Of the leg.
        received: Name and clock rate in Hz of the codec that the party sends in; None where none is agreed.
        sent: The same of what is sent to it.
        packet_ms: How much sound a packet holds.
    """
    heard = max(counts.packets_received - counts.packets_discarded, 0)
    missing = counts.packets_lost + counts.packets_discarded
    incoming = outgoing = None
    if counts.packets_received >= FEWEST_PACKETS:
        incoming = _quality(
            received,
            missing,
            heard + missing,
            bursts=counts.loss_bursts + counts.packets_discarded,
            jitter_ms=counts.jitter_ms,
            buffer_ms=counts.buffer_ms,
            round_trip_ms=counts.round_trip_ms,
            packet_ms=packet_ms,
        )
    if counts.remote_packets_lost is not None and counts.packets_sent >= FEWEST_PACKETS:
        outgoing = _quality(
            sent,
            counts.remote_packets_lost,
            counts.packets_sent,
            bursts=0,
            jitter_ms=counts.remote_jitter_ms or 0.0,
            buffer_ms=None,
            round_trip_ms=counts.round_trip_ms,
            packet_ms=packet_ms,
        )
    return LegQuality(incoming, outgoing)


def since(now: Counts, before: Counts | None) -> Tally:
    """What was counted between two looks; jitter, buffer and round trip are those of now.

    Their RTCP comes every few seconds: what they lost is told when a report says so, so that a look without one sees no loss.
    """

    def grown(name: str) -> int:
        earlier = getattr(before, name) if before is not None else None
        return max((getattr(now, name) or 0) - (earlier or 0), 0)

    return Tally(
        packets_received=grown("packets_received"),
        packets_sent=grown("packets_sent"),
        packets_lost=grown("packets_lost"),
        loss_bursts=grown("loss_bursts"),
        packets_discarded=grown("packets_discarded"),
        jitter_ms=now.jitter_ms,
        buffer_ms=now.buffer_ms,
        remote_packets_lost=None if now.remote_packets_lost is None else grown("remote_packets_lost"),
        remote_jitter_ms=now.remote_jitter_ms,
        round_trip_ms=now.round_trip_ms,
    )


def _quality(
    codec: tuple[str, int] | None,
    missing: int,
    expected: int,
    *,
    bursts: int,
    jitter_ms: float,
    buffer_ms: float | None,
    round_trip_ms: float | None,
    packet_ms: float,
) -> Quality | None:
    known = codec_impairment(*codec) if codec is not None else None
    if codec is None or known is None or expected <= 0:
        return None
    loss = min(max(missing / expected, 0.0), 1.0)
    burst = burst_ratio(loss, missing / bursts) if bursts else 1.0
    buffer_ms = max(2.0 * jitter_ms, packet_ms) if buffer_ms is None else buffer_ms
    delay_ms = (round_trip_ms or 0.0) / 2.0 + buffer_ms + packet_ms + known.lookahead_ms
    r = rating(known, loss=loss, burst=burst, delay_ms=delay_ms)
    return Quality(
        codec=codec[0],
        scale=known.scale,
        loss=loss,
        burst=burst,
        jitter_ms=jitter_ms,
        round_trip_ms=round_trip_ms,
        delay_ms=delay_ms,
        r=r,
        mos=mos(r, known.scale),
    )
