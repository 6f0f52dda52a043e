"""Comfort noise (RFC 3389) between parties: agreed where the settings of both name it, since what one leaves out the other has to fill."""

from __future__ import annotations

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_transcoding import callee_plan, offered, to_bob, transcodes
from trunkline.calls.session import CallSession
from trunkline.sip.endpoint import Codec, MediaPlan
from trunkline.testing.call import ScriptedCall

PCMU, PCMA = Codec("PCMU", 8000), Codec("PCMA", 8000)
NOISE = Codec("CN", 8000)


def names(plan: MediaPlan | None) -> list[str]:
    return [codec.name for codec in plan.send_codecs] if plan is not None else []


async def talk(
    house: House, alice: list[Codec], bob: list[Codec], *, allowed: tuple[list[Codec], list[Codec]]
) -> tuple[list[str], ScriptedCall, ScriptedCall]:
    """Alice talks to bob; what bob's phone was offered."""
    one = await house.phone("alice", codecs=alice, allowed=allowed[0])
    other = await house.phone("bob", codecs=bob, allowed=allowed[1])
    house.route(to_bob)
    at_alice = house.call(one, "bob")
    at_bob = await other.next_call()
    at_bob.answer()
    await at_alice.wait_answered()
    await house.settle()
    return offered(at_bob), at_alice, at_bob


def test_it_is_agreed_on_both_sides_where_both_name_it() -> None:
    async def scenario(house: House) -> None:
        both = [PCMU, NOISE]
        to_offer, at_alice, at_bob = await talk(house, both, both, allowed=(both, both))
        assert to_offer == ["PCMU", "CN"]
        assert names(house.calls[0].zero.plan) == names(callee_plan(house)) == ["PCMU", "CN"]
        assert (transcodes(house), at_alice.requests, at_bob.requests) == ([False, False], [], [])

    on_the_network(scenario)


@pytest.mark.parametrize("without", ["alice", "bob", "alice's phone", "bob's phone"])
def test_it_is_agreed_on_neither_side_where_one_does_not_name_it(without: str) -> None:
    async def scenario(house: House) -> None:
        def codecs(name: str) -> list[Codec]:
            return [PCMU] if without == name else [PCMU, NOISE]

        allowed = (codecs("alice"), codecs("bob"))
        await talk(house, codecs("alice's phone"), codecs("bob's phone"), allowed=allowed)
        assert names(house.calls[0].zero.plan) == names(callee_plan(house)) == ["PCMU"]
        assert transcodes(house) == [False, False]

    on_the_network(scenario)


def test_each_side_has_its_own_where_they_are_transcoded() -> None:
    async def scenario(house: House) -> None:
        allowed = [PCMU, PCMA, NOISE]
        await talk(house, [PCMU, NOISE], [PCMA], allowed=(allowed, allowed))
        assert names(house.calls[0].zero.plan) == ["PCMU", "CN"]
        assert names(callee_plan(house)) == ["PCMA"]
        assert transcodes(house) == [True, True]

    on_the_network(scenario)


@pytest.mark.parametrize("allowed", [[PCMU], [PCMU, NOISE]], ids=["not named", "named"])
def test_an_application_that_answers_takes_it_where_it_is_named(allowed: list[Codec]) -> None:
    async def answer(call: CallSession) -> None:
        await call.answer()

    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=[PCMU, NOISE], allowed=allowed)
        house.route(answer)
        await house.call(alice, "bob").wait_answered()
        await house.settle()
        assert names(house.calls[0].zero.plan) == [codec.name for codec in allowed]

    on_the_network(scenario)


def test_a_party_whose_noise_the_other_does_not_know_is_asked_to_do_without_it_when_they_meet() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=[PCMU, NOISE], allowed=[PCMU, NOISE])
        bob = await house.phone("bob", codecs=[PCMU], allowed=[PCMU])

        async def bring_together(call: CallSession) -> None:
            await call.answer()
            await call.bridge(await call.dial_user("bob"))

        house.route(bring_together)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert names(house.calls[0].zero.plan) == ["PCMU"]
        assert [request.method for request in at_alice.requests] == ["INVITE"]

    on_the_network(scenario)
