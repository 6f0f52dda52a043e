"""Answered INVITEs of ours that stay listened to, for the 2xx of other branches (RFC 3261 §13.2.2.4).

`endpoint` keeps each here for one span; as all have the same, they lapse in the order in which they came, and one timer serves all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Lingering"]

LINGER_SLACK_S = 0.001
"""A timer may fire a rounding error early; what is due within this is due now."""


class Lingering:
    """Transactions and until when each is kept. Lives on the loop.

    Args:
        lasts_s: How long each is kept.
        now_s: The loop's clock.
        lapse: Takes the number of each whose time is over.
    """

    def __init__(self, lasts_s: float, now_s: Callable[[], float], lapse: Callable[[int], object]) -> None:
        self._lasts_s = lasts_s
        self._now_s = now_s
        self._lapse = lapse
        self._until: dict[int, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, tx: int) -> bool:
        return tx in self._until

    def keep(self, tx: int) -> None:
        """Keep a transaction from now on; one that is kept already begins anew."""
        self._until.pop(tx, None)
        self._until[tx] = self._now_s() + self._lasts_s
        if self._timer is None:
            self._wait(self._lasts_s)

    def forget(self, tx: int) -> None:
        """Keep it no longer; it does not lapse."""
        self._until.pop(tx, None)

    def clear(self) -> None:
        """Forget all."""
        self._until.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._now_s()
        for tx, until in list(self._until.items()):
            if until > now + LINGER_SLACK_S:
                self._wait(until - now)
                return
            self.forget(tx)
            self._lapse(tx)
