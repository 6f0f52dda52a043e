"""Streams of PCM on the virtual network: what is played lasts as long as it would and is heard by nobody, what is taken is silence.

`media.VirtualMedia` opens them, so that prompts, queues and recordings can be tested on the virtual clock. How they sound is tested
over real sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["VirtualSink", "VirtualSource"]

FRAMES_PER_S = 50


class VirtualSource:
    """Plays samples at their rate of the loop's clock; see `PcmSource`.

    Args:
        number: Unique among streams.
        sample_rate: In Hz.
        frames: How many of 20 ms may wait.
        on_end: Told when it is over, and whether all was played.
    """

    def __init__(self, number: int, sample_rate: int, frames: int, on_end: Callable[[int, bool], None]) -> None:
        self.number = number
        self.sample_rate = sample_rate
        self.underruns = 0
        self.is_open = True
        self.gain = 1.0
        self._capacity = frames * sample_rate // FRAMES_PER_S
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._gone = 0
        self._since_s = self._loop.time()
        self._paused = self._finished = False
        self._ending: asyncio.TimerHandle | None = None

    @property
    def room(self) -> int:
        """Samples that may be written now."""
        self._advance()
        return self._capacity - self._waiting

    @property
    def played(self) -> int:
        """Samples played or cleared."""
        self._advance()
        return self._gone

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Play these after what waits; how many there was room for."""
        count = min(memoryview(data).nbytes // 2, self.room)
        self._waiting += count
        return count

    def finish(self) -> None:
        """Nothing more will be written."""
        self._finished = True
        self._schedule()

    def clear(self) -> None:
        """Forget what waits."""
        self._advance()
        self._gone, self._waiting = self._gone + self._waiting, 0
        self._schedule()

    def restart(self) -> None:
        """Forget what waits; more will be written."""
        self._finished = False
        self.clear()

    def pause(self, paused: bool) -> None:
        """Keep what waits, or go on."""
        self._advance()
        self._paused = paused
        self._schedule()

    def set_gain(self, gain: float) -> None:
        """Note it."""
        self.gain = gain

    def end(self, complete: bool = False) -> None:
        """It is played no more. Idempotent."""
        self._cancel()
        if self.is_open:
            self.is_open = False
            self._on_end(self.number, complete)

    def _advance(self) -> None:
        now_s = self._loop.time()
        due = 0 if self._paused else round((now_s - self._since_s) * self.sample_rate)
        count = min(due, self._waiting)
        self._since_s = now_s
        self._waiting -= count
        self._gone += count

    def _schedule(self) -> None:
        """End when the last sample is played."""
        self._cancel()
        self._advance()
        if self._finished and not self._paused and self.is_open:
            self._ending = self._loop.call_later(self._waiting / self.sample_rate, self.end, True)

    def _cancel(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None


class VirtualSink:
    """Gives silence at the rate of the loop's clock; see `PcmSink`.

    Args:
        number: Unique among streams.
        sample_rate: In Hz.
        frames: How many of 20 ms may wait; the rest is lost.
    """

    def __init__(self, number: int, sample_rate: int, frames: int) -> None:
        self.number = number
        self.sample_rate = sample_rate
        self.is_open = True
        self.lost = 0
        self._frame = sample_rate // FRAMES_PER_S
        self._frames = frames
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._taken = 0

    @property
    def first_tick(self) -> int | None:
        """The 20 ms of the loop's clock at which it began."""
        return round(self._began_s * FRAMES_PER_S)

    @property
    def waiting(self) -> int:
        """Samples."""
        arrived = int((self._loop.time() - self._began_s) * FRAMES_PER_S + 1e-6) * self._frame
        late = (arrived - self._taken) // self._frame - self.lost - self._frames
        self.lost += max(late, 0)
        return arrived - self._taken - self.lost * self._frame

    def read(self, samples: int) -> bytearray:
        """Take up to so many samples."""
        count = min(samples, self.waiting)
        self._taken += count
        return bytearray(2 * count)

    def end(self) -> None:
        """Nobody fills it any more."""
        self.is_open = False
