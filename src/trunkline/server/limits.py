"""How many calls a line and a group may have, at a time and a second: who is let through, and in which words others are not.

`routing` asks when the step begins that would use the line. Calls at a time are counted on the calls themselves, so that
no count can be left over; calls a second in token buckets on the loop's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from trunkline.calls.peers import PlacementError
from trunkline.server.groups import LineGroup
from trunkline.server.line import Line

__all__ = ["Limits", "TokenBucket"]


@dataclass(slots=True)
class TokenBucket:
    """A token a call; they come back at a steady rate.

    Args:
        per_s: Calls a second that may be placed on and on. As many, and at least one, may be placed at once.
        at_s: The clock now.
    """

    per_s: float
    at_s: float
    tokens: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self._most

    @property
    def _most(self) -> float:
        return max(1.0, self.per_s)

    def full_enough(self, now_s: float) -> bool:
        """Whether there is a token."""
        self.tokens = min(self._most, self.tokens + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        # what was added in parts may lack a rounding error
        return self.tokens >= 1 - 1e-9

    def take(self) -> None:
        """Take a token; where there is none it stays empty."""
        self.tokens = max(0.0, self.tokens - 1)


class Limits:
    """Who is let through.

    Args:
        active_calls: What a line's calls are: None for each that came in or was answered, and for each that is being
            placed what it was let through as.
        clock: The loop's.
        groups: All groups, for the limits that lines share.
    """

    def __init__(
        self,
        active_calls: Callable[[str], Sequence[object | None]],
        clock: Callable[[], float],
        groups: Iterable[LineGroup],
    ) -> None:
        self._active_calls = active_calls
        self._clock = clock
        self._groups = groups
        self._let_through: dict[str, set[object]] = {}
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def check_group(self, group: LineGroup) -> None:
        """Say at once that a group is full, before its lines are asked one by one. Takes nothing.

        Raises:
            PlacementError: 503: it is full, or has had its calls of this second.
        """
        self._check_calls(group.name, "line group", group.lines, group.max_calls)
        self._check_rate(group.name, "line group", group.calls_per_second)

    def let_through(self, line: Line, hold: object, group: LineGroup | None = None, *, first: bool = True) -> None:
        """Let a call through to a line, from now on counted there.

        Args:
            line: Which.
            hold: What it is known by among the active calls of the line.
            group: The group that it is placed over, whose calls a second it counts for.
            first: Whether no line of the group has been tried for this call; later ones take nothing of its rate.

        Raises:
            PlacementError: 503: the line, a group that it belongs to, or the rate of one of them has no room.
        """
        settings = line.settings
        self._check_calls(line.name, "line", (line.name,), settings.max_calls)
        for each in self._groups:
            if line.name in each.lines:
                self._check_calls(each.name, "line group", each.lines, each.max_calls)
        rates = [(line.name, "line", settings.calls_per_second)]
        if group is not None and first:
            rates.append((group.name, "line group", group.calls_per_second))
        buckets = [self._check_rate(*rate) for rate in rates]
        for bucket in buckets:
            if bucket is not None:
                bucket.take()
        self.count(line, hold)

    def count(self, line: Line, hold: object) -> None:
        """Count a call on a line, where its calls are counted; nothing stops it."""
        shared = any(group.max_calls is not None and line.name in group.lines for group in self._groups)
        if line.settings.max_calls is None and not shared:
            return
        placed = self._placed(line.name)
        self._let_through[line.name] = (self._let_through.get(line.name, set()) & placed) | {hold}

    def _placed(self, line: str) -> set[object]:
        return {hold for hold in self._active_calls(line) if hold is not None}

    def _calls(self, line: str) -> int:
        """Those that came in or were answered, and those being placed that were let through, in the order asked."""
        calls = self._active_calls(line)
        through = self._let_through.get(line, set())
        return sum(1 for hold in calls if hold is None or hold in through)

    def _check_calls(self, name: str, kind: str, lines: Iterable[str], limit: int | None) -> None:
        if limit is not None and sum(map(self._calls, lines)) >= limit:
            raise PlacementError(503, f"{kind} {name} has its {limit} calls")

    def _check_rate(self, name: str, kind: str, per_s: float | None) -> TokenBucket | None:
        if per_s is None:
            return None
        now_s = self._clock()
        bucket = self._buckets.get((kind, name))
        if bucket is None or bucket.per_s != per_s:
            bucket = self._buckets[kind, name] = TokenBucket(per_s, now_s)
        if not bucket.full_enough(now_s):
            raise PlacementError(503, f"{kind} {name} has had its {per_s:g} calls a second")
        return bucket
