"""Conferences over real sockets: who hears whom, by frequency; what is played to all; parties that leave and come back."""

from __future__ import annotations

import asyncio

from tests.server.test_sound import PCMA, PCMU, REALM, tone_wav, until_tone
from trunkline.calls.conference import Conference
from trunkline.calls.session import CallSession
from trunkline.server.server import SipServer
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone


async def until_silence(call: ScriptedCall) -> None:
    async with asyncio.timeout(10):
        while (await call.hear(0.2)).level_dbm0 > -60:
            pass


def present(conference: Conference) -> int:
    return len(conference.calls)


async def performance() -> None:
    conference = Conference()
    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(29_000, 29_199))

    @server.on_incoming_call
    async def enter(call: CallSession) -> None:
        await call.answer()
        await conference.join(call)
        await conference.join(call, muted=True)

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
        conference.change(of_alice, muted=True)
        await until_silence(bob)
        conference.change(of_alice, muted=False, gain=0.5)
        heard = await until_tone(bob, 500)
        assert abs(heard.level_dbm0 + 16.0) < 0.7
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


def test_each_hears_the_others_as_he_takes_part() -> None:
    asyncio.run(performance())
