"""Music on hold: who hears it and when, and in which direction the hold crosses. Audio itself is tests/server/test_music_on_hold.py's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.talking import connected
from tests.calls.test_hold import directions
from trunkline.calls import music
from trunkline.calls.channel import Channel
from trunkline.media.engine import Leg
from trunkline.sip.endpoint import Codec, Direction
from trunkline.testing.call import CallRefused, ScriptedCall


class Heard:
    """Who hears music now, instead of audio."""

    def __init__(self) -> None:
        self.now: list[tuple[str, str]] = []

    async def play(self, channel: Channel, leg: Leg, path: str) -> None:
        assert channel.party is not None
        entry = (channel.party.name, path)
        self.now.append(entry)
        try:
            await asyncio.Event().wait()
        finally:
            self.now.remove(entry)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    here = Heard()
    monkeypatch.setattr(music, "_play", here.play)
    return here


Scenario = Callable[[House, ScriptedCall, ScriptedCall], Awaitable[None]]


def call_of_two(scenario: Scenario, **files: str) -> None:
    """Alice and bob talk; each has music on hold or none."""

    async def played(house: House) -> None:
        for name in ("alice", "bob"):
            await house.phone(name)
            house.parties[name] = replace(house.parties[name], music_on_hold=files.get(name, ""))
        here, there = await connected(house)
        await scenario(house, here, there)
        here.hangup()
        await there.wait_ended()
        house.check_over()

    on_the_network(played)


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
@pytest.mark.parametrize("holder", ["alice", "bob"])
def test_the_held_party_hears_the_holders_music_until_it_is_taken_back(
    heard: Heard, holder: str, direction: Direction
) -> None:
    async def scenario(house: House, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        asking, other = (at_alice, at_bob) if holder == "alice" else (at_bob, at_alice)
        await asking.hold(direction)
        await house.settle()
        assert heard.now == [("bob" if holder == "alice" else "alice", "hold.wav")]
        # whatever the holder says, music is to be sent to the other
        assert other.remote_holds == ["sendonly"]
        assert directions(house, other) == "sendonly"
        assert directions(house, asking) == ("recvonly" if direction == "sendonly" else "inactive")
        await asking.resume()
        await house.settle()
        assert heard.now == []
        assert directions(house, asking) == directions(house, other) == "sendrecv"

    call_of_two(scenario, **{holder: "hold.wav"})
    assert heard.now == []


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_without_music_a_hold_passes_through_as_it_is(heard: Heard, direction: Direction) -> None:
    async def scenario(house: House, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        await at_alice.hold(direction)
        await house.settle()
        assert at_bob.remote_holds == [direction]
        assert heard.now == []

    # what the held one's setting says is for those whom it holds
    call_of_two(scenario, bob="bobs.wav")


def test_a_party_that_agrees_to_hear_nothing_hears_no_music(heard: Heard) -> None:
    async def scenario(house: House, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        at_bob.wanted = "inactive"
        await at_alice.hold()
        await house.settle()
        assert at_bob.remote_holds == ["sendonly"]
        assert directions(house, at_bob) == "inactive"
        assert heard.now == []

    call_of_two(scenario, alice="hold.wav")


def test_who_holds_as_well_hears_music_only_after_it_has_resumed(heard: Heard) -> None:
    async def scenario(house: House, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        await at_alice.hold()
        await house.settle()
        assert heard.now == [("bob", "alices.wav")]
        await at_bob.hold()
        await house.settle()
        # nobody listens; the one who holds already is offered no music
        assert at_alice.remote_holds == ["inactive"]
        assert heard.now == []
        await at_alice.resume()
        await house.settle()
        assert heard.now == [("alice", "bobs.wav")]
        await at_bob.resume()
        await house.settle()
        assert heard.now == []

    call_of_two(scenario, alice="alices.wav", bob="bobs.wav")


def test_a_hold_that_the_other_side_refuses_brings_no_music(heard: Heard) -> None:
    async def scenario(house: House, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        at_bob.agent.codecs = (Codec("iLBC", 8000),)
        with pytest.raises(CallRefused):
            await at_alice.hold()
        await house.settle()
        assert heard.now == []

    call_of_two(scenario, alice="hold.wav")


def test_the_music_of_a_held_party_ends_with_its_call(heard: Heard) -> None:
    async def scenario(house: House, at_alice: ScriptedCall, at_bob: ScriptedCall) -> None:
        await at_alice.hold()
        await house.settle()
        assert heard.now

    call_of_two(scenario, alice="hold.wav")
    assert heard.now == []
