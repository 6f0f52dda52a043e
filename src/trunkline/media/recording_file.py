"""The file of a recording: WAV of PCM or G.711, or Opus in Ogg, which can be played at any moment of its writing.

`recording` opens one and writes it, on a thread: everything here may wait for a disk. A WAV's header tells what has been
written each time, Ogg comes in whole pages (RFC 7845); what a write that fails leaves behind is cut off. The samples
become bytes in the extension.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
import threading
from array import array
from pathlib import Path
from typing import Literal, get_args

from trunkline.errors import AudioError
from trunkline.media.audio import RATES
from trunkline.media.engine import RecordingEncoder

__all__ = ["Encoding", "RecordingFile", "encoding_of"]

Encoding = Literal["pcm", "ulaw", "alaw", "opus"]
"""What a file is written in: WAV of 16-bit PCM or of G.711 µ-law or A-law, or Opus in Ogg."""

_BY_SUFFIX: dict[str, Encoding] = {".wav": "pcm", ".opus": "opus", ".ogg": "opus"}

OPUS_RATES = (8000, 16_000, 24_000, 48_000)
"""Sampling rates of calls that Opus knows too, in Hz."""

_FORMATS: dict[Encoding, tuple[int, int]] = {"pcm": (1, 2), "alaw": (6, 1), "ulaw": (7, 1)}
"""The format tag of a WAV and the bytes of a sample (RFC 2361)."""

MOST_BYTES = 2**32 - 1 - 64
"""What a WAV can hold: its header has 32 bits for its length."""


def encoding_of(path: Path, encoding: Encoding | None, sample_rate: int) -> Encoding:
    """What a file is to be written in: the encoding that is given, else what its name ends with.

    Raises:
        ValueError: The name's end says nothing, or no such file can have this rate.
    """
    chosen = encoding or _BY_SUFFIX.get(path.suffix.lower())
    if chosen is None:
        known = ", ".join(_BY_SUFFIX)
        raise ValueError(f"path: {path} ends with none of {known}, so that an encoding is to be given")
    if chosen not in get_args(Encoding):
        raise ValueError(f"encoding: one of {', '.join(get_args(Encoding))}, not {chosen}")
    rates = OPUS_RATES if chosen == "opus" else RATES
    if sample_rate not in rates:
        raise ValueError(f"sample_rate: {chosen} takes {', '.join(map(str, rates))}, not {sample_rate}")
    return chosen


def _opened(path: str, flags: int) -> int:
    """A pipe that nobody reads is an error, and keeps no thread waiting."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


class RecordingFile:
    """A file that is being recorded to.

    Args:
        path: Where; what was there is overwritten.
        encoding: What it is written in.
        sample_rate: In Hz.
        channels: 1 for both parties mixed, 2 for one a side.

    Raises:
        AudioError: It cannot be written.
    """

    def __init__(self, path: Path, encoding: Encoding, sample_rate: int, channels: int) -> None:
        self.path = path
        self._encoder = RecordingEncoder(encoding, sample_rate, stereo=channels == 2, serial=random.getrandbits(32))
        self._wave = _FORMATS.get(encoding)
        self._sample_rate, self._channels = sample_rate, channels
        self._samples = 0
        self._end = 0
        self._lock = threading.Lock()
        try:
            self._file = open(path, "wb", buffering=0, opener=_opened)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._append(self._header() if self._wave is not None else self._encoder.begin())
        except AudioError:
            self._file.close()
            raise

    def write(self, left: array[int], right: array[int]) -> None:
        """Append as many samples of the one party as of the other; the file can be played when this returns.

        Raises:
            AudioError: It cannot be written, as on a full disk, or is as long as a WAV can be.
        """
        with self._lock:
            data = self._encoder.encode(left, right)
            if self._wave is not None and self._end + len(data) > MOST_BYTES:
                raise AudioError(f"{self.path} is as long as a WAV file can be")
            self._append(data)
            self._samples += len(left)
            if self._wave is not None:
                self._replace_header()

    def close(self) -> None:
        """End and close the file; what was written stays, whatever this raises.

        Raises:
            AudioError: Its end cannot be written.
        """
        with self._lock:
            try:
                self._append(self._encoder.end())
            finally:
                self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, after an error."""
        with self._lock:
            self._file.close()

    def _append(self, data: bytes) -> None:
        """All of it, or nothing."""
        rest = memoryview(data)
        at = self._end
        try:
            while rest:
                written = os.pwrite(self._file.fileno(), rest, at)
                rest, at = rest[written:], at + written
        except OSError as error:
            # a part of a page or of a sample is no audio; a full disk can be cut
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._end)
            raise self._unwritable(error) from error
        self._end = at

    def _replace_header(self) -> None:
        try:
            os.pwrite(self._file.fileno(), self._header(), 0)
        except OSError as error:
            raise self._unwritable(error) from error

    def _header(self) -> bytes:
        """The header of a WAV that holds what has been written."""
        tag, width = self._wave or (0, 0)
        frame = width * self._channels
        bytes_ = self._samples * frame
        parts = struct.pack(
            "<HHIIHH", tag, self._channels, self._sample_rate, self._sample_rate * frame, frame, 8 * width
        )
        if tag != 1:
            # what is not PCM has an extension, of no bytes, and says how many samples there are
            parts += struct.pack("<H", 0)
        chunks = b"fmt " + struct.pack("<I", len(parts)) + parts
        if tag != 1:
            chunks += b"fact" + struct.pack("<II", 4, self._samples)
        chunks += b"data" + struct.pack("<I", bytes_)
        return b"RIFF" + struct.pack("<I", 4 + len(chunks) + bytes_) + b"WAVE" + chunks

    def _unwritable(self, error: OSError) -> AudioError:
        return AudioError(f"{self.path} cannot be written: {error.strerror or error}")
