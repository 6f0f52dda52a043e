"""A call's audio as frames in Python: what the party says comes in, what is written is said to it.

Made by `CallSession.audio`. Both ways are bounded rings between the loop and a media worker. All streams share one
wake-up of the loop a tick; who does not read loses his own frames, who does not write in time is silent; both are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from trunkline.errors import CallEnded
from trunkline.media.engine import Leg, MediaEngine, PcmSink, PcmSource

__all__ = ["AudioStream"]

FRAMES_PER_S = 50
READ_FRAMES = 50
"""Frames that wait to be read: a second."""


class AudioStream:
    """The audio of one leg, from `async with` to its end.

    Iterating gives frames of 20 ms: each a `memoryview` of int16 samples in the machine's order, which NumPy takes as it
    is; it ends with the call.

    Args:
        engine: The media engine of the leg.
        leg: Whose audio.
        sample_rate: 8000, 16000, 24000, 32000 or 48000 Hz, both ways.
        ahead_frames: How many frames may be written ahead before `write` waits, 1 to 3000.
    """

    def __init__(self, engine: MediaEngine, leg: Leg, *, sample_rate: int, ahead_frames: int) -> None:
        self._engine = engine
        self._leg = leg
        self.sample_rate = sample_rate
        self._ahead_frames = ahead_frames
        self._streams: tuple[PcmSink, PcmSource] | None = None
        self._written = 0
        self._ticked = asyncio.Event()
        self._over = False

    async def __aenter__(self) -> AudioStream:
        driver, number = self._engine.driver, self._leg.number
        try:
            source = self._engine.open_source(number, self.sample_rate, self._ended, frames=self._ahead_frames)
            sink = driver.open_sink(number, self.sample_rate, frames=READ_FRAMES, wakes=True)
        except FileNotFoundError as error:
            raise CallEnded("the call's media leg is gone") from error
        self._streams = sink, source
        self._leg.want_audio(True)
        self._engine.watch_frames(self._ticked.set)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        sink, source = self._both()
        self._engine.unwatch_frames(self._ticked.set)
        for stream in (sink.number, source.number):
            self._engine.driver.end_stream(self._leg.number, stream)
        self._leg.want_audio(False)
        self._ended(False)

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        """The frames as they come; ends with the call."""
        sink, _ = self._both()
        samples = self.sample_rate // FRAMES_PER_S
        while True:
            if sink.waiting >= samples:
                yield memoryview(sink.read(samples)).cast("h")
            elif self._over:
                return
            else:
                await self._tick()

    async def write(self, samples: bytes | bytearray | memoryview) -> None:
        """Say these samples after what was written before; waits while `ahead_frames` of it are not said yet.

        Args:
            samples: int16 in the machine's order, any number of them; a NumPy array of int16 as well.

        Raises:
            CallEnded: The call is over.
        """
        _, source = self._both()
        rest = memoryview(samples).cast("B")
        while True:
            if self._over:
                raise CallEnded("the call is over")
            taken = source.write(rest)
            self._written += taken
            rest = rest[2 * taken :]
            if not rest:
                return
            await self._tick()

    def mark(self) -> int:
        """What has been written up to now, for `played`."""
        return self._written

    async def played(self, mark: int) -> bool:
        """Wait until all that was written before a mark has been said or cleared; False when the call ended before."""
        _, source = self._both()
        while source.played < mark:
            if self._over:
                return False
            await self._tick()
        return True

    def clear(self) -> None:
        """Forget what was written and not said yet, as when the party interrupts."""
        self._both()[1].clear()

    @property
    def lost_frames(self) -> int:
        """Frames of the party that were not read in time."""
        return self._both()[0].lost

    @property
    def underruns(self) -> int:
        """Frames of silence because nothing was written in time."""
        return self._both()[1].underruns

    def _both(self) -> tuple[PcmSink, PcmSource]:
        if self._streams is None:
            raise RuntimeError("the stream is used by `async with`")
        return self._streams

    async def _tick(self) -> None:
        self._ticked.clear()
        if not self._over:
            await self._ticked.wait()

    def _ended(self, complete: bool) -> None:
        self._over = True
        self._ticked.set()
