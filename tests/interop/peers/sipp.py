"""SIPp 3.6.1 as a phone, a mobile network or a provider that follows a scenario to the letter.

The scenarios stand in `sipp/`; `{{NAME}}` in them is a parameter of `Sipp.start`, `{{file}}` the text of a file in
`sipp/parts/`. A run ends by itself when its calls are over; its `Result` has the exit status and what SIPp counted.
SIPp plays a tone or echoes, but hears nothing: `peers.capture` does that for it. Used by conftest.py's `sipp` fixture.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from peers.namespace import Namespace
from peers.process import PeerError, Program, wait_until

SCENARIOS = Path(__file__).resolve().parent.parent / "sipp"
RUN_TIMEOUT_S = 30.0
START_TIMEOUT_S = 5.0
MAX_PART_DEPTH = 4
MESSAGES_TAIL = 4000
_OPTIONS = {
    "-sf": "scenario.xml",
    "-deadcall_wait": 0,
    "-timer_resol": 5,
    "-stf": "statistics.csv",
    "-fd": 1,
    "-message_file": "messages.log",
    "-error_file": "errors.log",
}
_SWITCHES = ("-nostdin", "-trace_stat", "-trace_msg", "-trace_err")
_PLACE = re.compile(r"\{\{([\w.]+)\}\}")


@dataclass(frozen=True)
class Account:
    """Who SIPp is.

    Attributes:
        user: the user part of its From and Contact.
        password: for digests, MD5 alone: to answer a challenge with, or to judge the answer by.
        domain: of its address-of-record and of everything that it calls.
        auth_user: the digest's user name; `user` when empty.
    """

    user: str
    password: str = "unused"
    domain: str = "sipp.example"
    auth_user: str = ""


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        exit_code: 0 when every call followed the scenario, 1 when one did not; others are SIPp's own failures.
        successful: calls that did.
        failed: calls that did not.
        retransmissions: messages that SIPp sent again.
        statistics: the last line of SIPp's statistics, by column.
        errors: SIPp's error log: what was unexpected, and when.
    """

    exit_code: int
    successful: int
    failed: int
    retransmissions: int
    statistics: Mapping[str, str] = field(repr=False)
    errors: str


HOLDS = {
    "sendonly": ("sendonly", "recvonly", "[media_ip]"),
    "inactive": ("inactive", "inactive", "[media_ip]"),
    "0.0.0.0": ("sendrecv", "recvonly", "0.0.0.0"),
}
"""Ways to hold (RFC 3264 §8.4): the direction that is offered, the one that is answered, the address."""


class Run:
    """One SIPp process that works through its calls.

    Args:
        program: SIPp.
        folder: where it writes its logs.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self._folder = folder

    def wait(self, timeout_s: float = RUN_TIMEOUT_S) -> Result:
        """Wait until all calls are over, whether they failed or not.

        Raises:
            PeerError: it still runs at the deadline, or wrote no statistics (a scenario that SIPp does not understand).
        """
        exit_code = self.program.wait_for_end(timeout_s)
        statistics = self._statistics()
        if not statistics:
            raise self.program.failure(f"ended with status {exit_code}: {self._text('errors')}")

        def count(column: str) -> int:
            return int(statistics.get(f"{column}(C)") or 0)

        return Result(
            exit_code,
            successful=count("SuccessfulCall"),
            failed=count("FailedCall"),
            retransmissions=count("Retransmissions"),
            statistics=statistics,
            errors=self._text("errors"),
        )

    def wait_successful(self, timeout_s: float = RUN_TIMEOUT_S) -> Result:
        """Wait until all calls are over, and insist that every one followed the scenario.

        Raises:
            PeerError: one did not; the message has SIPp's error log.
        """
        result = self.wait(timeout_s)
        if result.exit_code != 0 or result.failed:
            what = f"{self.program.name} ended with status {result.exit_code}"
            raise PeerError(f"{what}\n{result.errors}\n{self.messages()[-MESSAGES_TAIL:]}")
        return result

    def messages(self) -> str:
        """Every SIP message so far, as SIPp logs them."""
        return self._text("messages")

    def wait_message(self, pattern: str, timeout_s: float = 10.0) -> re.Match[str]:
        """Wait until a message, sent or received, matches (multi-line).

        Raises:
            PeerError: none did in time, or SIPp ended.
        """
        compiled = re.compile(pattern, re.MULTILINE)
        return self.program.wait(lambda: compiled.search(self.messages()), timeout_s, f"a message matching {pattern!r}")

    def stop(self) -> None:
        """End it, whatever its calls are doing."""
        self.program.stop(1.0)

    def _text(self, kind: str) -> str:
        path = self._folder / f"{kind}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _statistics(self) -> dict[str, str]:
        path = self._folder / "statistics.csv"
        if not path.exists():
            return {}
        with path.open(newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter=";"))
        return {name: value for name, value in rows[-1].items() if name and value} if rows else {}


OPEN = ("01", "07", "0A")
"""States of the kernel's table: established, a UDP socket that is bound, listening."""


class Sipp:
    """One party that SIPp plays, run by run, at one address and port.

    Args:
        folder: where its scenarios and logs go.
        inside: the namespace that it runs in; its address is SIPp's.
        account: who it is.
        port: its SIP port; also the one that `register` announces, so that a later run is called there.
        media_port: its RTP port, when it echoes or is silent.
        transport: "udp" or "tcp".
    """

    def __init__(
        self,
        folder: Path,
        inside: Namespace,
        account: Account,
        *,
        port: int = 5060,
        media_port: int = 6000,
        transport: str = "udp",
    ) -> None:
        self.port, self.media_port, self.account = port, media_port, account
        self.inside, self.folder, self._transport = inside, folder, transport
        self._numbers = itertools.count(1)
        self._runs: list[Run] = []

    @property
    def address(self) -> str:
        """Its IP address."""
        return self.inside.address

    @property
    def server(self) -> str:
        """Address and port, for those who call it."""
        return f"{self.address}:{self.port}"

    def start(
        self,
        scenario: str,
        server: str,
        *,
        dials: str = "nobody",
        calls: int = 1,
        rate: int = 10,
        pause_ms: int = 500,
        ring_ms: int = 200,
        expires_s: int = 60,
        status: int = 486,
        reason: str = "Busy Here",
        challenge: int = 407,
        tone: Path | None = None,
        echo: bool = False,
        header: str = "User-Agent: SIPp",
        refers_to: str = "nobody",
        hold: str = "sendonly",
        handling: str = "optional",
    ) -> Run:
        """Start a scenario.

        Args:
            scenario: the name of a file in `sipp/`, without its ending.
            server: "address:port" that everything is sent to; a callee answers where the request came from.
            dials: the user part that it calls.
            calls: it ends after so many.
            rate: calls a second that it places.
            pause_ms: how long each `<pause/>` of the scenario is, usually the talk.
            ring_ms: how long a callee rings.
            expires_s: asked for by `register`, granted by `registrar`.
            status: the response of `…_refuses`, expected by `…_refused`.
            reason: its reason phrase.
            challenge: the status that a `caller…` must be challenged with, 407 or 401.
            tone: raw mu-law (`audio.write_tone_mulaw`) that it plays, over and over, once the call is up.
            echo: it sends back what it hears; not with a tone.
            header: lines of its INVITE and of the 200 that answers one.
            hold: how it holds, or is held: a key of `HOLDS`.
            handling: of the part of a `…multipart…` that is no description: whether it has to be understood (RFC 3261 §20.11),
                "optional" or "required".
            refers_to: the user part to which `caller_refers` sends the other party.
        """
        folder = self.folder / f"{next(self._numbers)}-{scenario}"
        folder.mkdir(parents=True)
        user = self.account.user
        parameters = {
            "USER": user,
            "AUTH_USER": self.account.auth_user or user,
            "PASSWORD": self.account.password,
            "DOMAIN": self.account.domain,
            "RING_MS": str(ring_ms),
            "EXPIRES_S": str(expires_s),
            "STATUS": str(status),
            "REASON": reason,
            "CHALLENGE": str(challenge),
            "TONE": str(tone),
            "HEADER": header,
            "REFERS_TO": refers_to,
            "HANDLING": handling,
            **dict(zip(("HOLD", "HELD", "HOLD_ADDRESS"), HOLDS[hold], strict=True)),
            "MEDIA_PORT": "[rtpstream_audio_port]" if tone else "[media_port]",
            "PLAY": "{{play.xml}}" if tone else "",
        }
        template = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
        (folder / "scenario.xml").write_text(_fill(template, parameters))
        options: dict[str, object] = {
            "-s": dials,
            "-m": calls,
            "-r": rate,
            "-d": pause_ms,
            "-t": "t1" if self._transport == "tcp" else "u1",
            **self._digest_uri(scenario, dials),
            "-i": self.address,
            "-p": self.port,
            "-mi": self.address,
            "-mp": self.media_port,
            **_OPTIONS,
        }
        words = [word for name, value in options.items() for word in (name, str(value))]
        argv = ["sipp", server, *words, *_SWITCHES, *(["-rtp_echo"] if echo else [])]
        program = Program(
            self.inside.command(argv),
            folder / "sipp.log",
            name=f"sipp({user}, {scenario})",
            env={"TERM": "dumb"},
        )
        run = Run(program, folder)
        self._runs.append(run)
        wait_until(
            lambda: program.returncode is not None or self._listens(program.pid), START_TIMEOUT_S, "SIPp listens"
        )
        return run

    def _listens(self, pid: int) -> bool:
        """Whether the process's namespace has an open socket on the port, by the kernel's table of them.

        For a while there is one of an earlier run too, which waits for its end: nobody can connect to it.
        """
        port = f":{self.port:04X}"
        table = Path(f"/proc/{pid}/net/{self._transport}")
        with contextlib.suppress(OSError):
            rows = [line.split() for line in table.read_text().splitlines()[1:]]
            return any(row[1].endswith(port) and row[3] in OPEN for row in rows)
        return False

    def run(self, scenario: str, server: str, **how: int | str | bool | Path | None) -> Result:
        """Start a scenario, wait for its end and insist that it succeeded; arguments as for `start`."""
        return self.start(scenario, server, **how).wait_successful()  # type: ignore[arg-type]

    def register(self, server: str, expires_s: int = 60) -> Result:
        """Register this address and port, once; 0 seconds removes it."""
        return self.start("register", server, expires_s=expires_s).wait_successful()

    def stop(self) -> None:
        """End what still runs."""
        for run in self._runs:
            run.stop()

    def _digest_uri(self, scenario: str, dials: str) -> dict[str, str]:
        # SIPp writes one URI into every digest, and servers compare it with the request's (RFC 7616 §3.4.6). One that
        # judges digests must not have the option: it would take this URI for the caller's.
        domain = self.account.domain
        if scenario.startswith("register"):
            return {"-auth_uri": domain}
        return {"-auth_uri": f"{dials}@{domain}"} if scenario.startswith("caller") else {}


def _fill(text: str, parameters: Mapping[str, str], depth: int = 0) -> str:
    """Put parameters and parts into a scenario."""
    if depth > MAX_PART_DEPTH:
        raise ValueError("a part of a SIPp scenario contains itself")

    def value(place: re.Match[str]) -> str:
        name = place.group(1)
        part = parameters[name] if "." not in name else (SCENARIOS / "parts" / name).read_text(encoding="utf-8")
        return _fill(part.rstrip("\n"), parameters, depth + 1)

    return _PLACE.sub(value, text)
