"""Network namespaces: a phone in one has ports, addresses and, if wanted, a NAT of its own.

`namespace()` makes one with a veth pair to the host, or to another namespace that forwards. Number *n* (the first
free one) names everything: the namespace `tl-n`, the links `tl-nh` and `tl-np`, the network 10.99.n.0/30. The pid of
the owner is noted, so that what a killed run left behind is removed by the next one. Used by conftest.py and the
phones' drivers; the host's own settings are never changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from peers.process import PeerError

T = TypeVar("T")

COMMAND_TIMEOUT_S = 10.0
NUMBERS = range(1, 250)
NAT_PORTS = "20000-60000"
_MOUNTS = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_NAT = "/proc/sys/net/netfilter/nf_conntrack"
_OWNERS = Path(tempfile.gettempdir()) / "trunkline-interop-namespaces"


@dataclass(frozen=True)
class Namespace:
    """One network namespace.

    Attributes:
        name: as `ip netns` knows it.
        address: the address inside.
        gateway: the address of the other end of the veth pair.
        host_address: the host's address on the way to it, where a server under test binds; the uplink's if it has one.
        public_address: what the host sees as the source: the NAT's address, or `address` without a NAT.
    """

    name: str
    address: str
    gateway: str
    host_address: str
    public_address: str

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` inside."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv: str) -> str:
        """Run a short command inside and return its output; raise `PeerError` when it fails."""
        return _run(*self.command(argv))

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in a thread that is inside; a socket that it makes stays inside and may be used anywhere.

        The function must not start threads or programs.
        """
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(self._enter_and_call, function).result()

    def _enter_and_call(self, function: Callable[[], T]) -> T:
        libc = ctypes.CDLL(None, use_errno=True)
        with (_MOUNTS / self.name).open("rb") as handle:
            if libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
                number = ctypes.get_errno()
                raise PeerError(f"cannot enter {self.name}: {os.strerror(number)}")
        return function()


@contextlib.contextmanager
def namespace(
    *,
    nat: bool = False,
    forwards: bool = False,
    uplink: Namespace | None = None,
    nat_idle_s: int | None = None,
) -> Iterator[Namespace]:
    """Make a namespace for the time of the block.

    Args:
        nat: put a router between it and the host that rewrites the source address and draws a random source port
            for every destination (a symmetric NAT).
        forwards: it passes packets on between its links, so that it may be the uplink of others.
        uplink: the namespace that holds the other end of the veth pair, instead of the host.
        nat_idle_s: after how many idle seconds the NAT forgets a UDP flow; the kernel's default unless given.

    Raises:
        PeerError: the kernel or `ip` refused, or no number is free.
    """
    _remove_abandoned()
    with contextlib.ExitStack() as stack:
        if nat:
            router = stack.enter_context(_linked(uplink, forwards=True))
            router.run(*_masquerade(router))
            if nat_idle_s is not None:
                router.run(
                    "sh", "-c", f"for t in udp_timeout udp_timeout_stream; do echo {nat_idle_s} > {_NAT}_$t; done"
                )
            inside = stack.enter_context(_linked(router, forwards=forwards))
            yield replace(inside, host_address=router.gateway, public_address=router.address)
        else:
            yield stack.enter_context(_linked(uplink, forwards=forwards))


def _masquerade(router: Namespace) -> list[str]:
    outside = f"{router.name}p"
    rule = f"-t nat -A POSTROUTING -o {outside} -p udp -j MASQUERADE --random --to-ports {NAT_PORTS}"
    return ["iptables", *rule.split()]


@contextlib.contextmanager
def _linked(uplink: Namespace | None, *, forwards: bool) -> Iterator[Namespace]:
    number = _claim()
    address, gateway = f"10.99.{number}.2", f"10.99.{number}.1"
    made = Namespace(f"tl-{number}", address, gateway, host_address=gateway, public_address=address)
    try:
        _connect(made, uplink)
        if forwards:
            made.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        yield made
    finally:
        _remove(made.name)


def _connect(made: Namespace, uplink: Namespace | None) -> None:
    host_end, peer_end = f"{made.name}h", f"{made.name}p"
    outside = ["ip", "-n", uplink.name] if uplink else ["ip"]
    inside = ["ip", "-n", made.name]
    target = ["netns", uplink.name] if uplink else []
    _run(*inside, "link", "set", "lo", "up")
    _run("ip", "link", "add", host_end, *target, "type", "veth", "peer", "name", peer_end, "netns", made.name)
    _run(*outside, "addr", "add", f"{made.gateway}/30", "dev", host_end)
    _run(*outside, "link", "set", host_end, "up")
    _run(*inside, "addr", "add", f"{made.address}/30", "dev", peer_end)
    _run(*inside, "link", "set", peer_end, "up")
    _run(*inside, "route", "add", "default", "via", made.gateway)


def _claim() -> int:
    """Take the first free number: the kernel makes `ip netns add` of a taken name fail."""
    _OWNERS.mkdir(mode=0o700, exist_ok=True)
    for number in NUMBERS:
        name = f"tl-{number}"
        if (_OWNERS / name).exists() or _network_taken(number):
            continue
        with contextlib.suppress(PeerError):
            _run("ip", "netns", "add", name)
            (_OWNERS / name).write_text(f"{os.getpid()} {_start_time(os.getpid())}")
            return number
    raise PeerError("no free network namespace between tl-1 and tl-249")


def _network_taken(number: int) -> bool:
    return f" 10.99.{number}." in _run("ip", "-o", "-4", "addr", "show")


def _remove_abandoned() -> None:
    """Remove the namespaces of test runs that are no longer alive."""
    if not _OWNERS.is_dir():
        return
    for record in _OWNERS.iterdir():
        with contextlib.suppress(FileNotFoundError):
            pid, _, started = record.read_text().partition(" ")
            if pid and started != _start_time(int(pid)):
                _remove(record.name)


def _remove(name: str) -> None:
    # Deleting the namespace deletes its end of the pair, and with it the other end. A process that is still inside
    # would keep it alive, so the link goes first.
    for command in (["ip", "-n", name, "link", "del", f"{name}p"], ["ip", "netns", "del", name]):
        with contextlib.suppress(PeerError):
            _run(*command)
    (_OWNERS / name).unlink(missing_ok=True)


def _start_time(pid: int) -> str:
    """The kernel's start time of a process, so that a reused pid is not taken for its owner; empty when it ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return re.sub(r"^.*\)", "", stat, flags=re.DOTALL).split()[19]


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{' '.join(argv)}: {error}") from error
    if done.returncode != 0:
        raise PeerError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
