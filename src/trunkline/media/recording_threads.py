"""The threads that write recordings, apart from those that read what is played: a slow disk keeps nothing else waiting.

`engine.MediaEngine` owns them. They end after the recordings that they write, whose last samples come when a call is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["RecordingThreads"]

T = TypeVar("T")

THREADS = 8
"""Recordings that write at the same moment; the others wait in their rings."""
PATIENCE_S = 5.0
"""How long the end of a server waits for a disk."""


class RecordingThreads:
    """Threads for writing, made when first needed, and the recordings that run."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, work: Callable[..., T], *args: Any) -> T:
        """Do what waits for a disk on a thread."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="trunkline-record")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def own(self, recording: asyncio.Task[None]) -> None:
        """Keep a recording's task until it ends."""
        self._running.add(recording)
        recording.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Wait until what runs is written, for a while, and let the threads go. Its legs are closed by then."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=PATIENCE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
