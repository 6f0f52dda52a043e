"""Line groups: several lines under one name, and in which order they are tried for a call.

The facade adds them, `routing` asks for their order. A group's name stands wherever a line's does, so the two share one
name space. What follows on which failure is `calls.plan.TABLE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Literal, NamedTuple

from trunkline.errors import ConfigurationError, UnknownPeer
from trunkline.server.rates import price_of

__all__ = ["Choice", "LineGroup", "LineGroups", "Strategy"]

Strategy = Literal["order", "weight", "least_cost"]
"""How a group chooses: the first line that can, by lot, or the cheapest for the number."""


class Choice(NamedTuple):
    """A line that a group names for a call."""

    line: str
    unfit: str = ""
    """Why it is not even tried; "" where it is."""


@dataclass(frozen=True, slots=True)
class LineGroup:
    """Several lines under one name."""

    name: str
    lines: tuple[str, ...]
    """The lines, by name."""
    strategy: Strategy = "order"
    """In which order lines are tried: as they stand in `lines`, by lot with `weights`, or the cheapest first."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How often a line comes first, compared with the others; 1 unless given, 0 for only when all others have failed."""
    rates: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    """Price by prefix by line, with prefixes as `rates.digits` leaves them."""
    max_calls: int | None = None
    """Calls over all its lines at a time, in both directions; None for no limit."""
    calls_per_second: float | None = None
    """Calls a second that are placed over it; None for no limit."""
    silence_s: float = 6.0
    """How long a line may send nothing at all before the next is tried; a line that has said 100 has all the time."""

    def __post_init__(self) -> None:
        for key, good, problem in self._rules():
            if not good:
                raise ConfigurationError(f"line_groups.{self.name}.{key}", problem)

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """Key, whether it is right, and what would be."""
        yield "name", bool(self.name) and self.name.isprintable(), "a printable name is needed"
        yield "lines", bool(self.lines), "at least one line is needed"
        twice = {line for line in self.lines if self.lines.count(line) > 1}
        yield "lines", not twice, f"{', '.join(sorted(twice))} stands twice"
        for key, values in (("weights", self.weights), ("rates", self.rates)):
            strange = [line for line in values if line not in self.lines]
            yield key, not strange, f"{', '.join(strange)} is none of its lines"
        yield "weights", not self.weights or self.strategy == "weight", 'goes with strategy = "weight"'
        yield "weights", all(0 <= w < math.inf for w in self.weights.values()), "a weight is 0 or more"
        needed = 'strategy = "least_cost" and rates go together'
        yield "rates", bool(self.rates) == (self.strategy == "least_cost"), needed

    def order(self, number: str, random: Random) -> list[Choice]:
        """The lines in the order in which they are tried for a call.

        Args:
            number: What is dialled.
            random: The lot, where weights decide.
        """
        return _ORDERS[self.strategy](self, number, random)


def _as_written(group: LineGroup, number: str, random: Random) -> list[Choice]:
    return [Choice(line) for line in group.lines]


def _by_lot(group: LineGroup, number: str, random: Random) -> list[Choice]:
    """Drawn one after the other without putting back, each with the chance that its weight has among those left.

    The smallest of exponentially distributed times with these rates comes first with that chance (Efraimidis and
    Spirakis 2006); so leaving out the lines that cannot be used changes nothing about the others' shares.
    """

    def time(line: str) -> float:
        weight = group.weights.get(line, 1.0)
        drawn = -math.log(1.0 - random.random())
        return drawn / weight if weight > 0 else math.inf

    times = {line: time(line) for line in group.lines}
    return [Choice(line) for line in sorted(group.lines, key=times.__getitem__)]


def _cheapest_first(group: LineGroup, number: str, random: Random) -> list[Choice]:
    prices = {line: price_of(group.rates.get(line, {}), number) for line in group.lines}
    priced = {line: price for line, price in prices.items() if price is not None}
    dear = [Choice(line) for line in sorted(priced, key=priced.__getitem__)]
    return [*dear, *(Choice(line, f"line {line} has no rate for {number}") for line in prices if line not in priced)]


_ORDERS: dict[str, Callable[[LineGroup, str, Random], list[Choice]]] = {
    "order": _as_written,
    "weight": _by_lot,
    "least_cost": _cheapest_first,
}


class LineGroups:
    """All groups, by name."""

    def __init__(self) -> None:
        self._groups: dict[str, LineGroup] = {}

    def add(self, group: LineGroup) -> None:
        """Add a group. ConfigurationError where the name is taken."""
        if group.name in self._groups:
            raise ConfigurationError(f"line_groups.{group.name}", "there is a line group of that name already")
        self._groups[group.name] = group

    def remove(self, name: str) -> None:
        """Remove a group; its lines stay. UnknownPeer where there is none."""
        if self._groups.pop(name, None) is None:
            raise UnknownPeer(f"no line group {name}")

    def find(self, name: str) -> LineGroup | None:
        """The group of that name."""
        return self._groups.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._groups

    def __iter__(self) -> Iterator[LineGroup]:
        return iter(list(self._groups.values()))
