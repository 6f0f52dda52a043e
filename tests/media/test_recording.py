"""What a recording takes from its sinks: both sides at the same moment, what was lost as silence, never more than it may hold."""

from __future__ import annotations

import asyncio
import threading
import wave
from array import array
from pathlib import Path
from typing import Any, cast

import pytest

from trunkline.media.recording import WAITING_FRAMES, Recording, _Track, _Tracks
from trunkline.media.recording_threads import RecordingThreads

FRAME = 160


class Sink:
    """A `PcmSink` that a test fills."""

    def __init__(self, number: int = 1, first_tick: int | None = 0) -> None:
        self.number = number
        self.first_tick = first_tick
        self.sample_rate = 8000
        self.is_open = True
        self.lost = 0
        self._samples = array("h")

    def say(self, value: int, frames: int = 1) -> None:
        self._samples.extend([value] * FRAME * frames)

    @property
    def waiting(self) -> int:
        return len(self._samples)

    def read(self, samples: int) -> bytearray:
        taken, self._samples = self._samples[:samples], self._samples[samples:]
        return bytearray(taken.tobytes())


class Call:
    """The media engine, its driver and the leg of a call, as far as a recording knows them."""

    number = 7
    sides = ("heard", "said")

    def __init__(self) -> None:
        self.driver = self
        self.recordings = RecordingThreads()
        self.sinks = {"heard": Sink(1), "said": Sink(2)}
        self.wanted = 0
        self.ended: list[int] = []

    def want_audio(self, wanted: bool) -> None:
        self.wanted += 1 if wanted else -1

    def open_sink(self, target: int, sample_rate: int, *, side: str, frames: int) -> Sink:
        assert (target, sample_rate, frames) == (7, 8000, WAITING_FRAMES)
        return self.sinks[side]

    def end_stream(self, target: int, stream: int) -> None:
        self.ended.append(stream)

    def say(self, heard: int, said: int, frames: int = 1) -> None:
        self.sinks["heard"].say(heard, frames)
        self.sinks["said"].say(said, frames)

    def recording(self, path: Path) -> Recording:
        return Recording(cast(Any, self), cast(Any, self), path, layout="stereo", sample_rate=8000)


def read(path: Path) -> list[tuple[int, int]]:
    """Each frame of the file by its first samples."""
    with wave.open(str(path)) as file:
        samples = array("h", file.readframes(file.getnframes()))
    assert len(samples) % (2 * FRAME) == 0
    return [(samples[n], samples[n + 1]) for n in range(0, len(samples), 2 * FRAME)]


def test_what_was_lost_is_silence_in_its_place() -> None:
    sink = Sink()
    track = _Track(cast(Any, sink))
    sink.say(5, 2)
    sink.lost = 3
    assert not track.take()
    sink.say(6)
    assert not track.take()
    assert track.samples.tolist() == [5] * 2 * FRAME + [0] * 3 * FRAME + [6] * FRAME


def test_an_hour_that_was_lost_is_made_up_for_ten_seconds_at_a_time() -> None:
    sink = Sink()
    track = _Track(cast(Any, sink))
    hour = 3600 * 50
    sink.lost = hour
    sink.say(5)
    rounds = 1
    while track.take():
        assert len(track.samples) <= (WAITING_FRAMES + 1) * FRAME
        track.samples = array("h")
        # what comes meanwhile waits for its turn
        sink.say(6)
        rounds += 1
    assert rounds == hour / WAITING_FRAMES
    del track.samples[:]
    track.take()
    assert track.samples.tolist() == [6] * FRAME * (rounds - 1)


def test_the_side_that_began_later_is_silent_until_then() -> None:
    heard, said = Sink(1, first_tick=10), Sink(2, first_tick=None)
    tracks = _Tracks([cast(Any, heard), cast(Any, said)])
    heard.say(5, 3)
    assert tracks.take()[0].tolist() == []
    said.first_tick = 12
    said.say(6)
    left, right, more = tracks.take()
    assert left.tolist() == [5] * 3 * FRAME
    assert right.tolist() == [0] * 2 * FRAME + [6] * FRAME
    assert not more


def test_a_pause_cuts_where_it_was_said(tmp_path: Path) -> None:
    async def main() -> None:
        call = Call()
        async with call.recording(tmp_path / "call.wav") as running:
            call.say(1, 2)
            running.pause()
            running.pause()
            call.say(3, 4, 5)
            running.resume()
            call.say(5, 6)
        assert (call.wanted, call.ended, running.lost_frames) == (0, [1, 2], 0)
        await call.recordings.close()

    asyncio.run(main())
    assert read(tmp_path / "call.wav") == [(1, 2), (5, 6)]


def test_pausing_while_the_disk_stands_still_holds_no_more_than_may_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = threading.Event()

    async def main() -> None:
        call = Call()
        running = call.recording(tmp_path / "call.wav")
        await running.start()
        stuck = [asyncio.create_task(call.recordings.do(moves.wait, 20)) for _ in range(8)]
        await asyncio.sleep(0)
        for _ in range(5):
            call.say(1, 2, WAITING_FRAMES // 2)
            running.pause()
            running.resume()
        # two halves are kept, and three of both sides are not; the one that is being written waits elsewhere
        assert running.lost_frames == 3 * 2 * (WAITING_FRAMES // 2)
        moves.set()
        await asyncio.gather(*stuck)
        await running.stop()
        await call.recordings.close()

    asyncio.run(main())
    assert read(tmp_path / "call.wav") == [(1, 2)] * WAITING_FRAMES


def test_the_end_waits_for_what_is_written_and_not_for_a_disk_that_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trunkline.media.recording_threads.PATIENCE_S", 0.2)
    moves, ended = threading.Event(), list[str]()

    async def write(threads: RecordingThreads, name: str, wait_s: float) -> None:
        try:
            await threads.do(moves.wait, wait_s)
            ended.append(name)
        except asyncio.CancelledError:
            ended.append(f"{name} given up")
            raise

    async def main() -> None:
        threads = RecordingThreads()
        threads.own(asyncio.create_task(write(threads, "quick", 0.01)))
        threads.own(asyncio.create_task(write(threads, "stuck", 20)))
        await threads.close()
        moves.set()

    asyncio.run(main())
    assert ended == ["quick", "stuck given up"]
