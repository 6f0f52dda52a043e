"""Conferences over real sockets: who hears whom, by frequency; who speaks; what is played to all and recorded; who comes back."""

from __future__ import annotations

import asyncio
import wave
from array import array
from pathlib import Path

import pytest

from tests.server.test_sound import PCMA, PCMU, REALM, level, tone_wav, until_tone
from trunkline.calls.conference import Conference
from trunkline.calls.session import CallSession
from trunkline.errors import CallStateError
from trunkline.events import CallSessionSpeaking
from trunkline.server.server import SipServer
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone


async def until_silence(call: ScriptedCall) -> None:
    async with asyncio.timeout(10):
        while (await call.hear(0.2)).level_dbm0 > -60:
            pass


def present(conference: Conference) -> int:
    return len(conference.calls)


def speaker(conference: Conference) -> CallSession | None:
    return conference.speaker


async def until_speaks(told: list[tuple[str, bool]], *expected: tuple[str, bool]) -> None:
    async with asyncio.timeout(10):
        while told != [*expected]:
            await asyncio.sleep(0.02)
    told.clear()


async def performance(recorded: Path) -> None:
    conference = Conference()
    told: list[tuple[str, bool]] = []
    with pytest.raises(CallStateError):
        conference.record(recorded)
    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(29_000, 29_199))

    @server.on_incoming_call
    async def enter(call: CallSession) -> None:
        await call.answer()
        await conference.join(call)
        await conference.join(call, muted=True)

    @server.on_call_session_speaking
    async def speaks(event: CallSessionSpeaking) -> None:
        assert event.conference is conference
        told.append((event.call.from_peer_name, event.speaking))

    names = ("alice", "bob", "carol")
    async with server:
        for name in names:
            server.add_user(name, password="p")
        address = server.local_address("udp")
        codecs = {"alice": (PCMU,), "bob": (PCMA,), "carol": (PCMU, PCMA)}
        phones = [Phone(name, "p", address, realm=REALM, codecs=codecs[name]) for name in names]
        for phone in phones:
            await phone.start()
            await phone.register()
        alice, bob, carol = at = [phone.dial("room") for phone in phones]
        for one in at:
            await one.wait_answered()
        alice.play_tone(500.0, -10.0)
        await until_tone(bob, 500)
        await until_tone(carol, 500)
        await until_silence(alice)
        assert present(conference) == 3
        of_alice = next(call for call in conference.calls if call.from_peer_name == "alice")
        await until_speaks(told, ("alice", True))
        assert speaker(conference) is of_alice
        levels = {call.from_peer_name: dbm0 for call, dbm0 in conference.levels().items()}
        assert abs(levels["alice"] + 10.0) < 0.7
        assert levels["bob"] < -60
        conference.change(of_alice, muted=True)
        await until_silence(bob)
        await until_speaks(told, ("alice", False))
        assert speaker(conference) is None
        conference.change(of_alice, muted=False, gain=0.5)
        await until_tone(bob, 500)
        async with asyncio.timeout(10):  # the first windows may begin before it
            while abs((await bob.hear(0.3)).level_dbm0 + 16.0) > 0.7:
                pass
        of_carol = next(call for call in conference.calls if call.from_peer_name == "carol")
        conference.change(of_alice, heard_by=[of_carol])
        await until_silence(bob)
        await until_tone(carol, 500)
        bob.play_tone(700.0, -10.0)
        async with conference.record(recorded, sample_rate=16_000):
            await until_tone(alice, 700)
            await asyncio.sleep(0.5)
        bob.play_tone(0.0, -10.0)
        conference.change(of_alice, heard_by="everybody")
        await until_tone(bob, 500)
        with pytest.raises(ValueError, match="gain"):
            conference.change(of_alice, gain=17)
        conference.leave(of_alice)  # it comes back muted
        await until_silence(carol)
        playing = asyncio.ensure_future(conference.play(tone_wav(800, 1.0)))
        await until_tone(alice, 800)
        assert await playing
        for one in at:
            one.hangup()
        async with asyncio.timeout(5):
            for call in server.calls:
                await call.wait_closed()
            while present(conference):
                await asyncio.sleep(0.01)
        for phone in phones:
            await phone.stop()


def test_each_hears_the_others_as_he_takes_part(tmp_path: Path) -> None:
    asyncio.run(performance(tmp_path / "room.wav"))
    with wave.open(str(tmp_path / "room.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 16_000)
        samples = array("h", file.readframes(file.getnframes()))[-6400:]
    # bob alone: alice spoke to carol, who is but one of them
    assert abs(level(samples, 700, 16_000) / (32_768 * 10 ** (-13.14 / 20)) - 1) < 0.15
    assert level(samples, 500, 16_000) < 100
