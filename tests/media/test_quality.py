"""Quality of a leg from its counts: loss after the jitter buffer, bursts, delay, both directions, and between two looks."""

from __future__ import annotations

import pytest

from trunkline.media.quality import LegQuality, Quality, Tally, leg_quality, since

PCMU = ("PCMU", 8000)


def quality(counts: Tally) -> LegQuality:
    return leg_quality(counts, PCMU, PCMU)


def received(counts: Tally) -> Quality:
    found = quality(counts).received
    assert found is not None
    return found


def test_a_clean_call_is_as_good_as_g711_gets() -> None:
    found = received(Tally(packets_received=500))
    assert (found.loss, found.burst, found.codec, found.scale) == (0.0, 1.0, "PCMU", "narrowband")
    # a packet, and one in the buffer
    assert found.delay_ms == pytest.approx(40)
    assert found.mos > 4.37


def test_what_is_too_late_for_the_jitter_buffer_is_lost_too() -> None:
    found = received(Tally(packets_received=95, packets_lost=5, loss_bursts=5, packets_discarded=5))
    assert found.loss == pytest.approx(0.1)


def test_bursts_are_known_by_how_often_packets_were_missing() -> None:
    spread = received(Tally(packets_received=900, packets_lost=100, loss_bursts=100))
    bursts = received(Tally(packets_received=900, packets_lost=100, loss_bursts=20))
    assert spread.burst == 1.0
    assert bursts.burst == pytest.approx(4.5)
    assert bursts.mos < spread.mos


def test_the_buffer_is_the_legs_own_or_twice_the_jitter() -> None:
    own = received(Tally(packets_received=500, jitter_ms=30, buffer_ms=60, round_trip_ms=100))
    assumed = received(Tally(packets_received=500, jitter_ms=50, round_trip_ms=100))
    assert own.delay_ms == pytest.approx(50 + 60 + 20)
    assert assumed.delay_ms == pytest.approx(50 + 100 + 20)


def test_what_is_sent_is_judged_by_their_reports_alone() -> None:
    assert quality(Tally(packets_received=500, packets_sent=500)).sent is None
    found = quality(Tally(packets_sent=500, remote_packets_lost=25, remote_jitter_ms=4.0)).sent
    assert found is not None
    assert (found.loss, found.jitter_ms) == (0.05, 4.0)


def test_of_few_packets_or_an_unknown_codec_nothing_is_said() -> None:
    assert quality(Tally(packets_received=10, packets_lost=1)) == LegQuality(None, None)
    plenty = Tally(packets_received=500, packets_sent=500, remote_packets_lost=0)
    assert leg_quality(plenty, ("speex", 8000), None) == LegQuality(None, None)


def test_between_two_looks_counts_are_those_in_between_and_the_rest_is_of_now() -> None:
    before = Tally(packets_received=1000, packets_lost=100, loss_bursts=50, remote_packets_lost=None, jitter_ms=80.0)
    now = Tally(packets_received=1500, packets_lost=100, loss_bursts=50, remote_packets_lost=7, jitter_ms=5.0)
    span = since(now, before)
    assert (span.packets_received, span.packets_lost, span.remote_packets_lost) == (500, 0, 7)
    assert span.jitter_ms == 5.0
    assert received(span).mos > received(before).mos
    assert since(now, None) == now
