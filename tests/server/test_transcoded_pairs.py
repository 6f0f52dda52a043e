"""Every pair of codecs that we transcode between, over real sockets: a tone crosses both ways, by frequency and level.

The phones speak and hear by the media engine's sources and sinks, since their own tone and detector know G.711 alone.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from array import array

import pytest

from tests.server.test_sound import REALM, level
from trunkline.calls.session import CallSession
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Codec
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

CODECS = {
    "PCMU": Codec("PCMU", 8000),
    "PCMA": Codec("PCMA", 8000),
    "G722": Codec("G722", 8000),
    "opus": Codec("opus", 48_000, 2),
}
RATE = 16_000
PEAK = 8000

_ports = itertools.count(30_000, 200)


def speak(phone: Phone, call: ScriptedCall, frequency_hz: float) -> object:
    """Five seconds of a tone."""
    samples = array("h", (int(PEAK * math.sin(math.tau * frequency_hz * n / RATE)) for n in range(RATE * 5)))
    source = phone.media.open_source(call.leg.number, RATE, lambda complete: None, frames=300)
    assert source.write(samples) == len(samples)
    return source


async def hear(phone: Phone, call: ScriptedCall, own_hz: float, other_hz: float) -> tuple[float, float]:
    """The peaks of two tones in a second of what the phone hears, after another that lets it settle."""
    sink = phone.media.driver.open_sink(call.leg.number, RATE, frames=200)
    while sink.waiting < 2 * RATE:
        await asyncio.sleep(0.05)
    heard = array("h")
    heard.frombytes(sink.read(2 * RATE))
    last = heard[-RATE:]
    return level(last, own_hz, RATE), level(last, other_hz, RATE)


async def route(call: CallSession) -> None:
    await call.accept(to_user="bob")


async def talk(near: str, far: str) -> None:
    first = next(_ports)
    server = SipServer(
        realm=REALM,
        listen=["udp://127.0.0.1:0"],
        media_ports=(first, first + 199),
        codecs=["PCMU", "PCMA", "G722", "opus"],
    )
    server.on_incoming_call(route)
    async with server:
        server.add_user("alice", password="a")
        server.add_user("bob", password="b")
        address = server.local_address("udp")
        async with (
            Phone("alice", "a", address, realm=REALM, codecs=[CODECS[near]]) as alice,
            Phone("bob", "b", address, realm=REALM, codecs=[CODECS[far]]) as bob,
        ):
            await alice.register()
            await bob.register()
            at_alice = alice.dial("bob")
            at_bob = await bob.next_call()
            at_bob.answer()
            await at_alice.wait_answered()
            playing = speak(alice, at_alice, 600), speak(bob, at_bob, 1000)
            async with asyncio.timeout(20):
                there, here = await asyncio.gather(hear(bob, at_bob, 1000, 600), hear(alice, at_alice, 600, 1000))
            assert len(playing) == 2
            for own, other in (there, here):
                assert abs(other / PEAK - 1) < 0.15, (there, here)
                assert own < PEAK / 50, (there, here)
            at_alice.hangup()
            await at_bob.wait_ended()


@pytest.mark.parametrize(("near", "far"), list(itertools.combinations(CODECS, 2)))
def test_a_tone_crosses_between_codecs(near: str, far: str) -> None:
    asyncio.run(talk(near, far))
