"""A call over IPv6 through a whole server, over real sockets on ::1: each party hears the other's tone."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.calls.session import CallSession
from trunkline.media.engine import Heard
from trunkline.server.server import SipServer
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

REALM = "pbx.example"


async def until_tone(call: ScriptedCall, frequency_hz: float) -> None:
    def is_tone(heard: Heard) -> bool:
        return abs(heard.frequency_hz - frequency_hz) < 10 and heard.purity > 0.9

    async with asyncio.timeout(10):
        while not is_tone(await call.hear(0.3)):
            pass


async def to_bob(call: CallSession) -> None:
    await call.accept(to_user="bob")


@pytest.mark.parametrize("callee", ["::1", "127.0.0.1"], ids=["IPv6", "IPv4"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_on_ipv6_calls_and_both_are_heard(callee: str, transport: str) -> None:
    async def main() -> None:
        listen = [f"{transport}://[::1]:0", f"{transport}://127.0.0.1:0"]
        server = SipServer(realm=REALM, listen=listen, media_ports=(25_200, 25_399))
        server.on_incoming_call(to_bob)
        server.add_user("alice", password="a")
        server.add_user("bob", password="b")
        async with server:
            at = {listener.host: (listener.host, listener.port) for listener in server._now.listeners.values()}
            options = {"realm": REALM, "transport": transport}
            async with (
                Phone("alice", "a", at["::1"], address="::1", **options) as alice,
                Phone("bob", "b", at[callee], address=callee, **options) as bob,
            ):
                await alice.register()
                await bob.register()
                at_alice = alice.dial("bob")
                at_bob = await bob.next_call()
                assert at_bob.invite is not None
                assert at_bob.invite.contacts[0].uri.host == callee
                assert b"127.0.0.1" in at_bob.invite.body or callee == "::1"
                at_bob.answer()
                await at_alice.wait_answered()
                at_alice.play_tone(440.0)
                at_bob.play_tone(1000.0)
                await asyncio.gather(until_tone(at_bob, 440.0), until_tone(at_alice, 1000.0))
                at_alice.hangup()
                await at_bob.wait_ended()

    asyncio.run(main())
