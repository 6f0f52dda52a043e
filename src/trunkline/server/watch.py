"""Notices a handler that holds the event loop, and names it with its stack.

A thread asks the loop for a sign of life while async handlers run. Without one for 100 ms it looks at what the loop's thread is doing and
logs that. `dispatch` uses it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from contextlib import AbstractContextManager
from itertools import islice
from types import FrameType, TracebackType

__all__ = ["LoopWatch"]

log = logging.getLogger("trunkline.server")

HELD_S = 0.1
"""How long a handler may hold the loop unnoticed."""
GRACE_S = 0.005
"""A handler that runs no longer than this is none that holds the loop."""
REPEAT_S = 10.0
"""Between two warnings while the loop stays held."""
STACK_FRAMES = 12


class LoopWatch:
    """Watches one loop while handlers run on it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._names: list[str] = []
        self._resting = False
        """The thread sleeps, or is about to: whoever begins wakes it."""
        self._busy = threading.Event()
        self._stopped = threading.Event()
        self._alive = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch; to be called on the loop's thread."""
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="trunkline-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; at once, though the loop is held by whoever calls."""
        self._stopped.set()
        for wait in (self._busy, self._alive):
            wait.set()
        if self._thread is not None:
            self._thread.join()

    def handler(self, name: str) -> AbstractContextManager[None]:
        """While the block runs, a handler of this name may hold the loop."""
        return _Running(self, name)

    def _begin(self, name: str) -> None:
        self._names.append(name)
        if self._resting:
            # the event is for a thread that sleeps: at many calls a second it never does
            self._resting = False
            self._busy.set()

    def _end(self, name: str) -> None:
        self._names.remove(name)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self._rest()
            # most handlers are over by then, and their loop need not be asked
            self._stopped.wait(GRACE_S)
            if self._names:
                if not self._asked():
                    return
                self._listen()
            self._stopped.wait(HELD_S / 2)

    def _rest(self) -> None:
        """Sleep until a handler runs."""
        self._busy.clear()
        self._resting = True
        # who began or stopped before the lines above is not waited for
        if not self._names and not self._stopped.is_set():
            self._busy.wait()
        self._resting = False

    def _listen(self) -> None:
        if not self._alive.wait(HELD_S):
            self._warn()
            self._alive.wait(REPEAT_S)

    def _asked(self) -> bool:
        self._alive.clear()
        if self._stopped.is_set():
            return False  # `stop` may have been before the line above
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._alive.set)
        except RuntimeError:
            return False  # the loop is closed
        return True

    def _warn(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        stack = _stack(frame) if frame is not None else "(gone)"
        names = ", ".join(sorted(set(self._names))) or "a handler that has just ended"
        log.warning(
            "the event loop has been held for more than %d ms; handlers that run: %s; it is here:\n%s",
            HELD_S * 1000,
            names,
            stack,
        )


class _Running(AbstractContextManager[None]):
    """A handler that runs."""

    __slots__ = ("_name", "_watch")

    def __init__(self, watch: LoopWatch, name: str) -> None:
        self._watch = watch
        self._name = name

    def __enter__(self) -> None:
        self._watch._begin(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._watch._end(self._name)


def _stack(innermost: FrameType) -> str:
    """Where it is, innermost last.

    Without the source lines: for them Python would read the whole file of each frame and keep it, megabytes in a process whose machine is
    busy now and then.
    """
    places = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
        for frame, line in islice(traceback.walk_stack(innermost), STACK_FRAMES)
    ]
    return "\n".join(reversed(places))
