"""The parties as the test sees them: a process that is told whom to call and says how it went."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

__all__ = ["Crowd"]

ROOT = Path(__file__).parents[2]
LINE_BYTES = 1 << 20
"""How long what went wrong may be: a traceback a call."""

Address = tuple[str, int]


class Crowd:
    """Starts a module that speaks as `tests.soak.parties` does, and gives it orders.

    Args:
        module: It.
    """

    def __init__(self, module: str = "tests.soak.parties") -> None:
        self._module = module
        self._process: Process | None = None

    async def start(self) -> Any:
        """Start the process. What it says first: where the caller, the callee and the phone are."""
        # its memory is nobody's concern: it runs as Python usually does
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONM", "MALLOC"))}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            cwd=ROOT,
            env=environment,
            stdin=PIPE,
            stdout=PIPE,
            limit=LINE_BYTES,
        )
        return await self.hear()

    def meet(self, server: Address) -> None:
        """Say where the server is."""
        self.say(server)

    async def place(self, numbers: range) -> None:
        """Have the calls with these numbers placed, and wait until they are over.

        Raises:
            AssertionError: One went another way than its script says.
        """
        self.say((numbers.start, numbers.stop))
        if (error := await self.hear()) is not None:
            raise AssertionError(error)

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    def say(self, words: object) -> None:
        """Give an order."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")

    async def hear(self) -> Any:
        """What it says next."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the parties' process has ended"
        return json.loads(line)
