"""WAV files as mono int16 samples, read in pieces; every function here may wait for a disk.

`playback` calls them on a thread; `recording_file` writes. What is no WAV of PCM, or has a rate that calls do not know, is an
`AudioError` that names it.
"""

from __future__ import annotations

import io
import sys
import wave
from array import array
from pathlib import Path

from trunkline.errors import AudioError

__all__ = ["RATES", "Audio", "WaveReader"]

Audio = str | Path | bytes
"""What can be played: the path of a WAV file, or its bytes."""

RATES = (8000, 16_000, 24_000, 32_000, 48_000)
"""Sampling rates of calls, in Hz."""


def _named(audio: Audio) -> str:
    return f"{len(audio)} bytes" if isinstance(audio, bytes) else str(audio)


class WaveReader:
    """A WAV file of PCM with 8, 16, 24 or 32 bits and any number of channels, which are mixed down.

    Args:
        audio: Its path or its bytes.

    Raises:
        AudioError: It cannot be read, is no WAV of PCM, or has another rate than `RATES`.
    """

    def __init__(self, audio: Audio) -> None:
        self.name = _named(audio)
        try:
            opened = io.BytesIO(audio) if isinstance(audio, bytes) else str(audio)
            self._wave = wave.open(opened, "rb")  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise AudioError(f"{self.name} cannot be read: {error.strerror or error}") from error
        except (wave.Error, EOFError) as error:
            raise AudioError(f"{self.name} is no WAV of PCM: {error or 'it ends early'}") from error
        self.sample_rate = self._wave.getframerate()
        self._width, self._channels = self._wave.getsampwidth(), self._wave.getnchannels()
        if self.sample_rate not in RATES:
            rates = ", ".join(map(str, RATES))
            self.close()
            raise AudioError(f"{self.name} has {self.sample_rate} samples a second; calls take {rates}")

    def read(self, samples: int) -> array[int]:
        """The next samples, mixed down to mono; none at the end."""
        data = self._wave.readframes(samples)
        whole = len(data) - len(data) % (self._width * self._channels)
        taken = _int16(data[:whole], self._width)
        if self._channels == 1:
            return taken
        sums = map(sum, zip(*(taken[n :: self._channels] for n in range(self._channels)), strict=True))
        return array("h", (total // self._channels for total in sums))

    def rewind(self) -> None:
        """Begin anew."""
        self._wave.rewind()

    def close(self) -> None:
        """Close the file."""
        self._wave.close()


def _int16(data: bytes, width: int) -> array[int]:
    """Samples of 1 to 4 bytes, little-endian and unsigned only where they have one byte, in their upper 16 bits."""
    if width == 1:
        return array("h", ((byte - 128) << 8 for byte in data))
    # the two upper bytes of each
    upper = bytearray(len(data) // width * 2)
    upper[0::2], upper[1::2] = data[width - 2 :: width], data[width - 1 :: width]
    return _native(array("h", bytes(upper)))


def _native(samples: array[int]) -> array[int]:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
