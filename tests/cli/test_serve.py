"""`trunkline serve` as a process of its own, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from trunkline.testing import Itsp, Phone

ACCOUNT = "15551234567"
MOBILE = "15559876543"

FILE = """
[server]
realm = "pbx.example"
listen = ["udp://127.0.0.1:0"]
media_ports = [25000, 27999]

[users.alice]
password = "secret of alice"

[lines.itsp]
username = "{account}"
password = "line secret"
server = "127.0.0.1:{port}"
domain = "itsp.example"

[[routes]]
from = "users"
number = '[0-9]+'
to_line = "itsp"

[[routes]]
from = "lines"
to_user = "alice"
"""


@contextlib.asynccontextmanager
async def serving(*arguments: str, cwd: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int, list[str]]]:
    """The process, its UDP port, and its log as it grows."""
    command = [sys.executable, "-m", "trunkline.cli", "serve", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stderr=asyncio.subprocess.PIPE)
    log: list[str] = []
    try:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            async for line in process.stderr:
                log.append(line.decode())
                found = re.search(r"listening on udp://127\.0\.0\.1:(\d+)", log[-1])
                if found:
                    break
        assert found, "".join(log)
        yield process, int(found[1]), log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def rest_of(process: asyncio.subprocess.Process, log: list[str]) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(20):
        log.append((await process.stderr.read()).decode())
        await process.wait()
    return "".join(log)


@pytest.mark.timeout(60)
def test_serve_carries_both_flows_and_ends_them_on_sigterm(tmp_path: Path) -> None:
    async def main() -> None:
        async with Itsp({ACCOUNT: "line secret"}) as itsp:
            (tmp_path / "pbx.toml").write_text(FILE.format(account=ACCOUNT, port=itsp.port))
            async with serving("pbx.toml", cwd=tmp_path) as (process, port, log):
                await itsp.wait_registered(ACCOUNT)
                async with Phone("alice", "secret of alice", ("127.0.0.1", port), realm="pbx.example") as alice:
                    await alice.register()
                    call = alice.dial(MOBILE)
                    mobile = await itsp.next_call()
                    mobile.answer()
                    await call.wait_answered()
                    mobile.hangup()
                    await call.wait_ended()
                    incoming = itsp.dial(ACCOUNT, caller_id=MOBILE)
                    ringing = await alice.next_call()
                    ringing.answer()
                    await incoming.wait_answered()
                    process.send_signal(signal.SIGTERM)
                    assert (await ringing.wait_ended()).how == "bye"
                    assert (await incoming.wait_ended()).how == "bye"
                    await itsp.wait_unregistered(ACCOUNT)
                    text = await rest_of(process, log)
                    assert process.returncode == 0, text
                    assert "secret" not in text
                    assert "Traceback" not in text

    asyncio.run(main())


@pytest.mark.timeout(60)
def test_serve_runs_a_server_from_code(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from trunkline import SipServer\nserver = SipServer(realm='mine.example', listen=['udp://127.0.0.1:0'])\n"
    )

    async def main() -> None:
        async with serving("mine:server", cwd=tmp_path) as (process, _, log):
            process.send_signal(signal.SIGINT)
            await rest_of(process, log)
            assert process.returncode == 0

    asyncio.run(main())


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[server]\nrealm = "x"\nlistn = []', "trunkline: server.listn: unknown key; did you mean listen?"),
        (
            '[server]\nrealm = "x"\nlisten = ["udp://192.0.2.1:5060"]',
            "trunkline: udp://192.0.2.1:5060: this machine has no such address",
        ),
    ],
)
def test_a_bad_configuration_is_one_line_and_status_2(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "pbx.toml").write_text(text)
    refused(tmp_path, "pbx.toml", line=line)


@pytest.mark.timeout(60)
def test_a_pcap_that_cannot_be_written_is_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "pbx.toml").write_text('[server]\nrealm = "x"\nlisten = ["udp://127.0.0.1:0"]')
    line = "trunkline: pcap: none/sip.pcap cannot be written: No such file or directory"
    refused(tmp_path, "pbx.toml", "--pcap", "none/sip.pcap", line=line)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_in_use_is_one_line_with_the_address_and_its_holder_and_status_2(tmp_path: Path, transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as held:
        held.bind(("127.0.0.1", 0))
        if transport == "tcp":
            held.listen()
        url = f"{transport}://127.0.0.1:{held.getsockname()[1]}"
        (tmp_path / "pbx.toml").write_text(f'[server]\nrealm = "x"\nlisten = ["{url}"]')
        name = Path("/proc/self/comm").read_text().strip()
        line = f"trunkline: {url}: the port is taken by {name} (pid {os.getpid()}); stop that or choose another port"
        refused(tmp_path, "pbx.toml", line=line)


def refused(tmp_path: Path, *arguments: str, line: str) -> None:
    async def main() -> None:
        command = [sys.executable, "-m", "trunkline.cli", "serve", *arguments]
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stderr=asyncio.subprocess.PIPE)
        _, stderr = await process.communicate()
        assert process.returncode == 2
        assert stderr.decode().startswith(line)
        assert len(stderr.decode().splitlines()) == 1

    asyncio.run(main())
