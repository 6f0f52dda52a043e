"""Starts a program in a process group of its own and stops it by id.

Every driver in this folder runs its program through `Program`. Output goes to a file, so that no pipe fills up and a
failed test can show the tail. Waiting is always polling a condition until a deadline: `wait_until` and
`Program.wait_for_line`. A program ends with the test run even if that is killed (the parent-death signal).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

POLL_S = 0.02
TAIL_LINES = 40

# The parent-death signal fires when the *thread* that forked ends, so one thread that lives as long as the process
# starts everything.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="peer-starter")


class PeerError(Exception):
    """A program did not do what the test needs; the message carries the tail of its output."""


class PeerTimeout(PeerError):
    """A condition did not hold before its deadline."""


def wait_until(condition: Callable[[], T | None], timeout_s: float, what: str) -> T:
    """Poll a condition until it is true.

    Args:
        condition: called every 20 ms; any true result ends the wait.
        timeout_s: the deadline in seconds from now.
        what: what is awaited, in words, for the error.

    Returns:
        The condition's result.

    Raises:
        PeerTimeout: the deadline passed.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise PeerTimeout(f"not within {timeout_s:g} s: {what}")
        time.sleep(POLL_S)


class Program:
    """One running program, its output and its end.

    Args:
        argv: the command; a namespace's prefix belongs in front of it (`Namespace.command`).
        log: the file that takes standard output and standard error; it is overwritten.
        name: how errors call the program; the command's name by default.
        cwd: the working directory; the log's folder by default.
        env: variables added to the environment.
        with_stdin: keep a pipe to standard input for `write_line`.
        with_terminal: the same, but standard input is a terminal, for a program that reads with readline.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        name: str | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        with_stdin: bool = False,
        with_terminal: bool = False,
    ) -> None:
        self.name = name or Path(argv[0]).name
        self.log = log
        self._input: IO[bytes] | None = None
        their_end: int = subprocess.PIPE if with_stdin else subprocess.DEVNULL
        if with_terminal:
            ours, their_end = _terminal()
            self._input = os.fdopen(ours, "wb", buffering=0)
        with log.open("wb") as output:
            self._process = _starter.submit(
                _spawn, list(argv), their_end, output, cwd or log.parent, {**os.environ, **(env or {})}
            ).result()
        if with_terminal:
            os.close(their_end)
        else:
            self._input = self._process.stdin

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, `None` while it runs, negative for a signal."""
        return self._process.poll()

    def output(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its output, for an error message."""
        return "\n".join(self.output().splitlines()[-lines:])

    def write_line(self, line: str) -> None:
        """Send one line to its standard input.

        Raises:
            PeerError: it has ended.
        """
        if self._input is None:
            raise PeerError(f"{self.name} was started without standard input")
        try:
            self._input.write(line.encode() + b"\n")
            self._input.flush()
        except OSError as error:
            raise self.failure(f"took no input ({error})") from error

    def wait_for_line(self, pattern: str, timeout_s: float = 10.0, *, after: int = 0) -> re.Match[str]:
        """Wait until its output matches.

        Args:
            pattern: a regular expression, searched in multi-line mode.
            timeout_s: the deadline in seconds.
            after: characters of the output to skip, to find only what is new.

        Returns:
            The first match.

        Raises:
            PeerError: the program ended first, or the deadline passed.
        """
        compiled = re.compile(pattern, re.MULTILINE)
        return self.wait(lambda: compiled.search(self.output(), after), timeout_s, f"output matching {pattern!r}")

    def wait(self, condition: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """Wait for a condition while the program runs; its end or the deadline is a `PeerError` with the tail."""

        def met_or_ended() -> tuple[T | None] | None:
            ended = self.returncode is not None
            result = condition()
            return (result,) if result or ended else None

        try:
            (result,) = wait_until(met_or_ended, timeout_s, what)
        except PeerTimeout as error:
            raise self.failure(str(error)) from error
        if not result:
            raise self.failure(f"ended with status {self.returncode} before: {what}")
        return result

    def wait_for_end(self, timeout_s: float) -> int:
        """Wait until the program ends by itself.

        Returns:
            Its exit status.

        Raises:
            PeerError: it still runs at the deadline.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise self.failure(f"still runs after {timeout_s:g} s") from error

    def stop(self, timeout_s: float = 5.0, *, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End the program and everything in its process group; harmless when it has ended.

        Args:
            timeout_s: how long the signal may take before SIGKILL follows.
            with_signal: what it is asked with.

        Returns:
            The exit status.
        """
        if self._process.poll() is None:
            self._signal_group(with_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self._signal_group(signal.SIGKILL)  # children that outlived it, too
        status = self._process.wait(timeout_s)
        if self._input is not None:
            with contextlib.suppress(OSError):
                self._input.close()
        return status

    def _signal_group(self, with_signal: signal.Signals) -> None:
        # The group's id is the leader's pid (start_new_session).
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, with_signal)

    def failure(self, what: str) -> PeerError:
        """An error that says what went wrong and shows the end of the program's output."""
        return PeerError(f"{self.name} {what}\n--- {self.log} ---\n{self.tail()}")


def _spawn(argv: list[str], stdin: int, output: IO[bytes], cwd: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", "--", *argv],
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )


def _terminal() -> tuple[int, int]:
    """A pseudo-terminal that does not echo: our end and the program's."""
    ours, theirs = os.openpty()
    settings = termios.tcgetattr(theirs)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    return ours, theirs


def missing_programs(*names: str) -> list[str]:
    """Those of the commands that this machine does not have."""
    return [name for name in names if shutil.which(name) is None]
