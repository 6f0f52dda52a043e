"""Has the records of sessions made, told and stored, and old ones deleted.

`Running` makes one. It hears of each session that is over and waits a moment, so that the last counts of the media legs have arrived
and many sessions become one step. A session that is up is written too, without a reason: what a killed process left so is closed by the
next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from trunkline.calls.session import CallSession
from trunkline.constants import ClosedReason
from trunkline.errors import StorageError
from trunkline.events import CallRecorded
from trunkline.explanation import Explanation
from trunkline.storage.records import CallRecord
from trunkline.storage.store import Store

__all__ = ["CallRecords"]

log = logging.getLogger("trunkline.records")

GATHER_S = 0.1
"""How long after its end a session is recorded."""

CLEAN_UP_S = 6 * 3_600.0
"""How often old records are looked for."""

DAY_S = 86_400.0

KILLED = Explanation(
    problem="the server was killed while the call was up",
    sent="BYE to both sides, when it ran again",
    received="",
    rule="RFC 3261 §15",
    advice="look into the system's log for what ended it: memory, a watchdog, a power cut",
)
"""Of a call that was up when the process ended without a word."""


class CallRecords:
    """Records the sessions of a server.

    Args:
        emit: Takes the event of each record.
        asked: Whether anybody wants the event.
        store: Keeps the records; None for nowhere.
        keep_days: How long; 0 for not at all.
        now_s: The loop's clock.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        emit: Callable[[CallRecorded], None],
        asked: Callable[[], bool],
        *,
        store: Store | None,
        keep_days: int,
        now_s: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._emit = emit
        self._asked = asked
        self._store = store if keep_days else None
        self._keep_s = keep_days * DAY_S
        self._now_s = now_s
        self._wall_clock = wall_clock
        self._over: list[CallSession] = []
        self._timer: asyncio.TimerHandle | None = None
        self._cleaning: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Delete what is old, now and every few hours."""
        if self._store is not None:
            self._cleaning = asyncio.get_running_loop().create_task(self._clean(self._store), name="old call records")

    def close(self) -> None:
        """Record what waits, and no more."""
        self._flush()
        if self._cleaning is not None:
            self._cleaning.cancel()
            self._cleaning = None

    async def recover(self) -> None:
        """Close the records of the calls that were up when the last run was killed, and tell them.

        They end now, when their peers are told so: nobody knows when their audio ended. StorageError is logged.
        """
        if self._store is None:
            return
        try:
            ended = await self._store.end_open_calls(
                self._wall_clock(), ClosedReason.SESSION_LOST.name.lower(), KILLED.as_json()
            )
        except StorageError as error:
            log.error("%s", error)
            return
        for record, attempts in ended:
            self._emit(CallRecorded(record, attempts))

    def session_up(self, call: CallSession) -> None:
        """From the exchange: a session is up. It is written as it stands, should the process be killed."""
        if self._store is None:
            return
        record, attempts = call.course.ledger.records(call, None, self._wall_clock() - self._now_s())
        self._store.put(record)
        for attempt in attempts:
            self._store.put(attempt)

    def session_over(self, call: CallSession) -> None:
        """From the exchange: a session is over."""
        if self._store is None and not self._asked():
            call.course.ledger.forget()
            return
        self._over.append(call)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._flush)

    def refused(self, record: CallRecord) -> None:
        """From the refusals: an INVITE made no session."""
        if self._store is not None:
            self._store.put(record)
        if self._store is not None or self._asked():
            self._emit(CallRecorded(record, ()))

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        over, self._over = self._over, []
        wall_offset_s = self._wall_clock() - self._now_s()
        for call in over:
            try:
                self._record(call, wall_offset_s)
            except Exception:
                log.exception("call %d could not be recorded", call.id)
            call.course.ledger.forget()

    def _record(self, call: CallSession, wall_offset_s: float) -> None:
        reason = call.closed_reason
        if reason is None:
            return
        record, attempts = call.course.ledger.records(call, reason, wall_offset_s)
        if self._store is not None:
            self._store.put(record)
            for attempt in attempts:
                self._store.put(attempt)
        self._emit(CallRecorded(record, attempts))

    async def _clean(self, store: Store) -> None:
        while True:
            try:
                count = await store.forget_calls(self._wall_clock() - self._keep_s)
            except StorageError as error:
                log.error("%s", error)
            else:
                if count:
                    log.info("%d old records of calls were deleted", count)
            await asyncio.sleep(CLEAN_UP_S)
