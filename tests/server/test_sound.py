"""What an application plays and records, over real sockets: a phone hears the file by frequency and level, the file holds both parties."""

from __future__ import annotations

import asyncio
import io
import itertools
import math
import wave
from array import array
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from trunkline.calls.session import CallSession
from trunkline.errors import AudioError
from trunkline.media.engine import Heard
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Codec
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

REALM = "pbx.example"
PCMU, PCMA = Codec("PCMU", 8000), Codec("PCMA", 8000)

_ports = itertools.count(28_000, 200)


def tone_wav(frequency_hz: float, seconds: float, *, rate: int = 16_000, peak: int = 8000) -> bytes:
    samples = array("h", (int(peak * math.sin(math.tau * frequency_hz * n / rate)) for n in range(int(rate * seconds))))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def level(samples: Sequence[int], frequency_hz: float, rate: int) -> float:
    """The peak of a tone among samples, by correlation."""
    re = sum(sample * math.cos(math.tau * frequency_hz * n / rate) for n, sample in enumerate(samples))
    im = sum(sample * math.sin(math.tau * frequency_hz * n / rate) for n, sample in enumerate(samples))
    return 2 * math.hypot(re, im) / len(samples)


def is_tone(heard: Heard, frequency_hz: float) -> bool:
    return abs(heard.frequency_hz - frequency_hz) < 10 and heard.purity > 0.9


Handler = Callable[[CallSession], Awaitable[None]]
Scenario = Callable[[ScriptedCall, Phone], Awaitable[None]]


async def stage(
    handler: Handler,
    scenario: Scenario,
    *,
    bob_answers: bool = False,
    configure: Callable[[SipServer], object] = lambda server: None,
) -> None:
    """Alice's phone calls bob; the handler decides."""
    first = next(_ports)
    raised: list[BaseException] = []

    async def guarded(call: CallSession) -> None:
        try:
            await handler(call)
        except BaseException as error:
            raised.append(error)
            raise

    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first, first + 199))
    server.on_incoming_call(guarded)
    configure(server)
    async with server:
        server.add_user("alice", password="a")
        server.add_user("bob", password="b")
        address = server.local_address("udp")
        async with (
            Phone("alice", "a", address, realm=REALM, codecs=(PCMU, PCMA)) as alice,
            Phone("bob", "b", address, realm=REALM, codecs=(PCMU, PCMA)) as bob,
        ):
            await alice.register()
            await bob.register()
            at_alice = alice.dial("bob")
            if bob_answers:
                (await bob.next_call()).answer()
            await at_alice.wait_answered()
            await scenario(at_alice, bob)
            at_alice.hangup()
            async with asyncio.timeout(5):
                for call in server.calls:
                    await call.wait_closed()
    assert raised == []


async def until_tone(call: ScriptedCall, frequency_hz: float) -> Heard:
    async with asyncio.timeout(10):
        while not is_tone(heard := await call.hear(0.3), frequency_hz):
            pass
    return heard


def test_a_phone_hears_what_is_played_and_then_silence() -> None:
    done: list[bool] = []

    async def handler(call: CallSession) -> None:
        await call.answer()
        done.append(await call.play(tone_wav(700, 1.5)))
        with pytest.raises(AudioError, match="is no WAV"):
            await call.play(b"no audio at all")
        with pytest.raises(AudioError, match="37800"):
            await call.play(tone_wav(700, 0.1, rate=37_800))

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await until_tone(at_alice, 700)
        heard = await at_alice.hear(0.3)
        # a peak of 8000 of 32768, by the level of full scale
        assert abs(heard.level_dbm0 - (3.14 + 20 * math.log10(8000 / 32_768))) < 0.5
        async with asyncio.timeout(5):
            while (await at_alice.hear(0.2)).level_dbm0 > -60:
                pass

    asyncio.run(stage(handler, scenario))
    assert done == [True]


def test_what_is_played_is_mixed_over_a_call_and_relaying_goes_on_after_it(tmp_path: Path) -> None:
    calls: list[CallSession] = []
    (tmp_path / "long.wav").write_bytes(tone_wav(600, 1.0))

    async def handler(call: CallSession) -> None:
        calls.append(call)
        await call.accept(to_user="bob")

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        call, at_bob = calls[0], bob.calls[0]
        at_bob.play_tone(1000.0, -10.0)
        await until_tone(at_alice, 1000)
        leg = call.zero.leg
        assert leg is not None
        playing = asyncio.ensure_future(call.play(tmp_path / "long.wav", times=0))
        async with asyncio.timeout(10):
            while (await at_alice.hear(0.3)).purity > 0.8:
                pass
        assert leg.transcodes
        playing.cancel()
        await asyncio.wait([playing])
        await until_tone(at_alice, 1000)
        assert not leg.transcodes

    asyncio.run(stage(handler, scenario, bob_answers=True))


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_a_recording_holds_both_parties_of_a_relayed_call(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "call.wav"
    calls: list[CallSession] = []

    async def handler(call: CallSession) -> None:
        calls.append(call)
        await call.accept(to_user="bob")

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        at_alice.play_tone(500.0, -10.0)
        bob.calls[0].play_tone(1200.0, -16.0)
        async with calls[0].record(path, layout="stereo" if layout == "stereo" else "mono") as recording:
            await asyncio.sleep(2.0)
            assert recording.lost_frames == 0
        # a second one to where nobody can write
        with pytest.raises(AudioError, match="cannot be written"):
            await calls[0].record(tmp_path / "none" / "x.wav").start()

    asyncio.run(stage(handler, scenario, bob_answers=True))
    with wave.open(str(path)) as file:
        channels, rate = file.getnchannels(), file.getframerate()
        samples = array("h", file.readframes(file.getnframes()))
    assert (channels, rate) == (2 if layout == "stereo" else 1, 8000)
    sides = [samples[n::channels][-8000:] for n in range(channels)]
    assert all(len(side) == 8000 for side in sides)
    peak = 32_768 * 10 ** ((-10 - 3.14) / 20)
    own, other = (level(sides[0], 500, 8000), level(sides[-1], 1200, 8000))
    assert abs(own / peak - 1) < 0.15
    assert abs(other / (peak / 2) - 1) < 0.15
    if layout == "stereo":
        assert level(sides[0], 1200, 8000) < 30
        assert level(sides[1], 500, 8000) < 30
