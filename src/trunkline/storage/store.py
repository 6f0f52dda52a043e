"""The store: written behind what the server holds in memory, in batches, by one thread of its own.

`server` calls `put` and `delete` on the loop and never waits: changes gather, the newest of each row wins, and after
200 ms or 1,000 rows the storage thread writes them in one transaction. A crash loses at most that. A write that fails
is tried again with the next changes, later and later; the server runs on. `load` is called once, at start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from trunkline.errors import StorageError
from trunkline.storage.database import Change, Database, EndedCall
from trunkline.storage.records import Json, Record, Snapshot

__all__ = ["BATCH_DELAY_S", "BATCH_ROWS", "Store"]

log = logging.getLogger("trunkline.storage")

T = TypeVar("T")

BATCH_DELAY_S = 0.2
"""How long a change waits for others."""

BATCH_ROWS = 1_000
"""Changes that are written without waiting longer."""

RETRY_S = (1.0, 5.0, 30.0)
"""Waits after failed writes; the last one repeats."""

MAX_PENDING = 200_000
"""Rows that wait at most while the database cannot be written; beyond that the oldest changes are given up."""


class Store:
    """What outlives the process. Made by `open`; used on the loop that opened it.

    The password of a line that was added at run time stands in the file as it is, for the provider asks for an answer
    that only the password gives. The file is readable by its owner only (0600); whoever reads its backups reads the
    passwords. A line from code or TOML is not in it, nor is any user's password.
    """

    def __init__(self, database: Database, executor: ThreadPoolExecutor) -> None:
        self._database = database
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._pending: dict[Change, Record | None] = {}
        self._timer: asyncio.Handle | None = None
        self._full = False
        self._writing: asyncio.Future[None] | None = None
        self._failures = 0
        self._closed = False
        self.lost = 0
        """Changes given up since the database could not be written."""

    @classmethod
    async def open(cls, path: Path | None = None) -> Store:
        """Open and migrate the database.

        Args:
            path: The SQLite file, created where there is none; None keeps everything in memory.

        Raises:
            StorageError: It cannot be opened, is no database, or a newer trunkline has written it.
        """
        executor = ThreadPoolExecutor(1, thread_name_prefix="trunkline-storage")
        loop = asyncio.get_running_loop()
        try:
            database = await loop.run_in_executor(executor, Database, path)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(database, executor)

    async def load(self) -> Snapshot:
        """Everything that is stored. StorageError where it cannot be read."""
        return await self._on_thread(self._database.load)

    def put(self, record: Record) -> None:
        """Write a row, soon: a new one, or instead of the one with the same key."""
        self._change((type(record), record.key), record)

    def delete(self, record: Record) -> None:
        """Delete the row with this record's key, soon."""
        self._change((type(record), record.key), None)

    def forget_calls(self, before: float) -> asyncio.Future[int]:
        """Delete the records of calls that began before a time, in seconds since the epoch; how many those were.

        The future raises StorageError where it cannot be done.
        """
        return self._on_thread(lambda: self._database.forget_calls(before))

    def end_open_calls(self, closed_at: float, reason: str, explanation: Json) -> asyncio.Future[list[EndedCall]]:
        """Close the records of calls that were up when the last process was killed; which those are.

        Args:
            closed_at: When they end, in seconds since the epoch.
            reason: As `ClosedReason`, in small letters.
            explanation: Why.

        Returns:
            Them and their attempts. The future raises StorageError where it cannot be done.
        """
        return self._on_thread(lambda: self._database.end_open_calls(closed_at, reason, explanation))

    @property
    def pending(self) -> int:
        """Changes that are not written yet."""
        return len(self._pending)

    async def flush(self) -> None:
        """Write what waits, now.

        Raises:
            StorageError: It could not be written; it goes on waiting.
        """
        while self._pending or self._writing is not None:
            if self._writing is None:
                self._hand_over()
            failures = self._failures
            if self._writing is not None:
                await asyncio.wait([self._writing])
                await asyncio.sleep(0)  # its callback counts the failure
            if self._failures > failures:
                raise StorageError("the database cannot be written")

    async def close(self) -> None:
        """Write what waits and close the database. What cannot be written is named in the log. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.flush()
        except StorageError:
            log.error("%d changes were not written", len(self._pending))
        self._disarm()
        await self._on_thread(self._database.close)
        self._executor.shutdown(wait=False)

    # --- gathering --------------------------------------------------------------------------------------------------

    def _change(self, change: Change, record: Record | None) -> None:
        self._pending.pop(change, None)  # the newest change of a row goes to the end
        self._pending[change] = record
        if len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
            self.lost += 1
        self._arm()

    def _arm(self) -> None:
        if self._writing is not None or self._failures:
            return  # what follows the write that runs, or its retry, takes this along
        if len(self._pending) >= BATCH_ROWS and not self._full:
            # Not at once: what the caller is in the middle of belongs into one batch.
            self._disarm()
            self._full = True
            self._timer = self._loop.call_soon(self._hand_over)
        elif self._timer is None:
            self._timer = self._loop.call_later(BATCH_DELAY_S, self._hand_over)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._full = False

    # --- writing ----------------------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        self._disarm()
        if not self._pending or self._writing is not None:
            return
        batch, self._pending = self._pending, {}
        self._writing = self._on_thread(lambda: self._database.write(batch))
        self._writing.add_done_callback(lambda done: self._written(batch, done))

    def _written(self, batch: dict[Change, Record | None], done: asyncio.Future[None]) -> None:
        self._writing = None
        error = done.exception()
        if error is None:
            if self._failures:
                log.warning("the database is written again, %d changes at once", len(batch))
            self._failures = 0
            if self._pending:
                self._arm()
            return
        wait_s = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        # one error for the whole time: a full disk is not to be filled with words about it
        level = logging.INFO if self._failures else logging.ERROR
        self._failures += 1
        log.log(level, "%s; %d changes wait, next attempt in %g s", error, len(batch), wait_s)
        self._pending = {**batch, **self._pending}
        if not self._closed:
            self._timer = self._loop.call_later(wait_s, self._hand_over)

    def _on_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return self._loop.run_in_executor(self._executor, work)
