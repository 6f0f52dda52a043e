"""Two phones that have no codec in common, over real sockets: each hears the other's tone, by frequency and level."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from trunkline.calls.session import CallSession
from trunkline.media.engine import Heard
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Codec
from trunkline.testing.phone import Phone

REALM = "pbx.example"
EVENTS = Codec("telephone-event", 8000, fmtp="0-15")
CODECS = {
    "PCMU": Codec("PCMU", 8000),
    "PCMA": Codec("PCMA", 8000),
}

_ports = itertools.count(27_000, 200)


def is_tone(heard: Heard, frequency_hz: float, level_dbm0: float) -> bool:
    near = abs(heard.frequency_hz - frequency_hz) < 10 and abs(heard.level_dbm0 - level_dbm0) < 1
    return near and heard.purity > 0.9


async def route(call: CallSession) -> None:
    await call.accept(to_user="bob")


async def talk(near: str, far: str, first_port: int) -> None:
    server = SipServer(
        realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first_port, first_port + 199), codecs=["PCMU", "PCMA"]
    )
    server.on_incoming_call(route)
    async with server:
        server.add_user("alice", password="a")
        server.add_user("bob", password="b")
        address = server.local_address("udp")
        async with (
            Phone("alice", "a", address, realm=REALM, codecs=(CODECS[near], EVENTS)) as alice,
            Phone("bob", "b", address, realm=REALM, codecs=(CODECS[far], EVENTS)) as bob,
        ):
            await alice.register()
            await bob.register()
            at_alice = alice.dial("bob")
            at_bob = await bob.next_call()
            at_bob.answer()
            await at_alice.wait_answered()
            at_alice.play_tone(440.0, -10.0)
            at_bob.play_tone(1000.0, -20.0)
            there, here = await asyncio.gather(at_bob.hear_sound(0.6), at_alice.hear_sound(0.6))
            assert is_tone(there, 440.0, -10.0), there
            assert is_tone(here, 1000.0, -20.0), here
            at_alice.send_digits("19#")
            digits = ""
            async with asyncio.timeout(5):
                while digits != "19#":
                    digits += (await at_bob.hear(0.2)).digits
            at_alice.hangup()
            await at_bob.wait_ended()


@pytest.mark.parametrize(("near", "far"), [("PCMU", "PCMA"), ("PCMA", "PCMU")])
def test_phones_without_a_common_codec_hear_each_other_and_each_others_digits(near: str, far: str) -> None:
    asyncio.run(talk(near, far, next(_ports)))
