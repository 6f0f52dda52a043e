"""A stranger sends plausible audio to both ports of a call of a whole server, over real sockets: never heard, and hears nothing.

He begins before the phones do, and goes on through hold, re-INVITE and resume, with 200 packets a second to each port.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.media.far_end import Phone as FarEnd
from tests.media.far_end import encode_mu
from trunkline.calls.session import CallSession
from trunkline.media.engine import Heard, Leg
from trunkline.server.platform import SipOptions
from trunkline.server.server import SipServer
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

REALM = "pbx.example"
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
INSIDE = "10.9.9.9"
"""What a phone behind NAT believes to be its address."""
STRANGE_HZ = 1500.0
STRANGE = bytes(encode_mu(round(8000 * math.sin(math.tau * STRANGE_HZ * n / 8000))) for n in range(160))
PACKETS_A_SECOND = 200
SPAN_S = 0.5


class Inside(Phone):
    """A phone behind NAT: Via, Contact and session descriptions name an address that nobody reaches."""

    async def start(self) -> None:
        """Open its sockets, and call itself otherwise from then on."""
        outside = self.address
        self._sip_options = SipOptions(advertise={outside: INSIDE})
        await super().start()
        self.address = INSIDE
        open_leg = self.media.open_leg

        def open_outside(address: str, *, beside: Leg | None = None) -> Leg:
            return open_leg(outside, beside=beside)

        self.media.open_leg = open_outside  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def attack(*ports: int) -> AsyncIterator[FarEnd]:
    """Send to these ports while the block runs."""
    stranger = FarEnd(ELSEWHERE, ssrc=0x5EED)

    async def send() -> None:
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        while True:
            # what a late wake-up missed is made up for
            while sent < (loop.time() - began) * PACKETS_A_SECOND:
                for port in ports:
                    stranger.send(port, STRANGE)
                sent += 1
            await asyncio.sleep(1 / PACKETS_A_SECOND)

    sending = asyncio.ensure_future(send())
    try:
        yield stranger
    finally:
        sending.cancel()
        stranger.close()


def told_port(call: ScriptedCall) -> int:
    """Where a call that arrived says to send audio."""
    assert call.invite is not None
    found = re.search(rb"m=audio (\d+)", call.invite.body)
    assert found is not None
    return int(found[1])


def is_tone(heard: Heard, frequency_hz: float) -> bool:
    return abs(heard.frequency_hz - frequency_hz) < 10 and heard.purity > 0.9


async def hear(at_alice: ScriptedCall, at_bob: ScriptedCall) -> tuple[Heard, Heard]:
    return await asyncio.gather(at_alice.hear(SPAN_S), at_bob.hear(SPAN_S))


async def hear_each_other(at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
    """Wait until both hear each other's tone alone, and then for as long again."""
    async with asyncio.timeout(10):
        while not (is_tone((await at_alice.hear(0.2)), 1000.0) and is_tone((await at_bob.hear(0.2)), 440.0)):
            pass
    to_alice, to_bob = await hear(at_alice, at_bob)
    assert is_tone(to_alice, 1000.0), to_alice
    assert is_tone(to_bob, 440.0), to_bob


async def go_through(at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
    """Silence, talk, hold by either side, resume."""
    for heard in await hear(at_alice, at_bob):
        assert heard.duration_s == 0, "nobody has said anything yet"
    at_alice.play_tone(440.0)
    at_bob.play_tone(1000.0)
    await hear_each_other(at_alice, at_bob)
    for holder in (at_alice, at_bob):
        await holder.hold("inactive")
        await hear(at_alice, at_bob)  # what was on its way
        for heard in await hear(at_alice, at_bob):
            assert heard.duration_s == 0, heard
        await holder.resume()
        await hear_each_other(at_alice, at_bob)
    await at_alice.reoffer("sendrecv")
    await hear_each_other(at_alice, at_bob)


@pytest.mark.parametrize("caller", [Phone, Inside], ids=["exact", "behind NAT"])
def test_a_stranger_is_never_heard_and_hears_nothing_through_hold_and_re_invite(caller: type[Phone]) -> None:
    calls: list[CallSession] = []

    async def route(call: CallSession) -> None:
        calls.append(call)
        await call.accept(to_user="bob")

    async def main() -> None:
        server = SipServer(realm=REALM, listen=[f"udp://{HERE}:0"], media_ports=(25_400, 25_599))
        server.on_incoming_call(route)
        server.add_user("alice", password="a")
        server.add_user("bob", password="b")
        options: dict[str, Any] = {"realm": REALM, "address": HERE}
        async with (
            server,
            caller("alice", "a", server.local_address(), **options) as alice,
            Phone("bob", "b", server.local_address(), **options) as bob,
        ):
            await alice.register()
            await bob.register()
            at_alice = alice.dial("bob")
            at_bob = await bob.next_call()
            zero = calls[0].zero.leg
            assert zero is not None
            async with attack(zero.port, told_port(at_bob)) as stranger:
                at_bob.answer()
                await at_alice.wait_answered()
                assert calls[0].zero.plan is not None
                told = calls[0].zero.plan.remote_rtp
                assert told is not None
                assert told[0] == alice.address
                await go_through(at_alice, at_bob)
                assert stranger.receive() == []
            one = calls[0].one
            assert one is not None
            assert one.leg is not None
            assert one.leg.port == told_port(at_bob)
            for leg, phone in ((zero, at_alice), (one.leg, at_bob)):
                counts = leg.statistics
                assert counts is not None
                assert counts.latched == (HERE, phone.leg.port)
                assert counts.packets_refused > PACKETS_A_SECOND
            at_alice.hangup()
            await at_bob.wait_ended()

    asyncio.run(main())
