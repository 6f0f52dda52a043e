"""The queue: callers in turn, agents by strategy, and nothing left of whoever gives up; on the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from tests.features.desk import Run, media_of, new_server, nothing_left, phones, press, until
from tests.server.test_sound import tone_wav

from trunkline import CallSession, ConfigurationError, UnknownPeer
from trunkline.features.agents import Agents, AgentState, Strategy
from trunkline.features.queue import (
    CallQueue,
    QueueEnd,
    QueueEvent,
    QueueLeft,
    QueueMissed,
    QueueOffered,
    QueueResult,
    QueueServed,
)
from trunkline.testing import Phone, ScriptedCall, VirtualNetwork

USERS = ("caller", "other", "alice", "bob")
Script = Callable[..., Awaitable[None]]
MUSIC = tone_wav(400, 2.0)


class Floor:
    """A queue, with its server, two callers and two agents."""

    def __init__(self, network: VirtualNetwork, **options: Any) -> None:
        self.network = network
        self.server = new_server(network, *USERS)
        self.events: list[QueueEvent] = []
        self.queue = CallQueue("sales", music=MUSIC, on_event=self.events.append, **options)
        self.results: list[QueueResult] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.server.on_incoming_call(self._route)

    async def _route(self, call: CallSession) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        self.results.append(await self.queue.enter(call))
        call.close()

    def run(self, run_virtual: Run, script: Script) -> None:
        async def main() -> None:
            async with self.server, phones(self.network, *USERS) as found:
                await script(*found)
                await nothing_left(self.network, self.server)
                assert self.queue.figures.waiting == 0
                busy = (AgentState.RINGING, AgentState.TALKING)
                assert not [state for state in self.queue.figures.agents.values() if state in busy]

        run_virtual(main())

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def state(floor: Floor, agent: str) -> AgentState:
    """What an agent does now."""
    return floor.queue.figures.agents[agent]


async def waits(phone: Phone) -> ScriptedCall:
    """A caller who is in the queue."""
    call = phone.dial("sales")
    await call.wait_answered()
    await asyncio.sleep(0.2)
    return call


async def served(phone: Phone) -> ScriptedCall:
    """An agent's phone, answered."""
    call = await phone.next_call(60)
    call.answer()
    await call.wait_answered()
    await asyncio.sleep(0.2)
    return call


def test_a_caller_waits_with_music_until_an_agent_joins_and_the_two_talk(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    floor = Floor(virtual_network, wrap_up_s=30)
    floor.queue.join("bob")
    floor.queue.pause("bob")

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        call = await waits(caller)
        (leg,) = media_of(virtual_network).legs
        await asyncio.sleep(60)
        assert media_of(virtual_network).playing(leg) == 1
        figures = floor.queue.figures
        assert (figures.waiting, round(figures.longest_wait_s)) == (1, 60)
        assert figures.agents == {"bob": AgentState.PAUSED}
        floor.queue.join("alice")
        at_alice = await served(alice)
        assert at_alice.caller_id == "caller"
        assert media_of(virtual_network).playing(leg) == 0
        assert media_of(virtual_network).legs[leg].linked
        assert state(floor, "alice") is AgentState.TALKING
        await asyncio.sleep(20)
        at_alice.hangup()
        await call.wait_ended()
        assert state(floor, "alice") is AgentState.WRAPPING_UP
        await asyncio.sleep(31)
        assert state(floor, "alice") is AgentState.FREE

    floor.run(run_virtual, script)
    (result,) = floor.results
    assert (result.end, result.agent, round(result.waited_s), round(result.talked_s)) == (
        QueueEnd.SERVED,
        "alice",
        60,
        20,
    )
    assert [type(event).__name__ for event in floor.events] == [
        "QueueEntered",
        "QueueOffered",
        "QueueServed",
        "QueueLeft",
    ]
    assert floor.queue.figures.ended == {QueueEnd.SERVED: 1}


def test_who_does_not_answer_is_passed_over_and_the_caller_keeps_his_place(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    floor = Floor(virtual_network, ring_timeout_s=10, rest_s=60)
    for agent in ("nobody", "other", "alice", "bob"):
        floor.queue.join(agent)

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        call = await waits(caller)
        assert (await (await other.next_call()).wait_ended(20)).how == "cancel"
        (await alice.next_call()).reject(486)
        at_bob = await served(bob)
        floor.queue.leave("other")
        await waits(other)
        at_alice = await served(alice)
        for each in (at_bob, at_alice):
            each.hangup()
        await call.wait_ended()

    floor.run(run_virtual, script)
    missed = [(event.agent, event.reason) for event in floor.told(QueueMissed)]
    assert missed[1][0] == "other"
    assert missed[2] == ("alice", "486 Busy Here")
    assert missed[0][0] == "nobody"
    assert missed[0][1].startswith("404 ")
    assert sorted(result.agent for result in floor.results) == ["alice", "bob"]
    alice_again = [event for event in floor.told(QueueServed) if event.agent == "alice"]
    assert abs(alice_again[0].waited_s - 60) < 2  # alice has rested for a minute


def test_two_callers_ring_two_agents_in_the_order_of_arrival(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    floor = Floor(virtual_network)

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        floor.queue.join("alice")
        floor.queue.pause("alice")
        first, second = await waits(caller), await waits(other)
        floor.queue.resume("alice")
        floor.queue.join("bob")
        at_alice, at_bob = await alice.next_call(), await bob.next_call()
        assert (at_alice.caller_id, at_bob.caller_id) == ("caller", "other")
        at_bob.answer()
        at_alice.answer()
        await at_alice.wait_answered()
        await asyncio.sleep(1)
        for call in (first, second):
            call.hangup()
        await at_bob.wait_ended()

    floor.run(run_virtual, script)
    assert [result.end for result in floor.results] == [QueueEnd.SERVED] * 2


def test_all_at_once_rings_everybody_and_the_first_has_the_caller(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    floor = Floor(virtual_network, strategy=Strategy.ALL_AT_ONCE)
    floor.queue.join("alice")
    floor.queue.join("bob")

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        call = await waits(caller)
        at_alice, at_bob = await alice.next_call(), await bob.next_call()
        at_bob.answer()
        assert (await at_alice.wait_ended()).how == "cancel"
        assert floor.queue.figures.agents == {"alice": AgentState.FREE, "bob": AgentState.TALKING}
        call.hangup()
        # both answer in the same moment: one of them has him, the other one is free
        call = await waits(caller)
        at_alice, at_bob = await alice.next_call(), await bob.next_call()
        at_alice.answer()
        at_bob.answer()
        await asyncio.sleep(1)
        assert [one.ended is None for one in (at_alice, at_bob)].count(True) == 1
        assert sorted(state.value for state in floor.queue.figures.agents.values()) == ["free", "talking"]
        call.hangup()

    floor.run(run_virtual, script)
    assert floor.told(QueueMissed) == []


@pytest.mark.parametrize("moment", ["waiting", "ringing", "answered"])
def test_who_hangs_up_leaves_nothing(run_virtual: Run, virtual_network: VirtualNetwork, moment: str) -> None:
    floor = Floor(virtual_network)

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        if moment != "waiting":
            floor.queue.join("alice")
        else:
            floor.queue.join("bob")
            floor.queue.pause("bob")
        call = await waits(caller)
        if moment == "waiting":
            call.hangup()
            return
        at_alice = await alice.next_call()
        if moment == "answered":
            at_alice.answer()
        call.hangup()
        await at_alice.wait_ended()
        assert floor.told(QueueMissed) == []
        await asyncio.sleep(1)
        assert state(floor, "alice") is AgentState.FREE

    floor.run(run_virtual, script)
    (result,) = floor.results
    assert result.end in ((QueueEnd.ABANDONED, QueueEnd.SERVED) if moment == "answered" else (QueueEnd.ABANDONED,))
    assert [event.result for event in floor.told(QueueLeft)] == [result]


@pytest.mark.parametrize("steps", range(0, 12))
def test_a_task_that_is_cancelled_at_any_moment_leaves_nothing(
    run_virtual: Run, virtual_network: VirtualNetwork, steps: int
) -> None:
    floor = Floor(virtual_network)
    floor.queue.join("alice")

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        caller.dial("sales")
        at_alice = await alice.next_call()
        at_alice.answer()
        if steps:
            await until(lambda: floor.server.calls[-1].state.value == "answered")
        for _ in range(steps):
            await asyncio.sleep(0)
        floor.tasks[0].cancel()
        await at_alice.wait_ended()
        for call in floor.server.calls:
            call.close()
        await asyncio.sleep(1)
        assert state(floor, "alice") is AgentState.FREE

    floor.run(run_virtual, script)


def test_waiting_and_the_line_are_bounded(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    floor = Floor(virtual_network, max_waiting=1, max_wait_s=30, ring_timeout_s=20)

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        caller.dial("sales")
        await until(lambda: bool(floor.results))
        floor.queue.join("alice")
        call = await waits(caller)
        at_alice = await alice.next_call()
        refused = other.dial("sales")
        await refused.wait_ended()
        await asyncio.sleep(15)
        at_alice.reject(480)
        # rung once more before his time is over, and until that has an end
        at_alice = await alice.next_call(10)
        await at_alice.wait_ended(25)
        await call.wait_ended()

    floor.run(run_virtual, script)
    assert [result.end for result in floor.results] == [QueueEnd.NO_AGENTS, QueueEnd.FULL, QueueEnd.TIMED_OUT]
    assert 30 < floor.results[-1].waited_s < 45


def test_a_caller_is_told_his_place_now_and_then(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    told: list[tuple[float, int]] = []

    def announce(position: int) -> bytes:
        told.append((asyncio.get_running_loop().time(), position))
        return tone_wav(600, 2.0)

    floor = Floor(virtual_network, announce=announce, announce_every_s=10)
    floor.queue.join("alice")
    floor.queue.pause("alice")

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        call = await waits(caller)
        second = await waits(other)
        await asyncio.sleep(5)
        call.hangup()
        await asyncio.sleep(20)
        second.hangup()

    floor.run(run_virtual, script)
    assert [position for _, position in told] == [1, 2, 1, 1]
    assert all(abs(later - earlier - 12) < 0.5 for (earlier, _), (later, _) in pairwise(told[1:]))


def test_an_agent_who_leaves_in_a_call_ends_it_and_is_forgotten(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    floor = Floor(virtual_network)
    floor.queue.join("alice")
    floor.queue.join("bob")
    floor.queue.pause("bob")

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        await waits(caller)
        at_alice = await served(alice)
        floor.queue.leave("alice")
        second = await waits(other)
        assert at_alice.ended is None
        at_alice.hangup()
        await asyncio.sleep(30)
        assert floor.queue.figures.agents == {"bob": AgentState.PAUSED}
        second.hangup()
        with pytest.raises(UnknownPeer, match="no agent alice"):
            floor.queue.pause("alice")

    floor.run(run_virtual, script)
    assert [event.agent for event in floor.told(QueueOffered)] == ["alice"]


def test_a_handler_that_raises_and_music_that_is_not_there_cost_no_call(
    run_virtual: Run, virtual_network: VirtualNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(event: QueueEvent) -> None:
        raise LookupError("mine")

    floor = Floor(virtual_network)
    floor.queue = CallQueue("sales", music="nowhere.wav", on_event=raises)
    floor.queue.join("alice")

    async def script(caller: Phone, other: Phone, alice: Phone, bob: Phone) -> None:
        await waits(caller)
        at_alice = await served(alice)
        await press(at_alice, "1")
        at_alice.hangup()

    floor.run(run_virtual, script)
    assert [result.end for result in floor.results] == [QueueEnd.SERVED]
    assert "callers hear no music: nowhere.wav cannot be read" in caplog.text
    assert "its handler failed" in caplog.text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_waiting", 0),
        ("max_wait_s", 0),
        ("ring_timeout_s", 301),
        ("wrap_up_s", -1),
        ("rest_s", 0),
        ("announce_every_s", 1),
    ],
)
def test_a_queue_that_cannot_work_is_refused_by_its_key(option: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        CallQueue("sales", **{option: value})  # type: ignore[arg-type]


# --- who is next --------------------------------------------------------------------------------------------------------


def agents_of(strategy: Strategy) -> Agents:
    agents = Agents(strategy, wrap_up_s=10, rest_s=5)
    for name in "abc":
        agents.join(name, 0.0)
    return agents


def test_the_longest_idle_is_next_and_who_missed_comes_last() -> None:
    agents = agents_of(Strategy.LONGEST_IDLE)
    assert agents.take(1) == ("a",)
    agents.missed("a", 2)
    assert agents.take(3) == ("b",)
    agents.talking("b")
    agents.finished("b", 4)
    assert (agents.take(20), agents.take(20), agents.take(20), agents.take(20)) == (("c",), ("a",), ("b",), ())


def test_round_robin_goes_on_behind_who_was_rung_last() -> None:
    agents = agents_of(Strategy.ROUND_ROBIN)
    rung = []
    for now in range(5):
        (name,) = agents.take(now)
        agents.release(name)
        rung.append(name)
    assert "".join(rung) == "abcab"
    agents.leave("c")
    assert agents.take(9) == ("a",)


def test_who_rests_wraps_up_or_is_paused_is_passed_over_and_the_next_moment_is_known() -> None:
    agents = agents_of(Strategy.ALL_AT_ONCE)
    assert agents.take(0) == ("a", "b", "c")
    agents.missed("a", 0)
    agents.talking("b")
    agents.finished("b", 0)
    agents.release("c")
    agents.pause("c", True)
    assert agents.take(4.9) == ()
    assert agents.next_ready_s(1) == 5
    assert agents.states(1) == {
        "a": AgentState.PASSED_OVER,
        "b": AgentState.WRAPPING_UP,
        "c": AgentState.PAUSED,
    }
    assert agents.take(5) == ("a",)
    assert agents.next_ready_s(5) == 10
    assert agents.next_ready_s(10) is None


def test_nothing_is_kept_of_agents_who_come_and_go() -> None:
    agents = agents_of(Strategy.LONGEST_IDLE)
    for number in range(2_000):
        agents.join(f"agent {number}", 1.0)
        agents.leave(f"agent {number}")
    assert len(agents) == 3
    for number in range(997):
        agents.join(f"agent {number}", 1.0)
    with pytest.raises(ValueError, match="1000 agents at most"):
        agents.join("one more", 1.0)
