"""What the media workers tell of a leg's sound, over real sockets: kinds and ages, levels, and the counts that quality is made of."""

from __future__ import annotations

import math
import select
from collections.abc import Callable

import pytest

from _trunkline import MediaEngine, SoundChanged
from tests.media.far_end import Phone, Side, counts, poll_until


def told(engine: MediaEngine, found: list[SoundChanged]) -> list[SoundChanged]:
    found += [event for event in engine.drain() if isinstance(event, SoundChanged)]
    return found


def test_a_tone_and_its_end_are_told_of_a_leg_that_is_attended_to_while_it_is_relayed(sides: tuple[Side, Side]) -> None:
    a, b = sides
    a.engine.attend(a.leg, True)
    found: list[SoundChanged] = []
    for _ in range(60):
        a.phone.send_tone(a.port, 1000)
        select.select([], [], [], 0.02)
    level = counts(a.engine, a.leg).level_dbm0
    assert level is not None
    assert level == pytest.approx(3.14 + 20 * math.log10(8000 / 32_768), abs=0.5)
    assert counts(a.engine, b.leg).level_dbm0 is None
    assert poll_until(lambda: len(told(a.engine, found)) == 2)
    tone, end = found
    assert (tone.leg, tone.sound, end.sound) == (a.leg, "tone", "silence")
    assert tone.frequency_hz == pytest.approx(1000, abs=4)
    assert tone.age_s == pytest.approx(0.1, abs=0.05)
    assert end.ended_dbm0 == pytest.approx(level, abs=1)
    assert counts(a.engine, b.leg).packets_sent >= 55
    a.engine.attend(a.leg, False)
    assert counts(a.engine, a.leg).level_dbm0 is None


def test_bursts_of_loss_are_counted_and_there_is_no_buffer_without_an_ear(
    engine: MediaEngine, phone: Callable[..., Phone]
) -> None:
    side = Side(engine, phone()).open()
    for n in range(40):
        if n in (10, 11, 12, 30):
            side.phone.sequence += 1
        else:
            side.phone.send_tone(side.port, 500)
    assert poll_until(lambda: side.statistics.packets_received == 36)
    now = side.statistics
    assert (now.packets_lost, now.loss_bursts, now.packets_discarded, now.buffer_ms) == (4, 2, 0, None)
    engine.attend(side.leg, True)
    assert side.statistics.buffer_ms is not None


def test_nothing_is_told_of_a_leg_that_nobody_attends_to(sides: tuple[Side, Side]) -> None:
    a, _ = sides
    for _ in range(20):
        a.phone.send_tone(a.port, 1000)
    assert poll_until(lambda: a.statistics.packets_received == 20)
    assert told(a.engine, []) == []
