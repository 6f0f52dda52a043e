"""Who has answered and who speaks, over real sockets: phones that say what espeak-ng makes, that beep, that are faxes."""

from __future__ import annotations

import asyncio
import functools
import io
import itertools
import math
import shutil
import subprocess
import wave
from array import array
from collections.abc import Callable

import pytest

from trunkline import AnsweredBy, Answerer, CallSession, SipServer
from trunkline.events import CallRecorded
from trunkline.hearing_events import SpeechStarted, SpeechStopped
from trunkline.sip.endpoint import Codec
from trunkline.storage.records import CallRecord
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

REALM = "pbx.example"
RATE = 8000

needs_speech = pytest.mark.skipif(
    shutil.which("espeak-ng") is None, reason="no espeak-ng on this machine (see tests/interop/install)"
)

GREETING = (
    "Hello, you have reached the office of Smith and Sons. Nobody can take your call right now. "
    "Please leave a message after the tone."
)

_ports = itertools.count(31_000, 200)


@functools.cache
def speech(text: str, voice: str = "en") -> array[int]:
    """What espeak-ng says, at 8 kHz."""
    made = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", "160", "--stdout", text], capture_output=True, check=True, timeout=20
    ).stdout
    with wave.open(io.BytesIO(made)) as file:
        rate = file.getframerate()
        samples = array("h", file.readframes(file.getnframes()))
    step = rate / RATE
    # the mean over each sample's span is filter enough for a voice
    spans = ((int(n * step), int((n + 1) * step) or 1) for n in range(int(len(samples) / step)))
    return array("h", (sum(samples[first:last]) // (last - first) for first, last in spans))


def tone(frequency_hz: float, seconds: float, peak: int = 8000) -> array[int]:
    return array("h", (int(peak * math.sin(math.tau * frequency_hz * n / RATE)) for n in range(int(RATE * seconds))))


def silence(seconds: float) -> array[int]:
    return array("h", bytes(2 * int(RATE * seconds)))


def say(call: ScriptedCall, *pieces: array[int]) -> None:
    """Have a phone say something; it says silence before and after."""
    media = call.agent.media
    call.play_tone(0.0)
    source = media.open_source(call.leg.number, RATE, lambda complete: None, frames=1500)
    for piece in pieces:
        assert source.write(piece) == len(piece)
    source.finish()


async def answered_by(
    speak: Callable[[ScriptedCall], None], *, codec: str = "PCMU", wait_for_beep: bool = False
) -> Answerer:
    """Dial bob, whose phone answers and speaks."""
    first = next(_ports)
    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first, first + 199))
    codecs = (Codec(codec, 48_000, 2) if codec == "opus" else Codec(codec, 8000),)
    async with server:
        server.add_user("bob", password="b", codecs=[codec])
        async with Phone("bob", "b", server.local_address("udp"), realm=REALM, codecs=codecs) as bob:
            await bob.register()
            dialling = asyncio.ensure_future(server.dial_user("bob", timeout_s=10))
            at_bob = await bob.next_call()
            at_bob.answer()
            call = await dialling
            speak(at_bob)
            try:
                async with asyncio.timeout(30):
                    return await call.detect_answerer(wait_for_beep=wait_for_beep)
            finally:
                at_bob.hangup()
                await call.wait_closed()


@needs_speech
@pytest.mark.parametrize("text", ["Hello?", "Hello, Jones speaking."])
def test_a_short_greeting_in_speech_is_a_human(text: str) -> None:
    found = asyncio.run(answered_by(lambda call: say(call, silence(0.5), speech(text))))
    assert found.kind is AnsweredBy.HUMAN, found
    assert 1 <= len(found.utterances) <= 2


@needs_speech
@pytest.mark.parametrize("codec", ["PCMU", "opus"])
def test_a_long_greeting_in_speech_is_a_machine_and_its_beep_is_heard(codec: str) -> None:
    def speak(call: ScriptedCall) -> None:
        say(call, silence(0.5), speech(GREETING), silence(0.6), tone(1000, 0.4))

    found = asyncio.run(answered_by(speak, codec=codec, wait_for_beep=True))
    assert found.kind is AnsweredBy.BEEP, found
    assert found.frequency_hz == pytest.approx(1000, abs=6)
    assert sum(each.lasted_s for each in found.utterances) > 3
    (beep,) = (each for each in found.segments if each.sound == "tone")
    assert beep.lasted_s == pytest.approx(0.4, abs=0.1)


@needs_speech
def test_a_machine_is_known_before_its_greeting_is_over() -> None:
    found = asyncio.run(answered_by(lambda call: say(call, silence(0.3), speech(GREETING))))
    assert found.kind is AnsweredBy.MACHINE, found
    assert found.decided_s < len(speech(GREETING)) / RATE


@pytest.mark.parametrize(("frequency_hz", "seconds"), [(2100.0, 3.0), (1100.0, 0.5)])
def test_a_fax_is_known_by_its_tone(frequency_hz: float, seconds: float) -> None:
    found = asyncio.run(answered_by(lambda call: say(call, silence(0.4), tone(frequency_hz, seconds))))
    assert found.kind is AnsweredBy.FAX, found
    assert found.frequency_hz == pytest.approx(frequency_hz, abs=6)


def test_who_says_nothing_is_silence() -> None:
    found = asyncio.run(answered_by(lambda call: call.play_tone(0.0)))
    assert found.kind is AnsweredBy.SILENCE, found


@needs_speech
def test_who_speaks_in_a_relayed_call_is_told_and_its_record_has_the_mos() -> None:
    told: list[SpeechStarted | SpeechStopped] = []
    records: list[CallRecord] = []

    async def performance() -> None:
        first = next(_ports)
        server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first, first + 199))
        calls: list[CallSession] = []

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            calls.append(call)
            await call.accept(to_user="bob")
            call.watch_speech()

        server.on_speech_started(told.append)
        server.on_speech_stopped(told.append)

        @server.on_call_recorded
        async def recorded(event: CallRecorded) -> None:
            records.append(event.record)

        async with server:
            for name in ("alice", "bob"):
                server.add_user(name, password=name)
            address = server.local_address("udp")
            async with (
                Phone("alice", "alice", address, realm=REALM) as alice,
                Phone("bob", "bob", address, realm=REALM) as bob,
            ):
                await alice.register()
                await bob.register()
                at_alice = alice.dial("bob")
                at_bob = await bob.next_call()
                at_bob.answer()
                await at_alice.wait_answered()
                at_bob.play_tone(0.0)
                say(at_alice, silence(0.5), speech("Good morning, this is Alice."))
                async with asyncio.timeout(20):
                    while not any(isinstance(each, SpeechStopped) for each in told):
                        await asyncio.sleep(0.05)
                    # until RTCP has told what arrived at the phones
                    while (quality := calls[0].quality.zero) is None or quality.sent is None:
                        await asyncio.sleep(0.1)
                leg = calls[0].zero.leg
                assert leg is not None
                assert not leg.transcodes
                level = calls[0].zero.level_dbm0
                assert level is not None
                assert quality.received is not None
                assert quality.received.mos > 4.2
                at_alice.hangup()
                await calls[0].wait_closed()
                async with asyncio.timeout(5):
                    while not records:
                        await asyncio.sleep(0.05)

    asyncio.run(performance())
    assert isinstance(told[0], SpeechStarted)
    assert {each.channel.name for each in told} == {"ZERO"}
    stopped = next(each for each in told if isinstance(each, SpeechStopped))
    assert 0.3 < stopped.duration_s < 3
    assert -40 < stopped.level_dbm0 < 0
    (record,) = records
    assert record.zero["mos_scale"] == "narrowband"
    for key in ("mos", "remote_mos"):
        mos = record.zero[key]
        assert isinstance(mos, float)
        assert mos > 4.2
