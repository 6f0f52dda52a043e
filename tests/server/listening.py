"""What a test phone hears, as samples: a tone's frequency, peak and length, and where it was silent meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import math
from array import array
from dataclasses import dataclass

from trunkline.calls.session import CallSession
from trunkline.testing.call import ScriptedCall

RATE = 8000
WINDOW = RATE // 50
LOUD = 300.0
"""The level of a window that is no silence, as RMS."""


@dataclass(frozen=True)
class Tone:
    """What was heard between two silences."""

    frequency_hz: float
    peak: float
    seconds: float
    gaps: int
    """Windows of 20 ms in it that were silent."""


async def answered(calls: list[CallSession]) -> CallSession:
    """The call, once its handler has answered it."""
    async with asyncio.timeout(5):
        while not calls:
            await asyncio.sleep(0.01)
    return calls[0]


def rms(samples: array[int]) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / max(len(samples), 1))


def frequency(samples: array[int]) -> float:
    """By the passages through zero."""
    crossings = sum(1 for a, b in itertools.pairwise(samples) if (a < 0) != (b < 0))
    return crossings * RATE / (2 * max(len(samples), 1))


class Listener:
    """Hears what a phone hears, from its making on.

    Args:
        call: The phone's call.
        seconds: What it can keep.
    """

    def __init__(self, call: ScriptedCall, seconds: int = 20) -> None:
        leg = call.leg
        self._sink = leg._driver.open_sink(leg.number, RATE, frames=50 * seconds)

    def samples(self) -> array[int]:
        """What was heard since it was last asked."""
        assert self._sink.lost == 0
        return array("h", bytes(self._sink.read(self._sink.waiting)))

    def tone(self) -> Tone:
        """All that was heard since, as one tone."""
        return tone_in(self.samples())


def tone_in(samples: array[int]) -> Tone:
    windows = [samples[n : n + WINDOW] for n in range(0, len(samples) - WINDOW + 1, WINDOW)]
    loud = [n for n, window in enumerate(windows) if rms(window) > LOUD]
    assert loud, "nothing was heard"
    first, last = loud[0], loud[-1]
    # without its two ends, where it begins in the middle of a window
    inner = samples[(first + 2) * WINDOW : (last - 1) * WINDOW]
    return Tone(
        frequency_hz=frequency(inner),
        peak=rms(inner) * math.sqrt(2),
        seconds=(last - first + 1) / 50,
        gaps=last - first + 1 - len(loud),
    )
