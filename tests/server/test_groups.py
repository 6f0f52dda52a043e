"""Line groups by themselves: the order of lines, by list, by lot and by price; what is wrong with a group."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import ConfigurationError, UnknownPeer
from trunkline.server.groups import LineGroup, LineGroups
from trunkline.storage.records import GroupRecord

NUMBER = "+4930123"


def names(group: LineGroup, number: str = NUMBER, random: Random | None = None) -> list[str]:
    return [choice.line for choice in group.order(number, random or Random(1))]


def test_lines_are_tried_as_they_are_written() -> None:
    assert names(LineGroup("g", ("c", "a", "b"))) == ["c", "a", "b"]


class Drawn(Random):
    """A lot that draws what it is told."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self._values = iter(values)

    def random(self) -> float:
        return next(self._values)


@pytest.mark.parametrize(
    ("draws", "order"),
    [
        # times -ln(1 - draw) / weight, by hand: 0.693/3, 0.693/1
        ((0.5, 0.5), ["heavy", "light"]),
        ((0.9, 0.1), ["light", "heavy"]),  # 2.303/3 = 0.768 against 0.105
        ((0.875, 0.5), ["heavy", "light"]),  # both 0.693: the one that stands first
        ((0.876, 0.5), ["light", "heavy"]),
    ],
)
def test_the_lot_goes_by_weight(draws: tuple[float, float], order: list[str]) -> None:
    group = LineGroup("g", ("heavy", "light"), "weight", weights={"heavy": 3.0})
    assert names(group, random=Drawn(*draws)) == order


def test_by_lot_every_line_comes_first_as_often_as_its_weight_says() -> None:
    group = LineGroup("g", ("a", "b", "c", "never"), "weight", weights={"a": 5, "b": 3, "c": 2, "never": 0})
    random = Random(20)
    orders = [names(group, random=random) for _ in range(20_000)]
    first = Counter(order[0] for order in orders)
    for line, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert abs(first[line] / len(orders) - share) < 0.01  # three standard deviations
    assert {order[-1] for order in orders} == {"never"}


def test_where_a_line_cannot_be_used_the_others_keep_their_shares() -> None:
    group = LineGroup("g", ("a", "b", "c"), "weight", weights={"a": 5, "b": 3, "c": 1})
    random = Random(21)
    orders = [names(group, random=random) for _ in range(20_000)]
    first = Counter(next(line for line in order if line != "a") for order in orders)
    assert abs(first["b"] / len(orders) - 0.75) < 0.01


def least_cost(**rates: dict[str, str]) -> LineGroup:
    prices = {line: {prefix: Decimal(price) for prefix, price in of.items()} for line, of in rates.items()}
    return LineGroup("g", tuple(rates), "least_cost", rates=prices)


@pytest.mark.parametrize(
    ("number", "order"),
    [
        ("+4930123", ["a", "b"]),  # 0.010 against 0.02
        ("4930123", ["a", "b"]),
        ("+49 171-5", ["b", "a"]),  # the longer prefix of a is the dear one
        ("0015", ["b", "a"]),
        ("", ["b", "a"]),
    ],
)
def test_the_cheapest_line_comes_first_by_its_longest_prefix(number: str, order: list[str]) -> None:
    group = least_cost(a={"49": "0.010", "49171": "0.2", "": "0.9"}, b={"49": "0.02", "": "0.5"})
    assert names(group, number) == order


def test_at_one_price_the_order_is_the_lists() -> None:
    assert names(least_cost(z={"": "0.01"}, a={"": "0.010"}, m={"": "0.01"})) == ["z", "a", "m"]


def test_prices_are_decimal() -> None:
    assert names(least_cost(a={"49": "0.10000000000000000001"}, b={"49": "0.1"})) == ["b", "a"]


def test_a_line_without_a_rate_is_not_tried_and_the_reason_is_kept() -> None:
    choices = least_cost(a={"1": "0.01"}, b={"49": "0.02"}).order(NUMBER, Random(1))
    assert [(choice.line, choice.unfit) for choice in choices] == [("b", ""), ("a", "line a has no rate for +4930123")]


@given(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True),
    st.sampled_from(["order", "weight", "least_cost"]),
    st.integers(),
)
def test_an_order_names_every_line_once(lines: list[str], strategy: Any, seed: int) -> None:
    rates = {line: {"49": Decimal(seed % 7)} for line in lines[::2]} if strategy == "least_cost" else {}
    group = LineGroup("g", tuple(lines), strategy, rates=rates)
    choices = group.order(NUMBER, Random(seed))
    assert sorted(choice.line for choice in choices) == sorted(lines)
    fit = [not choice.unfit for choice in choices]
    assert fit == sorted(fit, reverse=True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"lines": ()}, "line_groups.g.lines: at least one line"),
        ({"lines": ("a", "a")}, "line_groups.g.lines: a stands twice"),
        ({"weights": {"a": 1.0}}, 'line_groups.g.weights: goes with strategy = "weight"'),
        ({"strategy": "weight", "weights": {"x": 1.0}}, "line_groups.g.weights: x is none of its lines"),
        ({"strategy": "weight", "weights": {"a": -1.0}}, "line_groups.g.weights: a weight is 0 or more"),
        ({"strategy": "least_cost"}, "line_groups.g.rates: "),
        ({"rates": {"a": {"": Decimal(1)}}}, "line_groups.g.rates: "),
        ({"strategy": "least_cost", "rates": {"x": {"": Decimal(1)}}}, "line_groups.g.rates: x is none of its lines"),
    ],
)
def test_what_does_not_go_together_is_said_by_its_key(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LineGroup("g", **{"lines": ("a",), **settings})
    assert str(caught.value).startswith(problem)


def test_a_group_is_found_by_its_name_until_it_is_removed() -> None:
    groups = LineGroups()
    group = LineGroup("g", ("a",))
    groups.add(group)
    with pytest.raises(ConfigurationError, match="already"):
        groups.add(group)
    assert (groups.find("g"), list(groups)) == (group, [group])
    groups.remove("g")
    assert "g" not in groups
    with pytest.raises(UnknownPeer):
        groups.remove("g")


def test_what_the_store_keeps_of_a_group_makes_the_same_group_again() -> None:
    group = LineGroup(
        "g", ("a", "b"), "least_cost", rates={"a": {"49": Decimal("0.010"), "": Decimal("1")}}, max_calls=3,
        calls_per_second=1.5, silence_s=4.0, stored=True,
    )  # fmt: skip
    record = group.record()
    kept = GroupRecord(record.name, json.loads(json.dumps(record.settings)))
    assert LineGroup.of_record(kept) == group
    assert LineGroup.of_record(kept).rates["a"]["49"] == Decimal("0.010")


@pytest.mark.parametrize(
    "settings", [{}, {"lines": 3}, {"lines": ["a"], "rates": {"a": {"1": "dear"}}}, {"lines": ["a"], "rates": [1]}]
)
def test_what_the_store_kept_badly_is_no_group(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^line_groups\.g: cannot be read from the store"):
        LineGroup.of_record(GroupRecord("g", settings))


@pytest.mark.parametrize("number", ["+49 170 1234567", "0049 170 1234567", "0170 1234567", "0170/1234567"])
def test_a_price_is_found_however_the_number_is_dialled(number: str) -> None:
    group = least_cost(a={"49": "0.02", "4917": "0.10"}, b={"4917": "0.05"})
    choices = group.order(number, Random(1), {"a": "DE", "b": "DE"}.__getitem__)
    assert [choice.line for choice in choices if not choice.unfit] == ["b", "a"]


def test_each_line_reads_a_number_in_its_own_country() -> None:
    group = least_cost(a={"49": "0.02"}, b={"43": "0.01"})
    choices = group.order("0664 1234567", Random(1), {"a": "DE", "b": "AT"}.__getitem__)
    assert [choice.line for choice in choices if not choice.unfit] == ["b", "a"]
    unknown = group.order("0664 1234567", Random(1))
    assert all(choice.unfit for choice in unknown)


def test_what_is_no_number_of_a_country_is_compared_as_dialled() -> None:
    group = least_cost(a={"112": "0"}, b={"11": "1"})
    assert [choice.line for choice in group.order("112", Random(1), lambda line: "DE")] == ["a", "b"]
