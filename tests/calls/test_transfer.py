"""Transfer: REFER from a phone, blind and attended, and by the application; who hangs up when; the outcome on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.talking import connected, remote_port, replaces, talk, three, to
from trunkline.calls.destinations import ToUser
from trunkline.calls.session import CallSession, CallState
from trunkline.calls.transfer_request import TransferOutcome, TransferRequest, TransferResult
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import CallStateError
from trunkline.events import TransferAccepted, TransferFailed
from trunkline.sip.endpoint import Codec
from trunkline.testing.call import CallRefused, ScriptedCall
from trunkline.testing.referring import take_refers

# --- blind, from a phone ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_callee", [True, False])
def test_a_blind_transfer_ties_the_other_party_to_whom_was_named_and_says_bye_to_who_asked(by_callee: bool) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        asking, kept = (bob, alice) if by_callee else (alice, bob)
        await asking.hold()
        refer = asking.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        assert refer.told[0] == (100, "Trying")
        assert carol.invite is not None
        assert carol.invite.header("Referred-By") is not None
        carol.answer()
        assert await refer.outcome() == 200
        assert (await asking.wait_ended()).by_us is False
        await house.settle()
        await talk(house, kept, carol)
        call = house.calls[0]
        assert call.state is CallState.CONNECTED
        assert house.events.names().count("Connected") == 1
        assert house.events.only(TransferAccepted).outcome == TransferOutcome(TransferResult.ACCEPTED, 200, "OK")
        kept.hangup()
        await carol.wait_ended()
        assert call.closed_reason is ClosedReason.HANGUP
        assert house.events.names()[-1] == "Closed"
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("status", [486, 603, 480])
def test_a_transfer_that_is_refused_gives_the_call_back(status: int) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        await bob.hold()
        refer = bob.refer(to("carol"))
        (await house.places["carol"][0].next_call()).reject(status)
        assert await refer.outcome() == status
        await bob.resume()
        await talk(house, alice, bob)
        assert house.events.only(TransferFailed).outcome.status == status
        assert "Failed" not in house.events.names()
        alice.hangup()
        await bob.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_nobody_who_is_known_is_refused_in_words_and_the_call_stays() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        refer = bob.refer(to("nobody"))
        assert await refer.outcome() == 603
        assert "nothing is known" in refer.told[-1][1]
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_the_application_decides_whom_a_transfer_calls() -> None:
    async def scenario(house: House) -> None:
        _, bob = await three(house)
        seen: list[TransferRequest] = []

        def decide(request: TransferRequest) -> None:
            seen.append(request)
            request.accept(ToUser("carol"))
            with pytest.raises(CallStateError):
                request.reject()

        house.events.on_transfer = decide
        refer = bob.refer(to("+1555"))
        (await house.places["carol"][0].next_call()).answer()
        assert await refer.outcome() == 200
        assert (seen[0].to, seen[0].channel) == ("+1555", ChannelId.ONE)

    on_the_network(scenario)


def test_the_application_may_reject_a_transfer() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        house.events.on_transfer = lambda request: request.reject(403, "not from here")
        refer = bob.refer(to("carol"))
        assert await refer.outcome() == 403
        assert refer.told[-1] == (403, "not from here")
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_without_subscription_nothing_is_notified() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        refer = bob.refer(to("carol"), headers=[("Refer-Sub", "false")])
        carol = await house.places["carol"][0].next_call()
        assert refer.response is not None
        assert refer.response.header("Refer-Sub") == "false"
        carol.answer()
        await bob.wait_ended()
        await talk(house, alice, carol)
        assert refer.notifies == []

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 400),
        ([("Refer-To", "<sip:a@x>"), ("Refer-To", "<sip:b@x>")], 400),
        ([("Refer-To", "<sip:a@x")], 400),
        ([("Refer-To", "<http://x/a>")], 416),
        ([("Refer-To", "<sip:a@x;method=BYE>")], 603),
        ([("Refer-To", "<sip:a@x?Replaces=1>")], 400),
    ],
)
def test_a_refer_that_asks_for_nothing_that_can_be_done_is_refused(fields: list[tuple[str, str]], status: int) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        answer = await bob.request("REFER", headers=[("Contact", bob.agent.contact), *fields])
        assert answer.status == status
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_a_second_refer_while_one_runs_gets_491_from_either_side() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        fields = [("Contact", bob.agent.contact), ("Refer-To", f"<{to('carol')}>")]
        assert (await bob.request("REFER", headers=fields)).status == 491
        assert (await alice.request("REFER", headers=fields)).status == 491
        carol.answer()
        await bob.wait_ended()

    on_the_network(scenario)


# --- who hangs up when ------------------------------------------------------------------------------------------------


def test_who_asked_may_hang_up_while_the_newcomer_rings() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        bob.hangup()
        await house.settle()
        assert alice.ended is None
        waits = next(leg for leg in house.host.media.legs.values() if leg.port == remote_port(alice))
        assert waits.tone_hz == 0.0
        carol.answer()
        await house.settle()
        await talk(house, alice, carol)
        carol.hangup()
        await alice.wait_ended()
        await house.settle(40)
        house.check_over()
        assert house.events.names().count("Closed") == 1

    on_the_network(scenario)


def test_who_is_left_alone_by_a_transfer_that_fails_hears_a_bye() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        bob.hangup()
        await house.settle()
        carol.reject(486)
        assert (await alice.wait_ended()).how == "bye"
        assert house.calls[0].closed_reason is ClosedReason.FAILED
        assert house.events.names()[-2:] == ["TransferFailed", "Closed"]
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_who_is_kept_may_hang_up_while_the_newcomer_rings() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        alice.hangup()
        assert (await carol.wait_ended()).how == "cancel"
        await bob.wait_ended()
        assert house.events.names()[-3:] == ["HangUp", "TransferFailed", "Closed"]
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("who", ["alice", "bob", "carol", "nobody"])
@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.011, 0.021, 0.05, 0.1, 0.4, 1.0, 3.0])
def test_whoever_hangs_up_at_any_step_nothing_is_left_and_closed_is_told_once(
    who: str, after_s: float, loss: float
) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        if loss:
            house.network.default_link.loss = loss
            for link in house.network.links.values():
                link.loss = loss
        await asyncio.sleep(0)
        bob.refer(to("carol"))
        parties = {"alice": alice, "bob": bob}

        async def answer() -> None:
            carol = await house.places["carol"][0].next_call(timeout_s=30)
            parties["carol"] = carol
            await house.settle(0.02)
            if carol.ended is None:
                carol.answer()

        answering = asyncio.ensure_future(answer())
        await asyncio.sleep(after_s)
        if who in parties:
            parties[who].hangup()
        elif who == "carol":
            await answering
            await asyncio.sleep(after_s / 3)
            parties["carol"].hangup()
        await house.settle(60)
        for call in parties.values():
            call.hangup()
        await house.settle(80)
        answering.cancel()
        house.check_over()
        assert house.events.names().count("Closed") == 1
        assert house.events.names()[-1] == "Closed"
        told = [name for name in house.events.names() if name.startswith("Transfer")]
        assert len(told) in (0, 2)

    on_the_network(scenario, seed=int(after_s * 1000) + len(who))


# --- attended ---------------------------------------------------------------------------------------------------------


def test_an_attended_transfer_connects_the_far_ends_and_says_bye_to_both_legs_of_who_asked() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        await bob.hold()
        consult, carol = await connected(house, "bob", "carol")
        await consult.hold()
        refer = bob.refer(to("carol"), replaces=consult)
        assert await refer.outcome() == 200
        await bob.wait_ended()
        await consult.wait_ended()
        await house.settle()
        await talk(house, alice, carol)
        first, second = house.calls
        assert second.closed_reason is ClosedReason.TRANSFERRED
        assert first.state is CallState.CONNECTED
        carol.hangup()
        await alice.wait_ended()
        await house.settle(40)
        house.check_over()
        assert house.events.names().count("Closed") == 2

    on_the_network(scenario)


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("who", ["alice", "bob", "consult", "carol"])
@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.011, 0.021, 0.031, 0.05, 0.2, 2.0])
def test_whoever_hangs_up_during_an_attended_transfer_nothing_is_left(who: str, after_s: float, loss: float) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        await bob.hold()
        consult, carol = await connected(house, "bob", "carol")
        await consult.hold()
        if loss:
            for link in house.network.links.values():
                link.loss = loss
        parties = {"alice": alice, "bob": bob, "consult": consult, "carol": carol}
        bob.refer(to("carol"), replaces=consult)
        await asyncio.sleep(after_s)
        parties[who].hangup()
        await house.settle(60)
        for call in parties.values():
            call.hangup()
        await house.settle(80)
        house.check_over()
        closed = [event.call.id for event in house.events.closed()]
        assert sorted(closed) == sorted(call.id for call in house.calls)

    on_the_network(scenario, seed=int(after_s * 1000) + len(who))


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("who", ["alice", "bob", "carol"])
@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.011, 0.021, 0.05, 2.0])
def test_whoever_hangs_up_during_an_invite_with_replaces_nothing_is_left(who: str, after_s: float, loss: float) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        await bob.hold()
        if loss:
            for link in house.network.links.values():
                link.loss = loss
        carol = house.call(house.places["carol"][0], "bob", replaces(bob))
        parties = {"alice": alice, "bob": bob, "carol": carol}
        await asyncio.sleep(after_s)
        parties[who].hangup()
        await house.settle(60)
        for call in parties.values():
            call.hangup()
        await house.settle(80)
        house.check_over()
        assert len(house.events.closed()) == len(house.calls)

    on_the_network(scenario, seed=int(after_s * 1000) + len(who))


def test_a_dialog_that_is_not_there_cannot_be_replaced() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        refer = bob.refer(f"{to('carol')}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2")
        assert await refer.outcome() == 481
        await talk(house, alice, bob)

    on_the_network(scenario)


@pytest.mark.parametrize("held", [False, True])
def test_an_invite_with_replaces_takes_the_place_of_a_party(held: bool) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        if held:
            await bob.hold()
        carol = house.call(house.places["carol"][0], "bob", replaces(bob))
        await carol.wait_answered()
        await bob.wait_ended()
        await talk(house, alice, carol)
        assert len(house.exchange.sessions) == 1
        alice.hangup()
        await carol.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda fields: [("Replaces", "no;to-tag=1;from-tag=2")], 481),
        (lambda fields: [("Replaces", fields[0][1] + ";early-only")], 486),
        (lambda fields: fields + fields, 400),
        (lambda fields: [("Replaces", "no;to-tag=1")], 400),
    ],
)
def test_an_invite_that_replaces_nothing_is_refused(
    change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]], status: int
) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        carol = house.call(house.places["carol"][0], "bob", change(replaces(bob)))
        with pytest.raises(CallRefused) as refused:
            await carol.wait_answered()
        assert refused.value.status == status
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_a_line_replaces_no_dialog_of_another_peer() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        itsp = await house.phone("itsp", peer_type=PeerType.LINE)
        with pytest.raises(CallRefused) as refused:
            await house.call(itsp, "bob", replaces(bob)).wait_answered()
        assert refused.value.status == 403
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_who_has_no_codec_in_common_with_who_stays_replaces_nobody() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        dave = await house.phone("dave", codecs=[Codec("G729", 8000)], allowed=[Codec("G729", 8000)])
        with pytest.raises(CallRefused) as refused:
            await house.call(dave, "bob", replaces(bob)).wait_answered()
        assert refused.value.status == 488
        await talk(house, alice, bob)
        alice.hangup()
        await bob.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_two_sessions_are_made_one_by_the_application() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        consult, carol = await connected(house, "bob", "carol")
        first, second = house.calls
        outcome = await first.transfer_to_session(second)
        assert outcome.accepted
        await bob.wait_ended()
        await consult.wait_ended()
        assert await second.wait_closed() is ClosedReason.TRANSFERRED
        await house.settle()
        await talk(house, alice, carol)

    on_the_network(scenario)


# --- by the application -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves", [ChannelId.ZERO, ChannelId.ONE])
def test_the_application_transfers_inside(leaves: ChannelId) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        gone, kept = (alice, bob) if leaves is ChannelId.ZERO else (bob, alice)
        transferring = asyncio.ensure_future(house.calls[0].transfer("carol", channel=leaves))
        carol = await house.places["carol"][0].next_call()
        assert carol.caller_id == kept.agent.name
        with pytest.raises(CallStateError):
            await house.calls[0].transfer("carol")
        carol.answer()
        assert (await transferring).accepted
        await gone.wait_ended()
        await house.settle()
        await talk(house, kept, carol)
        assert house.sent("REFER") == []

    on_the_network(scenario)


def test_a_transfer_that_nobody_answers_is_a_timeout_and_the_call_goes_on() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        outcome = await house.calls[0].transfer(ToUser("carol"), timeout_s=3)
        assert (outcome.result, outcome.status) == (TransferResult.TIMEOUT, 408)
        assert "TransferTimeout" in house.events.names()
        await talk(house, alice, bob)
        unknown = await house.calls[0].transfer("nobody")
        assert (unknown.result, unknown.status) == (TransferResult.FAILED, 404)
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_cancelling_who_waits_for_a_transfer_gives_the_call_back() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        transferring = asyncio.ensure_future(house.calls[0].transfer("carol"))
        carol = await house.places["carol"][0].next_call()
        transferring.cancel()
        assert (await carol.wait_ended()).how == "cancel"
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_one_party_alone_is_kept_and_talks_to_whom_it_is_transferred_to() -> None:
    async def scenario(house: House) -> None:
        for name in ("alice", "carol"):
            await house.phone(name)

        @house.route
        async def route(call: CallSession) -> None:
            await call.answer()

        alice = house.call(house.places["alice"][0], "desk")
        await alice.wait_answered()
        await house.settle()
        (call,) = house.calls
        failed = asyncio.ensure_future(call.transfer("carol"))
        (await house.places["carol"][0].next_call()).reject(486)
        assert (await failed).status == 486
        assert call.one is None
        transferring = asyncio.ensure_future(call.transfer("carol"))
        carol = await house.places["carol"][0].next_call()
        carol.answer()
        assert (await transferring).accepted
        await talk(house, alice, carol)
        assert call.state is CallState.CONNECTED
        assert (await alice.request("REFER", headers=[("Contact", alice.agent.contact)])).status == 400
        carol.hangup()
        await alice.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_who_talks_to_nobody_cannot_be_transferred_away() -> None:
    async def scenario(house: House) -> None:
        await house.phone("alice")

        @house.route
        async def route(call: CallSession) -> None:
            await call.answer()

        alice = house.call(house.places["alice"][0], "desk")
        await alice.wait_answered()
        fields = [("Contact", alice.agent.contact), ("Refer-To", f"<{to('carol')}>")]
        assert (await alice.request("REFER", headers=fields)).status == 603
        assert alice.ended is None

    on_the_network(scenario)


def test_transfers_in_circles_end() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        house.calls[0].course.hops_left = 2
        refer = bob.refer(to("carol"))
        (await house.places["carol"][0].next_call()).reject(486)
        assert await refer.outcome() == 486
        refer = bob.refer(to("carol"))
        assert await refer.outcome() == 483
        for _ in range(28):
            assert await bob.refer(to("nobody")).outcome() == 603
        assert (await bob.refer(to("carol")).outcome()) == 603
        assert house.sent("SIP/2.0 603 Too Many Transfers")
        await talk(house, alice, bob)

    on_the_network(scenario)


# --- over a line ------------------------------------------------------------------------------------------------------


async def over_a_line(house: House) -> tuple[ScriptedCall, ScriptedCall]:
    await house.phone("itsp", peer_type=PeerType.LINE, transfer="refer")
    await house.phone("bob")
    return await connected(house, "itsp", "bob")


def take(itsp: ScriptedCall, status: int, reason: str = "OK") -> list[str]:
    assert itsp.session is not None
    return take_refers(itsp.session, status, reason)


@pytest.mark.parametrize("by_phone", [True, False])
def test_a_line_that_says_so_is_asked_by_refer_and_the_session_closes_as_transferred(by_phone: bool) -> None:
    async def scenario(house: House) -> None:
        itsp, bob = await over_a_line(house)
        asked = take(itsp, 200)
        if by_phone:
            assert await bob.refer(to("+1555")).outcome() == 200
        else:
            assert (await house.calls[0].transfer("+1555")).accepted
        assert asked == ["sip:+1555@provider.example"]
        await bob.wait_ended()
        await itsp.wait_ended()
        assert house.calls[0].closed_reason is ClosedReason.TRANSFERRED
        assert house.events.names()[-2:] == ["TransferAccepted", "Closed"]
        await house.settle(60)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize(("status", "result"), [(486, TransferResult.FAILED), (0, TransferResult.TIMEOUT)])
def test_what_the_provider_tells_of_its_attempt_is_the_outcome(status: int, result: TransferResult) -> None:
    async def scenario(house: House) -> None:
        itsp, bob = await over_a_line(house)
        take(itsp, status, "Busy Here")
        outcome = await house.calls[0].transfer("+1555", timeout_s=20)
        assert outcome.result is result
        await talk(house, itsp, bob)

    on_the_network(scenario)


def test_a_provider_that_refuses_refer_gives_the_call_back() -> None:
    async def scenario(house: House) -> None:
        itsp, bob = await over_a_line(house)
        refer = bob.refer(to("+1555"))
        assert await refer.outcome() == 405
        await talk(house, itsp, bob)

    on_the_network(scenario)


def test_a_provider_that_hangs_up_after_202_has_gone_where_it_was_sent() -> None:
    async def scenario(house: House) -> None:
        itsp, bob = await over_a_line(house)
        take(itsp, 0)
        transferring = asyncio.ensure_future(house.calls[0].transfer("+1555"))
        await house.settle()
        itsp.hangup()
        assert (await transferring).accepted
        await bob.wait_ended()
        assert house.calls[0].closed_reason is ClosedReason.TRANSFERRED

    on_the_network(scenario)
