"""Transfers of calls that the application bridged: the bridge goes on with the newcomer, or ends as any bridge does."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.talking import connected, replaces, talk, to
from trunkline.calls.bridge import BridgeEnd, BridgeOutcome
from trunkline.calls.destinations import ToUser
from trunkline.calls.session import CallSession, CallState
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import CallStateError
from trunkline.events import TransferAccepted, TransferFailed
from trunkline.testing.agent import Agent
from trunkline.testing.call import ScriptedCall
from trunkline.testing.referring import take_refers


class Desk:
    """Answers, calls an agent, bridges the two."""

    def __init__(self, house: House, agent: str) -> None:
        self.outcome: BridgeOutcome | None = None
        self.raised: Exception | None = None
        self.bridging: asyncio.Task[BridgeOutcome] | None = None
        self._agent = agent
        house.route(self)

    @property
    def open(self) -> bool:
        """Whether the bridge has not ended."""
        return self.bridging is not None and not self.bridging.done()

    async def __call__(self, call: CallSession) -> None:
        await call.answer()
        self.caller = call
        self.agent = await call.dial_user(self._agent)
        self.bridging = asyncio.ensure_future(call.bridge(self.agent))
        with contextlib.suppress(asyncio.CancelledError):
            self.outcome = await self.bridging


async def bridged(
    house: House, caller: str = "alice", agent: str = "bob", *, newcomer: str = "carol"
) -> tuple[Desk, ScriptedCall, ScriptedCall]:
    """Two phones that talk over a bridge, as each has it; and a third one."""
    for name in (caller, agent, newcomer):
        if name not in house.places:
            await house.phone(name)
    desk = Desk(house, agent)
    here = house.call(house.places[caller][0], "desk")
    there = await house.places[agent][0].next_call()
    there.answer()
    await talk(house, here, there)
    return desk, here, there


@pytest.mark.parametrize("by_agent", [True, False])
def test_a_phone_transfers_its_bridged_call_and_the_bridge_goes_on_with_the_newcomer(by_agent: bool) -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        asking, kept = (bob, alice) if by_agent else (alice, bob)
        refer = asking.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        # who is kept is the caller of the newcomer, though the server called him first
        assert carol.caller_id == kept.agent.name
        carol.answer()
        assert await refer.outcome() == 200
        await asking.wait_ended()
        await talk(house, kept, carol)
        left, stays = (desk.agent, desk.caller) if by_agent else (desk.caller, desk.agent)
        assert house.events.only(TransferAccepted).call is left
        assert desk.open
        assert left.state is stays.state is CallState.ANSWERED
        carol.hangup()
        await house.settle()
        assert desk.outcome == BridgeOutcome(left, BridgeEnd.HANGUP)
        assert kept.ended is None
        stays.close()
        await kept.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_transfer_of_a_bridged_call_that_is_refused_gives_it_back() -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        await bob.hold()
        refer = bob.refer(to("carol"))
        (await house.places["carol"][0].next_call()).reject(486)
        assert await refer.outcome() == 486
        await bob.resume()
        await talk(house, alice, bob)
        assert desk.open
        alice.hangup()
        await house.settle()
        assert desk.outcome == BridgeOutcome(desk.caller, BridgeEnd.HANGUP)

    on_the_network(scenario)


def test_who_is_kept_stays_with_the_application_when_a_transfer_fails_after_who_asked_has_left() -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        bob.hangup()
        await house.settle()
        assert desk.open
        carol.reject(486)
        await house.settle()
        assert desk.outcome == BridgeOutcome(desk.agent, BridgeEnd.HANGUP)
        assert desk.agent.closed_reason is ClosedReason.FAILED
        assert alice.ended is None
        assert desk.caller.state is CallState.ANSWERED
        desk.caller.close()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("gone_first", [False, True])
def test_when_who_is_kept_hangs_up_the_newcomer_is_cancelled_and_who_asked_stays(gone_first: bool) -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        if gone_first:
            bob.hangup()
            await house.settle()
        alice.hangup()
        assert (await carol.wait_ended()).how == "cancel"
        await house.settle()
        assert desk.outcome == BridgeOutcome(desk.caller, BridgeEnd.HANGUP)
        assert house.events.only(TransferFailed).outcome.status == 487
        assert (desk.agent.state is CallState.CLOSED) is gone_first
        desk.agent.close()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("closes", ["caller", "agent"])
def test_closing_a_session_of_the_bridge_gives_the_transfer_up(closes: str) -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        closed, stays = (desk.caller, desk.agent) if closes == "caller" else (desk.agent, desk.caller)
        closed.close()
        assert (await carol.wait_ended()).how == "cancel"
        await house.settle()
        assert desk.outcome == BridgeOutcome(closed, BridgeEnd.CLOSED)
        assert stays.state is CallState.ANSWERED
        stays.close()
        await alice.wait_ended()
        await bob.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_an_application_that_ends_the_bridge_gives_the_transfer_up_and_both_stay() -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        refer = bob.refer(to("carol"))
        carol = await house.places["carol"][0].next_call()
        assert desk.bridging is not None
        desk.bridging.cancel()
        assert (await carol.wait_ended()).how == "cancel"
        assert await refer.outcome() == 487
        assert (alice.ended, bob.ended) == (None, None)
        again = asyncio.ensure_future(desk.caller.bridge(desk.agent))
        await talk(house, alice, bob)
        alice.hangup()
        assert (await again).ended_by is desk.caller

    on_the_network(scenario)


def test_an_attended_transfer_joins_who_is_kept_with_the_other_call() -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        await bob.hold()
        consult, carol = await connected(house, "bob", "carol")
        await consult.hold()
        assert await bob.refer(to("carol"), replaces=consult).outcome() == 200
        await bob.wait_ended()
        await consult.wait_ended()
        await talk(house, alice, carol)
        assert house.calls[-1].closed_reason is ClosedReason.TRANSFERRED
        assert desk.open
        alice.hangup()
        await house.settle()
        assert desk.outcome == BridgeOutcome(desk.caller, BridgeEnd.HANGUP)
        desk.agent.close()
        await carol.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


async def consulted_over_a_bridge(house: House) -> tuple[Desk, list[ScriptedCall]]:
    """Alice talks to bob; bob to carol, over a bridge."""
    for name in ("alice", "bob", "carol"):
        await house.phone(name)
    alice, bob = await connected(house)
    await bob.hold()
    desk, consult, carol = await bridged(house, "bob", "carol")
    return desk, [alice, bob, consult, carol]


def test_an_attended_transfer_to_a_bridged_call_ends_the_bridge_and_both_its_sessions() -> None:
    async def scenario(house: House) -> None:
        desk, (alice, bob, consult, carol) = await consulted_over_a_bridge(house)
        assert await bob.refer(to("carol"), replaces=consult).outcome() == 200
        await bob.wait_ended()
        await consult.wait_ended()
        await talk(house, alice, carol)
        assert desk.caller.closed_reason is desk.agent.closed_reason is ClosedReason.TRANSFERRED
        assert desk.outcome == BridgeOutcome(desk.caller, BridgeEnd.CLOSED)
        alice.hangup()
        await carol.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_phone_that_calls_with_replaces_takes_a_place_in_a_bridge() -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        carol = house.call(house.places["carol"][0], "bob", replaces(bob))
        await carol.wait_answered()
        await bob.wait_ended()
        await talk(house, alice, carol)
        assert desk.open
        desk.caller.close()
        desk.agent.close()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("leaves", [ChannelId.ZERO, ChannelId.ONE])
def test_the_application_transfers_a_bridged_call_whose_other_side_counts_as_channel_one(leaves: ChannelId) -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        gone, kept = (alice, bob) if leaves is ChannelId.ZERO else (bob, alice)
        transferring = asyncio.ensure_future(desk.caller.transfer(ToUser("carol"), channel=leaves))
        carol = await house.places["carol"][0].next_call()
        with pytest.raises(CallStateError):
            await desk.agent.transfer(ToUser("carol"))
        carol.answer()
        assert (await transferring).accepted
        await gone.wait_ended()
        await talk(house, kept, carol)
        assert house.events.only(TransferAccepted).call is desk.caller

    on_the_network(scenario)


def test_a_bridged_provider_that_is_asked_by_refer_ends_both_sessions() -> None:
    async def scenario(house: House) -> None:
        await house.phone("itsp", peer_type=PeerType.LINE, transfer="refer")
        desk, itsp, bob = await bridged(house, "itsp", "bob")
        assert itsp.session is not None
        asked = take_refers(itsp.session, 200)
        assert await bob.refer(to("+1555")).outcome() == 200
        assert asked == ["sip:+1555@provider.example"]
        await bob.wait_ended()
        await itsp.wait_ended()
        assert desk.caller.closed_reason is desk.agent.closed_reason is ClosedReason.TRANSFERRED
        assert desk.outcome is not None
        await house.settle(60)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("attended", [False, True])
@pytest.mark.parametrize("who", ["alice", "bob", "carol", "caller", "agent", "bridge", "nobody"])
@pytest.mark.parametrize("after_s", [0.0, 0.011, 0.021, 0.031, 0.05, 0.4, 3.0])
def test_whoever_leaves_at_any_step_the_bridge_ends_once_and_nothing_is_left(
    who: str, after_s: float, attended: bool, loss: float
) -> None:
    async def scenario(house: House) -> None:
        desk, alice, bob = await bridged(house)
        parties = {"alice": alice, "bob": bob}
        if attended:
            parties["consult"], parties["carol"] = await connected(house, "bob", "carol")
        for link in house.network.links.values():
            link.loss = loss
        answering = None
        if attended:
            bob.refer(to("carol"), replaces=parties["consult"])
        else:
            bob.refer(to("carol"))
            answering = asyncio.ensure_future(answer_late(house.places["carol"][0], parties))
        await asyncio.sleep(after_s)
        if who in parties:
            parties[who].hangup()
        elif who in ("caller", "agent"):
            (desk.caller if who == "caller" else desk.agent).close()
        elif who == "bridge":
            assert desk.bridging is not None
            desk.bridging.cancel()
        await house.settle(60)
        if answering is not None:
            answering.cancel()
        for call in parties.values():
            call.hangup()
        await house.settle(80)
        for session in (desk.caller, desk.agent):
            session.close()
        await house.settle(80)
        house.check_over()
        assert desk.bridging is not None
        assert desk.bridging.done()
        closed = [event.call.id for event in house.events.closed()]
        assert len(closed) == len(set(closed)) == len(house.calls) + 1

    on_the_network(scenario, seed=int(after_s * 1000) + len(who))


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("who", [0, 1, 2, 3, "caller", "agent", "bridge"])
@pytest.mark.parametrize("after_s", [0.0, 0.011, 0.021, 0.031, 0.05, 0.4])
def test_whoever_leaves_while_a_bridged_call_is_joined_nothing_is_left(
    who: int | str, after_s: float, loss: float
) -> None:
    async def scenario(house: House) -> None:
        desk, parties = await consulted_over_a_bridge(house)
        _, bob, consult, _ = parties
        for link in house.network.links.values():
            link.loss = loss
        bob.refer(to("carol"), replaces=consult)
        await asyncio.sleep(after_s)
        if isinstance(who, int):
            parties[who].hangup()
        elif who == "bridge":
            assert desk.bridging is not None
            desk.bridging.cancel()
        else:
            (desk.caller if who == "caller" else desk.agent).close()
        await house.settle(60)
        for call in parties:
            call.hangup()
        await house.settle(80)
        for session in (desk.caller, desk.agent):
            session.close()
        await house.settle(80)
        house.check_over()
        assert desk.bridging is not None
        assert desk.bridging.done()

    on_the_network(scenario, seed=int(after_s * 1000) + 1)


async def answer_late(agent: Agent, parties: dict[str, ScriptedCall]) -> None:
    parties["carol"] = await agent.next_call(timeout_s=30)
    await asyncio.sleep(0.02)
    if parties["carol"].ended is None:
        parties["carol"].answer()
