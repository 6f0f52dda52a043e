"""Session timers of calls: refreshed by either side, by UPDATE or re-INVITE, over bad links; calls that nobody refreshes end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.calls.house import ADDRESS, House, on_the_network
from tests.calls.test_accept import to_bob
from trunkline.calls.session import CallSession
from trunkline.constants import ClosedReason
from trunkline.events import CallSessionLost
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.session_timer import SessionTimes
from trunkline.testing.call import CallRefused, ScriptedCall

OFF = SessionTimes(0)
SHORT = SessionTimes(90)


async def connected(
    house: House, *, alice: SessionTimes = OFF, bob: SessionTimes = OFF, ours: SessionTimes = SHORT
) -> tuple[ScriptedCall, ScriptedCall, CallSession]:
    """A call between two phones; the timers that each phone and our side of each dialog has."""
    at = await house.phone("alice", timers=alice, our_timers=ours)
    to = await house.phone("bob", timers=bob, our_timers=ours)
    house.route(to_bob)
    at_alice = house.call(at, "bob")
    at_bob = await to.next_call()
    at_bob.answer()
    await at_alice.wait_answered()
    await house.settle()
    return at_alice, at_bob, house.calls[0]


def refreshes(house: House, call: ScriptedCall, method: str) -> int:
    """Refresh requests that arrived at this phone."""
    branches = set()
    for packet in house.sent(f"{method} ", to=call.agent):
        text = packet.data.decode()
        if "\r\nTo: " in text and ";tag=" in text.split("\r\nTo: ", 1)[1].split("\r\n", 1)[0]:
            branches.add(text.split("branch=", 1)[1].split(";", 1)[0].split("\r\n", 1)[0])
    return len(branches)


def test_phones_without_timers_are_never_refreshed_and_never_cut() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        await house.settle(4 * 3_600)
        assert call.closed_reason is None
        assert refreshes(house, at_alice, "INVITE") == refreshes(house, at_bob, "UPDATE") == 0

    on_the_network(scenario)


def test_sessions_are_refreshed_by_update_where_it_is_taken_by_whom_the_answer_names() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house, alice=SHORT, bob=SHORT)
        await house.settle(400)
        assert call.closed_reason is None
        # each callee chose itself: we on alice's side, bob on his
        assert refreshes(house, at_alice, "UPDATE") == 8
        assert refreshes(house, at_bob, "UPDATE") == 0
        assert call.one is not None
        assert call.one.invite is not None
        assert not call.one.invite.timer.refreshes
        assert at_alice.requests == at_bob.requests == []

    on_the_network(scenario)


def test_we_refresh_by_a_reinvite_that_changes_nothing_where_they_refuse_update() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house, alice=SHORT, bob=SHORT)
        at_alice.agent.refuse_inside["UPDATE"] = 405
        assert call.zero.describer is not None
        before = call.zero.describer.local
        await house.settle(400)
        assert call.closed_reason is None
        assert refreshes(house, at_alice, "UPDATE") == 1
        bodies = {request.body for request in at_alice.requests}
        assert len(at_alice.requests) >= 7
        assert bodies == {before}
        assert at_bob.requests == []

    on_the_network(scenario)


def test_they_refresh_where_they_say_so() -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await connected(house, alice=SessionTimes(90, refresher="us"))
        assert call.zero.invite is not None
        assert not call.zero.invite.timer.refreshes
        assert b"\r\nRequire: timer\r\n" in house.sent("SIP/2.0 200", to=at_alice.agent)[0].data
        await house.settle(600)
        assert call.closed_reason is None
        assert refreshes(house, at_alice, "UPDATE") == 0

    on_the_network(scenario)


def test_a_peer_that_never_refreshes_loses_the_call_before_its_time_is_over() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house, alice=SessionTimes(90, refresher="us"))
        at_alice.agent.forgets_refreshes = True
        await house.settle(90 - 30 - 2)
        assert house.events.closed() == []
        await house.settle(2)
        assert call.closed_reason is ClosedReason.SESSION_LOST
        lost = house.events.only(CallSessionLost)
        assert lost.reason == "the session was not refreshed by the other side within its 90 s"
        ended = await at_alice.wait_ended()
        assert ended.message is not None
        assert "not refreshed" in (ended.message.header("Reason") or "")
        assert (await at_bob.wait_ended()).how == "bye"

    on_the_network(scenario)


def test_a_peer_that_answers_no_refresh_is_lost() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house, alice=SHORT)
        at_alice.agent.silent_inside.add("UPDATE")
        await house.settle(100)
        assert call.closed_reason is ClosedReason.SESSION_LOST
        assert (await at_bob.wait_ended()).how == "bye"

    on_the_network(scenario)


def test_a_peer_that_refuses_every_refresh_is_given_up_at_the_end_of_its_time() -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await connected(house, alice=SHORT)
        at_alice.agent.refuse_inside.update(UPDATE=500)
        await house.settle(50)
        assert call.closed_reason is None
        await house.settle(20)
        assert house.events.only(CallSessionLost).reason == "the session was not refreshed by us within its 90 s"

    on_the_network(scenario)


def test_a_session_that_would_expire_too_soon_gets_422_and_comes_back_with_more() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", timers=SessionTimes(90), our_timers=SessionTimes(1_800, 300))
        bob = await house.phone("bob", our_timers=OFF)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).answer()
        await at_alice.wait_answered()
        assert house.sent("SIP/2.0 422 ", to=alice)
        assert at_alice.timer.expires_s == 300
        assert len(house.calls) == 1

    on_the_network(scenario)


def test_a_422_to_our_invite_is_heeded_and_the_caller_hears_nothing_of_it() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", our_timers=OFF)
        bob = await house.phone("bob", timers=SessionTimes(1_800, 400), our_timers=SHORT)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        refused = await bob.next_call()
        assert refused.invite is not None
        assert refused.invite.header("Session-Expires") == "90"
        headers = refused.timer.refusal(refused.invite)
        assert headers is not None
        refused.reject(422, headers=headers)
        at_bob = await bob.next_call()
        assert at_bob.invite is not None
        assert (at_bob.invite.header("Session-Expires"), at_bob.invite.header("Min-SE")) == ("400", "400")
        assert at_bob.invite.call_id == refused.invite.call_id
        at_bob.answer()
        await at_alice.wait_answered()

    on_the_network(scenario)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_change_that_asks_for_too_little_time_gets_422_and_nothing_changes(method: str) -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await connected(house, alice=SessionTimes(300), ours=SessionTimes(600, 300))
        assert call.zero.invite is not None
        before = call.zero.invite.timer.next()
        fields = [("Supported", "timer"), ("Session-Expires", "120"), ("Contact", at_alice.agent.contact)]
        answer = await at_alice.request(method, headers=fields)
        assert (answer.status, answer.header("Min-SE")) == (422, "300")
        assert call.zero.invite.timer.next() == before

    on_the_network(scenario)


def test_a_422_after_a_challenge_is_heeded_and_challenged_anew() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", our_timers=OFF)
        bob = await house.phone("bob", our_timers=SHORT)
        house.parties["bob"] = replace(house.parties["bob"], credentials=ClientCredentials("bob", "secret"))
        bob.endpoint.driver.set_challenge("bob.example", {"INVITE": "everybody", "*": "nobody"}, (), ())
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        for least_s in ("100", "200"):
            refused = await bob.next_call()
            refused.reject(422, headers=[("Min-SE", least_s)])
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        assert len(house.sent("SIP/2.0 401 ")) == 3

    on_the_network(scenario)


def test_a_422_to_a_refresh_is_heeded() -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await connected(house, alice=SHORT)
        at_alice.agent.refuse_inside["UPDATE"] = 422
        at_alice.agent.refuse_headers = [("Min-SE", "200")]
        await house.settle(45)
        del at_alice.agent.refuse_inside["UPDATE"]
        assert house.sent("SIP/2.0 422 ")
        await house.settle(20)
        asked = [packet.data for packet in house.sent("UPDATE ", to=at_alice.agent)]
        assert b"\r\nSession-Expires: 90;refresher=uac\r\n" in asked[0]
        assert b"\r\nSession-Expires: 200;refresher=uac\r\nMin-SE: 200\r\n" in asked[-1]
        assert call.closed_reason is None

    on_the_network(scenario)


def test_a_required_timer_is_refused_where_it_is_switched_off() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", our_timers=OFF)
        house.route(to_bob)
        house.call(alice, "bob", [("Require", "timer"), ("Session-Expires", "1800")])
        await house.settle()
        (answer,) = house.sent("SIP/2.0 420 ", to=alice)
        assert b"\r\nUnsupported: timer\r\n" in answer.data
        assert house.calls == []

    on_the_network(scenario)


@pytest.mark.parametrize("seed", range(6))
def test_sessions_outlive_their_time_over_a_link_that_loses_and_doubles(seed: int) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house, alice=SHORT, bob=SHORT)
        at_bob.agent.refuse_inside["UPDATE"] = 501
        for call_ in (at_alice, at_bob):
            for ends in ((ADDRESS, call_.agent.address), (call_.agent.address, ADDRESS)):
                link = house.network.link(*ends)
                link.loss, link.duplicate, link.jitter_s = 0.15, 0.15, 0.03
        await house.settle(1_800)
        assert call.closed_reason is None
        at_alice.hangup()
        await house.settle(120)
        house.check_over()

    on_the_network(scenario, seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_both_sides_refreshing_at_once_is_settled_by_491(seed: int) -> None:
    async def scenario(house: House) -> None:
        at_alice, _, call = await connected(house, alice=SHORT)
        at_alice.agent.refuse_inside["UPDATE"] = 405
        assert call.zero.invite is not None
        await house.settle(46)
        # our refresh by re-INVITE and a re-INVITE of theirs cross
        call.zero.on_refresh_due()
        with pytest.raises(CallRefused) as refused:
            await at_alice.hold()
        assert refused.value.status == 491
        await house.settle(300)
        assert call.closed_reason is None

    on_the_network(scenario, seed=seed)
