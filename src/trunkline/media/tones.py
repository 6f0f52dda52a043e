"""Tones that telephone networks tell the state of a call by, as data: a plan a country, with its source.

`calls.sound` plays one as a WAV of a single period, over and over: every frequency here is a whole number of hertz and every
period a whole number of samples, so that it goes on without a click. ITU-T E.180 §4 has the level.
"""

from __future__ import annotations

import io
import math
import wave
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

__all__ = ["PLANS", "Burst", "Cadence", "Plan", "ToneName", "tone_audio"]

ToneName = Literal["dial", "ringback", "busy", "congestion", "call_waiting"]

SAMPLE_RATE = 8000
"""Of every tone, in Hz; no frequency is above half of it."""

PEAK = 32_768 * 10 ** ((-10.0 - 3.14) / 20)
"""The peak of a sine of -10 dBm0, which is where E.180 wants every tone; two sines of 3 dB less have its power."""


class Burst(NamedTuple):
    """A part of a tone's period."""

    frequencies_hz: tuple[int, ...]
    """What sounds at once; nothing for silence."""
    seconds: float


Cadence = tuple[Burst, ...]
"""The period of a tone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The tones of a country."""

    name: str
    """The country in words."""
    source: str
    """Where it is laid down."""
    tones: Mapping[ToneName, Cadence]


def _cadence(frequencies_hz: tuple[int, ...], *seconds: float) -> Cadence:
    """Sound and silence in turn."""
    return tuple(Burst(frequencies_hz if n % 2 == 0 else (), each) for n, each in enumerate(seconds))


def _going_on(*frequencies_hz: int) -> Cadence:
    """Without a pause: a second has whole periods of whole frequencies."""
    return (Burst(frequencies_hz, 1.0),)


_LIST = "ITU-T E.180 Supplement 2, Various tones used in national networks"

PLANS: Mapping[str, Plan] = {
    "itu": Plan(
        "no country's",
        "ITU-T E.180/Q.35: 425 Hz, and cadences within its ranges, as 3GPP TS 22.001 Annex F has chosen them",
        {
            "dial": _going_on(425),
            "ringback": _cadence((425,), 1.0, 4.0),
            "busy": _cadence((425,), 0.5, 0.5),
            "congestion": _cadence((425,), 0.2, 0.2),
            "call_waiting": _cadence((425,), 0.2, 0.6, 0.2, 3.0),
        },
    ),
    "de": Plan(
        "Germany",
        _LIST,
        {
            "dial": _going_on(425),
            "ringback": _cadence((425,), 1.0, 4.0),
            "busy": _cadence((425,), 0.48, 0.48),
            "congestion": _cadence((425,), 0.24, 0.24),
            "call_waiting": _cadence((425,), 0.2, 0.2, 0.2, 5.0),
        },
    ),
    "us": Plan(
        "United States",
        f"{_LIST}; the Precise Tone Plan of North America",
        {
            "dial": _going_on(350, 440),
            "ringback": _cadence((440, 480), 2.0, 4.0),
            "busy": _cadence((480, 620), 0.5, 0.5),
            "congestion": _cadence((480, 620), 0.25, 0.25),
            "call_waiting": _cadence((440,), 0.3, 10.0),
        },
    ),
    "gb": Plan(
        "United Kingdom",
        f"{_LIST}; BT SIN 350",
        {
            "dial": _going_on(350, 440),
            "ringback": _cadence((400, 450), 0.4, 0.2, 0.4, 2.0),
            "busy": _cadence((400,), 0.375, 0.375),
            "congestion": _cadence((400,), 0.4, 0.35, 0.225, 0.525),
            "call_waiting": _cadence((400,), 0.1, 4.0),
        },
    ),
    "fr": Plan(
        "France",
        _LIST,
        {
            "dial": _going_on(440),
            "ringback": _cadence((440,), 1.5, 3.5),
            "busy": _cadence((440,), 0.5, 0.5),
            "congestion": _cadence((440,), 0.25, 0.25),
            "call_waiting": _cadence((440,), 0.3, 10.0),
        },
    ),
}
"""By the country's code in small letters; "itu" is what is recommended to all."""


def tone_audio(name: ToneName, country: str) -> bytes:
    """A WAV of one period of a tone.

    Args:
        name: The tone.
        country: The plan, by its country's code in any case.

    Raises:
        ValueError: There is no such tone or plan.
    """
    plan = PLANS.get(country.lower())
    if plan is None:
        raise ValueError(f"country: one of {', '.join(PLANS)}, not {country}")
    if name not in plan.tones:
        raise ValueError(f"tone: one of {', '.join(get_args(ToneName))}, not {name}")
    return _wave(plan.tones[name])


@lru_cache(64)
def _wave(cadence: Cadence) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        for burst in cadence:
            out.writeframes(_samples(burst))
    return file.getvalue()


def _samples(burst: Burst) -> bytes:
    count = round(burst.seconds * SAMPLE_RATE)
    if not burst.frequencies_hz:
        return bytes(2 * count)
    peak = PEAK / math.sqrt(len(burst.frequencies_hz))
    # one second, which repeats itself
    angles = [math.tau * frequency / SAMPLE_RATE for frequency in burst.frequencies_hz]
    second = array("h", (round(peak * sum(math.sin(angle * n) for angle in angles)) for n in range(SAMPLE_RATE)))
    whole = second * -(-count // SAMPLE_RATE)
    return whole[:count].tobytes()
