"""A tap: copies of what both parties of a call say, frame by frame, while the call itself goes on as it was.

Made by `CallSession.tap`. Each party has a sink behind its jitter buffer, so that a call that is relayed stays relayed. The two are laid
side by side by the workers' ticks; who does not read loses frames of the tap alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Literal

from trunkline.media.engine import Leg, MediaEngine, PcmSink

__all__ = ["Tap"]

FRAMES_PER_S = 50
READ_FRAMES = 50
"""Frames that wait to be read: a second."""
PATIENCE_TICKS = 2
"""How many ticks of 20 ms the frame of a party on another worker may be late."""
CLOSED_S = 0.5
"""How soon the end of a call is seen that gives no frames any more."""

Place = tuple[int, Literal["heard", "said"]]


class _Ear:
    """One party's frames with the ticks that they belong to."""

    def __init__(self, engine: MediaEngine, sample_rate: int) -> None:
        self._driver = engine.driver
        self._sample_rate = sample_rate
        self._samples = sample_rate // FRAMES_PER_S
        self._sink: PcmSink | None = None
        self._place: Place | None = None
        self._tick: int | None = None
        self._counted = 0
        self._lost_before = 0
        self.frames: deque[tuple[int, memoryview]] = deque()

    @property
    def is_open(self) -> bool:
        return self._sink is not None and self._sink.is_open

    @property
    def lost(self) -> int:
        return self._lost_before + (self._sink.lost if self._sink is not None else 0)

    def listen(self, place: Place | None) -> None:
        """Hear this from now on; None for nothing."""
        if place == self._place:
            return
        self.take()
        if self._sink is not None and self._place is not None:
            self._lost_before += self._sink.lost
            self._driver.end_stream(self._place[0], self._sink.number)
        self._sink, self._place, self._tick, self._counted = None, place, None, 0
        if place is not None:
            number, side = place
            with contextlib.suppress(FileNotFoundError):  # a leg that is gone is silent
                self._sink = self._driver.open_sink(
                    number, self._sample_rate, side=side, frames=READ_FRAMES, wakes=True
                )

    def take(self) -> None:
        """What has come since the last time."""
        sink = self._sink
        if sink is None or sink.first_tick is None:
            return
        tick = sink.first_tick if self._tick is None else self._tick
        lost = sink.lost
        while sink.waiting >= self._samples and len(self.frames) < READ_FRAMES:
            self.frames.append((tick, memoryview(sink.read(self._samples)).cast("h")))
            tick += 1
        # what found no room came after what waited
        self._tick, self._counted = tick + lost - self._counted, lost

    def frame(self, tick: int) -> memoryview:
        """The frame of a tick; silence where there is none."""
        if self.frames and self.frames[0][0] == tick:
            return self.frames.popleft()[1]
        return memoryview(bytearray(2 * self._samples)).cast("h")


class Tap:
    """What both parties of a call say, from `async with` to its end.

    Iterating gives a pair of frames of 20 ms: what the first party says, and what it hears of the other, or of the room that it
    is in. Each is a `memoryview` of int16 samples in the machine's order. It follows the first party over bridges and ends with it.

    Args:
        engine: The media engine of the leg.
        leg: The first party's.
        sample_rate: 8000, 16000, 24000, 32000 or 48000 Hz.
    """

    def __init__(self, engine: MediaEngine, leg: Leg, *, sample_rate: int) -> None:
        self._engine = engine
        self._leg = leg
        self.sample_rate = sample_rate
        self._near, self._far = _Ear(engine, sample_rate), _Ear(engine, sample_rate)
        self._ticked = asyncio.Event()

    async def __aenter__(self) -> Tap:
        self._follow()
        self._engine.watch_frames(self._ticked.set)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.unwatch_frames(self._ticked.set)
        for ear in (self._near, self._far):
            ear.listen(None)

    async def __aiter__(self) -> AsyncIterator[tuple[memoryview, memoryview]]:
        """The pairs as they come; ends with the first party."""
        while True:
            self._follow()
            tick = self._next_tick()
            if tick is not None:
                yield self._near.frame(tick), self._far.frame(tick)
            elif not self._near.is_open:
                return
            else:
                await self._wait()

    @property
    def lost_frames(self) -> int:
        """Frames of either party that were not read in time."""
        return self._near.lost + self._far.lost

    def _follow(self) -> None:
        """Hear whom the first party talks to now."""
        self._near.listen((self._leg.number, "heard"))
        other = self._leg.linked
        # in a room, and alone, what the party hears is made by us
        self._far.listen((other.number, "heard") if other is not None else (self._leg.number, "said"))

    def _next_tick(self) -> int | None:
        """The next tick that is complete; None when there is none yet."""
        ears = (self._near, self._far)
        for ear in ears:
            if not ear.frames:
                ear.take()
        waiting = [ear.frames for ear in ears if ear.frames]
        if not waiting:
            return None
        tick = min(frames[0][0] for frames in waiting)
        late = any(ear.is_open and not ear.frames for ear in ears)
        newest = max(frames[-1][0] for frames in waiting)
        return None if late and newest - tick < PATIENCE_TICKS else tick

    async def _wait(self) -> None:
        for ear in (self._near, self._far):
            ear.take()
        if self._next_tick() is not None:
            return
        self._ticked.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSED_S):
                await self._ticked.wait()
