"""Requests inside a call: UPDATE both ways, OPTIONS, INFO, challenges to requests of ours, what ends the dialog."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import connected, to_bob
from tests.calls.test_hold import directions
from tests.calls.test_info import BODY, takes, typed
from trunkline.calls.peers import TransferHow
from trunkline.constants import ClosedReason, PeerType
from trunkline.events import CallSessionLost
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Direction
from trunkline.testing.call import CallRefused
from trunkline.testing.referring import take_refers


@pytest.mark.parametrize("direction", ["sendonly", "inactive", "recvonly"])
@pytest.mark.parametrize("holder", [0, 1])
def test_an_update_holds_and_resumes_across_as_update(holder: int, direction: Direction) -> None:
    async def scenario(house: House) -> None:
        calls = (await connected(house))[:2]
        asking, other = calls[holder], calls[1 - holder]
        await asking.reoffer(direction, update=True)
        assert other.remote_holds == [direction]
        await asking.reoffer("sendrecv", update=True)
        assert other.remote_holds == [direction, "sendrecv"]
        assert {request.method for request in other.requests} == {"UPDATE"}
        assert directions(house, asking) == directions(house, other) == "sendrecv"

    on_the_network(scenario)


def test_an_update_crosses_as_reinvite_to_a_side_that_takes_none() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        assert call.one is not None
        assert call.one.invite is not None
        call.one.invite.takes_updates = False
        await at_alice.reoffer("sendonly", update=True)
        assert [request.method for request in at_bob.requests] == ["INVITE"]

    on_the_network(scenario)


def test_an_update_without_description_stays_here() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        assert at_alice.session is not None
        at_alice.session.contact = "<sip:alice@10.0.0.77>"
        await at_alice.refresh()
        assert call.zero.invite is not None
        assert "10.0.0.77" in call.zero.invite.dialog.remote_target
        assert at_bob.requests == []

    on_the_network(scenario)


def test_an_update_is_answered_before_its_time_is_over_though_the_other_side_is_silent() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        at_bob.auto_reanswer = False
        with pytest.raises(CallRefused) as refused:
            await at_alice.reoffer("sendonly", update=True, timeout_s=31)
        assert refused.value.status == 488
        assert refused.value.message is not None
        assert call.closed_reason is None

    on_the_network(scenario)


@pytest.mark.parametrize("holder", [0, 1])
@pytest.mark.parametrize("update", [False, True], ids=["INVITE", "UPDATE"])
def test_a_hold_without_address_reaches_the_other_side_as_sendonly(holder: int, update: bool) -> None:
    """RFC 3264 §8.4: c=0.0.0.0, and the direction as it was."""

    async def scenario(house: House) -> None:
        calls = (await connected(house))[:2]
        asking, other = calls[holder], calls[1 - holder]
        agent, session = asking.agent, asking.session
        assert session is not None
        body = asking._describer.offer(address=agent.address, port=asking.leg.port, codecs=agent.codecs)
        body = body.replace(b"c=IN IP4 " + agent.address.encode(), b"c=IN IP4 0.0.0.0")
        (session.update if update else session.reinvite)(body, asking)
        await house.settle()
        assert other.remote_holds == ["sendonly"]
        await asking.reoffer("sendrecv", update=update)
        assert other.remote_holds == ["sendonly", "sendrecv"]
        assert directions(house, asking) == directions(house, other) == "sendrecv"

    on_the_network(scenario)


def test_their_reinvite_is_served_while_our_update_without_description_is_open() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        at_alice.agent.silent_inside.add("UPDATE")
        assert call.zero.invite is not None
        call.zero.invite.update(b"", at_alice)
        await house.settle(0.1)
        await at_alice.hold()
        assert at_bob.remote_holds == ["sendonly"]

    on_the_network(scenario)


@pytest.mark.parametrize("first", ["UPDATE", "INVITE"])
@pytest.mark.parametrize("second", ["UPDATE", "INVITE"])
def test_offers_of_both_sides_at_once_get_491(first: str, second: str) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        outcomes = await asyncio.gather(
            at_alice.reoffer("sendonly", update=first == "UPDATE"),
            at_bob.reoffer("sendonly", update=second == "UPDATE"),
            return_exceptions=True,
        )
        assert [getattr(outcome, "status", None) for outcome in outcomes] == [491, 491]
        await at_alice.hold()
        assert directions(house, at_alice) == "recvonly"
        assert call.closed_reason is None

    on_the_network(scenario)


@pytest.mark.parametrize("second", ["UPDATE", "INVITE"])
def test_a_second_offer_before_the_first_is_answered_gets_500_and_when_to_come_again(second: str) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_bob.auto_reanswer = False
        holding = asyncio.ensure_future(at_alice.hold(timeout_s=60))
        await asyncio.sleep(0.1)
        body = at_bob.requests[0].body
        headers = [("Content-Type", "application/sdp"), ("Contact", at_alice.agent.contact)]
        answer = await at_alice.request(second, headers=headers, body=body)
        assert answer.status == 500
        assert answer.header("Retry-After") is not None
        with pytest.raises(CallRefused):
            await holding

    on_the_network(scenario)


def test_a_500_with_retry_after_to_our_reinvite_is_tried_again() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        # alice answers an offer of ours with sendonly; what bob is then offered is refused once
        at_alice.wanted = "sendonly"
        at_bob.agent.refuse_inside["INVITE"] = 500
        at_bob.agent.refuse_headers = [("Retry-After", "3")]
        await at_alice.ask_for_offer()
        await house.settle(1)
        assert at_bob.remote_holds == []
        del at_bob.agent.refuse_inside["INVITE"]
        await house.settle(3)
        assert at_bob.remote_holds == ["sendonly"]

    on_the_network(scenario)


def test_options_and_an_info_that_asks_nothing_are_granted() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        options = await at_alice.request("OPTIONS")
        assert options.status == 200
        assert {"UPDATE", "INFO", "INVITE"} <= set(options.values("Allow"))
        assert (await at_bob.request("INFO")).status == 200
        package = await at_bob.request("INFO", headers=[("Info-Package", "x")])
        assert (package.status, package.header("Recv-Info")) == (469, "")
        strange = await at_bob.request("INFO", headers=[("Content-Type", "a/b")], body=b"x")
        assert strange.status == 415

    on_the_network(scenario)


@pytest.mark.parametrize("method", ["INVITE", "BYE", "UPDATE", "INFO", "REFER", "NOTIFY"])
def test_a_challenge_inside_a_call_is_answered(method: str) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        passed_on: TransferHow = "refer" if method == "REFER" else "inside"
        known = house.parties["bob"]
        house.parties["bob"] = replace(
            known, credentials=ClientCredentials("bob", "secret"), peer_type=PeerType.LINE, transfer=passed_on
        )
        bob.endpoint.driver.set_challenge("bob.example", {"*": "nobody"}, (), ())
        bob.challenge_inside.add(method)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        if method == "BYE":
            at_alice.hangup()
            assert (await at_bob.wait_ended()).how == "bye"
            house.check_over()
        elif method == "INFO":
            got = takes(at_bob)
            assert (await at_alice.request("INFO", headers=typed(), body=BODY)).status == 200
            assert [each.body for each in got] == [BODY]
        elif method == "REFER":
            assert at_bob.session is not None
            asked = take_refers(at_bob.session, 200)
            assert await at_alice.refer("sip:carol@pbx.example").outcome() == 200
            assert len(asked) == 1
        elif method == "NOTIFY":
            refer = at_bob.refer("sip:nobody@pbx.example")
            assert await refer.outcome() >= 400
            assert refer.told[0][0] == 100
        else:
            await at_alice.reoffer("sendonly", update=method == "UPDATE")
            assert at_bob.remote_holds == ["sendonly"]
        assert house.sent("SIP/2.0 401 ")

    on_the_network(scenario)


@pytest.mark.parametrize("status", [408, 481])
@pytest.mark.parametrize("update", [False, True], ids=["INVITE", "UPDATE"])
def test_an_answer_that_says_that_the_dialog_is_gone_ends_the_call(status: int, update: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        at_bob.agent.refuse_inside["UPDATE" if update else "INVITE"] = status
        with pytest.raises(CallRefused):
            await at_alice.reoffer("sendonly", update=update)
        await house.settle()
        assert call.closed_reason is ClosedReason.SESSION_LOST
        assert str(status) in house.events.only(CallSessionLost).reason
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_new_codec_mid_call_crosses() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        at_alice.agent.codecs = at_alice.agent.codecs[1:]
        await at_alice.reoffer("sendrecv")
        await house.settle()
        assert call.one is not None
        assert call.zero.plan is not None
        assert call.one.plan is not None
        assert call.zero.plan.send_codecs[0].name == "PCMA"
        assert call.one.plan.send_codecs[0].name == "PCMA"
        assert len(at_bob.requests) == 1

    on_the_network(scenario)
