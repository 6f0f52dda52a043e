"""Programs started on one core each, and what the kernel counts of them: processor time of a process with its threads and children.

`signalling` and `media` use it. Linux's /proc is read directly, so that the measuring needs nothing installed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

SERVER_CORE = 0
"""The core of what is measured, which has it for itself."""
LOAD_CORE = 1
"""The core of all load generators."""

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STOP_S = 3.0

_COMMAND, _PARENT, _USER, _SYSTEM = 0, 1, 11, 12
"""Places in /proc/PID/stat after the name in parentheses: state is 0 there, so the parent is 1."""


class Program:
    """A program that runs on one core."""

    def __init__(self, command: Sequence[str], core: int, *, stderr: IO[str] | int | None = subprocess.DEVNULL) -> None:
        self.command = list(command)
        self._unread = ""
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def lines(self, count: int) -> list[str]:
        """Its next lines. RuntimeError when it ends before."""
        assert self.process.stdout is not None
        found = [self.process.stdout.readline() for _ in range(count)]
        if not all(found):
            raise RuntimeError(f"{' '.join(self.command)} has ended with {self.process.wait()}")
        return found

    def waiting_lines(self, wait_s: float = 0.02) -> list[str]:
        """What it has printed since the last time, in whole lines; waits a moment for some. RuntimeError when it has ended."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], wait_s)[0]:
            return []
        data = os.read(self.process.stdout.fileno(), 65_536).decode()
        if not data:
            raise RuntimeError(f"{' '.join(self.command)} has ended with {self.process.wait()}")
        *lines, self._unread = (self._unread + data).split("\n")
        return lines

    def pin_threads(self, names: Sequence[str], core: int) -> None:
        """Move its threads of these names to a core."""
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                if (thread / "comm").read_text().strip() in names:
                    os.sched_setaffinity(int(thread.name), {core})

    def cpu_s(self) -> float:
        """Processor time of the process, its threads and its children so far, in seconds; a tick is 10 ms."""
        return sum(_ticks(stat) for stat in _family(self.process.pid)) / TICKS_PER_S

    def threads_s(self) -> Counter[str]:
        """Processor time of the process's threads by their names, in seconds."""
        found: Counter[str] = Counter()
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                run_ns = int((thread / "schedstat").read_text().split()[0])
                found[(thread / "comm").read_text().strip()] += run_ns / 1e9  # type: ignore[assignment]
        return found

    def stop(self) -> None:
        """End it: by the end of its input, else by SIGTERM, else by SIGKILL."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        for signal_number in (None, signal.SIGTERM, signal.SIGKILL):
            if signal_number is not None:
                self.process.send_signal(signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
                return


@contextlib.contextmanager
def running(
    command: Sequence[str], core: int, *, stderr: IO[str] | int | None = subprocess.DEVNULL
) -> Iterator[Program]:
    """The program while the block runs."""
    program = Program(command, core, stderr=stderr)
    try:
        yield program
    finally:
        program.stop()


def _family(pid: int) -> Iterator[list[str]]:
    """The stat fields of a process and of all that descend from it."""
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stats[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
    family = {pid}
    grown = True
    while grown:
        more = {each for each, stat in stats.items() if int(stat[_PARENT]) in family} - family
        family |= more
        grown = bool(more)
    return (stats[each] for each in family if each in stats)


def _ticks(stat: list[str]) -> int:
    return int(stat[_USER]) + int(stat[_SYSTEM])
