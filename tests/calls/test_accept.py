"""Accepting a call: the seed's two flows, what crosses and what does not, failures, timeouts, forks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.calls.house import ADDRESS, House, OneAddress, on_the_network
from trunkline.calls.environment import CallOptions
from trunkline.calls.peers import Placing, Target
from trunkline.calls.placement import Placement
from trunkline.calls.session import CallSession, CallState
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import (
    Busy,
    CallEnded,
    CallFailed,
    CallStateError,
    Declined,
    NoAnswer,
    NoMediaPorts,
    NotRegistered,
)
from trunkline.events import (
    AttemptFailed,
    CallSessionClosed,
    CallSessionConnecting,
    CallSessionFailed,
    CallSessionHangUp,
    IncomingCall,
)
from trunkline.media.engine import Leg
from trunkline.sip.endpoint import Codec, Flow
from trunkline.testing.call import CallRefused, ScriptedCall

PCMU, PCMA = Codec("PCMU", 8000), Codec("PCMA", 8000)


async def to_bob(call: CallSession) -> None:
    await call.accept(to_user="bob")


async def connected(house: House) -> tuple[ScriptedCall, ScriptedCall, CallSession]:
    """Alice and bob talk."""
    alice, bob = await house.phone("alice"), await house.phone("bob")
    house.route(to_bob)
    at_alice = house.call(alice, "bob")
    at_bob = await bob.next_call()
    at_bob.ring()
    await at_alice.wait_ringing()
    at_bob.answer()
    await at_alice.wait_answered()
    await at_bob.wait_answered()
    return at_alice, at_bob, house.calls[0]


def test_a_phone_calls_through_a_line_in_the_seeds_order() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        itsp = await house.phone("itsp", peer_type=PeerType.LINE)

        async def route(call: CallSession) -> None:
            await call.accept(to_line="itsp")

        house.route(route)
        at_alice = house.call(alice, "15550100")
        at_itsp = await itsp.next_call()
        assert at_itsp.dialled == "15550100"
        assert at_itsp.caller_id == "alice"
        at_itsp.ring()
        await at_alice.wait_ringing()
        at_itsp.answer()
        await at_alice.wait_answered()
        call = house.calls[0]
        assert call.state is CallState.CONNECTED
        incoming = house.events.only(IncomingCall)
        assert (incoming.from_peer_type, incoming.from_peer_name) == (PeerType.USER, "alice")
        assert (incoming.from_ip, incoming.user_agent) == (alice.address, "")
        at_itsp.hangup()
        ended = await at_alice.wait_ended()
        assert (ended.by_us, ended.how) == (False, "bye")
        assert house.events.names() == ["Created", "IncomingCall", "Connecting", "Connected", "HangUp", "Closed"]
        assert house.events.only(CallSessionHangUp).channel is ChannelId.ONE
        assert house.events.only(CallSessionClosed).reason is ClosedReason.HANGUP
        house.check_over()

    on_the_network(scenario)


def test_a_mobile_calls_in_through_a_line_and_the_phone_rings() -> None:
    async def scenario(house: House) -> None:
        itsp = await house.phone("itsp", peer_type=PeerType.LINE)
        alice = await house.phone("alice")

        async def route(call: CallSession) -> None:
            await call.accept(to_user="alice", dial_number="alice")

        house.route(route)
        at_itsp = house.call(itsp, "15551234")
        at_alice = await alice.next_call()
        at_alice.ring()
        await at_itsp.wait_ringing()
        at_alice.answer()
        await at_itsp.wait_answered()
        assert house.events.only(IncomingCall).from_peer_type is PeerType.LINE
        at_itsp.hangup()
        await at_alice.wait_ended()
        assert house.events.only(CallSessionHangUp).channel is ChannelId.ZERO
        assert house.events.only(CallSessionConnecting).channel is ChannelId.ONE
        await house.settle()
        house.check_over()

    on_the_network(scenario)


TELLING = {
    "Call-ID": rb"(?m)^Call-ID: *(\S+)\r$",
    "tag": rb";tag=([^;,>\s]+)",
    "branch": rb";branch=([^;,\s]+)",
    "session": rb"(?m)^o=\S+ (\d+) ",
}
"""What tells one leg from another, and must stay on it."""


def telling(packets: list[bytes]) -> dict[str, set[bytes]]:
    """What tells the leg that these packets are of."""
    text = b"\r\n".join(packets)
    return {name: set(re.findall(pattern, text)) for name, pattern in TELLING.items()}


def test_the_parties_never_see_each_other() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        alice, bob = house.agents
        await at_alice.hold()
        await at_bob.reoffer("sendonly", update=True)
        at_alice.hangup([("Reason", 'Q.850;cause=16;text="bye"')])
        await at_bob.wait_ended()
        await house.settle()
        for side, other in ((alice, bob), (bob, alice)):
            there = [p.data for p in house.network.delivered if other.address in (p.source[0], p.destination[0])]
            here = [p.data for p in house.network.delivered if side.address in (p.source[0], p.destination[0])]
            assert {data.split(b" ")[0] for data in here} >= {b"INVITE", b"ACK", b"BYE", b"SIP/2.0"}
            secrets = telling(there)
            assert len(secrets["Call-ID"]) == 1
            assert len(secrets["tag"]) == 2
            assert len(secrets["branch"]) >= 4
            assert len(secrets["session"]) == 2, "the phone's and ours"
            for secret in (other.address.encode(), *set().union(*secrets.values())):
                assert not [data for data in here if secret in data], secret
        for packet in house.network.delivered:
            if packet.source[0] == ADDRESS:
                assert b"trunkline-testing" not in packet.data

    on_the_network(scenario)


def test_a_reason_crosses_on_bye() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_alice.hangup([("Reason", 'Q.850;cause=16;text="Normal clearing"')])
        ended = await at_bob.wait_ended()
        assert ended.message is not None
        assert ended.message.values("Reason") == ['Q.850 ;cause=16 ;text="Normal clearing"']

    on_the_network(scenario)


def test_the_session_relays_between_its_two_legs() -> None:
    async def scenario(house: House) -> None:
        _, _, call = await connected(house)
        zero, one = call.zero.leg, call.one.leg if call.one else None
        assert zero is not None
        assert one is not None
        legs = house.host.media.legs
        assert legs[zero.number].linked == one.number
        assert legs[one.number].linked == zero.number
        for leg in (zero, one):
            assert legs[leg.number].configured["sends"]
            assert legs[leg.number].configured["remote_rtp"][0] in ("10.0.0.2", "10.0.0.3")

    on_the_network(scenario)


@pytest.mark.parametrize(("written", "crosses"), [(70, "69"), (20, "19"), (2, "1")])
def test_max_forwards_crosses_less_one(written: int, crosses: str) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        house.call(alice, "bob", [("Max-Forwards", str(written))])
        at_bob = await bob.next_call()
        assert at_bob.invite is not None
        assert at_bob.invite.header("Max-Forwards") == crosses

    on_the_network(scenario)


@pytest.mark.parametrize("written", [0, 1])
def test_a_call_that_has_no_hop_left_gets_483(written: int) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob", [("Max-Forwards", str(written))])
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 483
        assert bob.incoming.empty()
        house.check_over()

    on_the_network(scenario)


def test_common_codecs_are_offered_first_and_the_caller_gets_what_the_callee_took() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(PCMU, PCMA, Codec("telephone-event", 8000)))
        bob = await house.phone("bob", codecs=(PCMA,), allowed=(PCMA, Codec("G722", 8000)))
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        assert at_bob.invite is not None
        names = [line.split()[1] for line in at_bob.invite.body.decode().splitlines() if line.startswith("a=rtpmap")]
        assert names == ["PCMA/8000", "G722/8000", "telephone-event/8000"]
        at_bob.answer()
        await at_alice.wait_answered()
        plan = house.calls[0].zero.plan
        assert plan is not None
        assert [codec.name for codec in plan.send_codecs] == ["PCMA"]

    on_the_network(scenario)


def test_no_common_codec_is_explained() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(PCMU,))
        await house.phone("bob", allowed=(Codec("G729", 8000),))
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 488
        assert refused.value.message is not None
        assert "no codec in common" in (refused.value.message.header("Warning") or "")
        assert house.events.only(AttemptFailed).status == 488
        house.check_over()

    on_the_network(scenario)


def test_an_offer_of_nothing_usable_makes_no_session() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(Codec("iLBC", 8000),))
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 488
        assert refused.value.message is not None
        assert "iLBC" in (refused.value.message.header("Warning") or "")
        assert house.events.events == []

    on_the_network(scenario)


def test_early_media_is_relayed_and_the_answer_stays_the_same() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring(183, early_media=True)
        early = await at_alice.wait_ringing()
        assert early.status == 183
        assert early.body
        zero = house.calls[0].zero.leg
        assert zero is not None
        assert house.host.media.legs[zero.number].linked
        at_bob.answer()
        await at_alice.wait_answered()
        answer = next(p.data for p in house.sent("SIP/2.0 200", to=alice))
        assert answer.endswith(early.body)
        assert house.events.names()[:4] == ["Created", "IncomingCall", "Connecting", "Connected"]

    on_the_network(scenario)


def test_ringing_after_early_media_still_crosses() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring(183, early_media=True)
        await at_alice.wait_ringing()
        at_bob.ring(180)
        await house.settle()
        assert [message.status for message in at_alice.provisionals] == [183, 180]
        at_alice.hangup()
        await at_bob.wait_ended()

    on_the_network(scenario)


def test_busy_goes_back_and_is_raised() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.reject(486, headers=[("Reason", "Q.850;cause=17")])
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 486
        assert refused.value.message is not None
        assert refused.value.message.values("Reason") == ["Q.850 ;cause=17"]
        await house.settle()
        assert house.events.names() == ["Created", "IncomingCall", "AttemptFailed", "Failed", "Closed"]
        assert house.events.only(CallSessionClosed).reason is ClosedReason.FAILED
        assert isinstance(house.events.raised[0], Busy)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("status", [401, 403, 407, 408, 503])
def test_a_lines_own_trouble_never_reaches_the_phone_raw(status: int) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        itsp = await house.phone("itsp", peer_type=PeerType.LINE)

        async def route(call: CallSession) -> None:
            call.accept(to_line="itsp")

        house.route(route)
        at_alice = house.call(alice, "1555")
        (await itsp.next_call()).reject(status)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status in (500, 502, 504)
        assert house.events.only(CallSessionFailed).status == status

    on_the_network(scenario)


def test_all_phones_ring_and_the_first_answer_wins() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        desk, mobile = await house.phone("bob"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_desk, at_mobile = await desk.next_call(), await mobile.next_call()
        assert at_desk.invite is not None
        assert at_mobile.invite is not None
        assert at_desk.invite.call_id != at_mobile.invite.call_id
        assert at_desk.invite.from_tag != at_mobile.invite.from_tag
        at_desk.ring()
        at_mobile.ring(183, early_media=True)
        await at_alice.wait_ringing()
        await house.settle()
        assert [message.status for message in at_alice.provisionals] == [180]
        assert not at_alice.provisionals[0].body
        at_mobile.answer()
        await at_alice.wait_answered()
        lost = await at_desk.wait_ended()
        assert lost.how == "cancel"
        assert lost.message is not None
        assert lost.message.header("Reason") == 'SIP ;cause=200 ;text="Call completed elsewhere"'
        await house.settle()
        assert "AttemptFailed" not in house.events.names()
        at_alice.hangup()
        await at_mobile.wait_ended()
        await house.settle()
        house.check_over()

    on_the_network(scenario)


NOWHERE = "10.9.9.9"


def _media(addresses: OneAddress, flow: Flow) -> tuple[str, str]:
    if flow.remote[0] == NOWHERE:
        raise ValueError("no address of ours leads there")
    return ADDRESS, ADDRESS


def _no_request(target: Target) -> Target:
    return replace(target, headers=(("Route", "<sip:proxy;lr>\r\nX: y"),))


def _nowhere(target: Target) -> Target:
    return replace(target, flow=Flow("udp", (NOWHERE, 5060), None))


@pytest.mark.parametrize("spoil", [_no_request, _nowhere])
@pytest.mark.parametrize("spoilt", [0, 1])
def test_a_phone_that_cannot_be_called_costs_its_own_attempt_alone(
    spoil: Callable[[Target], Target], spoilt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        phones = [await house.phone("bob"), await house.phone("bob")]

        async def targets(placing: Placing) -> list[Target]:
            found = list(await House.targets(house, placing))
            found[spoilt] = spoil(found[spoilt])
            return found

        monkeypatch.setattr(house, "targets", targets)
        monkeypatch.setattr(OneAddress, "media", _media)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await phones[1 - spoilt].next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        assert house.events.only(AttemptFailed).status in (500, 503)
        at_alice.hangup()
        await at_bob.wait_ended()
        house.check_over()

    on_the_network(scenario)


def test_a_single_phone_that_cannot_be_called_fails_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        await house.phone("bob")

        async def targets(placing: Placing) -> list[Target]:
            return [_no_request(target) for target in await House.targets(house, placing)]

        monkeypatch.setattr(house, "targets", targets)
        house.route(to_bob)
        with pytest.raises(CallRefused) as refused:
            await house.call(alice, "bob").wait_answered()
        assert refused.value.status == 500
        assert house.events.only(AttemptFailed).status == 500
        house.check_over()

    on_the_network(scenario)


def test_of_several_refusals_the_best_goes_back() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        desk, mobile = await house.phone("bob"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        (await desk.next_call()).reject(486)
        await house.settle()
        assert house.exchange.sessions
        (await mobile.next_call()).reject(480)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 486
        assert house.events.names().count("AttemptFailed") == 2
        assert house.events.names().count("Failed") == 1

    on_the_network(scenario)


def test_a_decline_speaks_for_all_phones() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        desk, mobile = await house.phone("bob"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_mobile = await mobile.next_call()
        (await desk.next_call()).reject(603)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 603
        assert (await at_mobile.wait_ended()).how == "cancel"
        assert isinstance(house.events.raised[0], Declined)

    on_the_network(scenario)


def test_nobody_answers_in_time() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            with pytest.raises(NoAnswer):
                await call.accept(to_user="bob", timeout_s=20)

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered(30)
        assert refused.value.status == 480
        assert (await at_bob.wait_ended()).how == "cancel"
        assert house.events.names() == ["Created", "IncomingCall", "Connecting", "Timeout", "Closed"]
        assert house.events.only(CallSessionClosed).reason is ClosedReason.TIMEOUT
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_after_a_failure_the_handler_may_try_another() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = await house.phone("alice"), await house.phone("bob"), await house.phone("carol")

        async def route(call: CallSession) -> None:
            try:
                await call.accept(to_user="bob")
            except Busy:
                await call.accept(to_user="carol", dial_number="carol")

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        at_carol = await carol.next_call()
        at_carol.answer()
        await at_alice.wait_answered()
        assert house.events.names()[-1] == "Connected"

    on_the_network(scenario)


def test_after_a_timeout_the_handler_may_try_another() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = await house.phone("alice"), await house.phone("bob"), await house.phone("carol")

        async def route(call: CallSession) -> None:
            try:
                await call.accept(to_user="bob", timeout_s=5)
            except NoAnswer:
                await call.accept(to_user="carol", dial_number="carol")

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        at_carol = await carol.next_call(timeout_s=10)
        assert (await at_bob.wait_ended()).how == "cancel"
        at_carol.answer()
        await at_alice.wait_answered()
        assert house.events.names()[-1] == "Connected"

    on_the_network(scenario)


def test_the_failed_event_may_bring_another_target() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = await house.phone("alice"), await house.phone("bob"), await house.phone("carol")

        async def route(call: CallSession) -> None:
            call.accept(to_user="bob")

        async def failed(call: CallSession) -> None:
            call.accept(to_user="carol")

        house.route(route)
        house.events.on_failed = failed
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        (await carol.next_call()).answer()
        await at_alice.wait_answered()

    on_the_network(scenario)


async def in_turn(call: CallSession, pause_s: float = 0.0, *names: str) -> None:
    """Try one after another, as an application does."""
    for name in names:
        try:
            await call.accept(to_user=name)
        except CallFailed:
            await asyncio.sleep(pause_s)
        else:
            return


@pytest.mark.parametrize("pause_s", [0.0, 2.0])
def test_a_task_that_a_handler_started_may_try_another_target(pause_s: float) -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = [await house.phone(name) for name in ("alice", "bob", "carol")]
        tasks: list[asyncio.Task[None]] = []

        async def route(call: CallSession) -> None:
            tasks.append(asyncio.create_task(in_turn(call, pause_s, "bob", "carol")))

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        at_carol = await carol.next_call()
        at_carol.answer()
        await at_alice.wait_answered()
        await tasks[0]
        assert house.events.names().count("Failed") == 1
        at_alice.hangup()
        await at_carol.wait_ended()
        house.check_over()

    on_the_network(scenario)


def test_a_wait_with_a_limit_in_such_a_task_may_try_another_target() -> None:
    async def scenario(house: House) -> None:
        alice, bob, carol = [await house.phone(name) for name in ("alice", "bob", "carol")]
        tasks: list[asyncio.Task[None]] = []

        async def wait(placement: Placement) -> None:
            await placement

        async def work(call: CallSession) -> None:
            with pytest.raises(Busy):
                await asyncio.create_task(wait(call.accept(to_user="bob")))
            await call.accept(to_user="carol")

        async def route(call: CallSession) -> None:
            tasks.append(asyncio.create_task(work(call)))

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        (await carol.next_call()).answer()
        await at_alice.wait_answered()
        await tasks[0]

    on_the_network(scenario)


def test_the_caller_is_told_when_such_a_task_ends_without_an_answer() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        tasks: list[asyncio.Task[None]] = []

        async def route(call: CallSession) -> None:
            tasks.append(asyncio.create_task(in_turn(call, 3.0, "bob")))

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        await house.settle(2.0)
        assert at_alice.ended is None
        await tasks[0]
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered(0.5)
        assert refused.value.status == 486
        house.check_over()

    on_the_network(scenario)


def test_a_task_that_never_ends_keeps_the_caller_for_the_decision_timeout_only() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        tasks: list[asyncio.Task[None]] = []

        async def route(call: CallSession) -> None:
            tasks.append(asyncio.create_task(in_turn(call, 1000.0, "bob")))

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered(11)
        assert refused.value.status == 486
        house.check_over()
        tasks[0].cancel()

    on_the_network(scenario, options=CallOptions(decision_timeout_s=10))


def test_without_a_media_port_such_a_task_may_still_decide() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        tasks: list[asyncio.Task[None]] = []

        async def work(call: CallSession) -> None:
            with pytest.raises(CallFailed) as failed:
                await call.accept(to_user="bob")
            assert failed.value.status == 503
            call.reject(486)

        async def route(call: CallSession) -> None:
            tasks.append(asyncio.create_task(work(call)))

        def no_leg(address: str, *, beside: object = None) -> Leg:
            raise NoMediaPorts("none is free")

        house.media.open_leg = no_leg  # type: ignore[method-assign]
        house.route(route)
        with pytest.raises(CallRefused) as refused:
            await house.call(alice, "bob").wait_answered()
        assert refused.value.status == 486
        await tasks[0]

    on_the_network(scenario)


def test_a_failure_that_nobody_awaits_is_told_at_once() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered(0.5)
        assert refused.value.status == 486

    on_the_network(scenario)


def test_after_early_media_of_a_failed_target_another_may_answer_with_another_codec() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", codecs=(PCMU,), allowed=(PCMU,))
        carol = await house.phone("carol", codecs=(PCMA,), allowed=(PCMA,))

        async def route(call: CallSession) -> None:
            try:
                await call.accept(to_user="bob")
            except Busy:
                await call.accept(to_user="carol")

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring(183, early_media=True)
        await at_alice.wait_ringing()
        at_bob.reject(486)
        (await carol.next_call()).answer()
        await at_alice.wait_answered()
        await house.settle()
        assert house.events.names()[-1] == "Connected"
        assert len(at_alice.requests) == 1
        call = house.calls[0]
        plan = call.zero.plan
        assert plan is not None
        assert [codec.name for codec in plan.send_codecs] == ["PCMA"]

    on_the_network(scenario)


def test_an_unknown_target_is_a_failure() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 404
        assert house.events.only(CallSessionFailed).status == 404

    on_the_network(scenario)


@pytest.mark.parametrize("peer_type", list(PeerType))
def test_a_480_of_a_phone_that_rang_is_no_missing_registration(peer_type: PeerType) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob", peer_type=peer_type)
        raised: list[CallFailed] = []

        async def route(call: CallSession) -> None:
            try:
                await (call.accept(to_user="bob") if peer_type is PeerType.USER else call.accept(to_line="bob"))
            except CallFailed as error:
                raised.append(error)

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        at_bob.reject(480)
        with pytest.raises(CallRefused):
            await at_alice.wait_answered()
        assert [(type(error), error.status) for error in raised] == [(CallFailed, 480)]

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("peer_type", "kind"), [(PeerType.USER, NotRegistered), (PeerType.LINE, CallFailed)], ids=["user", "line"]
)
def test_only_a_user_without_a_phone_is_not_registered(peer_type: PeerType, kind: type[CallFailed]) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        house.places["bob"] = []
        raised: list[CallFailed] = []

        async def route(call: CallSession) -> None:
            try:
                await (call.accept(to_user="bob") if peer_type is PeerType.USER else call.accept(to_line="bob"))
            except CallFailed as error:
                raised.append(error)

        house.route(route)
        with pytest.raises(CallRefused):
            await house.call(alice, "bob").wait_answered()
        assert [(type(error), error.status) for error in raised] == [(kind, 480)]

    on_the_network(scenario)


def test_a_dead_phone_is_not_there() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        bob.vanish()
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered(60)
        assert refused.value.status == 480
        assert house.events.only(CallSessionFailed).status == 408
        house.check_over()

    on_the_network(scenario)


def test_a_redirection_closes_as_moved_and_hides_its_contact() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(302, headers=[("Contact", "<sip:carol@10.9.9.9>")])
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 480
        assert house.events.only(CallSessionFailed).contact == "sip:carol@10.9.9.9"
        assert house.events.only(CallSessionClosed).reason is ClosedReason.MOVED

    on_the_network(scenario)


def test_accepting_twice_is_refused() -> None:
    async def scenario(house: House) -> None:
        alice, _ = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            call.accept(to_user="bob")
            with pytest.raises(CallStateError):
                call.accept(to_user="bob")
            with pytest.raises(ValueError, match="exactly one"):
                call.accept()

        house.route(route)
        at_alice = house.call(alice, "bob")
        await house.settle()
        at_alice.hangup()
        await house.settle()
        assert house.events.raised == []

    on_the_network(scenario)


def test_accepting_a_call_that_is_over_raises_call_ended() -> None:
    async def scenario(house: House) -> None:
        alice, _ = await house.phone("alice"), await house.phone("bob")
        raised = asyncio.Event()

        async def route(call: CallSession) -> None:
            await call.wait_closed()
            with pytest.raises(CallEnded):
                await call.accept(to_user="bob")
            raised.set()

        house.route(route)
        at_alice = house.call(alice, "bob")
        await house.settle()
        at_alice.hangup()
        await raised.wait()

    on_the_network(scenario)


def test_accept_works_from_another_thread() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        outcomes: list[CallFailed | CallStateError] = []

        async def route(call: CallSession) -> None:
            placement = await asyncio.to_thread(lambda: call.accept(to_user="bob"))
            twice = await asyncio.to_thread(lambda: call.accept(to_user="bob"))
            for waiting in (twice, placement):
                try:
                    await waiting
                except (CallFailed, CallStateError) as error:
                    outcomes.append(error)

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        with pytest.raises(CallRefused):
            await at_alice.wait_answered()
        assert [type(error) for error in outcomes] == [CallStateError, Busy]

    on_the_network(scenario)


def test_commands_from_another_thread_are_carried_out_and_raise_there() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")

        async def route(call: CallSession) -> None:
            await asyncio.to_thread(call.reject, 404, "Not Here")
            with pytest.raises(CallEnded):
                await asyncio.to_thread(call.reject)
            await asyncio.to_thread(call.close)

        house.route(route)
        at_alice = house.call(alice, "bob")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert (refused.value.status, refused.value.reason) == (404, "Not Here")
        await house.settle()
        assert house.events.raised == []

    on_the_network(scenario)


def test_a_call_that_rang_stays_known_while_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a BYE right behind the ACK is never for a dialog that Rust does not know."""

    async def scenario(house: House) -> None:
        forgotten: list[tuple[str, str, str]] = []
        monkeypatch.setattr(house.host.driver, "remove_dialog", lambda *key: forgotten.append(key))
        await connected(house)
        assert forgotten == []

    on_the_network(scenario)
