"""Who holds a port: what a listening error and `trunkline check` say besides the address (Linux's /proc)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from trunkline.errors import ListenError

__all__ = ["holder_of", "listen_error", "taken_ports", "try_to_bind"]

MAX_PROCESSES = 10_000
"""Processes looked at; on a machine with more the holder stays unknown."""


def listen_error(url: str, transport: str, port: int, error: OSError) -> ListenError:
    """What to tell somebody whose address cannot be listened on."""
    if error.errno == 98:
        holder = holder_of(transport, port)
        return ListenError(
            url, f"the port is taken{f' by {holder}' if holder else ''}; stop that or choose another port"
        )
    if error.errno == 99:
        return ListenError(url, "this machine has no such address; use one of its own, or 0.0.0.0 for all")
    if error.errno == 13:
        return ListenError(url, "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); choose another or grant it")
    return ListenError(url, f"cannot be listened on: {error.strerror or error}")


def holder_of(transport: str, port: int) -> str | None:
    """The process that holds a local port, as `name (pid 123)`; None when it cannot be found out.

    Args:
        transport: "udp" or "tcp".
        port: The port.
    """
    inodes = _inodes(transport, port)
    if not inodes:
        return None
    for process in list(Path("/proc").glob("[0-9]*"))[:MAX_PROCESSES]:
        if _has_socket(process, inodes):
            return f"{_name(process)} (pid {process.name})"
    return None


def _inodes(transport: str, port: int) -> set[str]:
    found = set()
    for table in (f"/proc/net/{transport}", f"/proc/net/{transport}6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            # local address, state (0A is LISTEN) and inode, as proc(5) lays them out
            if int(fields[1].rsplit(":", 1)[1], 16) == port and (transport == "udp" or fields[3] == "0A"):
                found.add(f"socket:[{fields[9]}]")
    return found


def _has_socket(process: Path, inodes: set[str]) -> bool:
    try:
        return any(os.readlink(link) in inodes for link in (process / "fd").iterdir())
    except OSError:
        return False  # another user's process, or one that has just ended


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"


def try_to_bind(transport: str, host: str, port: int) -> OSError | None:
    """Bind an address for a moment; the error that stands in the way, if any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as probe:
        if transport == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def taken_ports(host: str, first: int, last: int) -> list[int]:
    """The UDP ports of a range that somebody has. Binds each for a moment.

    Args:
        host: The local address.
        first: The first port.
        last: The last port.
    """
    found = []
    for port in range(first, last + 1):
        error = try_to_bind("udp", host, port)
        if error is not None and error.errno == 98:
            found.append(port)
    return found
