"""T.38 through a whole server on real sockets: what a fax machine sends over UDPTL arrives at the other as it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from trunkline.calls.session import CallSession
from trunkline.server.server import SipServer
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone
from trunkline.testing.scripted import T38

REALM = "pbx.example"
HERE = "127.0.0.1"
TONE_HZ = 440.0

INDICATOR = bytes.fromhex("0000010000")
"""Sequence number 0, a primary packet of one byte, no redundancy (ITU-T T.38 §9.1)."""


@contextlib.contextmanager
def modem(call: ScriptedCall) -> Iterator[socket.socket]:
    """The fax machine of a phone: a socket that the phone describes in the place of its audio's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((HERE, 0))
        made.setblocking(False)
        call.agent.fax = T38
        audio, call.leg.port = call.leg.port, made.getsockname()[1]
        yield made
        call.leg.port = audio


def pipe_of(call: ScriptedCall) -> tuple[str, int]:
    """Where a phone was told to send its fax."""
    plan = call._describer.plan
    assert plan is not None
    assert plan.fax is not None
    assert plan.fax.remote is not None
    return plan.fax.remote


async def crosses(data: bytes, one: socket.socket, to: tuple[str, int], other: socket.socket) -> None:
    """A datagram of one machine arrives at the other, from a port of the server."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(one, data, to)
    async with asyncio.timeout(5):
        heard, source = await loop.sock_recvfrom(other, 4096)
    assert heard == data
    assert source != one.getsockname()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("workers", [1, 2])
def test_datagrams_of_a_fax_cross_a_server_both_ways_as_they_are_and_audio_comes_back(workers: int) -> None:
    async def main() -> None:
        server = SipServer(realm=REALM, listen=[f"udp://{HERE}:0"], media_workers=workers, media_ports=(27_700, 27_799))
        for name in ("alice", "bob"):
            server.add_user(name, password=name)

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob")

        async with server:
            at = server.local_address()
            async with Phone("alice", "alice", at, realm=REALM) as alice, Phone("bob", "bob", at, realm=REALM) as bob:
                await alice.register()
                await bob.register()
                at_alice = alice.dial("bob")
                at_bob = await bob.next_call()
                at_bob.answer()
                await at_alice.wait_answered()
                await fax_and_back(at_alice, at_bob)
                at_alice.hangup()
                await at_bob.wait_ended()

    asyncio.run(main())


async def fax_and_back(at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
    with modem(at_alice) as one, modem(at_bob) as other:
        await at_alice.offer_fax()
        for number in range(20):
            # of any size and content: also what looks like RTP, RTCP or STUN
            data = bytes([number * 13 % 256]) + INDICATOR + bytes(number * 60)
            await crosses(data, one, pipe_of(at_alice), other)
            await crosses(data[::-1], other, pipe_of(at_bob), one)
    await at_alice.reoffer("sendrecv")
    at_alice.play_tone(TONE_HZ)
    async with asyncio.timeout(10):
        while abs((await at_bob.hear(0.2)).frequency_hz - TONE_HZ) > 10:
            pass
