"""What is played, as mono int16 samples in pieces: files and bytes, and streams that the application makes.

`playback` reads it. A file is opened, read and decoded on a thread by the extension; what is no audio is an `AudioError` that
names it and says why.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Protocol, TypeVar

from trunkline.errors import AudioError
from trunkline.media.audio import RATES, Audio
from trunkline.media.engine import MediaEngine, SoundReader

__all__ = ["FileMaterial", "Frame", "StreamMaterial", "material_of"]

Frame = bytes | bytearray | memoryview
"""int16 samples in the machine's order, any number of them; a NumPy array of int16 as well."""
T = TypeVar("T")

PIECE_S = 0.5
"""What is read of a file at once."""


class Material(Protocol):
    """Something to play."""

    @property
    def name(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    async def open(self) -> None:
        """Look into it."""

    async def next(self) -> Frame | None:
        """What comes next; None at the end."""

    async def seek(self, position_s: float) -> None:
        """Go on from there."""

    async def close(self) -> None:
        """Let go of it."""


class FileMaterial:
    """A file, or bytes like those of one.

    Args:
        engine: On whose threads it is read.
        audio: Its path or its bytes.
    """

    def __init__(self, engine: MediaEngine, audio: Audio) -> None:
        self._engine = engine
        self._audio = audio
        self._reader: SoundReader | None = None
        self.name = f"{len(audio)} bytes" if isinstance(audio, bytes) else str(audio)
        self.sample_rate = 0

    async def open(self) -> None:
        """Look into it.

        Raises:
            AudioError: It cannot be read, or is no audio.
        """
        self._reader = await self._on_thread(SoundReader, self._audio)
        self.sample_rate = self._reader.sample_rate

    async def next(self) -> Frame | None:
        """What comes next; None at the end.

        Raises:
            AudioError: It cannot be read, or is damaged too much.
        """
        assert self._reader is not None
        return await self._on_thread(self._reader.read, int(self.sample_rate * PIECE_S)) or None

    async def seek(self, position_s: float) -> None:
        """Go on from there; from the end if there are not so many seconds.

        Raises:
            AudioError: It cannot be read, or is too damaged to find the place.
        """
        # anew: in a FLAC file that was read to its end symphonia 0.6 finds no more than a frame
        reader = await self._on_thread(SoundReader, self._audio)
        if reader.sample_rate != self.sample_rate:
            raise AudioError(f"{self.name} has become another file")
        if position_s > 0:
            await self._on_thread(reader.seek, position_s)
        self._reader = reader

    async def close(self) -> None:
        """Let go of it; a thread that hangs in it has it until then."""
        self._reader = None

    async def _on_thread(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await self._engine.on_reading_thread(work, *args)
        except OSError as error:
            raise AudioError(f"{self.name} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise AudioError(f"{self.name} {error}") from error


class StreamMaterial:
    """Samples that an asynchronous iterator gives as they are made.

    Args:
        frames: The iterator.
        sample_rate: Of its samples, in Hz.
    """

    def __init__(self, frames: AsyncIterable[Frame], sample_rate: int) -> None:
        self._frames: AsyncIterator[Frame] = aiter(frames)
        self.name = "the stream"
        self.sample_rate = sample_rate

    async def open(self) -> None:
        """There is nothing to look into."""

    async def next(self) -> Frame | None:
        """What comes next; None at the end."""
        async for frame in self._frames:
            if len(frame):
                return frame
        return None

    async def seek(self, position_s: float) -> None:
        """What a stream has given is gone.

        Raises:
            AudioError: Always.
        """
        raise AudioError("a stream has only its next samples")

    async def close(self) -> None:
        """End the iterator, if it is a generator."""
        closing = getattr(self._frames, "aclose", None)
        if closing is not None:
            await closing()


def material_of(
    engine: MediaEngine, audio: Audio | AsyncIterable[Frame], *, times: int, sample_rate: int | None
) -> Material:
    """What is to be played, by what the application gave.

    Raises:
        ValueError: A stream has no `sample_rate` or one that calls do not know, or is to be played more than once; a file has one.
    """
    if isinstance(audio, AsyncIterable):
        if sample_rate is None or sample_rate not in RATES:
            raise ValueError(f"sample_rate: of a stream one of {', '.join(map(str, RATES))}, not {sample_rate}")
        if times != 1:
            raise ValueError(f"times: a stream is played once, not {times} times")
        return StreamMaterial(audio, sample_rate)
    if sample_rate is not None:
        raise ValueError(f"sample_rate: a file has its own; not {sample_rate}")
    return FileMaterial(engine, audio)
