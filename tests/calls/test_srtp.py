"""SRTP of calls on the virtual network: who gets it by both policies, keys that stay, keys that change, keys in the clear."""

from __future__ import annotations

import re

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import to_bob
from trunkline.calls.channel import Channel
from trunkline.calls.session import CallSession
from trunkline.sip.capabilities import Srtp
from trunkline.sip.endpoint import NegotiationError
from trunkline.testing.agent import Agent
from trunkline.testing.call import CallRefused, ScriptedCall

BEST = "AEAD_AES_256_GCM"
KEY = re.compile(rb"a=crypto:(\d+) (\S+) inline:(\S+)")

POLICIES: list[Srtp] = ["never", "offered", "required"]


def secured(theirs: Srtp, ours: Srtp) -> bool | None:
    """Whether two policies lead to SRTP; None where they lead to nothing."""
    if {theirs, ours} == {"never", "required"}:
        return None
    return "never" not in (theirs, ours)


async def talking(house: House, alice: Agent, bob: Agent) -> tuple[ScriptedCall, ScriptedCall, CallSession]:
    """Alice calls bob, who answers."""
    house.route(to_bob)
    at_alice = house.call(alice, "bob")
    at_bob = await bob.next_call()
    at_bob.answer()
    await at_alice.wait_answered()
    await at_bob.wait_answered()
    return at_alice, at_bob, house.calls[0]


async def both_secure(house: House) -> tuple[ScriptedCall, ScriptedCall, CallSession]:
    """A call whose two sides have SRTP."""
    alice = await house.phone("alice", srtp="required", our_srtp="required")
    bob = await house.phone("bob", srtp="offered", our_srtp="offered")
    return await talking(house, alice, bob)


def sides(call: CallSession) -> tuple[Channel, Channel]:
    assert call.one is not None
    return call.zero, call.one


def keys(body: bytes | None) -> list[bytes]:
    """The keys of a description."""
    return [found[3] for found in KEY.finditer(body or b"")]


def local(channel: Channel) -> bytes:
    """Our description that stands."""
    assert channel.describer is not None
    return channel.describer.local or b""


@pytest.mark.parametrize("ours", POLICIES)
@pytest.mark.parametrize("theirs", POLICIES)
def test_a_caller_has_srtp_as_both_policies_say(theirs: Srtp, ours: Srtp) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", srtp=theirs, our_srtp=ours)
        bob = await house.phone("bob")
        if secured(theirs, ours) is None:
            with pytest.raises(CallRefused) as refused:
                await house.call(alice, "bob").wait_answered()
            assert refused.value.status == 488
            assert refused.value.message is not None
            assert re.search("SAVP|SRTP", str(refused.value.message.header("Warning")))
            return
        at_alice, at_bob, call = await talking(house, alice, bob)
        assert at_alice.suite == call.zero.srtp_suite == (BEST if secured(theirs, ours) else None)
        assert (at_bob.suite, sides(call)[1].encrypted) == (None, False)
        assert not call.encrypted

    on_the_network(scenario)


@pytest.mark.parametrize("ours", POLICIES)
@pytest.mark.parametrize("theirs", POLICIES)
def test_who_is_called_has_srtp_as_both_policies_say(theirs: Srtp, ours: Srtp) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", srtp=theirs, our_srtp=ours)
        if secured(theirs, ours) is None:
            house.route(to_bob)
            at_alice = house.call(alice, "bob")
            at_bob = await bob.next_call()
            with pytest.raises(NegotiationError, match=r"SAVP|SRTP"):
                at_bob.answer()
            at_bob.reject(488)
            with pytest.raises(CallRefused):
                await at_alice.wait_answered()
            return
        at_alice, at_bob, call = await talking(house, alice, bob)
        assert at_bob.suite == sides(call)[1].srtp_suite == (BEST if secured(theirs, ours) else None)
        assert (at_alice.suite, call.zero.encrypted) == (None, False)

    on_the_network(scenario)


def test_a_call_is_encrypted_where_both_legs_are_each_with_keys_of_its_own() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await both_secure(house)
        assert call.encrypted
        assert at_alice.suite == at_bob.suite == BEST
        bodies = [local(side) for side in sides(call)]
        assert b"RTP/SAVP 0" in bodies[0]
        assert b"RTP/AVP 0" in bodies[1]
        assert not set(keys(bodies[0])) & set(keys(bodies[1]))
        for leg in house.host.media.legs.values():
            assert leg.configured["keys"].suite == BEST

    on_the_network(scenario)


@pytest.mark.parametrize(
    "suite",
    ["AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80", "AEAD_AES_128_GCM"],
)
def test_the_suite_is_one_that_the_phone_knows(suite: str) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", srtp="required", suites=[suite], our_srtp="offered")
        bob = await house.phone("bob", srtp="required", suites=[suite], our_srtp="offered")
        at_alice, at_bob, call = await talking(house, alice, bob)
        assert at_alice.suite == at_bob.suite == suite
        assert [side.srtp_suite for side in sides(call)] == [suite, suite]

    on_the_network(scenario)


def test_keys_in_the_clear_are_neither_offered_nor_taken_unless_that_is_allowed() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", srtp="offered", our_srtp="offered", our_srtp_in_clear=False)
        bob = await house.phone("bob", srtp="offered", our_srtp="offered", our_srtp_in_clear=False)
        at_alice, at_bob, call = await talking(house, alice, bob)
        assert at_alice.suite is at_bob.suite is None
        (invite,) = house.sent("INVITE", to=bob)
        assert b"a=crypto" not in invite.data
        assert b"a=crypto" not in local(call.zero)

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("ours", "words"), [("offered", "whose keys would cross"), ("required", "its keys would cross")]
)
def test_a_caller_who_insists_on_srtp_in_the_clear_is_refused_in_words(ours: Srtp, words: str) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", srtp="required", our_srtp=ours, our_srtp_in_clear=False)
        with pytest.raises(CallRefused) as refused:
            await house.call(alice, "bob").wait_answered()
        assert refused.value.status == 488
        assert refused.value.message is not None
        assert words in str(refused.value.message.header("Warning"))

    on_the_network(scenario)


def test_srtp_that_is_required_in_the_clear_calls_nobody_and_says_why() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", srtp="required", our_srtp="required", our_srtp_in_clear=False)
        house.route(to_bob)
        with pytest.raises(CallRefused) as refused:
            await house.call(alice, "bob").wait_answered()
        assert refused.value.status == 488
        assert house.sent("INVITE", to=bob) == []
        (error,) = house.events.raised
        assert "SRTP is required and its keys would cross signalling that is not encrypted" in str(error)
        assert house.media.open_legs == 0

    on_the_network(scenario)


def test_hold_and_resume_keep_the_keys() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await both_secure(house)
        before = [keys(local(side)) for side in sides(call)]
        for asking in (at_alice, at_bob):
            await asking.hold()
            await asking.resume()
        # where theirs stayed, ours did; of a choice that we offered, all of it
        assert [keys(local(side))[:1] for side in sides(call)] == [found[:1] for found in before]
        assert at_alice.suite == at_bob.suite == BEST

    on_the_network(scenario)


def test_a_phone_that_brings_a_fresh_key_is_given_a_fresh_one() -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await both_secure(house)
        before, other = (keys(local(side)) for side in sides(call))
        stood = call.zero.plan
        at_alice.renew_keys()
        await at_alice.reoffer("sendrecv")
        assert keys(local(call.zero)) != before
        assert keys(local(sides(call)[1])) == other
        assert stood is not None
        assert call.zero.plan is not None
        assert call.zero.plan.keys != stood.keys
        assert at_alice.suite == BEST

    on_the_network(scenario)


def test_the_application_renews_the_keys_of_both_sides() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await both_secure(house)
        before = [side.plan.keys for side in sides(call) if side.plan is not None]
        assert call.renew_keys()
        await house.settle()
        after = [side.plan.keys for side in sides(call) if side.plan is not None]
        assert before[0] != after[0]
        assert before[1] != after[1]
        assert len(at_alice.requests) == len(at_bob.requests) == 1
        assert call.encrypted

    on_the_network(scenario)


def test_a_plain_call_has_no_keys_to_renew() -> None:
    async def scenario(house: House) -> None:
        *_, call = await talking(house, await house.phone("alice"), await house.phone("bob"))
        assert not call.renew_keys()
        assert not call.encrypted

    on_the_network(scenario)


def test_a_re_invite_that_gives_srtp_up_is_refused_where_it_is_required() -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await both_secure(house)
        stood = call.zero.plan
        at_alice._describer = (await house.phone("mallory")).describer()
        with pytest.raises(CallRefused) as refused:
            await at_alice.reoffer("sendrecv")
        assert refused.value.status == 488
        assert call.zero.plan == stood

    on_the_network(scenario)


def test_a_transferred_party_keeps_its_keys_and_the_newcomer_has_its_own() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", srtp="required", our_srtp="required")
        bob = await house.phone("bob", srtp="required", our_srtp="required")
        carol = await house.phone("carol", srtp="required", our_srtp="required")
        _, at_bob, call = await talking(house, alice, bob)
        before = keys(local(call.zero))
        at_bob.refer("sip:carol@pbx.example")
        at_carol = await carol.next_call()
        at_carol.answer()
        await at_carol.wait_answered()
        await house.settle(3)
        assert call.encrypted
        assert keys(local(call.zero)) == before
        assert at_carol.suite == BEST

    on_the_network(scenario)
