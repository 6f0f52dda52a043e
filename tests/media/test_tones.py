"""The tone plans: each period by its frequencies, its level and its cadence, as Rust's detector and a plain correlation hear it."""

from __future__ import annotations

import io
import itertools
import math
import wave
from array import array
from typing import get_args

import pytest

from trunkline.media.tones import PLANS, Burst, ToneName, tone_audio

RATE = 8000
BLOCK = 40
"""5 ms: every burst of every plan is a whole number of them."""


def samples_of(name: ToneName, country: str) -> array[int]:
    with wave.open(io.BytesIO(tone_audio(name, country))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return array("h", file.readframes(file.getnframes()))


def level_dbm0(samples: array[int]) -> float:
    power = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(power / (32_768**2 / 2)) + 3.14 if power else -math.inf


def peak_at(samples: array[int], frequency_hz: float) -> float:
    re = sum(sample * math.cos(math.tau * frequency_hz * n / RATE) for n, sample in enumerate(samples))
    im = sum(sample * math.sin(math.tau * frequency_hz * n / RATE) for n, sample in enumerate(samples))
    return 2 * math.hypot(re, im) / len(samples)


def heard(samples: array[int]) -> list[tuple[bool, float]]:
    """Whether there is sound, and for how many seconds, in turn."""
    found: list[tuple[bool, float]] = []
    for start in range(0, len(samples), BLOCK):
        sounds = any(abs(sample) > 100 for sample in samples[start : start + BLOCK])
        if found and found[-1][0] == sounds:
            found[-1] = (sounds, found[-1][1] + BLOCK / RATE)
        else:
            found.append((sounds, BLOCK / RATE))
    return [(sounds, round(seconds, 3)) for sounds, seconds in found]


@pytest.mark.parametrize("country", PLANS)
def test_a_plan_has_every_tone_and_says_where_it_is_laid_down(country: str) -> None:
    plan = PLANS[country]
    assert set(plan.tones) == set(get_args(ToneName))
    assert plan.name
    assert plan.source


@pytest.mark.parametrize("country", PLANS)
@pytest.mark.parametrize("name", get_args(ToneName))
def test_a_tone_has_its_frequencies_its_level_and_its_cadence(name: ToneName, country: str) -> None:
    samples = samples_of(name, country)
    cadence = PLANS[country].tones[name]
    assert heard(samples) == [(bool(burst.frequencies_hz), burst.seconds) for burst in cadence]
    start = 0
    for burst in cadence:
        count = round(burst.seconds * RATE)
        check_burst(samples[start : start + count], burst)
        start += count
    assert start == len(samples)


def check_burst(samples: array[int], burst: Burst) -> None:
    if not burst.frequencies_hz:
        assert not any(samples)
        return
    assert abs(level_dbm0(samples) + 10) < 0.4
    whole = 32_768 * 10 ** ((-10 - 3.14) / 20)
    expected = whole / math.sqrt(len(burst.frequencies_hz))
    for frequency in burst.frequencies_hz:
        assert abs(peak_at(samples, frequency) / expected - 1) < 0.1


@pytest.mark.parametrize("country", PLANS)
def test_a_tone_that_goes_on_has_no_click_where_it_begins_anew(country: str) -> None:
    samples = samples_of("dial", country)
    twice = samples + samples
    steps = [abs(b - a) for a, b in itertools.pairwise(twice)]
    assert max(steps[len(samples) - 5 : len(samples) + 5]) <= max(steps[: len(samples) - 5])


@pytest.mark.parametrize(
    ("name", "country", "frequencies_hz", "seconds"),
    [
        ("busy", "de", (425,), (0.48, 0.48)),
        ("ringback", "us", (440, 480), (2.0, 4.0)),
        ("ringback", "gb", (400, 450), (0.4, 0.2, 0.4, 2.0)),
        ("congestion", "gb", (400,), (0.4, 0.35, 0.225, 0.525)),
        ("ringback", "fr", (440,), (1.5, 3.5)),
        ("congestion", "itu", (425,), (0.2, 0.2)),
    ],
)
def test_known_tones_are_what_the_recommendation_lists(
    name: ToneName, country: str, frequencies_hz: tuple[int, ...], seconds: tuple[float, ...]
) -> None:
    cadence = PLANS[country].tones[name]
    assert tuple(burst.seconds for burst in cadence) == seconds
    assert {burst.frequencies_hz for burst in cadence[::2]} == {frequencies_hz}
    assert {burst.frequencies_hz for burst in cadence[1::2]} == {()}


def test_a_country_is_named_in_any_case_and_an_unknown_one_or_tone_names_the_known() -> None:
    assert tone_audio("busy", "DE") == tone_audio("busy", "de")
    with pytest.raises(ValueError, match="country: one of itu, de, us, gb, fr, not xx"):
        tone_audio("busy", "xx")
    with pytest.raises(ValueError, match="tone: one of dial, ringback, busy, congestion, call_waiting, not hum"):
        tone_audio("hum", "de")  # type: ignore[arg-type]
