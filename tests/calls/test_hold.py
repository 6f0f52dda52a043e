"""Re-INVITEs across a session and a bridge: hold and resume, refusals, both sides at once, what stays here."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.calls.house import ADDRESS, House, on_the_network
from tests.calls.test_accept import connected, to_bob
from trunkline.calls.session import CallState
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Codec, Direction, Flow
from trunkline.testing.call import CallRefused, ScriptedCall


def directions(house: House, call: ScriptedCall) -> str:
    """Which way audio goes at the leg of ours that faces this phone."""
    channels = [house.calls[0].zero, house.calls[0].one]
    for channel in channels:
        assert channel is not None
        assert channel.invite is not None
        if call.session is not None and channel.invite.dialog.call_id == call.session.dialog.call_id:
            assert channel.plan is not None
            return channel.plan.direction
    raise AssertionError("no such channel")


@pytest.mark.parametrize("holder", [0, 1])
def test_hold_and_resume_cross_from_either_side(holder: int) -> None:
    async def scenario(house: House) -> None:
        calls = (await connected(house))[:2]
        asking, other = calls[holder], calls[1 - holder]
        await asking.hold()
        assert other.remote_holds == ["sendonly"]
        assert directions(house, asking) == "recvonly"
        assert directions(house, other) == "sendonly"
        await asking.resume()
        assert other.remote_holds == ["sendonly", "sendrecv"]
        assert directions(house, asking) == directions(house, other) == "sendrecv"
        asking.hangup()
        await other.wait_ended()
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("second", ["sendonly", "inactive"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_hold_outlasts_the_hold_of_the_other_side(first: int, second: Direction) -> None:
    """RFC 3264 §8.4: each side holds and resumes for itself, whether the second hold says sendonly or inactive."""

    async def scenario(house: House) -> None:
        calls = (await connected(house))[:2]
        one, two = calls[first], calls[1 - first]
        await one.hold()
        if second == "inactive":
            await two.hold()
        else:
            await two.reoffer("sendonly")
        assert one.remote_holds == [second]
        assert directions(house, one) == directions(house, two) == "inactive"
        await one.resume()
        assert two.remote_holds == ["sendonly", "sendrecv"]
        assert (directions(house, one), directions(house, two)) == ("sendonly", "recvonly")
        await one.hold()
        assert directions(house, one) == directions(house, two) == "inactive"
        await two.resume()
        assert (directions(house, one), directions(house, two)) == ("recvonly", "sendonly")
        await one.resume()
        assert directions(house, one) == directions(house, two) == "sendrecv"

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("direction", "watched"), [("sendrecv", True), ("sendonly", False), ("recvonly", False), ("inactive", False)]
)
def test_silence_is_watched_while_their_description_says_that_they_talk(direction: Direction, watched: bool) -> None:
    async def scenario(house: House) -> None:
        house.media_timeout_s = 30.0
        at_alice, _, call = await connected(house)
        await at_alice.reoffer("inactive")
        await at_alice.reoffer(direction)
        assert call.zero.leg is not None
        assert call.one is not None
        assert call.one.leg is not None
        legs = house.host.media.legs
        here, there = legs[call.zero.leg.number].configured, legs[call.one.leg.number].configured
        assert (here["silence_timeout_s"] == 30.0) is watched
        assert here["receives"] is (direction in ("sendrecv", "sendonly"))
        assert (there["silence_timeout_s"] == 30.0) is watched
        assert there["receives"] is (direction in ("sendrecv", "recvonly"))

    on_the_network(scenario)


@pytest.mark.parametrize("direction", ["sendonly", "inactive", "recvonly"])
def test_every_direction_crosses_as_it_is(direction: Direction) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        await at_alice.reoffer(direction)
        assert at_bob.remote_holds == [direction]

    on_the_network(scenario)


def test_a_refresh_that_changes_nothing_is_answered_here() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        assert call.zero.describer is not None
        before = call.zero.describer.local
        await at_alice.reoffer("sendrecv")
        assert at_bob.requests == []
        assert call.zero.describer.local == before

    on_the_network(scenario)


def test_a_new_address_is_answered_here_and_media_goes_there() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        assert call.zero.leg is not None
        at_alice.agent.address = "10.0.0.77"
        await at_alice.reoffer("sendrecv")
        assert at_bob.requests == []
        configured = house.host.media.legs[call.zero.leg.number].configured
        assert configured["remote_rtp"][0] == "10.0.0.77"

    on_the_network(scenario)


def test_a_refused_hold_goes_back_as_488_and_all_stays_as_it_was() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_bob.agent.codecs = (Codec("iLBC", 8000),)
        with pytest.raises(CallRefused) as refused:
            await at_alice.hold()
        assert refused.value.status == 488
        assert refused.value.message is not None
        assert refused.value.message.header("Warning")
        assert directions(house, at_alice) == directions(house, at_bob) == "sendrecv"
        at_bob.agent.codecs = at_alice.agent.codecs
        await at_alice.hold()
        assert directions(house, at_alice) == "recvonly"

    on_the_network(scenario)


def test_both_sides_at_once_get_491() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        outcomes = await asyncio.gather(at_alice.hold(), at_bob.hold(), return_exceptions=True)
        assert [getattr(outcome, "status", None) for outcome in outcomes] == [491, 491]
        await at_alice.hold()
        assert directions(house, at_alice) == "recvonly"

    on_the_network(scenario)


def test_the_other_side_that_never_answers_a_hold_costs_the_hold_alone() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        at_bob.auto_reanswer = False
        with pytest.raises(CallRefused) as refused:
            await at_alice.reoffer("sendonly", timeout_s=40)
        assert refused.value.status == 488
        await house.settle()
        assert call.closed_reason is None
        assert directions(house, at_alice) == directions(house, at_bob) == "sendrecv"
        assert house.sent("CANCEL ", to=at_bob.agent)

    on_the_network(scenario)


def test_hanging_up_while_a_hold_crosses_ends_both() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_bob.auto_reanswer = False
        holding = asyncio.ensure_future(at_alice.hold())
        await asyncio.sleep(0.1)
        at_alice.hangup()
        assert (await at_bob.wait_ended()).how == "bye"
        with pytest.raises(CallRefused):
            await holding
        await house.settle(40)
        assert house.events.names().count("Closed") == 1
        house.check_over()

    on_the_network(scenario)


def test_the_held_side_hanging_up_answers_the_crossing_hold() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_bob.auto_reanswer = False
        holding = asyncio.ensure_future(at_alice.hold())
        await asyncio.sleep(0.1)
        at_bob.hangup()
        assert (await at_alice.wait_ended()).how == "bye"
        with pytest.raises(CallRefused):
            await holding
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


UNSERVED = [
    ("MESSAGE", 405),
    ("PUBLISH", 405),
    ("SUBSCRIBE", 489),
    ("NOTIFY", 481),
    ("PRACK", 481),
    ("REGISTER", 400),
    ("FROBNICATE", 501),
]
"""Methods and what they get inside the dialog of a call."""


def allowed(house: House, method: str, status: int, caller: ScriptedCall) -> None:
    """The request was answered so, with the methods that are served where the RFC asks for them."""
    sequence = re.compile(rf"^CSeq: \d+ {method}\r$".encode(), re.MULTILINE)
    packets = house.sent("SIP/2.0 ", to=caller.agent)
    answers = [packet.data for packet in packets if sequence.search(packet.data)]
    assert [answer.split(b" ", 2)[1] for answer in answers] == [str(status).encode()], answers
    if status == 405:
        assert b"\r\nAllow: INVITE" in answers[0]


@pytest.mark.parametrize("required", [(), (("Require", "x-nothing"),)], ids=["plain", "require"])
@pytest.mark.parametrize(("method", "status"), UNSERVED)
def test_methods_that_are_not_served_inside_a_dialog_get_their_own_answer(
    method: str, status: int, required: tuple[tuple[str, str], ...]
) -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await connected(house)
        session = at_alice.session
        assert session is not None
        uri, headers = session.dialog.request(method)
        at_alice.agent.endpoint.driver.send_request(method, uri, [*headers, *required], b"", session.dialog.flow)
        await house.settle()
        allowed(house, method, status, at_alice)
        assert call.closed_reason is None

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("method", "status"), [*UNSERVED, ("OPTIONS", 200), ("INFO", 200), ("UPDATE", 200), ("INVITE", 500)]
)
def test_requests_in_the_early_dialog_get_the_same(method: str, status: int) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).ring()
        ringing = await at_alice.wait_ringing()
        flow = Flow("udp", (ADDRESS, 5060), (alice.address, 5060))
        dialog = Dialog.as_caller(
            ringing, flow, local=str(ringing.from_), local_tag=ringing.from_tag, cseq=7, target="sip:x@y", nat=False
        )
        uri, headers = dialog.request(method)
        before = len(house.network.delivered)
        alice.endpoint.driver.send_request(method, uri, [*headers, ("Contact", alice.contact)], b"", flow)
        await house.settle()
        del house.network.delivered[:before]
        allowed(house, method, status, at_alice)
        assert house.calls[0].state is CallState.PLACING

    on_the_network(scenario)


def test_a_hold_that_is_cancelled_while_it_crosses_is_taken_back() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        house.network.link(ADDRESS, at_bob.agent.address).delay_s = 0.5
        holding = asyncio.ensure_future(at_alice.hold())
        await asyncio.sleep(0.1)
        assert at_alice.session is not None
        at_alice.session.cancel_reinvite()
        with pytest.raises(CallRefused) as refused:
            await holding
        assert refused.value.status == 487
        await house.settle(4)
        assert at_bob.remote_holds == ["sendonly", "sendrecv"]
        assert directions(house, at_alice) == directions(house, at_bob) == "sendrecv"

    on_the_network(scenario)
