"""Calling in turn and at once: which failure lets the next one begin, time limits, what is left when the caller goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.calls.house import House, on_the_network
from trunkline.calls.attempt import AnswerMissing, Attempt
from trunkline.calls.destinations import AtOnce, Destination, ToLine, ToUser
from trunkline.calls.failure import best, crossing_status
from trunkline.calls.peers import PlacementError, Placing, Target
from trunkline.calls.session import CallSession
from trunkline.constants import ClosedReason, PeerType
from trunkline.errors import Busy, CallFailed, NoAnswer, NotRegistered
from trunkline.events import AttemptFailed, CallSessionClosed, CallSessionFailed, CallSessionTimeout
from trunkline.sip.endpoint import Codec, Flow
from trunkline.sip.request import Failure
from trunkline.testing.agent import Agent
from trunkline.testing.call import CallRefused, ScriptedCall

NUMBER = "15550100"


async def trunks(house: House, *names: str) -> list[Agent]:
    """Lines of these names, in the group `trunks`."""
    house.groups["trunks"] = list(names)
    return [await house.phone(name, peer_type=PeerType.LINE) for name in names]


def route(house: House, to: Destination, *, timeout_s: float = 60.0) -> list[CallFailed]:
    """Calls go there; what was raised is in the list."""
    raised: list[CallFailed] = []

    async def decide(call: CallSession) -> None:
        try:
            await call.accept(to=to, timeout_s=timeout_s)
        except CallFailed as error:
            raised.append(error)
            raise

    house.route(decide)
    return raised


async def refused(at_alice: ScriptedCall, within_s: float = 60) -> int:
    with pytest.raises(CallRefused) as caught:
        await at_alice.wait_answered(within_s)
    return caught.value.status


async def idle(*agents: Agent) -> None:
    """Nobody has called them."""
    await asyncio.sleep(1)
    assert [agent.name for agent in agents if not agent.incoming.empty()] == []


async def over(house: House) -> None:
    """All that may still be repeated is over, and nothing is left."""
    await house.settle(80)
    house.check_over()
    assert house.endpoint.live == {"clients": 0, "servers": 0, "dialogs": 0}


# --- which failure lets the next one begin -------------------------------------------------------------------------------

NEXT_LINE = [408, 500, 501, 502, 503, 504, 505, 513, 580, 599]
NOT_THE_NEXT_LINE = [
    *(301, 302, 380),
    *(
        400,
        401,
        402,
        403,
        404,
        405,
        406,
        407,
        410,
        413,
        415,
        420,
        421,
        480,
        481,
        482,
        483,
        484,
        485,
        486,
        487,
        488,
        491,
    ),
    *(600, 603, 604, 606),
]


@pytest.mark.parametrize("status", NEXT_LINE)
def test_the_next_line_is_tried_when_the_provider_fails(status: int) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        (await first.next_call()).reject(status)
        at_second = await second.next_call()
        assert at_second.dialled == NUMBER
        at_second.answer()
        await at_alice.wait_answered()
        assert house.events.names() == ["Created", "IncomingCall", "AttemptFailed", "Connected"]
        failed = house.events.only(AttemptFailed)
        assert (failed.peer_type, failed.peer_name, failed.status) == (PeerType.LINE, "first", status)
        assert failed.server == f"udp:{first.address}:5060"
        at_alice.hangup()
        assert (await at_second.wait_ended()).how == "bye"
        await over(house)

    on_the_network(scenario)


@pytest.mark.parametrize("status", NOT_THE_NEXT_LINE)
def test_the_next_line_is_not_tried_when_it_is_about_the_callee_or_the_call(status: int) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        raised = route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        (await first.next_call()).reject(status)
        assert await refused(at_alice) == crossing_status(PeerType.LINE, status)
        await idle(second)
        assert [error.status for error in raised] == [status]
        await over(house)

    on_the_network(scenario)


@pytest.mark.parametrize(("rang", "next_line"), [(183, True), (180, False)])
def test_a_callee_who_was_rung_in_vain_is_not_rung_again(rang: int, next_line: bool) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        at_first = await first.next_call()
        at_first.ring(rang)
        await house.settle()
        at_first.reject(408)
        if next_line:
            (await second.next_call()).answer()
            await at_alice.wait_answered()
        else:
            assert await refused(at_alice) == 504
            await idle(second)

    on_the_network(scenario)


def test_nobody_else_is_called_after_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def disagree(attempt: Attempt, message: object) -> None:
        raise AnswerMissing

    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        carol = await house.phone("carol")
        raised = route(house, [ToLine("trunks"), ToUser("carol")])
        at_alice = house.call(alice, NUMBER)
        at_first = await first.next_call()
        monkeypatch.setattr(Attempt, "_agree", disagree)
        at_first.answer()
        assert await refused(at_alice) == 488
        assert (await at_first.wait_ended()).how == "bye"
        await idle(second, carol)
        assert raised[0].status == 488
        await over(house)

    on_the_network(scenario)


def test_an_answer_of_one_phone_counts_whatever_the_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def disagree(attempt: Attempt, message: object) -> None:
        raise AnswerMissing

    async def scenario(house: House) -> None:
        alice, carol = await house.phone("alice"), await house.phone("carol")
        desk, mobile = await house.phone("bob"), await house.phone("bob")
        route(house, [ToUser("bob"), ToUser("carol")])
        at_alice = house.call(alice, "100")
        monkeypatch.setattr(Attempt, "_agree", disagree)
        (await desk.next_call()).answer()
        await house.settle()
        (await mobile.next_call()).reject(486)
        assert await refused(at_alice) == 486
        await idle(carol)
        await over(house)

    on_the_network(scenario)


def test_a_line_that_is_silent_is_left_after_its_time() -> None:
    async def scenario(house: House) -> None:
        house.silence_s = 6.0
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        first.vanish()
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        with pytest.raises(TimeoutError):
            await second.next_call(5.5)
        (await second.next_call(1)).answer()
        await at_alice.wait_answered()
        failed = house.events.only(AttemptFailed)
        assert (failed.peer_name, failed.status, failed.reason) == ("first", 408, "silent for 6 s")
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


def test_a_line_that_says_100_has_all_the_time_that_it_needs() -> None:
    async def scenario(house: House) -> None:
        house.silence_s = 6.0
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        at_first = await first.next_call()
        await house.settle(30)
        at_first.answer()
        await at_alice.wait_answered()
        await idle(second)

    on_the_network(scenario)


def test_without_a_limit_of_its_own_silence_takes_64_t1() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        first.vanish()
        route(house, ToLine("trunks"))
        house.call(alice, NUMBER)
        with pytest.raises(TimeoutError):
            await second.next_call(31)
        await second.next_call(2)
        assert house.events.only(AttemptFailed).status == 408

    on_the_network(scenario)


def test_an_answer_that_crosses_the_limit_of_silence_is_ended() -> None:
    async def scenario(house: House) -> None:
        house.silence_s = 2.0
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        house.network.link(first.address, house.host.address).delay_s = 3.0
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        at_first = await first.next_call()
        at_first.answer()
        at_second = await second.next_call()
        at_second.ring()
        assert (await at_first.wait_ended(20)).how == "bye"
        at_second.answer()
        await at_alice.wait_answered()
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


def _elsewhere(targets: list[Target]) -> list[Target]:
    """Over a connection to where nobody listens."""
    return [replace(target, flow=Flow("tcp", (target.flow.remote[0], 9), None)) for target in targets]


def test_the_next_line_is_tried_when_the_transport_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        house.host.driver.listen("tcp", house.host.address, 5060)
        alice = await house.phone("alice")
        _, second = await trunks(house, "first", "second")

        async def targets(placing: Placing) -> list[Target]:
            found = list(await House.targets(house, placing))
            return _elsewhere(found) if placing.peer_name == "first" else found

        monkeypatch.setattr(house, "targets", targets)
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        (await second.next_call(2)).answer()
        await at_alice.wait_answered()
        failed = house.events.only(AttemptFailed)
        assert (failed.peer_name, failed.status) == ("first", 503)

    on_the_network(scenario)


# --- what is left of it for the application -------------------------------------------------------------------------------


def test_all_failures_are_kept_and_failed_comes_when_none_is_left() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        house.groups["trunks"].insert(1, "absent")
        raised = route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        (await first.next_call()).reject(500, "Out of luck")
        (await second.next_call()).reject(503)
        assert await refused(at_alice) == 500
        tried = [(each.peer_name, each.status, bool(each.server)) for each in raised[0].attempts]
        assert tried == [("first", 500, True), ("absent", 404, False), ("second", 503, True)]
        assert raised[0].attempts[0].reason == "Out of luck"
        assert house.events.only(CallSessionFailed).attempts == raised[0].attempts
        assert house.events.names().count("AttemptFailed") == 3
        assert house.events.names()[-2:] == ["Failed", "Closed"]
        await over(house)

    on_the_network(scenario)


def test_a_group_of_which_no_line_can_be_asked_says_why_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        await trunks(house, "first", "second")

        async def targets(placing: Placing) -> list[Target]:
            raise PlacementError(503, f"line {placing.peer_name} is full")

        monkeypatch.setattr(house, "targets", targets)
        raised = route(house, ToLine("trunks"))
        assert await refused(house.call(alice, NUMBER)) == 500
        words = "line group trunks has no line for it: line first is full; line second is full"
        assert (raised[0].status, raised[0].reason) == (503, words)
        assert [each.peer_name for each in raised[0].attempts] == ["first", "second"]

    on_the_network(scenario)


def test_a_caller_who_shares_no_codec_with_any_line_is_told_so_and_no_names() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(Codec("PCMU", 8000),))
        house.groups["trunks"] = ["first", "second"]
        for name in house.groups["trunks"]:
            await house.phone(name, peer_type=PeerType.LINE, allowed=(Codec("G729", 8000),))
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        with pytest.raises(CallRefused) as caught:
            await at_alice.wait_answered()
        assert caught.value.status == 488
        assert caught.value.message is not None
        assert caught.value.message.header("Warning") == '305 trunkline "the two parties have no codec in common"'
        assert [attempt.peer_name for attempt in house.events.only(CallSessionFailed).attempts] == ["first", "second"]

    on_the_network(scenario)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([408, 486, 503, 500, 404, 603, 480, 502]), min_size=1, max_size=5))
def test_lines_are_tried_in_order_up_to_the_first_that_speaks_for_the_callee(statuses: list[int]) -> None:
    decisive = [number for number, status in enumerate(statuses) if status not in NEXT_LINE]
    reached = decisive[0] + 1 if decisive else len(statuses)

    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        agents = await trunks(house, *(f"line{number}" for number in range(len(statuses))))
        raised = route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        for agent, status in list(zip(agents, statuses, strict=True))[:reached]:
            (await agent.next_call()).reject(status)
        await refused(at_alice)
        await idle(*agents[reached:])
        assert [each.status for each in raised[0].attempts] == statuses[:reached]
        assert raised[0].status == best([Failure(status, "") for status in statuses[:reached]]).status

    on_the_network(scenario)


# --- in turn ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 404, 408, 480, 486, 488, 500, 503, 600, 603])
def test_the_next_callee_is_rung_whatever_the_first_answered(status: int) -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = [await house.phone(name) for name in ("alice", "bob", "carol")]
        route(house, [ToUser("bob"), ToUser("carol")])
        at_alice = house.call(alice, "100")
        (await bob.next_call()).reject(status)
        (await carol.next_call()).answer()
        await at_alice.wait_answered()
        assert "Failed" not in house.events.names()
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


def test_a_callee_has_his_time_and_then_the_next_is_rung() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = [await house.phone(name) for name in ("alice", "bob", "carol")]
        route(house, [ToUser("bob", timeout_s=5), ToUser("carol")])
        at_alice = house.call(alice, "100")
        at_bob = await bob.next_call()
        at_bob.ring()
        with pytest.raises(TimeoutError):
            await carol.next_call(4.5)
        at_carol = await carol.next_call(1)
        assert (await at_bob.wait_ended()).how == "cancel"
        failed = house.events.only(AttemptFailed)
        assert (failed.peer_name, failed.status, failed.reason) == ("bob", 408, "nobody answered within 5 s")
        at_carol.answer()
        await at_alice.wait_answered()
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


def test_when_the_last_ones_time_is_over_it_is_a_timeout() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        raised = route(house, [ToUser("bob", timeout_s=5)])
        at_alice = house.call(alice, "100")
        (await bob.next_call()).ring()
        assert await refused(at_alice, 6) == 480
        assert isinstance(raised[0], NoAnswer)
        assert house.events.only(CallSessionTimeout).attempts == raised[0].attempts
        assert [each.peer_name for each in raised[0].attempts] == ["bob"]
        assert house.events.only(CallSessionClosed).reason is ClosedReason.TIMEOUT
        await over(house)

    on_the_network(scenario)


def test_the_whole_time_bounds_all_steps() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol, dave = [await house.phone(name) for name in ("alice", "bob", "carol", "dave")]
        raised = route(house, [ToUser("bob", 10), ToUser("carol", 10), ToUser("dave", 10)], timeout_s=15)
        at_alice = house.call(alice, "100")
        (await bob.next_call()).ring()
        at_carol = await carol.next_call(11)
        at_carol.ring()
        assert await refused(at_alice, 5.5) == 480
        assert (await at_carol.wait_ended()).how == "cancel"
        await idle(dave)
        assert isinstance(raised[0], NoAnswer)
        assert [(each.peer_name, each.reason) for each in raised[0].attempts] == [
            ("bob", "nobody answered within 10 s"),
            ("carol", "not answered within 15 s"),
        ]
        await over(house)

    on_the_network(scenario)


def test_who_has_no_phone_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        alice, carol = await house.phone("alice"), await house.phone("carol")

        async def targets(placing: Placing) -> list[Target]:
            if placing.peer_name == "bob":
                raise PlacementError(480, "no phone of bob is registered")
            return list(await House.targets(house, placing))

        monkeypatch.setattr(house, "targets", targets)
        raised = route(house, [ToUser("bob"), ToUser("carol")])
        at_alice = house.call(alice, "100")
        (await carol.next_call()).answer()
        await at_alice.wait_answered()
        assert house.events.only(AttemptFailed).target == ""
        at_alice.hangup()
        raised = route(house, [ToUser("bob"), ToUser("bob")])
        assert await refused(house.call(alice, "100")) == 480
        assert isinstance(raised[0], NotRegistered)

    on_the_network(scenario)


def test_of_all_steps_the_best_answer_goes_back() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = [await house.phone(name) for name in ("alice", "bob", "carol")]
        raised = route(house, [ToUser("bob"), ToUser("carol")])
        at_alice = house.call(alice, "100")
        (await bob.next_call()).reject(486)
        (await carol.next_call()).reject(503)
        assert await refused(at_alice) == 486
        assert isinstance(raised[0], Busy)

    on_the_network(scenario)


def test_a_lines_trouble_stays_between_us_and_the_line_when_users_were_tried_too() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        itsp = await house.phone("itsp", peer_type=PeerType.LINE)
        route(house, [ToUser("bob"), ToLine("itsp", "4917")])
        at_alice = house.call(alice, "100")
        (await bob.next_call()).reject(503)
        at_itsp = await itsp.next_call()
        assert at_itsp.dialled == "4917"
        at_itsp.reject(403)
        assert await refused(at_alice) == 502

    on_the_network(scenario)


def test_after_all_steps_failed_another_target_may_be_accepted() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol, dave = [await house.phone(name) for name in ("alice", "bob", "carol", "dave")]

        async def decide(call: CallSession) -> None:
            with pytest.raises(Busy):
                await call.accept(to=[ToUser("bob", 5), ToUser("carol")])
            await call.accept(to=AtOnce(ToUser("dave"), ToUser("bob")))

        house.route(decide)
        at_alice = house.call(alice, "100")
        (await bob.next_call()).ring()
        (await carol.next_call(6)).reject(486)
        (await dave.next_call()).answer()
        await at_alice.wait_answered()
        assert (await (await bob.next_call()).wait_ended()).how == "cancel"
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


# --- at once ----------------------------------------------------------------------------------------------------------------


def test_users_and_lines_ring_at_once_and_the_first_answer_wins() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        itsp = await house.phone("itsp", peer_type=PeerType.LINE)
        route(house, AtOnce(ToUser("bob"), ToLine("itsp", "4917")))
        at_alice = house.call(alice, "100")
        at_bob, at_itsp = await bob.next_call(), await itsp.next_call()
        at_bob.ring()
        at_itsp.ring(183, early_media=True)
        await house.settle()
        assert [message.status for message in at_alice.provisionals] == [180]
        at_itsp.answer()
        await at_alice.wait_answered()
        lost = await at_bob.wait_ended()
        assert lost.message is not None
        assert lost.message.header("Reason") == 'SIP ;cause=200 ;text="Call completed elsewhere"'
        one = house.calls[0].one
        assert one is not None
        assert one.party is not None
        assert (one.party.peer_type, one.party.name) == (PeerType.LINE, "itsp")
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


def test_one_callees_decline_does_not_silence_the_others() -> None:
    async def scenario(house: House) -> None:
        alice, carol = await house.phone("alice"), await house.phone("carol")
        desk, mobile = await house.phone("bob"), await house.phone("bob")
        route(house, AtOnce(ToUser("bob"), ToUser("carol")))
        at_alice = house.call(alice, "100")
        at_mobile, at_carol = await mobile.next_call(), await carol.next_call()
        (await desk.next_call()).reject(603)
        assert (await at_mobile.wait_ended()).how == "cancel"
        await house.settle()
        assert at_carol.ended is None
        at_carol.answer()
        await at_alice.wait_answered()
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


def test_a_group_fails_over_while_a_user_rings_beside_it() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        first, second = await trunks(house, "first", "second")
        route(house, AtOnce(ToUser("bob"), ToLine("trunks", "4917")))
        at_alice = house.call(alice, "100")
        at_bob = await bob.next_call()
        at_bob.ring()
        (await first.next_call()).reject(503)
        (await second.next_call()).answer()
        await at_alice.wait_answered()
        assert (await at_bob.wait_ended()).how == "cancel"
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


def test_a_list_among_those_at_once_is_tried_in_turn() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol, dave = [await house.phone(name) for name in ("alice", "bob", "carol", "dave")]
        route(house, AtOnce(ToUser("bob"), [ToUser("carol", 5), ToUser("dave")], timeout_s=20))
        at_alice = house.call(alice, "100")
        at_bob, at_carol = await bob.next_call(), await carol.next_call()
        at_dave = await dave.next_call(6)
        assert (await at_carol.wait_ended()).how == "cancel"
        assert at_bob.ended is None
        assert await refused(at_alice, 16) == 480
        for at in (at_bob, at_dave):
            assert (await at.wait_ended()).how == "cancel"
        await over(house)

    on_the_network(scenario)


# --- early media ------------------------------------------------------------------------------------------------------------


def test_early_media_of_a_line_that_fails_ends_and_the_next_ones_is_heard() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        at_first = await first.next_call()
        at_first.ring(183, early_media=True)
        await at_alice.wait_ringing()
        legs = house.host.media.legs
        zero = house.calls[0].zero.leg
        assert zero is not None
        before = legs[zero.number].linked
        assert before
        at_first.reject(503)
        at_second = await second.next_call()
        assert (bool(legs[zero.number].linked), legs[zero.number].tone_hz) == (False, 0.0)
        at_second.ring(183, early_media=True)
        await house.settle()
        assert legs[zero.number].linked not in (None, 0, before)
        at_second.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert house.media.open_legs == 2
        at_alice.hangup()
        await over(house)

    on_the_network(scenario)


# --- the caller goes ----------------------------------------------------------------------------------------------------


def test_a_caller_who_goes_between_two_steps_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        first, second = await trunks(house, "first", "second")
        asked = asyncio.Event()

        async def targets(placing: Placing) -> list[Target]:
            if placing.peer_name == "second":
                asked.set()
                await asyncio.sleep(5)
            return list(await House.targets(house, placing))

        monkeypatch.setattr(house, "targets", targets)
        route(house, ToLine("trunks"))
        at_alice = house.call(alice, NUMBER)
        (await first.next_call()).reject(503)
        await asked.wait()
        at_alice.hangup()
        await house.settle(10)
        await idle(second)
        assert house.events.names()[-2:] == ["Cancelled", "Closed"]
        await over(house)

    on_the_network(scenario)


def test_a_step_whose_lookup_takes_longer_than_its_time_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = [await house.phone(name) for name in ("alice", "bob", "carol")]

        async def targets(placing: Placing) -> list[Target]:
            if placing.peer_name == "bob":
                await asyncio.sleep(50)
            return list(await House.targets(house, placing))

        monkeypatch.setattr(house, "targets", targets)
        route(house, [ToUser("bob", 3), ToUser("carol")])
        at_alice = house.call(alice, "100")
        (await carol.next_call(4)).answer()
        await at_alice.wait_answered()
        await house.settle(60)
        await idle(bob)

    on_the_network(scenario)


# --- what is a destination ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        ([], "nobody"),
        (AtOnce(), "nobody"),
        ([ToUser("bob"), []], "nobody"),
        ("bob", "no destination"),
        ([ToUser("bob"), "carol"], "no destination"),
        (ToUser("bob", timeout_s=0), "timeout_s"),
        (AtOnce(ToUser("bob"), timeout_s=-1), "timeout_s"),
        ([ToUser("bob")] * 65, "64"),
        (ToLine("itsp", "1\r\n2"), "line break"),
    ],
)
def test_what_is_no_destination_is_said_at_once(to: Destination, problem: str) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        said: list[str] = []

        async def decide(call: CallSession) -> None:
            with pytest.raises(ValueError, match=problem) as caught:
                call.accept(to=to)
            said.append(str(caught.value))
            call.reject(404)

        house.route(decide)
        assert await refused(house.call(alice, "100")) == 404
        assert len(said) == 1

    on_the_network(scenario)


Wrong = Callable[[CallSession], object]


@pytest.mark.parametrize(
    "accept",
    [
        lambda call: call.accept(),
        lambda call: call.accept(to_user="bob", to=ToUser("bob")),
        lambda call: call.accept(to_line="itsp", to=[ToUser("bob")]),
    ],
)
def test_exactly_one_way_of_saying_whom_is_taken(accept: Wrong) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")

        async def decide(call: CallSession) -> None:
            with pytest.raises(ValueError, match="exactly one of"):
                accept(call)
            call.reject(404)

        house.route(decide)
        assert await refused(house.call(alice, "100")) == 404

    on_the_network(scenario)
