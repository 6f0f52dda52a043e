"""Parties without a common codec on the virtual network: what each is offered, when it is transcoded, and when relayed again."""

from __future__ import annotations

from tests.calls.house import House, on_the_network
from trunkline.calls.session import CallSession
from trunkline.sip.endpoint import Codec, MediaPlan
from trunkline.testing.call import ScriptedCall

PCMU, PCMA, G722 = Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("G722", 8000)
EVENTS = Codec("telephone-event", 8000, fmtp="0-15")


def transcodes(house: House) -> list[bool]:
    """Of each linked leg, whether its link transcodes."""
    return [leg.transcodes for leg in house.host.media.legs.values() if leg.linked]


def callee_plan(house: House) -> MediaPlan | None:
    one = house.calls[0].one
    return one.plan if one is not None else None


def offered(call: ScriptedCall) -> list[str]:
    assert call.invite is not None
    lines = call.invite.body.decode().splitlines()
    return [line.split()[1].split("/")[0] for line in lines if line.startswith("a=rtpmap")]


async def to_bob(call: CallSession) -> None:
    await call.accept(to_user="bob")


async def talk(
    house: House, codecs: list[Codec], theirs: list[Codec], **bob: object
) -> tuple[ScriptedCall, ScriptedCall]:
    alice = await house.phone("alice", codecs=[*codecs, EVENTS])
    at_bob_phone = await house.phone("bob", codecs=[*theirs, EVENTS], allowed=[PCMU, PCMA, G722])
    house.route(to_bob)
    at_alice = house.call(alice, "bob")
    at_bob = await at_bob_phone.next_call()
    at_bob.answer()
    await at_alice.wait_answered()
    await house.settle()
    assert house.events.names()[-1] == "Connected"
    return at_alice, at_bob


async def over(house: House, at_alice: ScriptedCall) -> None:
    at_alice.hangup()
    await house.settle(40)
    house.check_over()


def test_parties_without_a_common_codec_are_transcoded_and_asked_nothing_more() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await talk(house, [PCMU], [PCMA])
        assert offered(at_bob) == ["PCMU", "PCMA", "G722", "telephone-event"]
        assert transcodes(house) == [True, True]
        assert (at_alice.requests, at_bob.requests) == ([], [])
        plans = [house.calls[0].zero.plan, callee_plan(house)]
        assert [plan.send_codecs[0].name for plan in plans if plan is not None] == ["PCMU", "PCMA"]
        await over(house, at_alice)

    on_the_network(scenario)


def test_a_callee_who_takes_the_callers_codec_first_is_relayed_whatever_else_it_takes() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await talk(house, [PCMU], [PCMU, PCMA])
        assert transcodes(house) == [False, False]
        assert (at_alice.requests, at_bob.requests) == ([], [])
        await over(house, at_alice)

    on_the_network(scenario)


def test_what_a_side_sends_that_the_other_did_not_agree_to_is_transcoded_from_then_on() -> None:
    async def scenario(house: House) -> None:
        at_alice, _ = await talk(house, [PCMU], [PCMU, PCMA])
        leg = house.calls[0].zero.leg
        assert leg is not None
        house.host.media.fall_foreign(leg.number)
        await house.settle()
        assert transcodes(house) == [True, True]
        await over(house, at_alice)

    on_the_network(scenario)


def test_a_transcoded_call_is_held_and_resumed_in_the_codecs_that_stand() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await talk(house, [PCMU], [PCMA])
        await at_alice.hold()
        await house.settle()
        assert len(at_bob.requests) == 1
        plan = callee_plan(house)
        assert plan is not None
        assert (plan.send_codecs[0].name, plan.direction) == ("PCMA", "sendonly")
        await at_alice.resume()
        await house.settle()
        plan = callee_plan(house)
        assert plan is not None
        assert (plan.send_codecs[0].name, plan.direction) == ("PCMA", "sendrecv")
        assert transcodes(house) == [True, True]
        await over(house, at_alice)

    on_the_network(scenario)


def test_a_codec_that_we_only_relay_is_never_transcoded() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=[Codec("G729", 8000)], allowed=[Codec("G729", 8000)])
        bob = await house.phone("bob", allowed=[PCMU, Codec("G729", 8000)])
        house.route(to_bob)
        house.call(alice, "bob")
        assert offered(await bob.next_call()) == ["G729"]

    on_the_network(scenario)


def test_what_a_partys_list_leaves_out_is_not_offered() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=[PCMU, EVENTS])
        bob = await house.phone("bob", allowed=[PCMA])
        house.route(to_bob)
        house.call(alice, "bob")
        assert offered(await bob.next_call()) == ["PCMA", "telephone-event"]

    on_the_network(scenario)
