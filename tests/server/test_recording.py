"""Recordings over real sockets: each format, pause and resume, faults of the disk, a server that stops; and tones, which they measure."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import threading
import wave
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.media.test_recording_file import decoded
from tests.server.test_sound import level, stage, until_tone
from trunkline.calls.session import CallSession
from trunkline.errors import AudioError
from trunkline.events import RecordingFailed
from trunkline.media import recording
from trunkline.media.recording import Recording
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

ALICE_HZ, BOB_HZ = 500.0, 1200.0
PEAK = 32_768 * 10 ** ((-10 - 3.14) / 20)


def call_of_two(
    scenario: Callable[[CallSession, ScriptedCall, ScriptedCall], Awaitable[None]], **of_stage: Any
) -> None:
    """Alice and bob talk through the server, each with a tone."""
    calls: list[CallSession] = []

    async def handler(call: CallSession) -> None:
        calls.append(call)
        await call.accept(to_user="bob")

    async def played(at_alice: ScriptedCall, bob: Phone) -> None:
        at_alice.play_tone(ALICE_HZ, -10.0)
        bob.calls[0].play_tone(BOB_HZ, -10.0)
        await until_tone(at_alice, BOB_HZ)
        await scenario(calls[0], at_alice, bob.calls[0])

    asyncio.run(stage(handler, played, bob_answers=True, **of_stage))


def read(path: Path) -> tuple[int, int, array[int]]:
    with wave.open(str(path)) as file:
        return file.getframerate(), file.getnchannels(), array("h", file.readframes(file.getnframes()))


@pytest.mark.parametrize(
    ("name", "given", "suite"),
    [
        ("call.wav", {"encoding": "ulaw"}, "sox"),
        ("call.wav", {"encoding": "alaw"}, "sox"),
        ("call.opus", {}, "opusdec"),
    ],
)
def test_a_call_is_recorded_in_each_format(tmp_path: Path, name: str, given: dict[str, Any], suite: str) -> None:
    path = tmp_path / name

    async def scenario(call: CallSession, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        async with call.record(path, layout="stereo", **given) as running:
            await asyncio.sleep(1.5)
            assert running.lost_frames == 0

    call_of_two(scenario)
    rate, channels, samples = decoded(path, suite)
    assert channels == 2
    left, right = (samples[n::2][-rate:] for n in range(2))
    assert abs(level(left, ALICE_HZ, rate) / PEAK - 1) < 0.15
    assert abs(level(right, BOB_HZ, rate) / PEAK - 1) < 0.15
    assert level(left, BOB_HZ, rate) < PEAK / 20
    assert level(right, ALICE_HZ, rate) < PEAK / 20


def test_a_pause_leaves_out_what_is_said_in_it_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    secret_hz = 900.0
    recorded_s: list[float] = []

    async def scenario(call: CallSession, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        now_s = asyncio.get_running_loop().time
        async with call.record(path, layout="stereo") as running:
            moments = [now_s()]
            await asyncio.sleep(0.7)
            running.pause()
            moments.append(now_s())
            assert running.paused
            at_alice.play_tone(secret_hz, -10.0)
            await until_tone(at_bob, secret_hz)
            at_alice.play_tone(ALICE_HZ, -10.0)
            await until_tone(at_bob, ALICE_HZ)
            # a whole span of it, so that nothing of the other is under way
            await until_tone(at_bob, ALICE_HZ)
            running.resume()
            moments.append(now_s())
            await asyncio.sleep(0.7)
            moments.append(now_s())
        recorded_s.append(moments[1] - moments[0] + moments[3] - moments[2])

    call_of_two(scenario)
    rate, _, samples = read(path)
    left = samples[::2]
    assert len(left) / rate == pytest.approx(recorded_s[0], abs=0.2)
    assert level(left[rate // 4 : rate // 2], ALICE_HZ, rate) > PEAK * 0.8
    assert level(left[-rate // 4 :], ALICE_HZ, rate) > PEAK * 0.8
    # a window of 50 ms tells the two apart
    assert max(level(left[n : n + 400], secret_hz, rate) for n in range(0, len(left) - 400, 400)) < PEAK / 5


class Disk:
    """What stands in for `os.pwrite`: a disk that can be full, or stand still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.moves = threading.Event()
        self.moves.set()
        self._pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", self.pwrite)

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        assert self.moves.wait(20)
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._pwrite(fd, data, offset)


def test_a_full_disk_is_an_event_and_an_exception_and_the_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk, path = Disk(monkeypatch), tmp_path / "call.wav"
    failed: list[RecordingFailed] = []
    told = threading.Event()

    def on_failed(event: RecordingFailed) -> None:
        failed.append(event)
        told.set()

    async def scenario(call: CallSession, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        running = call.record(path)
        await running.start()
        await asyncio.sleep(0.6)
        disk.full = True
        assert await asyncio.to_thread(told.wait, 10)
        assert failed[0].call is call
        await until_tone(at_bob, ALICE_HZ)
        await until_tone(at_alice, BOB_HZ)
        # nothing of the call is heard any more for it
        assert call.zero.leg is not None
        assert not call.zero.leg.transcodes
        for _ in range(2):
            with pytest.raises(AudioError, match=r"call.wav cannot be written: No space left on device"):
                await running.stop()

    call_of_two(scenario, configure=lambda server: server.on_recording_failed(on_failed))
    assert [(event.path, event.reason) for event in failed] == [
        (str(path), f"{path} cannot be written: No space left on device")
    ]
    assert len(read(path)[2]) > 0
    assert [record.levelname for record in caplog.records if "a recording ends" in record.getMessage()] == ["ERROR"]


def test_a_slow_disk_loses_frames_of_the_recording_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, path = Disk(monkeypatch), tmp_path / "call.wav"
    monkeypatch.setattr(recording, "WAITING_FRAMES", 50)
    lost: list[int] = []

    async def scenario(call: CallSession, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        async with call.record(path, layout="stereo") as running:
            await asyncio.sleep(0.5)
            assert running.lost_frames == 0
            disk.moves.clear()
            try:
                async with asyncio.timeout(10):
                    while running.lost_frames < 60:
                        await asyncio.sleep(0.05)
                # the worker, the loop and other files go on
                heard = await at_bob.hear(0.5)
                assert (heard.gaps, round(heard.frequency_hz / 10)) == (0, round(ALICE_HZ / 10))
                assert await asyncio.wait_for(call.play_tone("busy", country="de", duration_s=0.3), 5)
            finally:
                disk.moves.set()
            await asyncio.sleep(0.6)
            lost.append(running.lost_frames)

    call_of_two(scenario)
    rate, _, samples = read(path)
    left = samples[::2]
    frames = [left[start : start + rate // 50] for start in range(0, len(left), rate // 50)]
    silent = [not any(frame) for frame in frames]
    # what was lost is silence in its place, then it goes on
    first = silent.index(True, 10)
    assert silent[first:].count(True) * 2 == pytest.approx(lost[0], abs=4)
    assert not any(silent[-10:])


def test_a_server_that_stops_ends_what_it_records(tmp_path: Path) -> None:
    paths = [tmp_path / "call.wav", tmp_path / "call.opus"]
    running: list[Recording] = []

    async def scenario(call: CallSession, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        for path in paths:
            running.append(call.record(path))
            await running[-1].start()
        await asyncio.sleep(0.5)

    call_of_two(scenario)
    assert [each.error for each in running] == [None, None]
    assert len(read(paths[0])[2]) > 0.3 * 8000
    # the last page is marked as such (RFC 3533 §6)
    data = paths[1].read_bytes()
    assert data[data.rindex(b"OggS") + 5] == 4


def test_what_cannot_be_recorded_is_said_at_once(tmp_path: Path) -> None:
    async def scenario(call: CallSession, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        with pytest.raises(ValueError, match="ends with none of"):
            call.record(tmp_path / "call.mp3")
        with pytest.raises(ValueError, match="layout: one of mono, stereo, not quad"):
            call.record(tmp_path / "call.wav", layout="quad")  # type: ignore[arg-type]
        with pytest.raises(AudioError, match=f"{tmp_path}/none/call.opus cannot be written: No such file or directory"):
            await call.record(tmp_path / "none" / "call.opus").start()
        await until_tone(at_alice, BOB_HZ)

    call_of_two(scenario)


def test_a_tone_is_heard_by_frequency_and_cadence(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    done: list[bool] = []

    async def handler(call: CallSession) -> None:
        await call.answer()
        async with call.record(path, layout="stereo"):
            done.append(await call.play_tone("busy", country="de", duration_s=3.5))
            with pytest.raises(ValueError, match="country: one of"):
                await call.play_tone("busy", country="xx")
            with pytest.raises(ValueError, match="duration_s: more than 0"):
                await call.play_tone("busy", duration_s=0)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await until_tone(at_alice, 425)
        async with asyncio.timeout(10):
            while not done:
                await asyncio.sleep(0.05)
        while (await at_alice.hear(0.2)).level_dbm0 > -60:
            pass

    asyncio.run(stage(handler, scenario))
    assert done == [True]
    rate, _, samples = read(path)
    right = samples[1::2]
    frame = rate // 50
    sounds = [max(map(abs, right[start : start + frame])) > 1000 for start in range(0, len(right) - frame, frame)]
    spans = [(on, len(list(frames))) for on, frames in itertools.groupby(sounds)]
    # 0.48 s of each in turn, to a frame; the first and last spans are cut
    inner = spans[2:-2]
    assert len(inner) >= 3
    assert all(abs(length - 24) <= 1 for _, length in inner)
