"""Each kind of file that is played, over real sockets: heard by frequency, level and length, without a gap; and what is none."""

from __future__ import annotations

import asyncio
import math
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.listening import Listener, Tone, answered
from tests.server.test_sound import stage, tone_wav
from trunkline.calls.session import CallSession
from trunkline.errors import AudioError
from trunkline.media.audio import Audio
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

SECONDS = 0.8
PEAK = 8000

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="ffmpeg is not installed (see tests/interop/install)"
)


def sine(frequency_hz: float, rate: int) -> list[float]:
    """Of full scale 1."""
    return [PEAK / 32_768 * math.sin(math.tau * frequency_hz * n / rate) for n in range(int(rate * SECONDS))]


def wav(tag: int, channels: int, rate: int, width: int, data: bytes) -> bytes:
    """A WAV file of any coding."""
    block = channels * width
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, 8 * width)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm8(frequency_hz: float) -> bytes:
    return wav(1, 1, 8000, 1, bytes(128 + round(127 * value) for value in sine(frequency_hz, 8000)))


def pcm24(frequency_hz: float) -> bytes:
    values = [round(8_388_607 * value) for value in sine(frequency_hz, 24_000)]
    return wav(1, 1, 24_000, 3, b"".join(value.to_bytes(3, "little", signed=True) for value in values))


def pcm32(frequency_hz: float) -> bytes:
    values = [round(2_147_483_647 * value) for value in sine(frequency_hz, 48_000)]
    # two channels, of which one is silent: half the level in the middle
    return wav(1, 2, 48_000, 4, b"".join(struct.pack("<ii", 2 * value, 0) for value in values))


def floats(frequency_hz: float) -> bytes:
    values = sine(frequency_hz, 44_100)
    return wav(3, 1, 44_100, 4, struct.pack(f"<{len(values)}f", *values))


def mu_law(frequency_hz: float) -> bytes:
    """By the formula of G.711, not by its table."""

    def code(value: float) -> int:
        magnitude = min(abs(round(value * 8159)), 8158) + 33
        segment = max(magnitude.bit_length() - 6, 0)
        return ~((value < 0) << 7 | segment << 4 | (magnitude >> (segment + 1)) & 0xF) & 0xFF

    return wav(7, 1, 8000, 1, bytes(code(value) for value in sine(frequency_hz, 8000)))


def a_law(frequency_hz: float) -> bytes:
    def code(value: float) -> int:
        magnitude = min(abs(round(value * 4096)), 4095)
        segment = max(magnitude.bit_length() - 5, 0)
        step = (magnitude >> 1) & 0xF if segment == 0 else (magnitude >> segment) & 0xF
        return ((value >= 0) << 7 | segment << 4 | step) ^ 0x55

    return wav(6, 1, 8000, 1, bytes(code(value) for value in sine(frequency_hz, 8000)))


WAVES: list[Callable[[float], bytes]] = [pcm8, pcm24, pcm32, floats, mu_law, a_law]


def encoded(folder: Path, name: str, *options: str) -> Path:
    """A tone of 16 kHz that ffmpeg writes in another format."""
    source, target = folder / "source.wav", folder / name
    source.write_bytes(tone_wav(600, SECONDS, peak=PEAK))
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True, timeout=60)
    return target


async def heard(call: CallSession, listener: Listener, audio: Audio) -> Tone:
    """Play something, and hear it until nothing is under way any more."""
    listener.samples()
    assert await call.play(audio)
    await asyncio.sleep(0.4)
    return listener.tone()


def play_each(each: list[tuple[str, Audio]], frequency_hz: float, tolerance: float) -> None:
    calls: list[CallSession] = []

    async def handler(call: CallSession) -> None:
        await call.answer()
        calls.append(call)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        call, listener = await answered(calls), Listener(at_alice)
        for name, audio in each:
            tone = await heard(call, listener, audio)
            assert abs(tone.frequency_hz - frequency_hz) < 8, (name, tone)
            assert abs(tone.peak / PEAK - 1) < tolerance, (name, tone)
            assert abs(tone.seconds - SECONDS) < 0.07, (name, tone)
            assert tone.gaps == 0, (name, tone)

    asyncio.run(stage(handler, scenario))


def test_wav_of_each_coding_is_heard_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "pcm.wav"
    path.write_bytes(tone_wav(600, SECONDS, peak=PEAK))
    each: list[tuple[str, Audio]] = [("path", path)]
    each += [(make.__name__, make(600)) for make in WAVES]
    play_each(each, 600, 0.05)


@needs_ffmpeg
def test_mp3_flac_and_ogg_opus_are_heard_as_they_were_written(tmp_path: Path) -> None:
    both = ("-af", "pan=stereo|c0=c0|c1=c0")
    each: list[tuple[str, Audio]] = [
        ("mp3", encoded(tmp_path, "tone.mp3", "-b:a", "64k")),
        ("mp3 of 44.1 kHz, with a tag", encoded(tmp_path, "cd.mp3", "-ar", "44100", "-metadata", "title=tone")),
        ("flac", encoded(tmp_path, "tone.flac")),
        ("flac of 24 bits, stereo", encoded(tmp_path, "s.flac", *both, "-sample_fmt", "s32", "-ar", "96000")),
        ("opus", encoded(tmp_path, "tone.opus", "-c:a", "libopus")),
        ("opus in bytes", encoded(tmp_path, "tone.ogg", "-c:a", "libopus", "-b:a", "16k").read_bytes()),
    ]
    play_each(each, 600, 0.12)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["tone.mp3", "tone.flac", "tone.opus"])
def test_a_packed_file_is_heard_whole_each_time(name: str, tmp_path: Path) -> None:
    path = encoded(tmp_path, name, *(("-c:a", "libopus") if name.endswith("opus") else ()))
    calls: list[CallSession] = []

    async def handler(call: CallSession) -> None:
        await call.answer()
        calls.append(call)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        call, listener = await answered(calls), Listener(at_alice)
        assert await call.play(path, times=3)
        await asyncio.sleep(0.4)
        tone = listener.tone()
        assert abs(tone.seconds - 3 * SECONDS) < 0.1
        assert tone.gaps == 0

    asyncio.run(stage(handler, scenario))


@needs_ffmpeg
@pytest.mark.parametrize("name", ["tone.mp3", "tone.flac", "tone.opus"])
def test_a_packed_file_is_moved_in_by_the_second(name: str, tmp_path: Path) -> None:
    # 500 Hz, and from the fourth second on 1000 Hz
    low, high = (tone_wav(hz, 4.0, peak=PEAK)[44:] for hz in (500, 1000))
    source, target = tmp_path / "two.wav", tmp_path / name
    source.write_bytes(wav(1, 1, 16_000, 2, low + high))
    codec = ("-c:a", "libopus") if name.endswith("opus") else ()
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-i", source, *codec, target], check=True, timeout=60)
    calls: list[CallSession] = []

    async def handler(call: CallSession) -> None:
        await call.answer()
        calls.append(call)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        call, listener = await answered(calls), Listener(at_alice)
        playback = call.play(target)
        playback.seek(7.0)
        assert await playback
        await asyncio.sleep(0.4)
        last = listener.tone()
        assert abs(last.frequency_hz - 1000) < 10
        assert abs(last.seconds - 1.0) < 0.1
        assert last.gaps == 0

    asyncio.run(stage(handler, scenario))


def test_what_cannot_be_played_is_one_error_that_says_which_and_why_and_the_call_goes_on(tmp_path: Path) -> None:
    (tmp_path / "text.mp3").write_text("no audio at all")
    (tmp_path / "cut.wav").write_bytes(tone_wav(600, 0.1)[:20])
    (tmp_path / "empty.wav").write_bytes(wav(1, 1, 8000, 2, b""))
    refused = [
        ("text.mp3", r"text\.mp3 is no WAV, MP3, FLAC or Ogg Opus"),
        ("cut.wav", r"cut\.wav is damaged: its format is cut off"),
        ("empty.wav", r"empty\.wav has no samples"),
        ("none.wav", r"none\.wav cannot be read: No such file or directory"),
        (".", r"cannot be read: it is no file"),
    ]
    done: list[bool] = []

    async def handler(call: CallSession) -> None:
        await call.answer()
        for name, why in refused:
            with pytest.raises(AudioError, match=why):
                await call.play(tmp_path / name)
        with pytest.raises(AudioError, match=r"^7 bytes is no WAV"):
            await call.play(b"nothing")
        done.append(await call.play(pcm8(600)))

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        listener = Listener(at_alice)
        async with asyncio.timeout(10):
            while not done:
                await asyncio.sleep(0.05)
        assert abs(listener.tone().frequency_hz - 600) < 10

    asyncio.run(stage(handler, scenario))
    assert done == [True]


def test_hostile_lengths_are_no_lengths() -> None:
    endless = bytearray(pcm8(600))
    endless[40:44] = b"\xff\xff\xff\xff"
    play_each([("endless", bytes(endless))], 600, 0.05)
