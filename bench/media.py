"""Relayed RTP packets: what one costs the media engine, and what it costs a bare relay.

Both are given the same packets by `bench/relay`'s `load`: 50 a second from each side of each call, spread evenly.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import LOAD_CORE, SERVER_CORE, running

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "target" / "bench-relay" / "release"
FIRST_PORT = 40_000


@dataclass(frozen=True)
class Relaying:
    """What relaying cost."""

    sent: int
    arrived: int
    cpu_s: float
    seconds: float

    @property
    def us(self) -> float:
        """Processor time a packet, in microseconds."""
        return self.cpu_s / self.sent * 1e6


def relay_command(calls: int) -> list[str]:
    """The bare relay."""
    return [str(BUILT / "relay"), str(calls), str(FIRST_PORT)]


def engine_command(calls: int) -> list[str]:
    """The media engine."""
    return [sys.executable, str(HERE / "media_server.py"), str(calls), str(FIRST_PORT)]


def load_command(seconds: int) -> list[str]:
    """Both parties of all calls."""
    return [str(BUILT / "load"), str(FIRST_PORT), str(seconds)]


def measure_relaying(command: Sequence[str], *, calls: int, seconds: int) -> Relaying:
    """Relay for some seconds."""
    with running(command, SERVER_CORE) as relay:
        ports = relay.lines(calls)
        cpu_s = relay.cpu_s()
        with running(load_command(seconds), LOAD_CORE) as load:
            output, _ = load.process.communicate("".join(ports))
        sent, arrived, elapsed = output.split()
        return Relaying(int(sent), int(arrived), relay.cpu_s() - cpu_s, float(elapsed))
