"""Signalled calls: SIPp calls, the server under test passes them on, another SIPp answers. What a call costs, how many a second go through.

The servers are trunkline (`server.py`) and Kamailio (`kamailio.cfg`); both are asked the same way by the same SIPp scenarios.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import LOAD_CORE, SERVER_CORE, Program, running

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
SERVER_PORT, CALLER_PORT, CALLEE_PORT = 15_060, 15_080, 15_090
CALLER_MEDIA_PORT, CALLEE_MEDIA_PORT = 6_000, 7_000

SUCCESS = 0.999
"""The part of the calls that must succeed, at both ends."""
KEPT_RATE = 0.97
"""The part of the asked rate that must be reached: a caller that falls behind measures itself."""
SETTLE_S = 1.0
NOISE = 1.1
"""The search ends when the rate that held and the rate that did not are this near."""


@dataclass(frozen=True)
class Rival:
    """A server to measure: how it is started, and how it says that it is ready."""

    name: str
    command: Sequence[str]
    ready: Callable[[Program], object]


def trunkline(python: str) -> Rival:
    """The server of this repository, run by that interpreter."""
    return Rival(
        "trunkline",
        [python, str(HERE / "server.py"), str(SERVER_PORT), str(CALLER_PORT), str(CALLEE_PORT)],
        lambda program: program.lines(1),
    )


KAMAILIO = Rival(
    "kamailio",
    [
        *("kamailio", "-DD", "-E", "-f", str(HERE / "kamailio.cfg"), "-l", f"udp:{HOST}:{SERVER_PORT}"),
        *("-A", f'TARGET_HOST="{HOST}"', "-A", f'TARGET_PORT="{CALLEE_PORT}"', "-m", "256", "-M", "16"),
    ],
    lambda program: time.sleep(SETTLE_S),
)


@dataclass(frozen=True)
class Outcome:
    """What SIPp counted in one run."""

    asked: int
    succeeded: int
    retransmitted: int
    rate: float
    """Calls a second that were begun."""

    @property
    def success(self) -> float:
        """The part that succeeded."""
        return self.succeeded / self.asked


@dataclass(frozen=True)
class Cost:
    """What calls cost a server."""

    calls: int
    cpu_s: float
    threads_s: dict[str, float]
    outcome: Outcome

    @property
    def ms(self) -> float:
        """Processor time a call, in milliseconds."""
        return self.cpu_s / self.calls * 1000


def caller_command(rate: int, calls: int, hold_ms: int, statistics: Path) -> list[str]:
    """The SIPp that calls."""
    return [
        *("sipp", f"{HOST}:{SERVER_PORT}", "-sf", str(HERE / "uac.xml"), "-s", "15551234", "-i", HOST),
        *("-p", str(CALLER_PORT), "-mi", HOST, "-mp", str(CALLER_MEDIA_PORT), "-m", str(calls), "-r", str(rate)),
        *("-l", "20000", "-d", str(hold_ms), "-nostdin", "-timeout", str(calls // rate + 40)),
        *("-recv_timeout", "20000", "-trace_stat", "-fd", "1", "-stf", str(statistics)),
    ]


def callee_command() -> list[str]:
    """The SIPp that answers."""
    return [
        *("sipp", "-sf", str(HERE / "uas.xml"), "-i", HOST, "-p", str(CALLEE_PORT)),
        *("-mi", HOST, "-mp", str(CALLEE_MEDIA_PORT), "-nostdin"),
    ]


def call(rate: int, calls: int, hold_ms: int) -> Outcome:
    """Place calls, wait for their ends, and say how they went."""
    with tempfile.TemporaryDirectory() as folder:
        statistics = Path(folder) / "caller.csv"
        with running(caller_command(rate, calls, hold_ms, statistics), LOAD_CORE) as caller:
            assert caller.process.stdout is not None
            caller.process.stdout.read()
            caller.process.wait()
        with statistics.open() as file:
            rows = [row for row in csv.DictReader(file, delimiter=";") if row.get("TotalCallCreated")]
    return _outcome(rows, calls)


def _outcome(rows: list[dict[str, str]], calls: int) -> Outcome:
    last = rows[-1]
    created = [(_seconds(row), int(row["TotalCallCreated"])) for row in rows]
    finished_s = next(at for at, count in created if count >= created[-1][1])
    return Outcome(
        asked=calls,
        succeeded=int(last["SuccessfulCall(C)"]),
        retransmitted=int(last["Retransmissions(C)"]),
        rate=created[-1][1] / max(finished_s, 0.001),
    )


def _seconds(row: dict[str, str]) -> float:
    """The time of a row since the start; SIPp writes each time as date, time and seconds since the epoch, with tabs between."""
    now, start = (float(row[column].rpartition("\t")[2]) for column in ("CurrentTime", "StartTime"))
    return now - start


def measure_cost(rival: Rival, *, rate: int, seconds: int, warm_up: int, hold_ms: int) -> Cost:
    """What a call costs at a moderate rate, after a warm-up."""
    with running(rival.command, SERVER_CORE) as server, running(callee_command(), LOAD_CORE):
        rival.ready(server)
        call(rate, warm_up, hold_ms)
        time.sleep(SETTLE_S)
        cpu_s, threads = server.cpu_s(), server.threads_s()
        outcome = call(rate, rate * seconds, hold_ms)
        time.sleep(SETTLE_S)
        spent = server.threads_s()
        spent.subtract(threads)
        return Cost(rate * seconds, server.cpu_s() - cpu_s, dict(spent), outcome)


def find_rate(rival: Rival, *, start: int, seconds: int, hold_ms: int, say: Callable[[str], None]) -> int:
    """The highest rate at which enough calls succeed: doubled until too many fail, then halved between."""
    held, failed = 0, 0
    rate = start
    while not failed or failed / max(held, 1) > NOISE:
        # a server of its own each time: what one overload leaves behind is not the next one's
        with running(rival.command, SERVER_CORE) as server, running(callee_command(), LOAD_CORE):
            rival.ready(server)
            call(100, 200, hold_ms)
            outcome = call(rate, rate * seconds, hold_ms)
        good = outcome.success >= SUCCESS and outcome.rate >= rate * KEPT_RATE
        say(
            f"    {rival.name} at {rate}/s: {outcome.success:.2%} of the calls succeeded, {outcome.rate:.0f}/s begun, "
            f"{outcome.retransmitted} retransmissions"
        )
        held, failed = (rate, failed) if good else (held, rate)
        rate = held * 2 if not failed else round((held + failed) / 2)
        if rate < 10:
            break
    return held
