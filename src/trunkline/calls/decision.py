"""The wait for a decision about a caller: who may still make one, until when, and what the caller is told otherwise.

A handler of incoming_call, failed or timeout may decide while it runs, and so may a task that awaited the placing that
failed. When the last of them has ended the failure goes to the caller. `Course` owns one `Decision`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from trunkline.calls.deadlines import Deadline
from trunkline.calls.environment import CallLog, Environment
from trunkline.calls.link import News
from trunkline.constants import ClosedReason

__all__ = ["NOBODY", "UNDECIDED", "Decision", "Refusal"]


class Refusal(NamedTuple):
    """What becomes of a caller about whom nothing else is decided."""

    closed: ClosedReason
    news: News


NOBODY = Refusal(ClosedReason.FAILED, News(status=480))
"""There is nobody who decides."""

UNDECIDED = Refusal(ClosedReason.TIMEOUT, News(status=480))
"""Nothing was decided, or nobody answered, in time."""


class Decision:
    """What is due for a caller who waits.

    Args:
        env: The surroundings.
        log: Of the call.
        due: Whether nothing is decided.
        handled: Whether a handler runs that may decide.
        refuse: Told the refusal when nobody is left who may decide, or the time is over; only while a decision is due.
    """

    def __init__(
        self,
        env: Environment,
        log: CallLog,
        *,
        due: Callable[[], bool],
        handled: Callable[[], bool],
        refuse: Callable[[Refusal], None],
    ) -> None:
        self._env = env
        self._log = log
        self._due = due
        self._handled = handled
        self._refuse = refuse
        self._timer: Deadline | None = None
        self._tasks: frozenset[asyncio.Task[object]] = frozenset()
        self.refusal: Refusal | None = None
        """Why a placing failed; None while none has."""

    def fail(self, refusal: Refusal, awaiting: Iterable[asyncio.Task[object]]) -> None:
        """A placing failed; the tasks that awaited it may decide while they run."""
        self.made()
        self.refusal = refusal
        for task in awaiting:
            self._tasks |= {task}
            task.add_done_callback(self._task_done)

    def wait(self, otherwise: Refusal) -> None:
        """Wait for whoever may decide; with nobody there the caller is told `otherwise` at once."""
        if not self._open:
            self._refuse(otherwise)
        elif self._timer is None:
            self._timer = self._env.call_later(self._env.options.decision_timeout_s, self._late)

    def settle(self) -> None:
        """Somebody who might have decided has ended: with nobody left, a failure that stands goes to the caller."""
        if self.refusal is not None and self._due() and not self._open:
            self._refuse(self.refusal)

    def made(self) -> None:
        """It is decided, or there is nothing to decide any more."""
        self.refusal = None
        tasks, self._tasks = self._tasks, frozenset()
        for task in tasks:
            task.remove_done_callback(self._task_done)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _open(self) -> bool:
        return bool(self._tasks) or self._handled()

    def _task_done(self, task: asyncio.Task[object]) -> None:
        self._tasks -= {task}
        # one step later: what awaits this task (as `asyncio.wait_for` does) has had its turn by then
        asyncio.get_running_loop().call_soon(self.settle)

    def _late(self) -> None:
        self._timer = None
        if self._due():
            self._log.warning("nothing was decided about it in %g s", self._env.options.decision_timeout_s)
            self._refuse(self.refusal or UNDECIDED)
