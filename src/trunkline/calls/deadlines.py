"""Timers of calls, most of which are cancelled: one timer of the loop for all that run equally long.

A call that is answered and hung up sets several and lets none go off. On the loop each would cost a handle, and its heap would
be put in order again and again for those that are cancelled. `Environment` keeps the one `Deadlines` of a server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

__all__ = ["Deadline", "Deadlines"]


class Deadline:
    """A call of a function that is due at some time."""

    __slots__ = ("_queue", "callback", "due_s")

    def __init__(self, due_s: float, callback: Callable[[], None], queue: deque[Deadline]) -> None:
        self.due_s = due_s
        self.callback: Callable[[], None] | None = callback
        self._queue = queue

    def happen(self) -> None:
        """From `Deadlines`: it is due."""
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()

    def cancel(self) -> None:
        """Let it not happen. Idempotent."""
        self.callback = None
        queue = self._queue
        while queue and queue[0].callback is None:
            queue.popleft()


class Deadlines:
    """What is due, by how long it runs: of those that run equally long the one set first is due first."""

    def __init__(self) -> None:
        self._queues: dict[float, deque[Deadline]] = {}

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Deadline:
        """Call `callback` on the running loop in `delay_s` seconds, unless the deadline is cancelled."""
        loop = asyncio.get_running_loop()
        queue = self._queues.get(delay_s)
        deadline_s = loop.time() + delay_s
        if queue is None:
            self._queues[delay_s] = queue = deque()
            loop.call_at(deadline_s, self._due, delay_s, deadline_s)
        deadline = Deadline(deadline_s, callback, queue)
        queue.append(deadline)
        return deadline

    def _due(self, delay_s: float, armed_s: float) -> None:
        """The loop's timer for all that run so long: what is due happens, and the timer is set for what is left."""
        loop = asyncio.get_running_loop()
        queue = self._queues[delay_s]
        now_s = max(loop.time(), armed_s)  # the loop may be a rounding error early
        while queue and (queue[0].callback is None or queue[0].due_s <= now_s):
            loop.call_soon(queue.popleft().happen)
        if queue:
            loop.call_at(queue[0].due_s, self._due, delay_s, queue[0].due_s)
        else:
            del self._queues[delay_s]
