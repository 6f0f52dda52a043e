"""What `accept` returns: a thing to await, or to wait for in another thread, or to leave alone.

The session settles it once: connected, or the `CallFailed` or `CallEnded` to raise. Nobody has to look at it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator

from trunkline.errors import CallError

__all__ = ["Placement"]


class Placement:
    """The outcome of `CallSession.accept`, once there is one.

    `await placement` returns None when the two parties are connected; cancelling the task that awaits it leaves the
    placing as it is (`CallSession.close` ends it). From another thread: `placement.result()`.

    Raises:
        CallFailed: No attempt was answered: `Busy`, `Declined`, `NoAnswer`, `NotRegistered` or another status.
        CallEnded: The caller gave up, or the session was closed meanwhile.
        CallStateError: The call had been accepted, or was over.

    Args:
        on_loop: Whether the caller's thread is the one that settles it, where waiting would be for ever.
    """

    def __init__(self, on_loop: Callable[[], bool] = lambda: False) -> None:
        self._on_loop = on_loop
        self._done = False
        self._threads: list[threading.Event] = []
        self._error: CallError | None = None
        self._waiters: dict[asyncio.Future[None], asyncio.Task[object] | None] = {}

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._done

    @property
    def error(self) -> CallError | None:
        """Why it failed; None while it is open, and when the parties are connected."""
        return self._error

    @property
    def awaiting(self) -> tuple[asyncio.Task[object], ...]:
        """The tasks that await it now."""
        return tuple(task for task in self._waiters.values() if task is not None)

    def settle(self, error: CallError | None = None) -> None:
        """From the session: connected, or why not. The first outcome stands."""
        if self.done:
            return
        self._error = error
        self._done = True
        # whoever is entered after this sees that it is done
        for thread in self._threads:
            thread.set()
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def result(self, timeout_s: float | None = None) -> None:
        """Wait for the outcome in a thread other than the loop's.

        Args:
            timeout_s: How long at most; None for as long as it takes.

        Raises:
            CallError: As awaiting it does.
            TimeoutError: There is no outcome yet.
            RuntimeError: Called on the loop's thread, where it would wait for ever.
        """
        if not self.done and self._on_loop():
            raise RuntimeError("await the placement on the loop; result() is for other threads")
        settled = threading.Event()
        self._threads.append(settled)
        if not self.done and not settled.wait(timeout_s):
            raise TimeoutError(f"no outcome within {timeout_s} s")
        self._raise()

    def __await__(self) -> Generator[object, None, None]:
        if not self.done:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = asyncio.current_task()
            try:
                yield from waiter
            finally:
                self._waiters.pop(waiter, None)
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            # a fresh one each time: a traceback grows on what is raised twice
            raise self._copy(self._error)

    @staticmethod
    def _copy(error: CallError) -> CallError:
        fresh = type(error).__new__(type(error), *error.args)
        fresh.args = error.args
        fresh.__dict__.update(error.__dict__)
        return fresh
