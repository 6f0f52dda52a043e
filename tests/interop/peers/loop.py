"""An asyncio loop in a thread of its own, so that synchronous tests steer what lives on it.

The server under test and the parties that `trunkline.testing` plays each have one. `run` runs a coroutine there and waits for its
result, `call` a plain function; both are bounded. Used by `peers.pbx` and `peers.mobile`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

RUN_TIMEOUT_S = 15.0


class LoopThread:
    """A loop that runs until `stop`.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float = RUN_TIMEOUT_S) -> T:
        """Run a coroutine on the loop and return its result; TimeoutError when it takes longer, and it is cancelled."""

        async def bounded() -> T:
            async with asyncio.timeout(timeout_s):
                return await coroutine

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result(timeout_s + 5.0)

    def call(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call a function on the loop and return its result."""

        async def called() -> T:
            return function(*args, **options)

        return self.run(called())

    def stop(self) -> None:
        """Cancel what still runs there and end the thread."""
        self.run(_cancel_others())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
