"""`trunkline serve` as a process that may be killed and started again with the same file, port and store."""

from __future__ import annotations

import asyncio
import re
import socket
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

__all__ = ["ACCOUNT", "MOBILE", "Served", "count_rows"]

ACCOUNT = "15551234567"
MOBILE = "15559876543"
READY_S = 20.0

FILE = """
[server]
realm = "pbx.example"
listen = ["udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}"]
media_ports = [25000, 27999]
media_workers = 1
storage = "{storage}"

[users.alice]
password = "secret of alice"

[users.bob]
password = "secret of bob"

[lines.itsp]
username = "{account}"
password = "line secret"
server = "127.0.0.1:{provider}"
domain = "itsp.example"

[[routes]]
from = "users"
number = '[0-9]+'
to_line = "itsp"

[[routes]]
from = "lines"
to_user = "alice"
"""


class Served:
    """The server's process.

    Args:
        folder: Where its files go.
        provider: The port of its provider on loopback.
        storage: Its database; a file in the folder unless given.
        within: The command that starts it, as `prlimit --nofile=64`; it must become the server's process.
        code: A Python module with `server` in it instead of the file; `{port}` and `{provider}` stand for the ports.
    """

    def __init__(
        self, folder: Path, provider: int, *, storage: Path | None = None, within: Sequence[str] = (), code: str = ""
    ) -> None:
        self.port = _free_port()
        self.storage = storage or folder / "pbx.db"
        self._folder = folder
        self._within = within
        self._source = "application:server" if code else "pbx.toml"
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.log: list[str] = []
        values = {"port": self.port, "storage": self.storage, "account": ACCOUNT, "provider": provider}
        (folder / ("application.py" if code else "pbx.toml")).write_text((code or FILE).format(**values))

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [*self._within, sys.executable, "-m", "trunkline.cli", "serve", self._source]
        process = await asyncio.create_subprocess_exec(*command, cwd=self._folder, stderr=asyncio.subprocess.PIPE)
        self._process = process
        listens = asyncio.Event()
        self._reading = asyncio.create_task(self._read(process, listens))
        async with asyncio.timeout(READY_S):
            await listens.wait()

    async def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None and self._reading is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            await self._reading
            self._process = self._reading = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    async def wait_logged(self, words: str, timeout_s: float = READY_S) -> str:
        """The first log line with these words."""
        async with asyncio.timeout(timeout_s):
            while True:
                for line in self.log:
                    if words in line:
                        return line
                await asyncio.sleep(0.05)

    @property
    def journalled(self) -> int:
        """Dialogs in the store."""
        return count_rows(self.storage, "dialogs")

    async def _read(self, process: asyncio.subprocess.Process, listens: asyncio.Event) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.log.append(line.decode())
            if re.search(r"listening on tcp://", self.log[-1]):
                listens.set()
        listens.set()


def count_rows(storage: Path, table: str) -> int:
    """How many rows a table of a store has now."""
    with closing(sqlite3.connect(storage)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.bind(("127.0.0.1", 0))
        return int(stream.getsockname()[1])
