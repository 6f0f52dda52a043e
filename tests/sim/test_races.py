"""Every order of {CANCEL, 1xx, 2xx, 486, timeout}, with one loss and one duplicate on each leg: both dialogs end, one `closed`, last.

The five happen a few milliseconds apart, less than a packet needs, so that they cross on the way. Which packet of a leg is lost and which
comes twice is drawn from a seed; a failing case repeats by its parameters. Once a call is up, offers of both sides cross:
re-INVITE, UPDATE, re-INVITE without description.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Awaitable, Callable

import pytest

from tests.calls.house import ADDRESS, House, on_the_network
from trunkline.calls.session import CallSession
from trunkline.testing.agent import Agent
from trunkline.testing.call import CallRefused, ScriptedCall
from trunkline.testing.network import Packet

STEPS = ("cancel", "1xx", "2xx", "486", "timeout")
SPACING_S = 0.003
MOST_PACKETS = 6
"""The two faults of a leg fall among so many of its first packets, or fewer where the leg is shorter."""
OVER_S = 120.0
"""All that may still be repeated, waited for or lingered on is over by then: two times 64*T1 and more."""


class Faults:
    """Loses one packet of a leg and duplicates another, both among the first of the leg."""

    def __init__(self, address: str, chosen: random.Random, first: int) -> None:
        self._address = address
        self._lost, self._doubled = chosen.sample(range(first), 2)
        self._seen = 0

    def __call__(self, packet: Packet) -> int:
        """How many copies of the packet arrive."""
        if self._address not in (packet.source[0], packet.destination[0]):
            return 1
        number, self._seen = self._seen, self._seen + 1
        if number == self._lost:
            return 0
        return 2 if number == self._doubled else 1

    @property
    def happened(self) -> bool:
        """Whether one packet was lost and another came twice."""
        return self._seen > max(self._lost, self._doubled)


Spoil = Callable[..., None]
Scenario = Callable[[House, random.Random, Spoil], Awaitable[None]]


def over_bad_links(scenario: Scenario, key: object, seed: int) -> None:
    """Run a scenario, which puts faults on the legs of some agents by `spoil(*agents)`; all of them take place.

    A leg that was too short for what was drawn has earlier packets spoilt in another run.
    """
    most = random.Random(f"{key} {seed}").randint(3, MOST_PACKETS)
    for first in range(most, 1, -1):
        if all(leg.happened for leg in _run_spoilt(scenario, random.Random(f"{key} {seed} {first}"), first, seed)):
            return
    pytest.fail("a leg had too few packets for a loss and a duplicate")


def _run_spoilt(scenario: Scenario, chosen: random.Random, first: int, seed: int) -> list[Faults]:
    faults: list[Faults] = []

    async def run(house: House) -> None:
        def spoil(*agents: Agent) -> None:
            faults.extend(Faults(agent.address, chosen, first) for agent in agents)
            house.network.filters += faults

        await scenario(house, chosen, spoil)

    on_the_network(run, seed=seed)
    assert len(faults) == 2
    return faults


def acts(at_alice: ScriptedCall, at_bob: ScriptedCall) -> dict[str, Callable[[], object]]:
    """What each step is. One that comes too late has no effect; the timeout is the server's own."""

    def while_open(act: Callable[[], object]) -> Callable[[], object]:
        return lambda: act() if at_bob.ended is None and at_bob.session is None else None

    return {
        "cancel": at_alice.hangup,
        "1xx": while_open(at_bob.ring),
        "2xx": while_open(at_bob.answer),
        "486": while_open(lambda: at_bob.reject(486)),
        "timeout": lambda: None,
    }


def check(house: House, agents: list[Agent]) -> None:
    """Nothing is left anywhere, and the session closed once."""
    closed = house.events.closed()
    assert len(closed) == 1, house.events.names()
    assert house.events.events[-1] is closed[0]
    house.check_over()
    assert house.endpoint.live == {"clients": 0, "servers": 0, "dialogs": 0}
    for agent in agents:
        assert agent.endpoint.live == {"clients": 0, "servers": 0, "dialogs": 0}, agent.name
        assert agent.calls == []


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="-".join)
def test_every_order_ends_both_dialogs_and_closes_once(order: tuple[str, ...], seed: int) -> None:
    async def scenario(house: House, chosen: random.Random, spoil: Spoil) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        spoil(alice, bob)
        timeout_s = house.network.default_link.delay_s + SPACING_S * order.index("timeout")

        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob", timeout_s=timeout_s)

        house.route(route)
        at_alice = house.call(alice, "bob")
        try:
            at_bob = await bob.next_call(OVER_S)
        except TimeoutError:
            # it was lost and the time was over before it came again
            at_alice.hangup()
        else:
            steps = acts(at_alice, at_bob)
            for step in order:
                steps[step]()
                await asyncio.sleep(SPACING_S)
        await house.settle(OVER_S)
        check(house, [alice, bob])

    over_bad_links(scenario, order, seed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("winner", ["alice", "bob", "both"])
def test_a_hangup_after_the_answer_ends_both_over_a_bad_link(winner: str, seed: int) -> None:
    async def scenario(house: House, chosen: random.Random, spoil: Spoil) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        spoil(alice, bob)

        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        if winner in ("alice", "both"):
            at_alice.hangup()
        if winner in ("bob", "both"):
            at_bob.hangup()
        await house.settle(OVER_S)
        check(house, [alice, bob])

    over_bad_links(scenario, winner, seed)


@pytest.mark.parametrize("seed", range(8))
def test_calls_over_a_link_that_loses_doubles_and_reorders_all_end(seed: int) -> None:
    async def scenario(house: House) -> None:
        alice, desk, mobile = await house.phone("alice"), await house.phone("bob"), await house.phone("bob")
        for phone in (alice, desk, mobile):
            for ends in ((ADDRESS, phone.address), (phone.address, ADDRESS)):
                link = house.network.link(*ends)
                link.loss, link.duplicate, link.jitter_s = 0.15, 0.15, 0.03

        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob", timeout_s=10)

        house.route(route)
        at_alice = house.call(alice, "bob")
        answering = [asyncio.ensure_future(phone.next_call(30)) for phone in (desk, mobile)]
        for waiting in asyncio.as_completed(answering):
            try:
                (await waiting).answer()
            except TimeoutError:
                continue
        await house.settle(20)
        at_alice.hangup()
        await house.settle(OVER_S)
        check(house, [alice, desk, mobile])

    on_the_network(scenario, seed=seed)


OFFERS = ("INVITE", "UPDATE", "offerless", "refresh")


async def offer(call: ScriptedCall, how: str) -> None:
    """Let a side change or refresh the session; a refusal is an answer too."""
    acts: dict[str, Callable[[], Awaitable[None]]] = {
        "INVITE": lambda: call.reoffer("sendonly", timeout_s=OVER_S),
        "UPDATE": lambda: call.reoffer("sendonly", update=True, timeout_s=OVER_S),
        "offerless": lambda: call.ask_for_offer(timeout_s=OVER_S),
        "refresh": lambda: call.refresh(timeout_s=OVER_S),
    }
    with contextlib.suppress(CallRefused):
        await acts[how]()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("gap_s", [0.0, 0.004, 0.011])
@pytest.mark.parametrize(("left", "right"), list(itertools.product(OFFERS, repeat=2)))
def test_offers_of_both_sides_that_cross_end_answered_and_the_call_goes_on(
    left: str, right: str, gap_s: float, seed: int
) -> None:
    async def scenario(house: House, chosen: random.Random, spoil: Spoil) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        spoil(alice, bob)

        async def later() -> None:
            await asyncio.sleep(gap_s)
            await offer(at_bob, right)

        await asyncio.gather(offer(at_alice, left), later())
        await house.settle(20)
        call = house.calls[0]
        assert call.closed_reason is None
        for channel in (call.zero, call.one):
            assert channel is not None
            assert channel.describer is not None
            assert not channel.describer.offer_pending
            assert channel.invite is not None
            assert not channel.invite.busy
        # nothing is stuck: both sides can still change the session
        at_alice.wanted = at_bob.wanted = "sendrecv"
        await at_alice.resume(OVER_S)
        await at_bob.resume(OVER_S)
        assert call.zero.plan is not None
        assert call.zero.plan.direction == "sendrecv"
        at_alice.hangup()
        await house.settle(OVER_S)
        check(house, [alice, bob])

    over_bad_links(scenario, (left, right, gap_s), seed)


@pytest.mark.parametrize("seed", range(8))
def test_offers_that_cross_a_hangup_leave_nothing(seed: int) -> None:
    async def scenario(house: House, chosen: random.Random, spoil: Spoil) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob")

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        spoil(alice, bob)
        waiting = asyncio.ensure_future(offer(at_alice, OFFERS[seed % 4]))
        await asyncio.sleep(chosen.random() * 0.03)
        at_bob.hangup()
        await waiting
        await house.settle(OVER_S)
        check(house, [alice, bob])

    over_bad_links(scenario, "a hangup", seed)
