"""A call that is written to a file: what a party says and what it hears, side by side or mixed; or a room, mixed.

Made by `CallSession.record` and `Conference.record`. The leg's two sinks, or the room's one, fill rings of ten seconds; a task empties
them and has a thread write (`recording_file`), so that a slow disk costs frames of the recording alone, which are counted and are
silence in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from trunkline.errors import AudioError
from trunkline.media.engine import MediaEngine, PcmSink
from trunkline.media.recording_file import Encoding, RecordingFile

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
        self._owed = 0

    def take(self) -> bool:
        """What waits, then silence for what did not fit, ten seconds of it at a time; whether there is more of that."""
        if not self._owed:
            # counted first: what is lost while we read comes after what we read
            lost = self.sink.lost
            self.samples.frombytes(self.sink.read(self.sink.waiting))
            self._owed, self._lost = lost - self._lost, lost
        silent = min(self._owed, WAITING_FRAMES)
        self.pad(silent)
        self._owed -= silent
        return self._owed > 0

    def pad(self, frames: int) -> None:
        """Append silence."""
        self.samples.frombytes(bytes(2 * frames * (self.sink.sample_rate // FRAMES_PER_S)))


class _Tracks:
    """Both ways of a leg's audio brought to the same moment, or the one of a room.

    Args:
        sinks: What a party says, then what it hears; or what is said in a room.
    """

    def __init__(self, sinks: Sequence[PcmSink]) -> None:
        self._tracks = tuple(map(_Track, sinks))
        self._aligned = False

    @property
    def sinks(self) -> Sequence[PcmSink]:
        """Where it comes from."""
        return [track.sink for track in self._tracks]

    def take(self) -> tuple[array[int], array[int], bool]:
        """As many samples of both as there are, silence for a second that is not; and whether there are more at once."""
        if not self._align():
            return array("h"), array("h"), False
        more = [track.take() for track in self._tracks]
        count = min(len(track.samples) for track in self._tracks)
        taken = [track.samples[:count] for track in self._tracks]
        for track in self._tracks:
            del track.samples[:count]
        return taken[0], taken[1] if len(taken) > 1 else array("h", bytes(2 * count)), any(more)

    def _align(self) -> bool:
        """Have the one that began a tick later be silent until then; False while one has not begun."""
        if not self._aligned:
            first = [tick for sink in self.sinks if (tick := sink.first_tick) is not None]
            if len(first) < len(self._tracks):
                return False
            self._aligned = True
            for track, tick in zip(self._tracks, first, strict=True):
                track.pad(tick - min(first))
        return True


class Recording:
    """A recording that runs from `start`, or `async with`, to `stop` or the end of the leg. Belongs to the loop.

    Args:
        engine: The media engine of the leg.
        leg: Whose call it is, or a room.
        path: Where the file is written.
        layout: "stereo": the party left, what it hears right; "mono": both in one channel.
        sample_rate: Of the file, in Hz: 8000, 16000, 24000, 32000 or 48000.
        encoding: What the file is written in.
        on_failed: Called once if it ends early.
    """

    def __init__(
        self,
        engine: MediaEngine,
        leg: Recorded,
        path: Path,
        *,
        layout: Layout,
        sample_rate: int,
        encoding: Encoding = "pcm",
        on_failed: Callable[[AudioError], None] = lambda error: None,
    ) -> None:
        self._engine = engine
        self._leg = leg
        self.path = path
        self._layout: Layout = layout
        self._sample_rate = sample_rate
        self._encoding: Encoding = encoding
        self._on_failed = on_failed
        self._tracks: _Tracks | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._taken = (array("h"), array("h"))
        self._dropped = 0
        self._more = False
        self.paused = False
        """Whether what is said is left out now."""
        self.error: AudioError | None = None
        """Why it ended early; None while it has not."""

    @property
    def lost_frames(self) -> int:
        """Frames of 20 ms of either side that the disk was too slow for; they are silence in the file."""
        sinks = self._tracks.sinks if self._tracks is not None else ()
        return sum(sink.lost for sink in sinks) + self._dropped

    async def start(self) -> None:
        """Begin.

        Raises:
            AudioError: The path cannot be written, or the party is gone.
        """
        channels = 2 if self._layout == "stereo" else 1
        file = await self._engine.recordings.do(RecordingFile, self.path, self._encoding, self._sample_rate, channels)
        driver, number = self._engine.driver, self._leg.number
        try:
            sinks = [
                driver.open_sink(number, self._sample_rate, side=side, frames=WAITING_FRAMES)
                for side in self._leg.sides
            ]
        except OSError as error:
            file.abandon()
            raise AudioError(f"{self.path}: the call cannot be recorded: {error}") from error
        self._leg.want_audio(True)
        self._tracks = _Tracks(sinks)
        self._task = asyncio.get_running_loop().create_task(self._run(file, self._tracks), name=f"record {self.path}")
        self._engine.recordings.own(self._task)

    async def stop(self) -> None:
        """End it; the file is complete when this returns. Idempotent.

        Raises:
            AudioError: It could not be written to the end, as on a full disk. What was written before can be played.
        """
        self._stopping.set()
        if self._task is not None:
            await self._task
        if self.error is not None:
            raise self.error

    def pause(self) -> None:
        """Leave out what is said from now on, until `resume`: the file goes on without a gap. Idempotent."""
        self._collect()
        self.paused = True

    def resume(self) -> None:
        """Record again what is said from now on. Idempotent."""
        self._collect()
        self.paused = False

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

    # --- the task ---------------------------------------------------------------------------------------------------

    async def _run(self, file: RecordingFile, tracks: _Tracks) -> None:
        try:
            while not self._stopping.is_set() and tracks.sinks[0].is_open:
                await self._wait()
                await self._write(file)
            while True:
                await self._write(file)
                if not self._more:
                    break
            await self._engine.recordings.do(file.close)
        except AudioError as error:
            self._fail(error)
            await self._engine.recordings.do(file.abandon)
        finally:
            self._release(tracks)

    async def _wait(self) -> None:
        if self._more:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PIECE_S):
                await self._stopping.wait()

    def _collect(self) -> None:
        """Take what was said up to now, or leave it out."""
        if self._tracks is None:
            return
        left, right, self._more = self._tracks.take()
        waiting = self._taken[0]
        if self.paused:
            return
        if waiting and len(waiting) + len(left) > WAITING_FRAMES * self._frame:
            # paused and resumed while the disk stands still
            self._dropped += 2 * (len(left) // self._frame)
            return
        waiting.extend(left)
        self._taken[1].extend(right)

    @property
    def _frame(self) -> int:
        return self._sample_rate // FRAMES_PER_S

    async def _write(self, file: RecordingFile) -> None:
        self._collect()
        (left, right), self._taken = self._taken, (array("h"), array("h"))
        if left:
            await self._engine.recordings.do(file.write, left, right)

    def _fail(self, error: AudioError) -> None:
        self.error = error
        log.error("a recording ends: %s", error)
        self._on_failed(error)

    def _release(self, tracks: _Tracks) -> None:
        for sink in tracks.sinks:
            self._engine.driver.end_stream(self._leg.number, sink.number)
        self._leg.want_audio(False)
