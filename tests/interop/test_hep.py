"""The HEP packets of a server that is traced, read by sngrep as a capture server: each SIP message with its addresses."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import needs
from peers.process import Program, wait_until

from trunkline.server.server import SipServer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

OPTIONS = (
    "OPTIONS sip:hep.example SIP/2.0\r\nVia: SIP/2.0/UDP {here}:{port};branch=z9hG4bK-hep;rport\r\nMax-Forwards: 70\r\n"
    "From: <sip:probe@probe.example>;tag=1\r\nTo: <sip:hep.example>\r\nCall-ID: hep-1@probe.example\r\n"
    "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def _needed() -> None:
    why = needs.why_skipped("hep")
    if why and needs.is_required():
        pytest.fail(why)
    if why:
        pytest.skip(why)


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[tuple[int, Path, Program]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    file = tmp_path / "captured.pcap"
    argv = ["sngrep", "-F", "-N", "-q", "-L", f"udp:{HOST}:{port}", "-O", str(file)]
    program = Program(argv, tmp_path / "sngrep.log", name="sngrep", env={"TERM": "xterm"})
    try:
        wait_until(lambda: _bound(port), 10, "sngrep listens")
        yield port, file, program
    finally:
        program.stop(with_signal=signal.SIGKILL)


def _bound(port: int) -> bool:
    return bool(_rows(port))


def _waiting(port: int) -> bool:
    """Whether the kernel holds datagrams that the program has not read."""
    return any(int(row[4].partition(":")[2], 16) for row in _rows(port))


def _rows(port: int) -> list[list[str]]:
    """The kernel's table of UDP sockets on a port."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return [row for row in rows if row[1].endswith(f":{port:04X}")]


def _read(file: Path) -> list[str]:
    command = ["tcpdump", "-nn", "-t", "-r", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout.splitlines()


async def _probe(capture_port: int) -> tuple[int, int]:
    """Ask a traced server for its options; return the ports of the two."""
    server = SipServer(realm="hep.example", listen=[f"udp://{HOST}:0"], hep=f"udp://{HOST}:{capture_port}")
    async with server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind((HOST, 0))
            phone.setblocking(False)
            loop = asyncio.get_running_loop()
            port = phone.getsockname()[1]
            listening = server.local_address()
            await loop.sock_sendto(phone, OPTIONS.format(here=HOST, port=port).encode(), listening)
            assert (await loop.sock_recv(phone, 65_536)).startswith(b"SIP/2.0 200")
            while len(server.recorder.messages) < 2:  # what was sent is told after it went out
                await asyncio.sleep(0.01)
        return port, listening[1]


def test_a_capture_server_sees_both_directions(capture: tuple[int, Path, Program]) -> None:
    capture_port, file, program = capture
    phone, server = asyncio.run(_probe(capture_port))
    wait_until(lambda: not _waiting(capture_port), 10, "sngrep has read what came")
    program.stop(with_signal=signal.SIGINT)
    read = wait_until(lambda: found if len(found := _read(file)) >= 2 else None, 10, "the capture file is written")
    assert [line.partition(":")[0] for line in read] == [
        f"IP {HOST}.{phone} > {HOST}.{server}",
        f"IP {HOST}.{server} > {HOST}.{phone}",
    ]
    captured = file.read_bytes()
    assert OPTIONS.format(here=HOST, port=phone).encode() in captured
    assert b"SIP/2.0 200 OK" in captured
