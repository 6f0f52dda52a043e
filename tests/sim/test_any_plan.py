"""Any tree of destinations, with phones that answer, refuse or ring on when they like: one answer at most, and nothing is left.

Hypothesis draws the tree, what each phone does and when, and when the caller gives up. An oracle that knows no SIP says who may have been
called at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.calls.house import House, on_the_network
from tests.sim.test_races import OVER_S, check
from trunkline.calls.destinations import AtOnce, Destination, ToLine, ToUser
from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.testing.agent import Agent

WHOLE_S = 20.0


@dataclass(frozen=True)
class Leaf:
    """A phone or line: what it does, how long after it was called, and how long it may."""

    does: str
    after_s: float
    limit_s: float | None
    line: bool


@dataclass(frozen=True)
class Node:
    parts: tuple[Tree, ...]
    at_once: bool


Tree = Leaf | Node

SOONER = (0.0, 0.004, 0.5, 3.0)
LEAVES = st.builds(
    Leaf,
    st.sampled_from(["answer", "486", "503", "603", "302", "ring", "nothing"]),
    st.sampled_from(SOONER),
    st.sampled_from([None, 0.5, 3.0]),
    st.booleans(),
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.builds(Node, st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans()),
    max_leaves=6,
)


def leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
    else:
        for part in tree.parts:
            yield from leaves(part)


def destination(tree: Tree, names: Iterator[str]) -> Destination:
    if isinstance(tree, Leaf):
        name = next(names)
        return ToLine(name, "1", tree.limit_s) if tree.line else ToUser(name, tree.limit_s)
    parts = [destination(part, names) for part in tree.parts]
    return AtOnce(*parts) if tree.at_once else parts


def may_be_called(tree: Tree) -> Iterator[bool]:
    """For each leaf whether its turn can come: after one that rings for ever, nobody's can."""

    def walk(part: Tree, reachable: bool) -> tuple[list[bool], bool]:
        """Of each leaf whether it is reached, and whether the part can fail."""
        if isinstance(part, Leaf):
            fails = part.does not in ("answer", "ring", "nothing") or part.limit_s is not None
            return [reachable], reachable and fails
        found: list[bool] = []
        if part.at_once:
            walked = [walk(each, reachable) for each in part.parts]
            return [each for one, _ in walked for each in one], all(fails for _, fails in walked)
        for each in part.parts:
            one, reachable = walk(each, reachable)
            found += one
        return found, reachable

    yield from walk(tree, True)[0]


async def perform(agent: Agent, leaf: Leaf, called: set[str]) -> None:
    while True:
        call = await agent.next_call(OVER_S * 4)
        assert agent.name not in called, "called twice"
        called.add(agent.name)
        await asyncio.sleep(leaf.after_s)
        if call.ended is None and call.session is None:
            if leaf.does == "answer":
                call.answer()
            elif leaf.does == "ring":
                call.ring()
            elif leaf.does.isdigit():
                call.reject(int(leaf.does))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, st.sampled_from([None, 0.0, 0.011, 0.5, 0.504, 3.0]), st.booleans())
def test_any_tree_of_destinations_ends_with_one_answer_at_most(tree: Tree, hangup_s: float | None, known: bool) -> None:
    each = list(leaves(tree))

    async def scenario(house: House) -> None:
        house.known = known
        alice = await house.phone("alice")
        kinds = [PeerType.LINE if leaf.line else PeerType.USER for leaf in each]
        agents = [await house.phone(f"peer{number}", peer_type=kind) for number, kind in enumerate(kinds)]
        to = destination(tree, iter([agent.name for agent in agents]))

        async def decide(call: CallSession) -> None:
            await call.accept(to=to, timeout_s=WHOLE_S)

        house.route(decide)
        called: set[str] = set()
        playing = [
            asyncio.ensure_future(perform(agent, leaf, called)) for agent, leaf in zip(agents, each, strict=True)
        ]
        at_alice = house.call(alice, "100")
        if hangup_s is not None:
            asyncio.get_running_loop().call_later(hangup_s, at_alice.hangup)
        await house.settle(WHOLE_S + 5)
        assert sum(call.session is not None for agent in agents for call in agent.calls) <= 1
        possible = may_be_called(tree)
        assert {agent.name for agent, can in zip(agents, possible, strict=True) if not can} & called == set()
        if not any(leaf.does == "answer" for leaf in each):
            assert at_alice.ended is not None
        at_alice.hangup()
        await house.settle(OVER_S)
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        assert [task.exception() for task in playing if not task.cancelled()] == []
        check(house, [alice, *agents])

    on_the_network(scenario)
