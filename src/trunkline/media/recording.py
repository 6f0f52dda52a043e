"""A call that is written to a WAV file: what a party says and what it hears, side by side or mixed; or a room, mixed.

Made by `CallSession.record` and `Conference.record`. The leg's two sinks, or the room's one, fill rings of ten seconds; a task empties
them and has a thread write, so that a slow disk costs frames of the recording alone, which are counted and are silence in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from trunkline.errors import AudioError
from trunkline.media.audio import WaveWriter, mixed
from trunkline.media.engine import MediaEngine, PcmSink

__all__ = ["Layout", "Recording"]

Layout = Literal["mono", "stereo"]

log = logging.getLogger("trunkline.media")

WAITING_FRAMES = 500
"""Frames of 20 ms that wait for the disk."""
PIECE_S = 0.2
"""How often it is written."""
FRAMES_PER_S = 50


class Recorded(Protocol):
    """A leg or a room."""

    @property
    def number(self) -> int: ...
    @property
    def sides(self) -> tuple[Literal["heard", "said"], ...]: ...
    def want_audio(self, wanted: bool) -> None: ...


class _Track:
    """One way of the leg's audio, with silence where frames were lost."""

    def __init__(self, sink: PcmSink) -> None:
        self.sink = sink
        self.samples = array("h")
        self._lost = 0

    def take(self) -> None:
        """What waits, and silence for what did not fit."""
        lost = self.sink.lost
        self.samples.frombytes(bytes(self.sink.read(self.sink.waiting)))
        self.pad(lost - self._lost)
        self._lost = lost

    def pad(self, frames: int) -> None:
        """Append silence."""
        self.samples.frombytes(bytes(2 * frames * (self.sink.sample_rate // FRAMES_PER_S)))


class Recording:
    """A recording that runs from `start`, or `async with`, to `stop` or the end of the leg.

    Args:
        engine: The media engine of the leg.
        leg: Whose call it is, or a room.
        path: Where the file is written.
        layout: "stereo": the party left, what it hears right; "mono": both in one channel.
        sample_rate: Of the file, in Hz: 8000, 16000, 24000, 32000 or 48000.
    """

    def __init__(self, engine: MediaEngine, leg: Recorded, path: Path, *, layout: Layout, sample_rate: int) -> None:
        self._engine = engine
        self._leg = leg
        self.path = path
        self._layout: Layout = layout
        self._sample_rate = sample_rate
        self._tracks: tuple[_Track, ...] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._paused = False
        self._aligned = False
        self.error: AudioError | None = None
        """Why it ended early."""

    @property
    def lost_frames(self) -> int:
        """Frames of 20 ms that the disk was too slow for; they are silence in the file."""
        return sum(track.sink.lost for track in self._tracks or ())

    async def start(self) -> None:
        """Begin.

        Raises:
            AudioError: The path cannot be written, or the party is gone.
        """
        channels = 2 if self._layout == "stereo" else 1
        writer = await self._engine.on_thread(WaveWriter, self.path, self._sample_rate, channels)
        driver, number = self._engine.driver, self._leg.number
        try:
            sinks = [
                driver.open_sink(number, self._sample_rate, side=side, frames=WAITING_FRAMES)
                for side in self._leg.sides
            ]
        except OSError as error:
            writer.close()
            raise AudioError(f"{self.path}: the call cannot be recorded: {error}") from error
        self._leg.want_audio(True)
        self._tracks = tuple(map(_Track, sinks))
        self._task = asyncio.get_running_loop().create_task(self._run(writer, self._tracks))

    async def stop(self) -> None:
        """End it; the file is complete when this returns. Idempotent.

        Raises:
            AudioError: It could not be written to the end, as on a full disk.
        """
        self._stopping.set()
        if self._task is not None:
            await self._task
        if self.error is not None:
            raise self.error

    def pause(self, paused: bool = True) -> None:
        """Leave out what is said from now on, or go on."""
        self._paused = paused

    async def __aenter__(self) -> Recording:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        except AudioError:
            if value is None:
                raise

    async def _run(self, writer: WaveWriter, tracks: tuple[_Track, ...]) -> None:
        try:
            while not self._stopping.is_set() and tracks[0].sink.is_open:
                await self._wait()
                await self._write(writer, tracks)
            await self._write(writer, tracks)
        except AudioError as error:
            self.error = error
            log.error("a recording ends: %s", error)
        finally:
            self._release(tracks)
            try:
                await self._engine.on_thread(writer.close)
            except AudioError as error:
                self.error = self.error or error

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PIECE_S):
                await self._stopping.wait()

    async def _write(self, writer: WaveWriter, tracks: tuple[_Track, ...]) -> None:
        """Write what all tracks have."""
        first = [tick for track in tracks if (tick := track.sink.first_tick) is not None]
        if len(first) < len(tracks):
            return
        self._align(tracks, first)
        for track in tracks:
            track.take()
        count = min(len(track.samples) for track in tracks)
        pieces = [track.samples[:count] for track in tracks]
        for track in tracks:
            del track.samples[:count]
        if count and not self._paused:
            await self._engine.on_thread(self._put, writer, pieces)

    def _align(self, tracks: tuple[_Track, ...], first: Sequence[int]) -> None:
        """The one that began a tick later is silent until then."""
        if not self._aligned:
            self._aligned = True
            for track, tick in zip(tracks, first, strict=True):
                track.pad(tick - min(first))

    def _put(self, writer: WaveWriter, pieces: Sequence[array[int]]) -> None:
        if len(pieces) == 1:
            writer.write(pieces[0], None)
        elif self._layout == "stereo":
            writer.write(pieces[0], pieces[1])
        else:
            writer.write(mixed(pieces[0], pieces[1]), None)

    def _release(self, tracks: tuple[_Track, ...]) -> None:
        for track in tracks:
            self._engine.driver.end_stream(self._leg.number, track.sink.number)
        self._leg.want_audio(False)
