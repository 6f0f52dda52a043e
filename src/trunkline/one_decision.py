"""What waits for exactly one decision, which may come from any thread and is carried out on the loop.

`RegisterRequest` and `ChatMessage` are such things: a handler that is a plain function decides from its thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

__all__ = ["OneDecision"]


class OneDecision:
    """Waits for a decision; the first one counts.

    Args:
        loop: Where decisions are carried out.
        what: What it is, for the error of a second decision.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, what: str) -> None:
        self._loop = loop
        self._what = what
        self._lock = threading.Lock()
        self._decided = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def decided(self) -> bool:
        """Whether a decision has been taken."""
        return self._decided

    def wait(self, timeout_s: float) -> None:
        """Settle it when no decision was taken for so long. Called on the loop."""
        self._timer = self._loop.call_later(timeout_s, self.settle)

    def settle(self) -> None:
        """Do what is done without a decision, unless there is one."""
        raise NotImplementedError

    def _decide(self, carry_out: Callable[[], None]) -> None:
        with self._lock:
            if self._decided:
                raise RuntimeError(f"this {self._what} is decided already")
            self._decided = True
        if _running_loop() is self._loop:
            self._carry_out(carry_out)
        else:
            self._loop.call_soon_threadsafe(self._carry_out, carry_out)

    def _carry_out(self, decision: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        decision()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
