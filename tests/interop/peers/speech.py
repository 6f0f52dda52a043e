"""What phones say in the tests of codec pairs, tones and then speech, and how the other phone's recording is judged.

espeak-ng speaks. A recording is laid over what was said where their correlation is highest; then each tone has its level, and speech its
intelligibility by STOI (Taal, Hendriks, Heusdens and Jensen 2011) as the package `pystoi` has it: 1 for the same signal, under 0.5
for another. Used by test_codec_pairs.py.
"""

from __future__ import annotations

import functools
import math
import subprocess
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pystoi import stoi
from scipy.signal import correlate, resample_poly

from peers import audio

Samples: TypeAlias = NDArray[np.float64]

RATE_HZ = 16_000
"""Recordings are compared at this rate."""
ESPEAK_RATE_HZ = 22_050
ESPEAK_HEADER_BYTES = 44
TONES_HZ = (1000.0, 3000.0, 6000.0)
"""The middle, the edge of what 8 kHz hold, and what only a wide channel holds."""
TONE_DBFS = -20.0
TONE_S, GAP_S, LEAD_S, TAIL_S = 0.6, 0.2, 0.6, 8.0
PIECE_S, SLACK_S = 0.5, 0.15
SPEECH_RMS = 2500.0
"""About -20 dB under a full-scale sine."""


@dataclass(frozen=True)
class Voice:
    """Who speaks, and what.

    Attributes:
        language: as espeak-ng names it, with a variant if wanted.
        text: what is said.
    """

    language: str
    text: str


@functools.cache
def spoken(voice: Voice, rate_hz: int = RATE_HZ) -> Samples:
    """Speech, as 16-bit values at a rate."""
    argv = ["espeak-ng", "--stdout", "-v", voice.language, voice.text]
    said = subprocess.run(argv, capture_output=True, check=True, timeout=20).stdout[ESPEAK_HEADER_BYTES:]
    samples = resampled(np.frombuffer(said, "<i2").astype(np.float64), ESPEAK_RATE_HZ, rate_hz)
    return samples * (SPEECH_RMS / math.sqrt(float(np.mean(samples**2))))


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """The same sound at another rate, without what does not fit it."""
    step = Fraction(to_hz, from_hz)
    return samples if step == 1 else np.asarray(resample_poly(samples, step.numerator, step.denominator))


def tones_of(rate_hz: int) -> list[float]:
    """The tones that a rate holds."""
    return [frequency_hz for frequency_hz in TONES_HZ if frequency_hz < rate_hz / 2]


def write(path: Path, voice: Voice, rate_hz: int) -> Path:
    """Write what a phone plays as a mono WAV file and return its path: silence, the tones, the speech, and silence."""
    amplitude = audio.FULL_SCALE * 10 ** (TONE_DBFS / 20)
    times = np.arange(round(TONE_S * rate_hz)) / rate_hz
    parts = [np.zeros(round(LEAD_S * rate_hz))]
    for frequency_hz in TONES_HZ:
        # one that the rate does not hold leaves its time
        loud = amplitude if frequency_hz < rate_hz / 2 else 0.0
        parts += [loud * np.sin(2 * np.pi * frequency_hz * times), np.zeros(round(GAP_S * rate_hz))]
    parts += [spoken(voice, rate_hz), np.zeros(round(TAIL_S * rate_hz))]
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(np.clip(np.concatenate(parts), -32768, 32767).astype("<i2").tobytes())
    return path


def said_s(voice: Voice) -> float:
    """How long a phone plays until it has said everything."""
    return LEAD_S + len(TONES_HZ) * (TONE_S + GAP_S) + len(spoken(voice)) / RATE_HZ


@dataclass(frozen=True)
class Judged:
    """What a recording holds of what a phone played.

    Attributes:
        intelligibility: STOI of its speech.
        speech_db: the speech's level, less that of what was played.
        tones_dbfs: for each tone its level, and that of the strongest other frequency at its time.
    """

    intelligibility: float
    speech_db: float
    tones_dbfs: dict[float, tuple[float, float]]


def judge(heard: Samples, voice: Voice) -> Judged:
    """Find what a phone said in what another recorded.

    Args:
        heard: the recording at `RATE_HZ`.
        voice: who spoke.
    """
    speech = spoken(voice)
    heard = np.concatenate([heard, np.zeros(len(speech))])
    at = _found(heard, speech)
    said, part = laid_over(heard, speech, at)
    tones = {}
    for number, frequency_hz in enumerate(TONES_HZ):
        begins_s = (number - len(TONES_HZ)) * (TONE_S + GAP_S)
        # its middle: what is left out at both ends is where a jitter buffer may have moved it
        start, end = (at + round((begins_s + part_s) * RATE_HZ) for part_s in (0.15, TONE_S - 0.15))
        tones[frequency_hz] = spectrum_dbfs(heard[max(start, 0) : max(end, 0)], frequency_hz)
    return Judged(intelligibility(said, part), level_db(part) - level_db(said), tones)


def laid_over(heard: Samples, speech: Samples, at: int) -> tuple[Samples, Samples]:
    """Speech and what was heard of it, half a second after the other laid over it where it fits best, close to where all of it does.

    STOI compares what is said at the same time, and a jitter buffer that follows the network moves what it gives by some ms in between.
    """
    said, parts = [], []
    size, slack = round(PIECE_S * RATE_HZ), round(SLACK_S * RATE_HZ)
    for start in range(0, len(speech) - size + 1, size):
        piece = speech[start : start + size]
        first = max(at + start - slack, 0)
        around = heard[first : at + start + size + slack]
        found = _found(around, piece)
        said.append(piece)
        parts.append(around[found : found + size])
    return np.concatenate(said), np.concatenate(parts)


def _found(heard: Samples, piece: Samples) -> int:
    """Where a piece of sound is in a longer one, by the highest correlation for its level."""
    alike = correlate(heard, piece, mode="valid", method="fft")
    power = np.concatenate([[0.0], np.cumsum(heard**2)])
    power = np.maximum(power[len(piece) :] - power[: -len(piece)], 1e6)
    return int(np.argmax(alike / np.sqrt(power)))


def intelligibility(said: Samples, heard: Samples) -> float:
    """STOI of two signals of the same length at `RATE_HZ`; 0 for silence, of which it knows none."""
    return float(stoi(said, heard, RATE_HZ)) if np.any(heard) else 0.0


def level_db(samples: Samples) -> float:
    """The level, where a full-scale sine is 0; -100 for silence."""
    power = 2 * float(np.mean(samples**2)) / audio.FULL_SCALE**2 if len(samples) else 0.0
    return max(10 * math.log10(power), audio.FLOOR_DBFS) if power else audio.FLOOR_DBFS


def spectrum_dbfs(samples: Samples, frequency_hz: float) -> tuple[float, float]:
    """The level of a tone, and of the strongest frequency more than 100 Hz away from it."""
    if len(samples) < RATE_HZ // 10:
        return audio.FLOOR_DBFS, audio.FLOOR_DBFS
    window = np.hanning(len(samples))
    amplitudes = 2 * np.abs(np.fft.rfft(samples * window)) / window.sum() / audio.FULL_SCALE
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    near = np.abs(frequencies - frequency_hz) <= 100
    floor = 10 ** (audio.FLOOR_DBFS / 20)
    own, other = (20 * math.log10(max(float(amplitudes[where].max()), floor)) for where in (near, ~near))
    return own, other


def of_recording(recording: audio.Recording) -> Samples:
    """A recording at `RATE_HZ`."""
    return resampled(np.asarray(recording.samples, dtype=np.float64), recording.rate_hz, RATE_HZ)
