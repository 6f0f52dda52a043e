"""An asyncio event loop whose time is virtual: waiting costs nothing, and an hour of timers passes in milliseconds.

`VirtualLoop.time()` stands still while anything is ready to run and jumps to the next timer when nothing is. A function
in an executor thread counts as ready: time waits for it. `run` replaces `asyncio.run`; the pytest plugin offers the
same as a fixture. Everything of trunkline that is Python reads `loop.time` alone, so registrations lapse, calls time
out and back-offs grow at this speed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

__all__ = ["Deadlock", "VirtualLoop", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

THREAD_POLL_S = 0.01
"""Real seconds between looks at a thread that time waits for."""

THREAD_LIMIT_S = 30.0
"""Real seconds after which a thread, or a loop with nothing left to do, is a deadlock."""


class Deadlock(RuntimeError):
    """Nothing is scheduled and nothing can become ready: whoever awaits something awaits it for ever."""


class _VirtualSelector(selectors.DefaultSelector):
    """Looks at the real file descriptors without waiting; instead of waiting, time moves on."""

    loop: VirtualLoop
    _idle_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            self._idle_s = 0.0
            return ready
        if self.loop.threads_busy or timeout is None:
            return self._wait_for_thread()
        self._idle_s = 0.0
        self.loop.advance(timeout)
        return ready

    def _wait_for_thread(self) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(THREAD_POLL_S)
        self._idle_s = 0.0 if ready else self._idle_s + THREAD_POLL_S
        if self._idle_s > THREAD_LIMIT_S:
            raise Deadlock("nothing is scheduled, and no thread came back")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time.

    Args:
        start_s: What `time()` says first.

    Example:
        >>> async def nap():
        ...     await asyncio.sleep(3600)
        ...     return asyncio.get_running_loop().time()
        >>> run(nap())
        4600.0
    """

    def __init__(self, start_s: float = 1000.0) -> None:
        selector = _VirtualSelector()
        selector.loop = self
        self._now_s = start_s
        self._threads_busy = 0
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move time on; called by the selector when nothing is ready."""
        # a hair more than asked for, so that rounding never leaves a timer just short of due
        self._now_s = round(self._now_s + seconds, 9)

    @property
    def threads_busy(self) -> bool:
        """Whether a function runs in an executor."""
        return self._threads_busy > 0

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Like the base class; time stands still until the function has returned."""
        self._threads_busy += 1
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, future: asyncio.Future[Any]) -> None:
        self._threads_busy -= 1


def run(main: Coroutine[Any, Any, T], *, start_s: float = 1000.0) -> T:
    """Run a coroutine on a virtual loop of its own and return its result, as `asyncio.run` does in real time.

    Args:
        main: The coroutine.
        start_s: What the loop's clock says first, in seconds.

    Raises:
        Deadlock: It waits for something that cannot happen.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start_s)) as runner:
        return runner.run(main)
