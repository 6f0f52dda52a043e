"""What is done for the rows of "Coming from VaxVoIP" that are about what parties hear and press, over loopback and in real time.

`moves.py` has the other methods, and how scenarios are run.
"""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

from tests.docs.moves import move
from tests.docs.witness import Witness
from tests.server.test_digits import EVENTS, PCMU, WAYS, Hearing, codecs_of, cross, new_server, phones, until
from tests.server.test_sound import stage, tone_wav, until_tone

from trunkline import CallSession, DtmfWay
from trunkline.testing import Phone, ScriptedCall

# --- audio ----------------------------------------------------------------------------------------------------------------


@move("Playing WAV files", on_loopback=True)
async def play(w: Witness) -> None:
    async def handler(call: CallSession) -> None:
        await call.answer()
        await call.play(tone_wav(700, 1.5), exclusive=True)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await until_tone(at_alice, 700)

    await stage(handler, scenario)


@move("Recording WAV files", on_loopback=True)
async def record(w: Witness) -> None:
    path = Path(w.folder) / "call.wav"

    async def handler(call: CallSession) -> None:
        await call.answer()
        async with call.record(path, layout="stereo"):
            await call.play(tone_wav(700, 0.6))

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await until_tone(at_alice, 700)
        await asyncio.sleep(0.6)

    await stage(handler, scenario)
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 2
        assert file.getnframes() > 0.4 * file.getframerate()


# --- digits ---------------------------------------------------------------------------------------------------------------


@move("SendDigitDTMF", on_loopback=True)
async def send_digits(w: Witness) -> None:
    server, listens = new_server(), asyncio.Event()

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.answer()
        await listens.wait()
        await call.send_dtmf("12")
        await call.send_dtmf("3#", how=DtmfWay.INFO)

    async with phones(server, (PCMU, EVENTS), (PCMU,), from_alice="auto", to_bob="auto") as (alice, _):
        at_alice = alice.dial("bob")
        await at_alice.wait_answered()
        hearing = Hearing(at_alice)
        listens.set()
        await until(lambda: len(hearing.heard) >= 4)
        at_alice.hangup()
    assert (hearing.by(DtmfWay.RFC4733), hearing.by(DtmfWay.INFO)) == ("12", "3#")


@move("DetectDigitDTMF", on_loopback=True)
async def gather_digits(w: Witness) -> None:
    server, gathered = new_server(), asyncio.Queue[str]()
    prompt = tone_wav(700, 60.0)

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.answer()
        gathered.put_nowait(await call.gather(prompt, max_digits=4, terminator="*", timeout_s=5, interrupt=True))

    async with phones(server, (PCMU, EVENTS), (PCMU,), from_alice="auto", to_bob="auto") as (alice, _):
        at_alice = alice.dial("bob")
        await at_alice.wait_answered()
        await until_tone(at_alice, 700)
        at_alice.send_digits("1#2*")
        async with asyncio.timeout(15):
            assert await gathered.get() == "1#2"
        at_alice.hangup()


@move("DTMF: RFC2833, INFO, INBAND", on_loopback=True)
async def ways(w: Witness) -> None:
    for way in WAYS:
        _, told = await cross(codecs_of(way), (PCMU, EVENTS), way, "rfc4733")
        for event in told:
            w.saw(event.way)
