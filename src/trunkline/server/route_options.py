"""The options of line groups and of the dial plan's rules, as a file has them; `config` puts them beside the others.

`GroupOptions` are the keyword arguments of `SipServer.add_line_group` too. Names are checked against each other where the
whole file is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from trunkline.calls.destinations import AtOnce, Destination, ToLine, ToUser
from trunkline.errors import ConfigurationError
from trunkline.server.groups import LineGroup, Strategy
from trunkline.server.options import Options
from trunkline.server.rates import normal, read_rates

__all__ = ["DestinationOptions", "GroupOptions", "RouteOptions"]


class GroupOptions(Options):
    """The options of a line group."""

    lines: tuple[str, ...]
    """The lines, by name."""
    strategy: Strategy = "order"
    """In which order lines are tried: as they stand in `lines`, by lot with `weights`, or the cheapest first."""
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}
    """How often a line comes first, compared with the others; 1 unless given, 0 for only when all others have failed."""
    rates: dict[str, dict[str, Decimal]] = {}
    """Prices, for `least_cost`: by line, then by the prefix that numbers begin with; "" is every number."""
    rates_file: Path | None = None
    """The same as a CSV file with the columns `line`, `prefix` and `price`."""
    max_calls: Annotated[int, Field(ge=1)] | None = None
    """Calls over all its lines at a time, in both directions; None for no limit."""
    calls_per_second: Annotated[float, Field(gt=0)] | None = None
    """Calls a second that are placed over it; None for no limit."""
    silence_s: Annotated[float, Field(gt=0, le=32)] = 6.0
    """How long a line may send nothing at all before the next is tried; a line that has said 100 has all the time."""

    def group(self, name: str, *, stored: bool = False) -> LineGroup:
        """The group of these options. ConfigurationError where values do not go together, or the file is no table.

        Args:
            name: Its name.
            stored: Whether the store keeps it.
        """
        key = f"line_groups.{name}"
        if self.rates and self.rates_file is not None:
            raise ConfigurationError(f"{key}.rates_file", "give either rates or rates_file")
        rates = normal(self.rates, f"{key}.rates")
        if self.rates_file is not None:
            read = read_rates(self.rates_file, f"{key}.rates_file")
            # one file may serve several groups
            rates = {line: prices for line, prices in read.items() if line in self.lines}
        values = self.model_dump(exclude={"rates", "rates_file"})
        return LineGroup(name=name, rates=rates, stored=stored, **values)


class DestinationOptions(Options):
    """A destination of a rule. Exactly one of `user`, `line` and `at_once` is needed."""

    user: str | None = None
    """A user, all of whose phones ring."""
    line: str | None = None
    """A line or line group to call through."""
    at_once: tuple[DestinationOptions, ...] = ()
    """Destinations that ring together."""
    dial_number: str | None = None
    """The number to call through the line, instead of what was dialled."""
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] | None = None
    """How long it may ring before the next is tried; the route's `timeout_s` bounds the whole."""

    @model_validator(mode="after")
    def _one(self) -> DestinationOptions:
        if sum((self.user is not None, self.line is not None, bool(self.at_once))) != 1:
            raise ValueError("a destination needs exactly one of user, line and at_once")
        if self.dial_number is not None and self.line is None:
            raise ValueError("dial_number goes with line")
        return self

    def destination(self) -> Destination:
        """As `accept(to=…)` takes it."""
        if self.user is not None:
            return ToUser(self.user, self.timeout_s)
        if self.line is not None:
            return ToLine(self.line, self.dial_number, self.timeout_s)
        return AtOnce(*(part.destination() for part in self.at_once), timeout_s=self.timeout_s)


class RouteOptions(Options):
    """One rule of the dial plan; see `trunkline.features.dialplan.Route`."""

    from_: Annotated[str, Field(alias="from")] = ""
    """`users`, `lines`, or the name of one user or line; any call where empty."""
    number: str = ".*"
    """A regular expression that the whole dialled number must match."""
    to_user: str | None = None
    """The user to ring. Exactly one of `to_user`, `to_line` and `to` is needed."""
    to_line: str | None = None
    """The line or line group to call through."""
    to: tuple[DestinationOptions, ...] = ()
    """Several destinations, tried in turn."""
    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = 60.0
    """How long it may ring."""

    def named(self) -> Iterator[tuple[str, str | None, str | None]]:
        """Of each destination: what its keys begin with, its user and its line."""
        if not self.to:
            yield "to_", self.to_user, self.to_line
        waiting = [("to", self.to)]
        while waiting:
            where, parts = waiting.pop()
            for number, part in enumerate(parts, 1):
                if not part.at_once:
                    yield f"{where}.{number}.", part.user, part.line
                waiting.append((f"{where}.{number}.at_once", part.at_once))
