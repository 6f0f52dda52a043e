"""Calls that are overheard, over real sockets: a supervisor who listens and coaches, and a tap of a call that stays relayed."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.server.test_conference import until_silence
from tests.server.test_sound import PCMA, PCMU, REALM, level, until_tone
from trunkline.calls.overhearing import Listening
from trunkline.calls.session import CallSession
from trunkline.errors import CallStateError
from trunkline.server.server import SipServer
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone


@dataclass
class Scene:
    """Alice talks to bob, relayed; carol can call in and listen to them."""

    call: CallSession
    alice: ScriptedCall
    bob: ScriptedCall
    carol: Phone
    listenings: list[Listening]


RATE = 16_000
PEAK = 32_768 * 10 ** (-13.14 / 20)
"""Of a tone of -10 dBm0."""


async def stage(scenario: Callable[[Scene], Awaitable[None]], first_port: int) -> None:
    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first_port, first_port + 199))
    calls: list[CallSession] = []
    listenings: list[Listening] = []

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        if call.from_peer_name == "alice":
            calls.append(call)
            await call.accept(to_user="bob")
            return
        await call.answer()
        with pytest.raises(ValueError, match="itself"):
            call.listen(call)
        async with call.listen(calls[0]) as listening:
            with pytest.raises(CallStateError):
                call.listen(calls[0])
            listenings.append(listening)
            await listening.ended()
        call.close()

    async with server, AsyncExitStack() as phones:
        codecs = {"alice": (PCMU, PCMA), "bob": (PCMU, PCMA), "carol": (PCMA,)}
        at: dict[str, Phone] = {}
        for name, known in codecs.items():
            server.add_user(name, password="p")
            phone = Phone(name, "p", server.local_address("udp"), realm=REALM, codecs=known)
            at[name] = await phones.enter_async_context(phone)
            await phone.register()
        alice = at["alice"].dial("bob")
        bob = await at["bob"].next_call()
        bob.answer()
        await alice.wait_answered()
        await scenario(Scene(calls[0], alice, bob, at["carol"], listenings))
        alice.hangup()
        async with asyncio.timeout(10):
            for call in server.calls:
                await call.wait_closed()


def test_a_supervisor_hears_both_unheard_and_coaches_one_alone() -> None:
    async def scenario(at: Scene) -> None:
        call, alice, bob, carol = at.call, at.alice, at.bob, at.carol.dial("supervisor")
        await carol.wait_answered()
        carol.play_tone(600.0, -10.0)
        alice.play_tone(1000.0, -10.0)
        await until_tone(carol, 1000)
        await until_tone(bob, 1000)
        await until_silence(alice)
        alice.play_tone(0.0, -10.0)
        bob.play_tone(800.0, -10.0)
        await until_tone(carol, 800)
        await until_tone(alice, 800)
        assert call.one is not None
        listening = at.listenings[0]
        listening.be_heard_by(call.one)
        await until_tone(bob, 600)
        await until_tone(alice, 800)
        listening.be_heard_by()
        await until_silence(bob)
        listening.be_heard_by(call.zero)
        bob.play_tone(0.0, -10.0)
        await until_tone(alice, 600)
        await until_silence(bob)
        leg = call.zero.leg
        assert leg is not None
        assert leg.transcodes
        carol.hangup()
        await until_silence(alice)
        bob.play_tone(800.0, -10.0)
        await until_tone(alice, 800)
        assert not leg.transcodes

    asyncio.run(stage(scenario, 26_400))


def test_a_tap_has_both_parties_side_by_side_and_leaves_the_call_relayed() -> None:
    async def scenario(at: Scene) -> None:
        call = at.call
        at.alice.play_tone(1000.0, -10.0)
        at.bob.play_tone(600.0, -10.0)
        leg = call.zero.leg
        assert leg is not None
        with pytest.raises(ValueError, match="sample_rate"):
            call.tap(sample_rate=11_025)
        await until_tone(at.bob, 1000)
        sides = array("h"), array("h")
        async with asyncio.timeout(20), call.tap(sample_rate=RATE) as tap:
            async for pair in tap:
                for side, frame in zip(sides, pair, strict=True):
                    assert (len(frame), frame.format) == (RATE // 50, "h")
                    side.extend(frame)
                    del side[:-6400]
                if [is_alone(sides[0], 1000, 600), is_alone(sides[1], 600, 1000)] == [True, True]:
                    break
            assert not leg.transcodes
            assert tap.lost_frames == 0
        await until_tone(at.alice, 600)

    asyncio.run(stage(scenario, 26_600))


def is_alone(samples: array[int], frequency_hz: float, other_hz: float) -> bool:
    """Whether a tone of -10 dBm0 is there, and not the other."""
    if len(samples) < 6400:
        return False
    return abs(level(samples, frequency_hz, RATE) / PEAK - 1) < 0.15 and level(samples, other_hz, RATE) < 100
