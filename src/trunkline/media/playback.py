"""Audio that is played to the parties of a call: read on a thread, written ahead into each leg's ring, over when the last sample was said.

Made by `CallSession.play` and `Conference.play`; `material` is what it reads, `play_queue` whom it waits for. The ring holds
two seconds, so that neither a disk nor a busy loop is heard; one that is slower is silence, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol

from trunkline.errors import AudioError, CallEnded
from trunkline.media.engine import MediaEngine, PcmSource
from trunkline.media.material import Frame, Material, StreamMaterial
from trunkline.media.play_queue import PlayQueue

__all__ = ["Playback"]

AHEAD_FRAMES = 100
"""Frames of 20 ms that wait in a leg's ring."""
LOOK_S = 0.25
"""How often a full ring is looked at."""
TICK_S = 0.02
"""How soon a worker forgets what it is told to forget."""
MAX_GAIN = 16.0


class Target(Protocol):
    """A leg or a room."""

    @property
    def number(self) -> int: ...
    def want_audio(self, wanted: bool) -> None: ...


class _Track:
    """What one leg or room is played, and where in the file its ring begins to be of it."""

    def __init__(self, target: Target, source: PcmSource) -> None:
        self.target = target
        self.source = source
        self._written = 0
        self._cleared = 0
        self._marks: deque[tuple[int, float]] = deque([(0, 0.0)])

    def write(self, samples: memoryview) -> memoryview:
        """Write what there is room for; returns the rest."""
        taken = self.source.write(samples)
        self._written += taken
        return samples[2 * taken :]

    def restart(self) -> None:
        """Forget what waits, so that what is written next is heard next."""
        self._cleared = self._written
        self.source.restart()

    @property
    def is_clearing(self) -> bool:
        """Whether the ring is still full of what is forgotten."""
        return self.source.played < self._cleared

    def mark(self, position_s: float) -> None:
        """What is written next is from there in the file."""
        self._marks.append((self._written, position_s))

    @property
    def position_s(self) -> float:
        """What is said now, in seconds of the file."""
        played = self.source.played
        while len(self._marks) > 1 and self._marks[1][0] <= played:
            self._marks.popleft()
        begin, position_s = self._marks[0]
        return position_s + max(played - begin, 0) / self.source.sample_rate


class Playback:
    """Something that is being played, or waits for its turn.

    Await it to know when it is over: True when all of it was played, False when it was stopped or a party went. When the
    awaiting task is cancelled, it stops. Belongs to the loop.

    Example:
        music = call.play("music.mp3", times=0, gain=0.5)
        agent = await call.dial_user("alice")
        music.stop()
    """

    def __init__(
        self,
        engine: MediaEngine,
        targets: Callable[[], Sequence[Target]],
        material: Material,
        queue: PlayQueue,
        *,
        times: int,
        gain: float,
        exclusive: bool,
        at_once: bool,
    ) -> None:
        if times < 0:
            raise ValueError(f"times: 0 or more, not {times}")
        self._engine = engine
        self._targets = targets
        self._material = material
        self._queue = queue
        self._times = times
        self._exclusive = exclusive
        self._paused = False
        self._seek_s: float | None = None
        self._tracks: list[_Track] = []
        self._open = 0
        self._complete = True
        self._over = asyncio.Event()
        self._called = asyncio.Event()
        self._begun = self._stopped = False
        self._position_s = 0.0
        self._underruns = 0
        self.set_gain(gain)
        queue.enter(self, at_once=at_once)
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda task: queue.leave(self))

    def __await__(self) -> Generator[Any, None, bool]:
        return self._task.__await__()

    def pause(self) -> None:
        """Be silent from now on, and keep the place."""
        self._set_paused(True)

    def resume(self) -> None:
        """Go on from where it was paused."""
        self._set_paused(False)

    def set_gain(self, gain: float) -> None:
        """Change how loud it is, from now on.

        Args:
            gain: What it is multiplied by, 0 to 16.

        Raises:
            ValueError: It is out of range.
        """
        if not 0 <= gain <= MAX_GAIN:
            raise ValueError(f"gain: a factor from 0 to 16, not {gain}")
        self._gain = gain
        for track in self._tracks:
            track.source.set_gain(gain)

    def seek(self, position_s: float) -> None:
        """Go on from another place; beyond the end this time is over. A playback that is over stays so.

        Args:
            position_s: Seconds from the beginning of the file, 0 or more.

        Raises:
            AudioError: It is a stream, of which only the next samples are there.
            ValueError: It is out of range.
        """
        if not (position_s >= 0 and math.isfinite(position_s)):
            raise ValueError(f"position_s: 0 or more seconds, not {position_s}")
        if isinstance(self._material, StreamMaterial):
            raise AudioError("a stream cannot be moved in: only its next samples are there")
        self._seek_s = position_s
        for track in self._tracks:
            track.restart()
        self._called.set()

    def stop(self) -> None:
        """End it, or have it never begin. Idempotent."""
        self._stopped = True
        if self._begun:
            self._task.cancel()

    @property
    def position_s(self) -> float:
        """What is heard now, in seconds from the beginning of the file; while it waits for its turn 0."""
        return self._tracks[0].position_s if self._tracks else self._position_s

    @property
    def underruns(self) -> int:
        """Frames of 20 ms that were silent because the disk, or the stream, was late."""
        return max((track.source.underruns for track in self._tracks), default=self._underruns)

    @property
    def is_over(self) -> bool:
        """Whether it is played no more."""
        return self._task.done()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _set_paused(self, paused: bool) -> None:
        self._paused = paused
        for track in self._tracks:
            track.source.pause(paused)

    async def _run(self) -> bool:
        try:
            return await self._take_turn()
        except asyncio.CancelledError:
            if self._stopped:
                return False
            raise

    async def _take_turn(self) -> bool:
        """Open what is played, so that it is known at once whether it can be; play it when its turn has come."""
        if self._stopped:
            return False
        self._begun = True
        try:
            await self._material.open()
            await self._queue.turn(self)
            return await self._play()
        finally:
            await self._material.close()

    async def _play(self) -> bool:
        try:
            targets = self._targets()
        except CallEnded:
            return False
        feeding: asyncio.Future[None] | None = None
        ending = asyncio.ensure_future(self._over.wait())
        try:
            self._start(targets)
            feeding = asyncio.ensure_future(self._feed())
            await asyncio.wait((feeding, ending), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
        finally:
            self._release()
            await _cancelled(ending, feeding)
        return self._complete

    def _start(self, targets: Sequence[Target]) -> None:
        for target in targets:
            try:
                source = self._engine.open_source(
                    target.number,
                    self._material.sample_rate,
                    self._ended,
                    frames=AHEAD_FRAMES,
                    exclusive=self._exclusive,
                )
            except FileNotFoundError:
                self._complete = False
                continue
            source.set_gain(self._gain)
            source.pause(self._paused)
            self._open += 1
            self._tracks.append(_Track(target, source))
            target.want_audio(True)
        if not self._open:
            self._over.set()

    async def _feed(self) -> None:
        """Write what is played until it is cancelled: until the last moment it may be moved in."""
        rounds, is_empty = 0, True
        while True:
            if self._seek_s is not None:
                await self._move()
                rounds, is_empty = min(rounds, max(self._times - 1, 0)), False
            piece = await self._material.next()
            if self._seek_s is not None:
                continue
            if piece is not None:
                is_empty = False
                await self._write(piece)
                continue
            if is_empty:
                raise AudioError(f"{self._material.name} has no samples")
            rounds += 1
            if rounds == self._times:
                await self._finish()
                continue
            await self._material.seek(0.0)
            is_empty = True
            for track in self._tracks:
                track.mark(0.0)

    async def _move(self) -> None:
        position_s, self._seek_s = self._seek_s or 0.0, None
        await self._material.seek(position_s)
        for track in self._tracks:
            track.mark(position_s)

    async def _finish(self) -> None:
        """All is written: over when it is played, unless it is moved in before."""
        for track in self._tracks:
            track.source.finish()
        while self._seek_s is None:
            await self._wait(None)

    async def _write(self, samples: Frame) -> None:
        """Give the samples to every leg at its pace."""
        left = [(track, memoryview(samples).cast("B")) for track in self._tracks]
        while left and self._seek_s is None:
            left = [(track, track.write(rest)) for track, rest in left if track.source.is_open]
            left = [(track, rest) for track, rest in left if rest]
            if left:
                await self._wait(TICK_S if any(track.is_clearing for track, _ in left) else LOOK_S)

    async def _wait(self, seconds: float | None) -> None:
        self._called.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._called.wait()

    def _ended(self, complete: bool) -> None:
        self._complete = self._complete and complete
        self._open -= 1
        if not self._open:
            self._over.set()

    def _release(self) -> None:
        self._position_s, self._underruns = self.position_s, self.underruns
        for track in self._tracks:
            self._engine.driver.end_stream(track.target.number, track.source.number)
            track.target.want_audio(False)
        self._tracks.clear()


async def _cancelled(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel what is there, and wait until it is over."""
    there = [task for task in tasks if task is not None]
    for task in there:
        task.cancel()
    await asyncio.wait(there)
