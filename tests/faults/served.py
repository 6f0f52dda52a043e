"""`trunkline serve` as a process that may be killed and started again with the same file, port and store."""

from __future__ import annotations

import asyncio
import re
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

__all__ = ["ACCOUNT", "MOBILE", "Served"]

ACCOUNT = "15551234567"
MOBILE = "15559876543"
READY_S = 20.0

FILE = """
[server]
realm = "pbx.example"
listen = ["udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}"]
media_ports = [25000, 27999]
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
    """

    def __init__(self, folder: Path, provider: int) -> None:
        self.port = _free_port()
        self.storage = folder / "pbx.db"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.log: list[str] = []
        (folder / "pbx.toml").write_text(
            FILE.format(port=self.port, storage=self.storage, account=ACCOUNT, provider=provider)
        )

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [sys.executable, "-m", "trunkline.cli", "serve", "pbx.toml"]
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
    def journalled(self) -> int:
        """Dialogs in the store."""
        with closing(sqlite3.connect(f"file:{self.storage}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM dialogs").fetchone()[0])

    async def _read(self, process: asyncio.subprocess.Process, listens: asyncio.Event) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.log.append(line.decode())
            if re.search(r"listening on tcp://", self.log[-1]):
                listens.set()
        listens.set()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.bind(("127.0.0.1", 0))
        return int(stream.getsockname()[1])
