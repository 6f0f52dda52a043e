from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.server.back_off import OUTAGE, REFUSED, RETRY_AFTER_LIMIT_S, BackOff, Schedule


def test_an_outage_is_retried_fast_once_then_slower_up_to_15_minutes() -> None:
    assert [OUTAGE.wait_s(failures) for failures in range(1, 9)] == [2, 30, 60, 120, 240, 480, 900, 900]


def test_refused_credentials_are_offered_again_after_minutes_up_to_an_hour() -> None:
    assert [REFUSED.wait_s(failures) for failures in range(1, 6)] == [300, 600, 1200, 2400, 3600]


@given(st.sampled_from([OUTAGE, REFUSED]), st.integers(), st.integers(1, 200))
def test_every_wait_is_within_its_jitter_and_bounded(schedule: Schedule, seed: int, failures: int) -> None:
    back_off = BackOff(schedule, Random(seed))
    for _ in range(failures):
        wait_s = back_off.next_s()
    assert schedule.first_s * 0.8 <= wait_s <= schedule.limit_s * 1.2
    assert wait_s == pytest.approx(schedule.wait_s(failures), rel=schedule.jitter + 1e-9)


def test_two_lines_do_not_come_back_together() -> None:
    assert BackOff(OUTAGE, Random(1)).next_s() != BackOff(OUTAGE, Random(2)).next_s()


@given(st.integers(), st.floats(0, 1e9))
def test_retry_after_is_kept_but_neither_hammers_nor_silences(seed: int, asked_s: float) -> None:
    wait_s = BackOff(OUTAGE, Random(seed)).next_s(asked_s)
    assert OUTAGE.first_s <= wait_s <= RETRY_AFTER_LIMIT_S * 1.1
    assert wait_s >= min(asked_s, RETRY_AFTER_LIMIT_S)


def test_refused_credentials_are_not_offered_sooner_for_a_short_retry_after() -> None:
    assert BackOff(REFUSED, Random(1)).next_s(1) >= REFUSED.first_s


def test_success_begins_anew() -> None:
    back_off = BackOff(OUTAGE, Random(1))
    for _ in range(5):
        back_off.next_s()
    back_off.reset()
    assert back_off.next_s() < 3
