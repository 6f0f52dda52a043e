"""Whether one server of a line is up, from what was heard of it: pings with hysteresis, requests that got through or not.

`line_server` keeps one for each server of a line. Pure: the time is an argument. A server is *up*, *doubtful* (a
request failed there: others go before it) or *down* (pings went unanswered, or it asked for a pause: it gets no calls).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["DOUBT_S", "PAUSE_LIMIT_S", "SILENT_S", "Hysteresis", "ServerHealth", "Standing"]

DOUBT_S = 300.0
"""How long a failed request counts against a server that no ping can clear."""

SILENT_S = 300.0
"""How long a server is left alone that answers neither pings nor a call, and never answered a ping."""

PAUSE_LIMIT_S = 600.0
"""The longest Retry-After that keeps calls away: a provider's slip must not silence a line for a day."""


class Standing(IntEnum):
    """Where a server stands; the lower the better."""

    UP = 0
    DOUBTFUL = 1
    DOWN = 2


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How many pings in a row change a server's standing."""

    down_after: int = 3
    """Pings without an answer that take it down."""
    up_after: int = 2
    """Pings answered that clear it."""


class ServerHealth:
    """The health of one server.

    Args:
        hysteresis: How many pings in a row count.
        pings_count: Whether unanswered pings count of a server that never answered one. Some providers ignore OPTIONS: of
            a line that registers, the REGISTER tells more; of one that doesn't, they raise a doubt, and take the
            server down only together with a request that failed, for a while.
    """

    def __init__(self, hysteresis: Hysteresis, *, pings_count: bool) -> None:
        self._hysteresis = hysteresis
        self._pings_count = pings_count
        self._proven = False
        self._standing = Standing.UP
        self._until = float("inf")
        self._missed = 0
        self._answered = 0
        self.reason = ""
        """Why it is not up, in words."""

    def standing(self, now: float) -> Standing:
        """Where it stands."""
        return Standing.UP if now >= self._until else self._standing

    @property
    def is_sound(self) -> bool:
        """Whether it is up and nothing speaks against it: one more success changes nothing."""
        return self._standing is Standing.UP and not self._missed

    @property
    def between(self) -> bool:
        """Whether the last pings speak against where it stands: more of them are wanted soon."""
        return (self._missed if self._standing is Standing.UP else self._answered) > 0

    def failed(self, now: float, reason: str, retry_after_s: float | None = None) -> None:
        """A request failed there: no answer, no transport, or 503.

        Args:
            now: The loop's clock.
            reason: In words.
            retry_after_s: The pause that a 503 asked for, in seconds (RFC 3261 §21.5.4).
        """
        self._answered = 0
        if retry_after_s:
            self._become(Standing.DOWN, reason, now + min(retry_after_s, PAUSE_LIMIT_S))
        elif self._missing and not self._proven:
            # pings that go unanswered, and now this: until it may be tried again, for its pings may never tell
            self._become(Standing.DOWN, reason, now + SILENT_S)
        elif self.standing(now) is Standing.UP:
            # pings will clear it where they are answered; else time does
            self._become(Standing.DOUBTFUL, reason, float("inf") if self._proven else now + DOUBT_S)

    def worked(self) -> None:
        """A request got through there."""
        self._missed = 0
        self._become(Standing.UP, "", float("inf"))

    def ping_answered(self, now: float) -> None:
        """It answered OPTIONS."""
        self._proven = True
        self._missed = 0
        self._answered += 1
        if self._standing is not Standing.UP and self._answered >= self._hysteresis.up_after and not self._paused(now):
            self.worked()

    def ping_failed(self, now: float, reason: str, *, heard: bool, retry_after_s: float | None = None) -> None:
        """It did not answer OPTIONS, or with 503.

        Args:
            now: The loop's clock.
            reason: In words.
            heard: Whether it answered at all.
            retry_after_s: The pause that it asked for.
        """
        self._proven = self._proven or heard
        self._answered = 0
        self._missed += 1
        if retry_after_s:
            self.failed(now, reason, retry_after_s)
        elif self._missing and self._proven:
            self._become(Standing.DOWN, reason, float("inf"))
        elif self._missing and self.standing(now) is Standing.UP:
            self._become(Standing.DOUBTFUL, reason, float("inf"))

    @property
    def _missing(self) -> bool:
        """Whether so many pings went unanswered that it counts."""
        return (self._proven or self._pings_count) and self._missed >= self._hysteresis.down_after

    def _paused(self, now: float) -> bool:
        return self._standing is Standing.DOWN and now < self._until < float("inf")

    def _become(self, standing: Standing, reason: str, until: float) -> None:
        self._standing, self.reason, self._until = standing, reason, until
        self._answered = 0
