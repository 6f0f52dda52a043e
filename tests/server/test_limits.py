"""Which calls a line and a group let through: calls at a time, calls a second, and emergency calls always."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.server.provider import house
from tests.server.test_routing import Routed, looked_up
from trunkline.calls.peers import PlacementError, Placing, Target
from trunkline.calls.plan import Step, Turning, Turns
from trunkline.constants import PeerType
from trunkline.server.groups import LineGroup, LineGroups
from trunkline.server.limits import TokenBucket
from trunkline.server.routing import EmergencyCalls, Routing

NUMBER = "+15550100"


class Trunks(Routed):
    """The lines a and b without registration, at addresses of their own, and groups of them."""

    def __init__(self) -> None:
        super().__init__()
        self.groups = LineGroups()
        self.on_line: dict[str, list[object | None]] = {}
        self.emergency = EmergencyCalls(("112",), "rescue")

    def make(self, *groups: LineGroup, a: dict[str, Any] | None = None, b: dict[str, Any] | None = None) -> None:
        for name, host, options in (("a", "198.51.100.1", a), ("b", "198.51.100.2", b)):
            self.dns[f"{name}.example"] = [host]
            self.add(name, server=f"{name}.example", register=False, **(options or {}))
        for group in groups:
            self.groups.add(group)
        self.routing = Routing(
            self.users,
            self.registrar,
            self.lines,
            domain="pbx.example",
            groups=self.groups,
            emergency=self.emergency,
            random=Random(1),
            clock=lambda: self.now,
            active_calls=lambda line: self.on_line.get(line, []),
        )

    def plan(self, name: str, number: str = NUMBER) -> Turns:
        return self.routing.plan(Placing(PeerType.LINE, name, number, "", ""))

    async def begin(self, step: Step) -> str:
        """Take a step as a call that stays: where it goes, or why not."""
        calls = self.on_line.setdefault(step.peer_name, [])
        calls.append(step.hold)
        try:
            (target,) = await looked_up(step)
        except PlacementError as error:
            calls.remove(step.hold)
            return f"{error.status} {error.reason}"
        assert isinstance(target, Target)
        return target.flow.remote[0]

    async def call(self, name: str, number: str = NUMBER) -> list[str]:
        """What becomes of the steps of a call, up to the first that finds a server."""
        said: list[str] = []
        for step in self.plan(name, number).steps:
            said.append(await self.begin(step))
            if not said[-1].startswith("5"):
                break
        return said

    def answered(self) -> None:
        """What is being placed is answered."""
        self.on_line = {line: [None] * len(calls) for line, calls in self.on_line.items()}


A, B = "198.51.100.1", "198.51.100.2"
BOTH = ("a", "b")


def trunks(scenario: Callable[[Trunks], Awaitable[None]]) -> None:
    async def main(h: Trunks) -> None:
        await scenario(h)
        h.registrar.close()

    house(main, Trunks)


def test_a_full_line_is_passed_over_and_the_reason_is_kept() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", BOTH), a={"max_calls": 1})
        assert await h.call("g") == [A]
        assert await h.call("g") == ["503 line a has its 1 calls", B]
        h.answered()
        assert await h.call("g") == ["503 line a has its 1 calls", B]
        h.on_line["a"].clear()
        assert await h.call("g") == [A]

    trunks(scenario)


def test_a_group_has_no_more_calls_than_its_limit_over_all_its_lines() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", BOTH, max_calls=3), a={"max_calls": 2})
        h.on_line["b"] = [None]  # it came in
        assert await h.call("g") == [A]
        assert await h.call("a") == [A]  # past the group, and yet on its line
        assert await h.call("g") == ["503 line group g has its 3 calls"]
        assert await h.call("b") == ["503 line group g has its 3 calls"]
        h.on_line["b"].clear()
        assert await h.call("g") == ["503 line a has its 2 calls", B]

    trunks(scenario)


def test_of_two_calls_that_begin_together_the_limit_lets_one_through() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", BOTH, max_calls=1))
        steps = [h.plan("g").steps[0], h.plan("g").steps[0]]
        h.on_line["a"] = [step.hold for step in steps]
        found = await asyncio.gather(*(looked(step) for step in steps))
        assert found == [A, "503 line group g has its 1 calls"]

    trunks(scenario)


async def looked(step: Step) -> str:
    try:
        (target,) = await looked_up(step)
    except PlacementError as error:
        return f"{error.status} {error.reason}"
    assert isinstance(target, Target)
    return target.flow.remote[0]


def test_a_line_has_its_calls_a_second_and_then_the_next_takes_them() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", BOTH), a={"calls_per_second": 2})
        assert [await h.call("g") for _ in range(3)] == [[A], [A], ["503 line a has had its 2 calls a second", B]]
        await asyncio.sleep(0.4)
        assert (await h.call("g"))[-1] == B
        await asyncio.sleep(0.1)
        assert [await h.call("g") for _ in range(2)] == [[A], ["503 line a has had its 2 calls a second", B]]
        await asyncio.sleep(60)
        assert [(await h.call("g"))[-1] for _ in range(3)] == [A, A, B]  # no more than two are saved up

    trunks(scenario)


def test_a_group_has_its_calls_a_second_however_many_lines_each_tries() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", BOTH, calls_per_second=2))
        for _ in range(2):
            for step in h.plan("g").steps:  # the first line fails, the second is tried: one call
                assert await h.begin(step) in (A, B)
        assert await h.call("g") == ["503 line group g has had its 2 calls a second"]
        assert await h.call("a") == [A]
        await asyncio.sleep(0.5)
        assert await h.call("g") == [A]

    trunks(scenario)


def test_a_call_that_no_line_takes_costs_no_token() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", ("a",), calls_per_second=1), a={"max_calls": 1})
        h.on_line["a"] = [None]
        for _ in range(3):
            assert await h.call("g") == ["503 line a has its 1 calls"]
        h.on_line["a"] = []
        assert await h.call("g") == [A]

    trunks(scenario)


def test_slow_rates_let_one_call_through_at_a_time() -> None:
    bucket = TokenBucket(0.1, 0.0)
    assert bucket.full_enough(0.0)
    bucket.take()
    assert [bucket.full_enough(now) for now in (0.0, 9.9, 10.0, 10.0)] == [False, False, True, True]


def test_ten_steps_of_a_tenth_make_a_token() -> None:
    bucket = TokenBucket(1.0, 0.0)
    bucket.take()
    assert [bucket.full_enough(step / 10) for step in range(1, 11)] == [False] * 9 + [True]


@pytest.mark.parametrize(
    ("rates", "silences"),
    [
        ({"a": {"": Decimal(1)}, "b": {"": Decimal(2)}}, [6.0, None]),
        ({"a": {"": Decimal(1)}, "b": {}}, [None]),
    ],
)
def test_the_last_line_that_is_tried_has_all_the_time(
    rates: dict[str, dict[str, Decimal]], silences: list[float | None]
) -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", BOTH, "least_cost", rates=rates))
        assert [step.silence_s for step in h.plan("g").steps][: len(silences)] == silences

    trunks(scenario)


# --- emergency calls --------------------------------------------------------------------------------------------------------


def test_an_emergency_call_goes_first_through_its_line_and_no_limit_counts() -> None:
    async def scenario(h: Trunks) -> None:
        rescue = LineGroup("rescue", ("b",), max_calls=1, calls_per_second=0.001)
        h.make(LineGroup("g", BOTH, max_calls=1), rescue, a={"max_calls": 1}, b={"max_calls": 1})
        h.on_line = {"a": [None], "b": [None]}
        assert await h.call("g") == ["503 line group g has its 1 calls"]
        for number in ("112", "+112", "1-12"):
            turns = h.plan("g", number)
            assert turns.turning is Turning.EMERGENCY
            assert [await h.begin(step) for step in turns.steps] == [B, A]

    trunks(scenario)


def test_an_emergency_call_counts_for_the_calls_that_come_after_it() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(a={"max_calls": 1})
        assert await h.call("a", "112") == [A]
        assert await h.call("a") == ["503 line a has its 1 calls"]

    trunks(scenario)


def test_in_an_emergency_a_line_that_seems_unusable_is_tried_last() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", ("c", "a", "b")))
        h.dns["c.example"] = ["198.51.100.3"]
        line = h.add("c", server="c.example")
        assert line.unusable_reason
        assert [step.peer_name for step in h.plan("g", "112").steps] == ["a", "b", "c"]
        assert (await h.call("g"))[0] == "503 line c cannot be used: it is being registered"

    trunks(scenario)


def test_a_group_by_price_takes_an_emergency_call_that_no_table_lists() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("g", BOTH, "least_cost", rates={"a": {}, "b": {}}))
        assert await h.call("g") == ["503 line a has no rate for +15550100", "503 line b has no rate for +15550100"]
        assert await h.call("g", "112") == [A]

    trunks(scenario)


def test_an_emergency_call_over_a_line_that_does_not_exist_goes_through_the_emergency_line() -> None:
    async def scenario(h: Trunks) -> None:
        h.make(LineGroup("rescue", ("b",)))
        assert await h.call("nothing", "112") == [B]
        h.groups.remove("rescue")
        assert await h.call("nothing", "112") == ["404 no line nothing"]

    trunks(scenario)


@pytest.mark.parametrize("number", ["1120", "0112", "11", "911"])
def test_another_number_is_no_emergency(number: str) -> None:
    async def scenario(h: Trunks) -> None:
        h.make()
        assert h.plan("a", number).turning is Turning.LINES

    trunks(scenario)
