"""The linear style: dial, answer, dial_user, bridge; what each gives back when a party goes."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.house import House, on_the_network
from trunkline.calls.bridge import BridgeEnd, BridgeOutcome
from trunkline.calls.channel import Channel
from trunkline.calls.peers import Placing
from trunkline.calls.session import CallSession, CallState
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import Busy, CallEnded, CallFailed, CallStateError, NoAnswer
from trunkline.events import CallSessionClosed, CallSessionFailed, CallSessionHangUp
from trunkline.sip.endpoint import Codec, Message
from trunkline.testing.call import ScriptedCall
from trunkline.testing.network import Packet

PCMU, PCMA, G729 = Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("G729", 8000)


def placing(name: str) -> Placing:
    return Placing(PeerType.USER, name, name, "House", "100")


async def dialled(house: House, name: str, *, timeout_s: float = 20) -> tuple[CallSession, ScriptedCall]:
    """Dial a phone, which answers."""
    phone = house.places[name][0]
    dialling = asyncio.ensure_future(house.exchange.dial(placing(name), timeout_s=timeout_s))
    at_phone = await phone.next_call()
    at_phone.answer()
    return await dialling, at_phone


def test_dial_gives_the_answered_session() -> None:
    async def scenario(house: House) -> None:
        await house.phone("bob")
        call, at_bob = await dialled(house, "bob")
        assert call.state is CallState.ANSWERED
        assert at_bob.caller_id == "100"
        assert house.events.names() == ["Created", "Connected"]
        at_bob.hangup()
        assert await call.wait_closed() is ClosedReason.HANGUP
        assert house.events.only(CallSessionHangUp).channel is ChannelId.ZERO
        house.check_over()

    on_the_network(scenario)


def test_dial_raises_what_the_callee_says() -> None:
    async def scenario(house: House) -> None:
        bob = await house.phone("bob")
        dialling = asyncio.ensure_future(house.exchange.dial(placing("bob"), timeout_s=20))
        (await bob.next_call()).reject(486)
        with pytest.raises(Busy):
            await dialling
        assert house.events.names() == ["Created", "AttemptFailed", "Failed", "Closed"]
        assert house.events.only(CallSessionFailed).channel is ChannelId.ZERO
        house.check_over()

    on_the_network(scenario)


def test_dial_gives_up_in_time() -> None:
    async def scenario(house: House) -> None:
        bob = await house.phone("bob")
        dialling = asyncio.ensure_future(house.exchange.dial(placing("bob"), timeout_s=20))
        at_bob = await bob.next_call()
        at_bob.ring()
        with pytest.raises(NoAnswer):
            await dialling
        assert (await at_bob.wait_ended()).how == "cancel"
        assert house.events.only(CallSessionClosed).reason is ClosedReason.TIMEOUT

    on_the_network(scenario)


def test_cancelling_the_task_that_dials_cancels_the_call() -> None:
    async def scenario(house: House) -> None:
        bob = await house.phone("bob")
        dialling = asyncio.ensure_future(house.exchange.dial(placing("bob"), timeout_s=20))
        at_bob = await bob.next_call()
        at_bob.ring()
        await house.settle(0.1)
        dialling.cancel()
        assert (await at_bob.wait_ended()).how == "cancel"
        assert house.events.only(CallSessionClosed).reason is ClosedReason.CLOSED
        house.check_over()

    on_the_network(scenario)


def test_a_dialled_call_may_be_connected_with_a_second_party() -> None:
    async def scenario(house: House) -> None:
        await house.phone("bob")
        carol = await house.phone("carol", codecs=(PCMA,), allowed=(PCMA,))
        call, at_bob = await dialled(house, "bob")
        accepting = call.accept(to_user="carol")
        (await carol.next_call()).answer()
        await accepting
        assert call.state is CallState.CONNECTED
        assert len(at_bob.requests) == 1
        plan = call.zero.plan
        assert plan is not None
        assert [codec.name for codec in plan.send_codecs] == ["PCMA", "telephone-event"]

    on_the_network(scenario)


def test_answer_gives_the_caller_silence_until_somebody_comes() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            await call.answer()
            with pytest.raises(CallStateError):
                await call.answer()
            await asyncio.sleep(5)
            await call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        await at_alice.wait_answered()
        call = house.calls[0]
        assert call.zero.leg is not None
        leg = house.host.media.legs[call.zero.leg.number]
        assert (leg.tone_hz, bool(leg.linked)) == (0.0, False)
        assert call.state.value == "answered"
        at_bob = await bob.next_call(10)
        at_bob.answer()
        await house.settle()
        assert house.calls[0].state.value == "connected"
        assert (leg.tone_hz, bool(leg.linked)) == (None, True)
        assert house.events.names() == ["Created", "IncomingCall", "Connected", "Connected"]
        assert house.events.raised == []
        at_bob.hangup()
        await at_alice.wait_ended()
        house.check_over()

    on_the_network(scenario)


def test_an_answer_takes_headers_along_and_only_those_that_are_to_be_set() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")

        async def route(call: CallSession) -> None:
            with pytest.raises(ValueError, match=r"^headers: "):
                await call.answer(headers={"Contact": "<sip:mallory@evil.example>"})
            await call.answer(headers=[("User-to-User", "01"), ("User-to-User", "02")])

        house.route(route)
        at_alice = house.call(alice, "bob")
        await at_alice.wait_answered()
        (answer,) = [each for each in map(parsed, house.sent("SIP/2.0 200 ", to=alice)) if each.method == "INVITE"]
        assert answer.lines("User-to-User") == ["01", "02"]
        assert house.events.raised == []

    on_the_network(scenario)


def parsed(packet: Packet) -> Message:
    return Message.parse(packet.data)


def test_an_answered_caller_gets_the_common_codec_by_reinvite() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", codecs=(PCMA,))

        async def route(call: CallSession) -> None:
            await call.answer()
            await call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).answer()
        await house.settle()
        plan = house.calls[0].zero.plan
        assert plan is not None
        assert [codec.name for codec in plan.send_codecs] == ["PCMA", "telephone-event"]
        assert len(at_alice.requests) == 1
        assert house.events.names()[-1] == "Connected"

    on_the_network(scenario)


def test_an_answered_caller_whose_second_party_fails_is_hung_up() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            await call.answer()
            await call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(486)
        assert (await at_alice.wait_ended()).how == "bye"
        assert house.events.only(CallSessionClosed).reason is ClosedReason.FAILED
        house.check_over()

    on_the_network(scenario)


class Desk:
    """A handler in the linear style: answer, dial an agent, bridge, and what came of it."""

    def __init__(self, house: House, name: str = "bob") -> None:
        self.outcome: BridgeOutcome | None = None
        self.agent: CallSession | None = None
        self.raised: Exception | None = None
        self._name = name
        house.route(self)

    async def __call__(self, call: CallSession) -> None:
        await call.answer()
        try:
            self.agent = await call.dial_user(self._name)
            self.outcome = await call.bridge(self.agent)
        except Exception as error:
            self.raised = error


async def bridged(house: House, **options: object) -> tuple[Desk, ScriptedCall, ScriptedCall]:
    alice, bob = await house.phone("alice"), await house.phone("bob")
    desk = Desk(house)
    at_alice = house.call(alice, "bob")
    at_bob = await bob.next_call()
    assert at_bob.caller_id == "alice"
    at_bob.answer()
    await house.settle()
    assert desk.raised is None
    return desk, at_alice, at_bob


def linked(house: House) -> bool:
    legs = house.host.media.legs.values()
    return len(legs) == 2 and all(leg.linked for leg in legs)


def test_a_bridge_lets_two_sessions_talk_until_the_agent_goes() -> None:
    async def scenario(house: House) -> None:
        desk, at_alice, at_bob = await bridged(house)
        assert linked(house)
        at_bob.hangup()
        await house.settle()
        assert desk.outcome is not None
        assert desk.outcome.ended_by is desk.agent
        assert desk.outcome.how is BridgeEnd.HANGUP
        assert at_alice.ended is None
        caller = house.calls[0]
        assert caller.state is CallState.ANSWERED
        assert [leg.tone_hz for leg in house.host.media.legs.values()] == [0.0]
        caller.close()
        assert (await at_alice.wait_ended()).how == "bye"
        house.check_over()

    on_the_network(scenario)


def test_the_agent_stays_when_the_caller_goes() -> None:
    async def scenario(house: House) -> None:
        desk, at_alice, at_bob = await bridged(house)
        at_alice.hangup()
        await house.settle()
        assert desk.outcome is not None
        assert desk.outcome.ended_by is house.calls[0]
        assert at_bob.ended is None
        assert desk.agent is not None
        assert desk.agent.state is CallState.ANSWERED
        desk.agent.close()
        await at_bob.wait_ended()
        house.check_over()

    on_the_network(scenario)


def test_closing_a_session_ends_its_bridge() -> None:
    async def scenario(house: House) -> None:
        desk, _, at_bob = await bridged(house)
        house.calls[0].close()
        await house.settle()
        assert desk.outcome is not None
        assert desk.outcome.how is BridgeEnd.CLOSED
        assert at_bob.ended is None

    on_the_network(scenario)


def test_hold_crosses_a_bridge() -> None:
    async def scenario(house: House) -> None:
        _, at_alice, at_bob = await bridged(house)
        await at_bob.hold()
        assert at_alice.remote_holds == ["sendonly"]
        await at_bob.resume()
        assert at_alice.remote_holds == ["sendonly", "sendrecv"]

    on_the_network(scenario)


def test_a_bridge_of_different_codecs_aligns_them() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(PCMU, PCMA))
        bob = await house.phone("bob", codecs=(PCMA, PCMU), allowed=(PCMA,))
        desk = Desk(house)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).answer()
        await house.settle()
        assert desk.raised is None
        assert linked(house)
        plan = house.calls[0].zero.plan
        assert plan is not None
        assert [codec.name for codec in plan.send_codecs] == ["PCMA"]
        assert at_alice.ended is None

    on_the_network(scenario)


def test_a_bridge_without_common_codec_fails_and_both_stay() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(PCMU,), allowed=(PCMU,))
        bob = await house.phone("bob", codecs=(G729,), allowed=(G729,))
        desk = Desk(house)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await house.settle()
        assert isinstance(desk.raised, CallFailed)
        assert desk.raised.status == 488
        assert at_alice.ended is None
        assert at_bob.ended is None

    on_the_network(scenario)


def test_cancelling_the_bridging_task_leaves_both_up() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            await call.answer()

        house.route(route)
        at_alice = house.call(alice, "bob")
        await at_alice.wait_answered()
        agent, at_bob = await dialled(house, "bob")
        bridging = asyncio.ensure_future(house.calls[0].bridge(agent))
        await house.settle()
        assert linked(house)
        with pytest.raises(CallStateError):
            await house.calls[0].bridge(agent)
        bridging.cancel()
        await house.settle()
        assert not linked(house)
        assert at_alice.ended is None
        assert at_bob.ended is None
        assert {leg.tone_hz for leg in house.host.media.legs.values()} == {0.0}
        assert bob is house.agents[1]

    on_the_network(scenario)


@pytest.mark.parametrize("answered", [False, True])
def test_an_agent_is_given_up_with_the_caller(answered: bool) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        raised: list[Exception] = []

        async def route(call: CallSession) -> None:
            await call.answer()
            try:
                await call.dial_user("bob")
                await asyncio.sleep(100)
            except CallEnded as error:
                raised.append(error)

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer() if answered else at_bob.ring()
        await house.settle()
        at_alice.hangup()
        assert (await at_bob.wait_ended()).how == ("bye" if answered else "cancel")
        await house.settle()
        assert len(raised) == (0 if answered else 1)
        house.check_over()

    on_the_network(scenario)


def test_dialling_for_a_caller_who_is_gone_raises_at_once() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            await call.wait_closed()
            await call.dial_user("bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        await house.settle()
        at_alice.hangup()
        await house.settle()
        assert isinstance(house.events.raised[0], CallEnded)
        assert bob.incoming.empty()

    on_the_network(scenario)


def test_a_dial_that_cannot_begin_leaves_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        def fail(*args: object) -> None:
            raise RuntimeError("no placing")

        monkeypatch.setattr(Channel, "place", fail)
        with pytest.raises(RuntimeError):
            await house.exchange.dial(placing("bob"), timeout_s=10)
        house.check_over()
        assert len(house.events.closed()) == 1

    on_the_network(scenario)
