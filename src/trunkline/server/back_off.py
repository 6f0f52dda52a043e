"""How long to wait before trying again: longer after each failure, never the same for all, never for ever.

`line_registration` holds two: one for providers that are down or busy, one for credentials that they refuse. Pure: the
random source is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["OUTAGE", "REFUSED", "RETRY_AFTER_LIMIT_S", "BackOff", "Schedule"]

RETRY_AFTER_LIMIT_S = 3_600.0
"""The longest Retry-After that is believed: a provider's slip must not silence a line for a day."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits of one kind of failure."""

    first_s: float
    """After the first failure."""
    second_s: float
    """After the second; doubled from there on."""
    limit_s: float
    """The longest wait."""
    jitter: float = 0.2
    """The share by which a wait is made longer or shorter at random, so that many lines do not come back at once."""

    def wait_s(self, failures: int) -> float:
        """The wait after so many failures in a row, before jitter."""
        if failures <= 1:
            return self.first_s
        return min(self.second_s * 2.0 ** min(failures - 2, 30), self.limit_s)


OUTAGE = Schedule(first_s=2.0, second_s=30.0, limit_s=900.0)
"""Silence, transport errors, 4xx and 5xx: 2 s, then 30 s doubling to 15 minutes."""

REFUSED = Schedule(first_s=300.0, second_s=600.0, limit_s=3_600.0)
"""Credentials refused: 5 minutes, doubling to an hour. Providers ban addresses that hammer."""


class BackOff:
    """Counts the failures in a row and says the next wait.

    Args:
        schedule: The waits.
        random: The source of jitter.
    """

    def __init__(self, schedule: Schedule, random: Random) -> None:
        self._schedule = schedule
        self._random = random
        self.failures = 0

    def next_s(self, retry_after_s: float | None = None) -> float:
        """The wait after one more failure.

        Args:
            retry_after_s: What the other side asked for, in seconds. It is kept, up to an hour, but never shortens the
            wait below
                the schedule's first one.
        """
        self.failures += 1
        if retry_after_s is not None:
            asked_s = min(max(retry_after_s, self._schedule.first_s), RETRY_AFTER_LIMIT_S)
            # RFC 3261 §20.33: not before that time, so this jitter only adds
            return asked_s * (1 + self._schedule.jitter * self._random.random() / 2)
        wait_s = self._schedule.wait_s(self.failures)
        return wait_s * (1 + self._schedule.jitter * (2 * self._random.random() - 1))

    def reset(self) -> None:
        """It worked."""
        self.failures = 0
