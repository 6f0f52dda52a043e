"""Makes the tones that peers play and judges what they recorded, with the standard library alone.

A recording is read as mono samples and cut into windows of 50 ms. A power spectrum of a window (a radix-2 FFT
of a Hann-weighted block) gives its dominant frequency; purity is the share of power close to it. Levels are dB
relative to a full-scale sine, so that a tone of level -10 measures -10. Used by the interop tests.
"""

from __future__ import annotations

import array
import cmath
import math
import statistics
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FULL_SCALE = 32768.0
WINDOW_MS = 50
GAP_STEP_MS = 5
SILENCE_DBFS = -50.0
FLOOR_DBFS = -100.0
FFT_SIZE = 512
PEAK_BINS = 3
MAX_WAV_BYTES = 100_000_000


@dataclass(frozen=True)
class Recording:
    """Mono samples.

    Attributes:
        samples: 16-bit values.
        rate_hz: the sampling rate.
    """

    samples: Sequence[int]
    rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz

    def between(self, start_s: float, end_s: float) -> Recording:
        """The part between two times; negative ones count from the end."""
        start, end = (round((t if t >= 0 else self.duration_s + t) * self.rate_hz) for t in (start_s, end_s))
        return Recording(self.samples[max(start, 0) : max(end, 0)], self.rate_hz)

    def decimated(self, rate_hz: int) -> Recording:
        """Every n-th sample, for a recording of narrow-band sound at a multiple of the rate."""
        return Recording(self.samples[:: self.rate_hz // rate_hz], rate_hz)

    def sounding(self, threshold_dbfs: float = SILENCE_DBFS) -> Recording:
        """The part from the first sound to the last."""
        step = self.rate_hz * GAP_STEP_MS // 1000
        loud = [i for i in range(0, len(self.samples), step) if level_dbfs(self.samples[i : i + step]) > threshold_dbfs]
        return Recording(self.samples[loud[0] : loud[-1] + step] if loud else [], self.rate_hz)


@dataclass(frozen=True)
class Tone:
    """What was measured in a recording, from its first sound to its last.

    Attributes:
        frequency_hz: the median of the windows' dominant frequencies; 0 in silence.
        level_dbfs: relative to a full-scale sine.
        purity: the median share (0 to 1) of a window's power that is the dominant frequency's.
        duration_s: from the first sound to the last.
        gaps_ms: the silences in between that last longer than 30 ms.
    """

    frequency_hz: float
    level_dbfs: float
    purity: float
    duration_s: float
    gaps_ms: tuple[int, ...]


def write_tone(
    path: Path, frequency_hz: float, duration_s: float, *, level_dbfs: float = -10.0, rate_hz: int = 8000
) -> Path:
    """Write a sine as a mono 16-bit WAV file and return its path."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(_little_endian(sine(frequency_hz, duration_s, level_dbfs, rate_hz)).tobytes())
    return path


def write_tone_mulaw(path: Path, frequency_hz: float, duration_s: float, *, level_dbfs: float = -10.0) -> Path:
    """Write a sine as raw G.711 mu-law at 8 kHz (for SIPp's `rtp_stream`) and return its path."""
    path.write_bytes(bytes(map(mulaw, sine(frequency_hz, duration_s, level_dbfs, 8000))))
    return path


def sine(frequency_hz: float, duration_s: float, level_dbfs: float, rate_hz: int) -> array.array[int]:
    """Samples of a sine wave."""
    amplitude = (FULL_SCALE - 1) * 10 ** (level_dbfs / 20)
    step = 2 * math.pi * frequency_hz / rate_hz
    return array.array("h", (round(amplitude * math.sin(step * n)) for n in range(round(duration_s * rate_hz))))


def mulaw(sample: int) -> int:
    """The G.711 mu-law code of a 16-bit sample (ITU-T G.711, table 2a)."""
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    exponent = max(magnitude.bit_length() - 8, 0)
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | exponent << 4 | mantissa) & 0xFF


def _from_mulaw(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((code & 0x0F) << 3 | 0x84) << (code >> 4 & 0x07)
    return 0x84 - magnitude if code & 0x80 else magnitude - 0x84


def _from_alaw(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 0x07, (code & 0x0F) << 4
    magnitude = (mantissa + 0x108) << (exponent - 1) if exponent else mantissa + 8
    return magnitude if code & 0x80 else -magnitude


# By static payload type (RFC 3551 §6): the sample of each code.
G711_DECODERS = {0: [_from_mulaw(code) for code in range(256)], 8: [_from_alaw(code) for code in range(256)]}


def read(path: Path) -> Recording:
    """Read a 16-bit WAV file, one that is still being written included; of several channels the first is taken.

    Raises:
        ValueError: it is not 16-bit PCM.
    """
    # A file that was not closed has sizes of zero or of its maximum in its header, so the chunks are walked here.
    raw = path.read_bytes()[:MAX_WAV_BYTES]
    channels, rate_hz, bits, data = _wav_chunks(raw)
    if bits != 16 or channels < 1:
        raise ValueError(f"{path} is not a 16-bit WAV file")
    return pcm(data, rate_hz, channels)


def pcm(raw: bytes, rate_hz: int, channels: int = 1) -> Recording:
    """The first channel of 16-bit little-endian samples; a torn one at the end is left out."""
    samples = array.array("h", raw[: len(raw) // (2 * channels) * 2 * channels])
    return Recording(_little_endian(samples)[::channels], rate_hz)


def _wav_chunks(raw: bytes) -> tuple[int, int, int, bytes]:
    channels = rate_hz = bits = 0
    at = 12
    while at + 8 <= len(raw):
        kind, size = raw[at : at + 4], int.from_bytes(raw[at + 4 : at + 8], "little")
        body = raw[at + 8 : at + 8 + size]
        if kind == b"fmt ":
            channels = int.from_bytes(body[2:4], "little")
            rate_hz = int.from_bytes(body[4:8], "little")
            bits = int.from_bytes(body[14:16], "little")
        elif kind == b"data":
            return channels, rate_hz, bits, body if size else raw[at + 8 :]
        at += 8 + size + size % 2
    return channels, rate_hz, bits, b""


def _little_endian(samples: array.array[int]) -> array.array[int]:
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    return samples


def measure(recording: Recording, threshold_dbfs: float = SILENCE_DBFS) -> Tone:
    """Measure a recording that should hold one steady tone."""
    heard = recording.sounding(threshold_dbfs)
    peaks = [_peak(window, heard.rate_hz) for window in windows(heard) if level_dbfs(window) > threshold_dbfs]
    return Tone(
        frequency_hz=statistics.median(frequency for frequency, _ in peaks) if peaks else 0.0,
        level_dbfs=level_dbfs(heard.samples),
        purity=statistics.median(purity for _, purity in peaks) if peaks else 0.0,
        duration_s=heard.duration_s,
        gaps_ms=tuple(gaps(heard, threshold_dbfs=threshold_dbfs)),
    )


def windows(recording: Recording) -> list[Sequence[int]]:
    """The whole windows of 50 ms, one after the other."""
    size = max(recording.rate_hz * WINDOW_MS // 1000, FFT_SIZE)
    return [recording.samples[i : i + size] for i in range(0, len(recording.samples) - size + 1, size)]


def gaps(recording: Recording, *, longer_than_ms: int = 30, threshold_dbfs: float = SILENCE_DBFS) -> list[int]:
    """The lengths (ms) of the silences inside a recording that last longer than the limit, in order."""
    step = recording.rate_hz * GAP_STEP_MS // 1000
    found, silent_ms = [], 0
    for i in range(0, len(recording.samples), step):
        if level_dbfs(recording.samples[i : i + step]) <= threshold_dbfs:
            silent_ms += GAP_STEP_MS
            continue
        if silent_ms > longer_than_ms:
            found.append(silent_ms)
        silent_ms = 0
    return found if silent_ms <= longer_than_ms else [*found, silent_ms]


def level_dbfs(samples: Sequence[int]) -> float:
    """The level, where a full-scale sine is 0; -100 for silence."""
    if not samples:
        return FLOOR_DBFS
    power = 2 * sum(s * s for s in samples) / len(samples) / FULL_SCALE**2
    return max(10 * math.log10(power), FLOOR_DBFS) if power else FLOOR_DBFS


def tone_level_dbfs(recording: Recording, frequency_hz: float) -> float:
    """The level of one frequency in a recording (Goertzel), for a tone that is not alone."""
    powers = [_goertzel(window, frequency_hz / recording.rate_hz) for window in windows(recording)]
    power = statistics.median(powers) if powers else 0.0
    return max(10 * math.log10(power), FLOOR_DBFS) if power else FLOOR_DBFS


def _goertzel(window: Sequence[int], cycles_per_sample: float) -> float:
    coefficient = 2 * math.cos(2 * math.pi * cycles_per_sample)
    before = last = 0.0
    for sample, weight in zip(window, _hann(len(window)), strict=True):
        before, last = last, sample * weight + coefficient * last - before
    power = before * before + last * last - coefficient * before * last
    # A Hann window halves the amplitude, and a sine of amplitude A sums to A * n / 2.
    return power / (len(window) * FULL_SCALE / 4) ** 2


def _peak(window: Sequence[int], rate_hz: int) -> tuple[float, float]:
    """The dominant frequency of a window and its share of the power."""
    block = [sample * weight for sample, weight in zip(window[:FFT_SIZE], _hann(FFT_SIZE), strict=True)]
    power = [abs(value) ** 2 for value in fft(block)[1 : FFT_SIZE // 2]]
    best = max(range(len(power)), key=power.__getitem__)
    around = range(max(best - PEAK_BINS, 0), min(best + PEAK_BINS + 1, len(power)))
    near = sum(power[i] for i in around)
    center = _interpolated(power, best)
    return (center + 1) * rate_hz / FFT_SIZE, near / (sum(power) or 1.0)


def _interpolated(power: Sequence[float], best: int) -> float:
    """Refine a peak by a parabola through the logarithms of its neighbours."""
    if not 0 < best < len(power) - 1:
        return float(best)
    left, middle, right = (math.log(power[i] or 1e-12) for i in (best - 1, best, best + 1))
    curve = left - 2 * middle + right
    return best + (0.5 * (left - right) / curve if curve else 0.0)


def _hann(size: int) -> list[float]:
    return [0.5 - 0.5 * math.cos(2 * math.pi * n / size) for n in range(size)]


def fft(block: Sequence[complex]) -> list[complex]:
    """The discrete Fourier transform of a block whose length is a power of two."""
    size = len(block)
    if size == 1:
        return [block[0]]
    even, odd = fft(block[::2]), fft(block[1::2])
    turned = [cmath.exp(-2j * math.pi * k / size) * odd[k] for k in range(size // 2)]
    return [e + t for e, t in zip(even, turned, strict=True)] + [e - t for e, t in zip(even, turned, strict=True)]
