"""What an application does with something that plays, over real sockets: pause, move, gain, stop; turns; streams; a slow disk."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.server.listening import Listener, answered, frequency, rms
from tests.server.test_conference import until_silence
from tests.server.test_sound import is_tone, level, stage, tone_wav, until_tone
from trunkline.calls.session import CallSession
from trunkline.errors import AudioError
from trunkline.media.material import FileMaterial, Frame
from trunkline.media.playback import Playback
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

Scene = Callable[[CallSession, ScriptedCall], Awaitable[None]]


def on_a_call(scene: Scene) -> None:
    """Alice's call is answered, and the scene plays in it."""
    calls: list[CallSession] = []

    async def handler(call: CallSession) -> None:
        await call.answer()
        calls.append(call)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await scene(await answered(calls), at_alice)

    asyncio.run(stage(handler, scenario))


def wav_of(*frequencies_hz: float, seconds: float) -> bytes:
    """One tone after another, each of so many seconds."""
    first, *others = (tone_wav(hz, seconds) for hz in frequencies_hz)
    data = first[44:] + b"".join(other[44:] for other in others)
    return first[:40] + len(data).to_bytes(4, "little") + data


def frames(frequency_hz: float, count: int, rate: int = 16_000) -> list[bytes]:
    """Frames of 20 ms of a tone."""
    size = rate // 50
    step = math.tau * frequency_hz / rate
    return [
        array("h", (int(8000 * math.sin(step * n)) for n in range(place * size, place * size + size))).tobytes()
        for place in range(count)
    ]


def test_it_is_paused_moved_in_made_quieter_and_stopped_while_it_plays() -> None:
    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        playback = call.play(wav_of(500, 1000, 1500, seconds=4.0))
        await until_tone(alice, 500)
        loud = await alice.hear(0.3)
        assert 0 < playback.position_s < 4
        playback.seek(5.0)
        await until_tone(alice, 1000)
        assert 5.0 < playback.position_s < 8
        playback.pause()
        await until_silence(alice)
        stood = playback.position_s
        await asyncio.sleep(0.2)
        assert playback.position_s == stood
        playback.set_gain(0.5)
        playback.seek(9.5)  # all of the rest is written at once
        playback.resume()
        await until_tone(alice, 1500)
        quiet = await alice.hear(0.3)
        assert abs(loud.level_dbm0 - quiet.level_dbm0 - 6.02) < 0.5
        playback.seek(0.0)  # what was all written goes on all the same
        await until_tone(alice, 500)
        assert not playback.is_over
        playback.stop()
        playback.stop()
        assert (await playback, playback.is_over, playback.underruns) == (False, True, 0)
        await until_silence(alice)
        with pytest.raises(ValueError, match="position_s"):
            playback.seek(-1.0)
        with pytest.raises(ValueError, match="gain"):
            playback.set_gain(17.0)

    on_a_call(scene)


def test_it_loops_without_a_gap_and_counts_its_place_anew() -> None:
    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        listener = Listener(alice)
        playback = call.play(tone_wav(500, 0.5), times=4)
        positions = []
        while not playback.is_over:
            positions.append(playback.position_s)
            await asyncio.sleep(0.05)
        assert await playback is True
        assert max(positions) <= 0.5
        await asyncio.sleep(0.4)
        tone = listener.tone()
        assert abs(tone.seconds - 2.0) < 0.1
        assert tone.gaps == 0
        assert abs(tone.frequency_hz - 500) < 8

    on_a_call(scene)


def test_what_is_played_meanwhile_waits_for_its_turn() -> None:
    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        listener = Listener(alice)
        first, never, last = (call.play(tone_wav(hz, 0.8)) for hz in (500, 1200, 900))
        await asyncio.sleep(0.2)
        never.stop()
        with pytest.raises(AudioError, match="no WAV"):  # known at once, before its turn
            await call.play(b"no audio")
        assert not first.is_over
        assert await last
        assert (await first, await never) == (True, False)
        await asyncio.sleep(0.4)
        samples = listener.samples()
        loud = [n for n in range(0, len(samples) - 160, 160) if rms(samples[n : n + 160]) > 300]
        heard = [frequency(samples[n : n + 160]) for n in loud]
        middle = len(heard) // 2
        assert all(abs(hz - 500) < 60 for hz in heard[3 : middle - 5])
        assert all(abs(hz - 900) < 60 for hz in heard[middle + 5 : -3])
        assert abs(len(heard) / 50 - 1.6) < 0.1

    on_a_call(scene)


def test_a_hundred_may_wait() -> None:
    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        beep = tone_wav(500, 0.1)
        waiting = [call.play(beep) for _ in range(101)]
        with pytest.raises(AudioError, match="100 others wait"):
            call.play(beep)
        assert await call.play(beep, at_once=True)
        for playback in waiting:
            playback.stop()
        assert not any([await playback for playback in waiting[20:]])
        assert await call.play(beep)

    on_a_call(scene)


def test_at_once_is_mixed_over_what_plays_or_heard_in_its_place() -> None:
    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        listener = Listener(alice)
        music = call.play(tone_wav(500, 1.0), times=0)
        await until_tone(alice, 500)
        over = call.play(tone_wav(1000, 1.5), at_once=True)
        async with asyncio.timeout(10):
            while (await alice.hear(0.3)).purity > 0.8:
                pass
        listener.samples()
        await asyncio.sleep(0.5)
        both = listener.samples()[-1600:]
        assert level(both, 500, 8000) > 4000
        assert level(both, 1000, 8000) > 4000
        assert await over
        await until_tone(alice, 500)
        alone = call.play(tone_wav(1000, 1.5), at_once=True, exclusive=True)
        heard = await until_tone(alice, 1000)
        assert is_tone(heard, 1000)
        assert await alone
        await until_tone(alice, 500)
        music.stop()
        assert await music is False

    on_a_call(scene)


def test_a_stream_is_heard_as_it_is_made_and_closed_when_it_is_stopped() -> None:
    closed: list[str] = []

    async def made(name: str, count: int) -> AsyncIterator[Frame]:
        try:
            for frame in frames(700, count):
                await asyncio.sleep(0)
                yield memoryview(frame).cast("h")
        finally:
            closed.append(name)

    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        listener = Listener(alice)
        assert await call.play(made("whole", 50), sample_rate=16_000)
        await asyncio.sleep(0.4)
        tone = listener.tone()
        assert abs(tone.frequency_hz - 700) < 8
        assert abs(tone.seconds - 1.0) < 0.07
        assert tone.gaps == 0
        endless = call.play(made("stopped", 3000), sample_rate=16_000)
        await until_tone(alice, 700)
        with pytest.raises(AudioError, match="stream"):
            endless.seek(1.0)
        endless.stop()
        assert await endless is False
        assert closed == ["whole", "stopped"]
        with pytest.raises(ValueError, match="sample_rate"):
            call.play(made("none", 1))
        with pytest.raises(ValueError, match="times"):
            call.play(made("none", 1), times=2, sample_rate=8000)
        with pytest.raises(ValueError, match="sample_rate"):
            call.play(tone_wav(500, 0.1), sample_rate=8000)

    on_a_call(scene)


def test_a_stream_that_is_late_is_silent_and_counted_and_one_that_fails_says_so() -> None:
    async def late() -> AsyncIterator[Frame]:
        for frame in frames(700, 25):
            yield frame
        await asyncio.sleep(1.0)
        for frame in frames(700, 25):
            yield frame

    async def failing() -> AsyncIterator[Frame]:
        yield frames(700, 1)[0]
        raise LookupError("no more words")

    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        playback = call.play(late(), sample_rate=16_000)
        assert await playback
        assert 10 < playback.underruns < 60
        with pytest.raises(LookupError, match="no more words"):
            await call.play(failing(), sample_rate=16_000)
        assert await call.play(tone_wav(500, 0.2))

    on_a_call(scene)


def test_a_slow_disk_is_silence_that_is_counted_and_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slow.wav"
    path.write_bytes(tone_wav(500, 2.0))
    quick = FileMaterial.next

    async def slowly(material: FileMaterial) -> Frame | None:
        if material.name == str(path):
            await asyncio.sleep(0.9)
        return await quick(material)

    monkeypatch.setattr(FileMaterial, "next", slowly)

    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        slow = call.play(path)
        beside = call.play(tone_wav(1000, 3.0), at_once=True)
        assert await slow
        assert await beside
        assert slow.underruns > 20
        assert beside.underruns == 0

    on_a_call(scene)


def test_a_party_that_hangs_up_ends_what_plays_and_what_waits() -> None:
    played: list[Playback] = []

    async def hanging() -> AsyncIterator[Frame]:
        await asyncio.Event().wait()
        yield b""

    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        played.append(call.play(tone_wav(500, 1.0), times=0))
        played.append(call.play(tone_wav(900, 1.0)))
        played.append(call.play(hanging(), sample_rate=8000, at_once=True))
        await until_tone(alice, 500)
        alice.hangup()
        async with asyncio.timeout(5):
            assert [await playback for playback in played] == [False, False, False]

    on_a_call(scene)


def test_a_task_that_is_cancelled_while_it_waits_stops_what_it_waits_for() -> None:
    async def scene(call: CallSession, alice: ScriptedCall) -> None:
        playback = call.play(tone_wav(500, 1.0), times=0)
        waiting = asyncio.ensure_future(playback)
        await until_tone(alice, 500)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert playback.is_over
        await until_silence(alice)

    on_a_call(scene)
