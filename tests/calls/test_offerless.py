"""INVITE and re-INVITE without description: we offer, the ACK answers, and the other side follows (RFC 3261 §13.2.1, §14.2)."""

from __future__ import annotations

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import connected, to_bob
from tests.calls.test_hold import directions
from trunkline.calls.session import CallSession
from trunkline.constants import ClosedReason
from trunkline.events import CallSessionLost
from trunkline.sip.endpoint import Codec, MediaPlan

PCMU, PCMA = Codec("PCMU", 8000), Codec("PCMA", 8000)


def names(plan: MediaPlan | None) -> list[str]:
    assert plan is not None
    return [codec.name for codec in plan.send_codecs]


@pytest.mark.parametrize("early", [False, True], ids=["ringing", "early media"])
def test_a_caller_who_offers_nothing_is_offered_what_the_callee_agreed(early: bool) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", codecs=(PCMA,), allowed=(PCMU, PCMA))
        house.route(to_bob)
        at_alice = house.call(alice, "bob", offerless=True)
        at_bob = await bob.next_call()
        at_bob.ring(183 if early else 180, early_media=early)
        await house.settle()
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        call = house.calls[0]
        assert house.events.names()[-1] == "Connected"
        assert call.one is not None
        assert names(call.zero.plan) == names(call.one.plan) == ["PCMA"]
        assert call.zero.leg is not None
        assert call.one.leg is not None
        assert house.host.media.legs[call.zero.leg.number].linked == call.one.leg.number
        assert at_alice.requests == at_bob.requests == []
        at_alice.hangup()
        await at_bob.wait_ended()
        house.check_over()

    on_the_network(scenario)


def test_an_ack_without_answer_ends_the_call() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob", offerless=True)
        at_alice.withholds_answers = True
        at_bob = await bob.next_call()
        at_bob.answer()
        assert (await at_alice.wait_ended()).how == "bye"
        assert (await at_bob.wait_ended()).how == "bye"
        assert house.calls[0].closed_reason is ClosedReason.SESSION_LOST
        assert house.events.only(CallSessionLost).reason == "the ACK brought no usable answer to our offer"
        house.check_over()

    on_the_network(scenario)


def test_a_caller_who_offers_nothing_may_be_answered_and_then_connected() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", codecs=(PCMA,), allowed=(PCMA,))

        async def route(call: CallSession) -> None:
            await call.answer()
            await call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob", offerless=True)
        (await bob.next_call()).answer()
        await at_alice.wait_answered()
        await house.settle()
        call = house.calls[0]
        assert call.one is not None
        assert "PCMA" in names(call.zero.plan)
        assert names(call.one.plan) == ["PCMA"]
        assert house.events.names()[-1] == "Connected"

    on_the_network(scenario)


@pytest.mark.parametrize("asking", [0, 1])
def test_a_reinvite_that_offers_nothing_is_offered_all_that_we_can(asking: int) -> None:
    async def scenario(house: House) -> None:
        calls = (await connected(house))[:2]
        asks, other = calls[asking], calls[1 - asking]
        await asks.ask_for_offer()
        await house.settle()
        assert asks.remote_holds == ["sendrecv"]
        assert asks._describer.plan is not None
        assert len(asks._describer.plan.send_codecs) == 3
        assert other.requests == []
        assert directions(house, asks) == directions(house, other) == "sendrecv"

    on_the_network(scenario)


def test_a_codec_that_only_the_asking_side_can_is_offered_and_taken_back() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", codecs=(PCMU,))
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert names(house.calls[0].zero.plan) == ["PCMU"]
        await at_alice.ask_for_offer()
        assert "PCMA" in names(at_alice._describer.plan)
        await house.settle()
        call = house.calls[0]
        assert call.one is not None
        assert names(call.one.plan) == ["PCMU"]
        # her digits are told him in his way
        assert names(call.zero.plan) == names(at_alice._describer.plan) == ["PCMU", "telephone-event"]
        assert house.events.names().count("Connected") == 1

    on_the_network(scenario)


def test_the_other_side_is_brought_to_a_codec_that_the_ack_chooses() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        at_alice.agent.codecs = (PCMA,)
        at_alice.wanted = "sendonly"
        await at_alice.ask_for_offer()
        await house.settle()
        assert call.one is not None
        assert names(call.zero.plan) == names(call.one.plan) == ["PCMA"]
        assert at_bob.remote_holds == ["sendonly"]

    on_the_network(scenario)


def test_the_other_side_follows_what_the_ack_answers() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_alice.wanted = "sendonly"
        await at_alice.ask_for_offer()
        await house.settle()
        assert at_bob.remote_holds == ["sendonly"]
        assert directions(house, at_alice) == "recvonly"
        assert directions(house, at_bob) == "sendonly"
        # a hold of its own is not offered back to it
        at_alice.wanted = "sendrecv"
        await at_alice.ask_for_offer()
        await house.settle()
        assert at_alice.remote_holds[-1] == "sendrecv"
        assert at_bob.remote_holds == ["sendonly", "sendrecv"]
        assert directions(house, at_alice) == directions(house, at_bob) == "sendrecv"

    on_the_network(scenario)


def test_a_hold_of_the_other_side_outlasts_a_reinvite_that_offers_nothing() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        await at_bob.hold()
        await at_alice.ask_for_offer()
        await house.settle()
        assert at_alice.remote_holds[-1] == "sendonly"
        assert (directions(house, at_alice), directions(house, at_bob)) == ("sendonly", "recvonly")

    on_the_network(scenario)


def test_a_reinvite_whose_ack_brings_no_answer_ends_the_call() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        at_alice.withholds_answers = True
        await at_alice.ask_for_offer()
        assert (await at_alice.wait_ended()).how == "bye"
        assert (await at_bob.wait_ended()).how == "bye"
        assert call.closed_reason is ClosedReason.SESSION_LOST
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("seed", range(6))
def test_offers_of_ours_survive_loss_and_duplicates(seed: int) -> None:
    async def scenario(house: House) -> None:
        house.network.default_link.loss = house.network.default_link.duplicate = 0.15
        house.network.default_link.jitter_s = 0.03
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob", offerless=True)
        at_bob = await bob.next_call(60)
        at_bob.answer()
        await at_alice.wait_answered(60)
        await house.settle(40)
        await at_alice.ask_for_offer(timeout_s=60)
        await house.settle(40)
        assert house.calls[0].closed_reason is None
        assert directions(house, at_alice) == directions(house, at_bob) == "sendrecv"
        at_bob.hangup()
        await house.settle(120)
        house.check_over()

    on_the_network(scenario, seed=seed)
