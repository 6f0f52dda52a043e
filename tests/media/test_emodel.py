"""The E-model beside published values: G.107's own, G.113's tables of loss, and what others have made of the delay."""

from __future__ import annotations

import pytest

from trunkline.media.emodel import (
    CODECS,
    CodecImpairment,
    burst_ratio,
    codec_impairment,
    effective_impairment,
    mos,
    rating,
)

G711, G729, G722, OPUS = CODECS["pcmu"], CODECS["g729"], CODECS["g722"], CODECS["opus"]


def test_all_defaults_give_the_rating_that_g107_says() -> None:
    # G.107 §7.7: with the default values R = 93.2
    assert rating(G711) == pytest.approx(93.2, abs=0.05)


@pytest.mark.parametrize(
    ("r", "expected"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (93.2, 4.41), (0, 1.0), (100, 4.5)]
)
def test_mos_of_a_rating_is_that_of_g107_table_b1(r: float, expected: float) -> None:
    assert mos(r) == pytest.approx(expected, abs=0.011)


def test_mos_stays_between_1_and_4_5_and_grows_with_the_rating() -> None:
    scores = [mos(r / 2) for r in range(-20, 260)]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1]) == (1.0, 4.5)


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 11), (0.5, 13), (1, 15), (1.5, 17), (2, 19), (3, 23), (4, 26), (8, 36), (16, 49)]
)
def test_loss_of_g729_costs_what_g113_table_i2_says(percent: float, expected: float) -> None:
    found = effective_impairment(G729.ie, G729.bpl, loss=percent / 100)
    assert found == pytest.approx(expected, abs=0.6)


@pytest.mark.parametrize(("percent", "expected"), [(0, 0), (2, 7), (3, 10), (5, 15), (7, 20), (10, 25)])
def test_loss_of_g711_with_concealment_costs_what_g113_table_i2_says(percent: float, expected: float) -> None:
    assert effective_impairment(G711.ie, G711.bpl, loss=percent / 100) == pytest.approx(expected, abs=2.1)


@pytest.mark.parametrize("delay_ms", [0, 50, 100, 150, 177, 200, 250, 300])
def test_delay_costs_what_cole_and_rosenbluth_found(delay_ms: float) -> None:
    # Cole and Rosenbluth 2001: Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3), an approximation of G.107
    published = 0.024 * delay_ms + 0.11 * max(delay_ms - 177.3, 0)
    assert rating(G711) - rating(G711, delay_ms=delay_ms) == pytest.approx(published, abs=1.0)


def test_bursts_of_loss_are_worse_than_loss_by_chance() -> None:
    by_chance, in_bursts = rating(G711, loss=0.05), rating(G711, loss=0.05, burst=2.0)
    # G.107 (7-29): 95 * 5 / (5 / 2 + 25.1)
    assert rating(G711) - in_bursts == pytest.approx(17.2, abs=0.05)
    assert in_bursts < by_chance


def test_the_burst_ratio_is_the_length_of_bursts_beside_those_of_chance() -> None:
    # loss by chance of a half has bursts of two
    assert burst_ratio(0.5, 2.0) == 1.0
    assert burst_ratio(0.1, 1.0) == 1.0
    assert burst_ratio(0.1, 5.0) == pytest.approx(4.5)


def test_wideband_has_a_scale_of_its_own() -> None:
    # G.107.1: R = 129 - 13 for G.722 at 64 kbit/s, and MOS of R / 1.29
    assert rating(G722) == pytest.approx(116.0)
    assert mos(rating(G722), G722.scale) == pytest.approx(4.34, abs=0.01)
    assert mos(rating(G722, loss=0.05), "wideband") < 3.3
    assert rating(OPUS) == pytest.approx(121.0)


def test_nothing_makes_the_model_fall_over() -> None:
    for codec in CODECS.values():
        for loss in (-1.0, 0.0, 0.5, 1.0, 7.0):
            for delay_ms in (-5.0, 0.0, 1e3, 1e9):
                assert 1.0 <= mos(rating(codec, loss=loss, delay_ms=delay_ms), codec.scale) <= 4.5


def test_codecs_are_found_by_name_and_each_names_its_source() -> None:
    assert codec_impairment("PCMA", 8000) is G711
    assert codec_impairment("L16", 8000) != codec_impairment("L16", 16_000)
    assert codec_impairment("speex", 16_000) is None
    assert all(len(each.source) > 20 for each in CODECS.values())
    # what ITU-T has no pair of values for says so
    assert {name for name, codec in CODECS.items() if codec.estimated} == {"opus", "g722", "gsm", "l16", "l16/8000"}


@pytest.mark.parametrize(
    ("ie", "expected"),
    [(1, 4.49), (3, 4.48), (5, 4.46), (7, 4.43), (8, 4.42), (10, 4.39), (13, 4.34), (26, 4.02), (41, 3.51)],
)
def test_codecs_of_g722_2_have_the_mos_that_g107_1_gives_them(ie: float, expected: float) -> None:
    # G.113 Table IV.1: the Ie of the nine modes of G.722.2; MOS by G.107.1 Annex A
    codec = CodecImpairment("wideband", ie, 4.3, 0.0, "G.113 Table IV.1")
    assert mos(rating(codec), "wideband") == pytest.approx(expected, abs=0.005)


def test_no_loss_and_no_delay_make_a_mos_of_4_41() -> None:
    assert mos(rating(G711)) == pytest.approx(4.41, abs=0.005)
    # G.107 Table 3: without concealment Bpl is 4.3 by default, and 1 % costs 17.9
    assert effective_impairment(0.0, 4.3, loss=0.01) == pytest.approx(17.9, abs=0.05)
