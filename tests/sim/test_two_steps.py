"""A call over two lines of which the first fails; the caller gives up, or the time ends, at every point on the way.

Each leg loses one packet and gets one twice, drawn from a seed. Whatever crosses what: everything ends, one `closed` comes last, and no
dialog, transaction or leg is left anywhere.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.calls.house import House, on_the_network
from tests.sim.test_races import OVER_S, Faults, check
from trunkline.calls.destinations import AtOnce, Destination, ToLine, ToUser
from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.testing.agent import Agent
from trunkline.testing.call import ScriptedCall

STEP_S = 0.004
"""Less than a packet needs."""

POINTS = range(0, 40)
"""When the caller gives up, in these steps: from before the INVITE has arrived until after the answer."""

Play = Callable[[ScriptedCall], object]

LAST: dict[str, Play] = {
    "answers": lambda call: call.answer(),
    "is busy": lambda call: call.reject(486),
    "fails": lambda call: call.reject(503),
    "rings on": lambda call: None,
}


def is_open(call: ScriptedCall) -> bool:
    return call.ended is None and call.session is None


async def play(agent: Agent, last: Play) -> None:
    """Ring, and a moment later do the last thing."""
    try:
        call = await agent.next_call(OVER_S / 2)
    except TimeoutError:
        return
    if is_open(call):
        call.ring()
    await asyncio.sleep(STEP_S)
    if is_open(call):
        last(call)


def scene(
    to: Destination, last: str, seed: int, ends: Callable[[ScriptedCall], object], timeout_s: float = 60.0
) -> None:
    async def scenario(house: House) -> None:
        house.silence_s = 1.0
        alice, bob = await house.phone("alice"), await house.phone("bob")
        lines = [await house.phone(name, peer_type=PeerType.LINE) for name in ("first", "second")]
        house.groups["trunks"] = ["first", "second"]
        chosen = random.Random(f"{last} {seed}")
        agents = [alice, bob, *lines]
        # without a seed nothing is lost: the points lie where they seem to
        house.network.filters += [Faults(agent.address, chosen, first=8) for agent in agents if seed]

        async def decide(call: CallSession) -> None:
            await call.accept(to=to, timeout_s=timeout_s)

        house.route(decide)
        playing = [
            asyncio.ensure_future(play(lines[0], LAST["fails"])),
            asyncio.ensure_future(play(lines[1], LAST[last])),
            asyncio.ensure_future(play(bob, LAST["rings on"])),
        ]
        at_alice = house.call(alice, "15550100")
        ends(at_alice)
        await house.settle(OVER_S)
        at_alice.hangup()
        await house.settle(OVER_S)
        await asyncio.gather(*playing)
        check(house, agents)

    on_the_network(scenario, seed=seed)


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("point", POINTS)
def test_a_caller_who_gives_up_at_any_point_of_two_steps_leaves_nothing(point: int, last: str) -> None:
    def give_up(at_alice: ScriptedCall) -> None:
        asyncio.get_running_loop().call_later(point * STEP_S, at_alice.hangup)

    scene(ToLine("trunks"), last, point % 7, give_up)


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("point", POINTS[1:])
def test_a_time_that_ends_at_any_point_of_two_steps_leaves_nothing(point: int, last: str) -> None:
    scene(ToLine("trunks"), last, point % 5, lambda at_alice: None, timeout_s=point * STEP_S)


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("point", POINTS[1:])
def test_a_step_whose_time_ends_at_any_point_leaves_nothing(point: int, last: str) -> None:
    to: Destination = [AtOnce(ToUser("bob"), ToLine("trunks"), timeout_s=point * STEP_S), ToLine("second")]
    scene(to, last, point % 5, lambda at_alice: None, timeout_s=20)


@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("point", POINTS[::2])
def test_a_caller_who_gives_up_while_a_user_rings_beside_two_lines_leaves_nothing(point: int, last: str) -> None:
    def give_up(at_alice: ScriptedCall) -> None:
        asyncio.get_running_loop().call_later(point * STEP_S, at_alice.hangup)

    scene(AtOnce(ToUser("bob"), ToLine("trunks")), last, point % 7, give_up)
