"""WAV files that are written in pieces, and what is known of audio everywhere; every function here may wait for a disk.

`recording` calls them on a thread. What is played is read by `material`.
"""

from __future__ import annotations

import sys
import wave
from array import array
from pathlib import Path
from typing import BinaryIO

from trunkline.errors import AudioError

__all__ = ["RATES", "Audio", "WaveWriter", "mixed"]

Audio = str | Path | bytes
"""What can be played: the path of a file (WAV, MP3, FLAC, Ogg Opus), or its bytes."""

RATES = (8000, 16_000, 24_000, 32_000, 48_000)
"""Sampling rates of calls, in Hz."""

_LOW, _HIGH = -32_768, 32_767


def _native(samples: array[int]) -> array[int]:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def mixed(left: array[int], right: array[int]) -> array[int]:
    """Two parties in one channel, the sum limited to what int16 holds."""
    return array("h", (max(_LOW, min(_HIGH, a + b)) for a, b in zip(left, right, strict=True)))


class WaveWriter:
    """A WAV file of 16-bit PCM that can be played at any moment: its header tells what has been written.

    Args:
        path: Where; what was there is overwritten.
        sample_rate: In Hz.
        channels: 1 or 2.

    Raises:
        AudioError: It cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int) -> None:
        self._path = path
        try:
            self._file: BinaryIO = path.open("wb")
        except OSError as error:
            raise AudioError(f"{path} cannot be written: {error.strerror or error}") from error
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - closed by `close`
        self._wave.setnchannels(channels)
        self._wave.setsampwidth(2)
        self._wave.setframerate(sample_rate)

    def write(self, left: array[int], right: array[int] | None) -> None:
        """Append samples, and have the header tell of them.

        Raises:
            AudioError: It cannot be written, as on a full disk.
        """
        samples = left
        if right is not None:
            samples = array("h", bytes(4 * len(left)))
            samples[0::2], samples[1::2] = left, right
        try:
            self._wave.writeframes(_native(samples).tobytes())
            self._file.flush()
        except OSError as error:
            raise AudioError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file; what was written stays."""
        try:
            self._wave.close()
        except OSError as error:
            raise AudioError(f"{self._path} cannot be written: {error.strerror or error}") from error
        finally:
            self._file.close()
