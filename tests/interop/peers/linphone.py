"""linphonec 5.1 as a phone: one account, headless, steered by typing at it, its output read for what happened.

It runs in a network namespace and a home of the test's own. Instead of a sound card it plays a WAV file (again from
its start, whenever it ends) and records what it hears into another. `command` types a line; `wait_output` waits for one
that linphonec has printed since the last wait. Used by conftest.py's `linphone` fixture.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from peers import audio
from peers.namespace import Namespace
from peers.process import PeerError, Program

START_TIMEOUT_S = 10.0
OUTPUT_TIMEOUT_S = 10.0
END_TIMEOUT_S = 3.0
MEASURED_RATE_HZ = 8000
WAV_HEADER_BYTES = 44
_ASKS_PASSWORD = re.compile(r"^Password for .*\Z", re.MULTILINE)
_REGISTRATION = re.compile(r"moving from state \[?\w+\]? to \[?LinphoneRegistration(Ok|Failed)")
CODECS = (
    "opus/48000/2",
    "speex/32000",
    "speex/16000",
    "speex/8000",
    "G722/8000",
    "G729/8000",
    "GSM/8000",
    "PCMU/8000",
    "PCMA/8000",
)


@dataclass(frozen=True)
class Account:
    """What the phone is.

    Attributes:
        user: the user part of its address-of-record.
        password: for the digest challenges.
        server: "address:port" of the registrar, also the proxy of every request.
        domain: of its address-of-record; the server when empty.
        codecs: names that stand in `CODECS` before the slash, the most wanted first; no other is offered.
        transport: "udp" or "tcp".
        expires_s: what its REGISTER asks for; 0 does not register.
        answer: "manual", "auto", or "early" (183 with media as soon as it rings, answered by `answer()`).
        auth_user: the digest's user name; `user` when empty.
        sip: further entries of the section `sip` of its configuration.
        publishes: it sends its presence (PUBLISH, RFC 3903) when it has registered.
    """

    user: str
    password: str
    server: str
    domain: str = ""
    codecs: Sequence[str] = ("PCMU", "PCMA")
    transport: str = "udp"
    expires_s: int = 60
    answer: str = "manual"
    auth_user: str = ""
    publishes: bool = False
    sip: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The address-of-record."""
        return f"sip:{self.user}@{self.domain or self.server}"


class Linphone:
    """A running phone.

    Args:
        folder: where its configuration, its log and its recordings go; removed by nobody.
        inside: the namespace that it runs in.
        account: its account.
        plays: a mono WAV file.
        sip_port: the local SIP port.
    """

    def __init__(self, folder: Path, inside: Namespace, account: Account, plays: Path, *, sip_port: int = 5060) -> None:
        self.account, self.inside = account, inside
        self._folder = folder
        self._seen = self._registrations_seen = self._recording_number = 0
        # Without this folder it starts no database, and complains.
        (folder / ".local" / "share" / "linphone").mkdir(parents=True, exist_ok=True)
        (folder / "linphonerc").write_text(_config(account, sip_port))
        argv = ["linphonec", "-S", "-d", "5", "-l", str(self.trace), "-c", str(folder / "linphonerc")]
        argv += ["-a"] if account.answer == "auto" else []
        # readline serves linphonec's main loop only while it reads from a terminal.
        self.program = Program(
            inside.command(argv),
            folder / "linphonec.log",
            name=f"linphonec({account.user})",
            env={"HOME": str(folder), "TERM": "dumb"},
            with_terminal=True,
        )
        try:
            self.wait_output("^linphonec>", START_TIMEOUT_S)
            self.command("soundcard use files", "Using wav files")
            self.command(f"play {plays}")
            self._record_anew()
        except PeerError:
            self.program.stop()
            raise

    @property
    def trace(self) -> Path:
        """The file that holds its debug log, every SIP message included."""
        return self._folder / "trace.log"

    def command(self, line: str, answer: str = "") -> None:
        """Type a line.

        Args:
            line: one of linphonec's commands.
            answer: a regular expression of what it must print; empty waits for nothing.
        """
        self.program.write_line(line)
        if answer:
            self.wait_output(answer)

    def wait_output(self, pattern: str, timeout_s: float = OUTPUT_TIMEOUT_S) -> re.Match[str]:
        """Wait for output that no earlier wait has consumed.

        Args:
            pattern: a regular expression, searched in multi-line mode; what stands before its match is skipped.
            timeout_s: the deadline in seconds.

        Raises:
            PeerError: it did not come in time, or linphonec ended.
        """
        found = self.program.wait_for_line(pattern, timeout_s, after=self._seen)
        self._seen = found.end()
        return found

    # -- the phone

    def wait_registered(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> None:
        """Wait until the server has accepted its REGISTER; it sends one when it starts.

        Raises:
            PeerError: it was refused (linphonec then asks for another password), or the deadline passed.
        """
        state = self.program.wait(self._next_registration, timeout_s, "an answer to its REGISTER")
        if state != "Ok":
            raise self.program.failure(f"was not registered ({state})")

    def _next_registration(self) -> str | None:
        """The first outcome of a registration that was not returned yet."""
        if _ASKS_PASSWORD.search(self.program.output()):
            return "it asks for another password"
        trace = self.trace.read_text(errors="replace") if self.trace.exists() else ""
        outcome = _REGISTRATION.search(trace, self._registrations_seen)
        if outcome is None:
            return None
        self._registrations_seen = outcome.end()
        return outcome.group(1)

    def register(self) -> None:
        """Register again."""
        self.command(f"register {self.account.address} sip:{self.account.server} {self.account.password}")

    def unregister(self) -> None:
        """Register with an expiry of 0."""
        self.command("unregister")

    def dial(self, target: str) -> None:
        """Place a call; a bare user or number is dialled at the account's domain."""
        self._record_anew()
        domain = self.account.domain or self.account.server
        self.command(f"call {target if target.startswith(('sip:', 'tel:')) else f'sip:{target}@{domain}'}")

    def wait_ringing(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> None:
        """Wait until the other party rings."""
        self.wait_output(r"^.*Call \d+ to .* ringing\.", timeout_s)

    def wait_incoming(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> str:
        """Wait until it rings, and return the caller's address."""
        return self.wait_output(r"incoming call from .*?(\S+), assigned id", timeout_s).group(1)

    def answer(self) -> None:
        """Answer the call that rings."""
        self.command("answer")

    def wait_established(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> None:
        """Wait until the call is answered.

        Raises:
            PeerError: it ended instead, or the deadline passed.
        """
        found = self.wait_output(r"Call \d+ with .* (connected)\.|Call \d+ with .* (?:ended|error).*", timeout_s)
        if not found.group(1):
            raise self.program.failure(f"lost the call: {found.group()}")

    def hangup(self) -> None:
        """End the call, or refuse the one that rings (603), or give up dialling (CANCEL)."""
        self.command("terminate")

    def wait_closed(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> str:
        """Wait until the call is over, and return why: "No error" after BYE or CANCEL, else "error"; see `statuses`."""
        found = self.wait_output(r"Call \d+ with .* (?:ended \((.*)\)|(error)\.)", timeout_s)
        return str(found.group(1) or found.group(2))

    def statuses(self, method: str = "INVITE") -> list[int]:
        """The statuses of all responses to a method that it has received, in order, repetitions included."""
        trace = self.trace.read_text(errors="replace")
        heads = re.finditer(r"received \[\d+\] new bytes from.*\n(SIP/2\.0 (\d{3}) .*(?:\r?\n\S.*)+)", trace)
        cseq = re.compile(rf"^CSeq:\s*\d+ {method}\b", re.MULTILINE | re.IGNORECASE)
        return [int(head.group(2)) for head in heads if cseq.search(head.group(1))]

    def hold(self) -> None:
        """Put the call on hold by re-INVITE; the other party then hears the file from its start, if it listens."""
        self.command("pause", r"is now paused\.")

    def resume(self) -> None:
        """Take the call off hold by re-INVITE."""
        self.command("resume", "Media streams established")

    def wait_held(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> None:
        """Wait until the other party has put the call on hold."""
        self.wait_output("has been paused by", timeout_s)

    def wait_resumed(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> None:
        """Wait until the other party has taken the call off hold."""
        self.wait_output("Media streams established", timeout_s)

    def transfer(self, target: str) -> None:
        """Send the other party elsewhere (REFER, RFC 3515)."""
        self.command(f"transfer {target}")

    def transfer_to_call(self, call: int, other: int) -> None:
        """Let the other party of one call talk to the one of another (REFER with Replaces); numbers as it assigns them."""
        self.command(f"transfer {call} --to-call {other}")

    def dtmf(self, digits: str) -> None:
        """Send digits, one after the other."""
        for digit in digits:
            self.command(digit)

    def wait_digit(self, timeout_s: float = OUTPUT_TIMEOUT_S) -> str:
        """Wait until the other party has sent a digit, and return it."""
        return self.wait_output(r"Receiving tone (\S) from", timeout_s).group(1)

    def watch(self, address: str) -> None:
        """Subscribe to the presence of an address (SUBSCRIBE, RFC 3856)."""
        self.command(f"friend add watched {address}")

    def wait_friend(self, status: str, timeout_s: float = OUTPUT_TIMEOUT_S) -> None:
        """Wait until it is told that who is watched is "Online" or "Offline"."""
        self.wait_output(rf"^.*Friend .* is {status}", timeout_s)

    # -- what it heard

    @property
    def _recording(self) -> Path:
        return self._folder / f"heard-{self._recording_number}.wav"

    def _record_anew(self) -> None:
        self._recording_number += 1
        self.command(f"record {self._recording}")

    def heard(self) -> audio.Recording:
        """What the other parties have sent since it started or last dialled, up to now, at 8 kHz."""
        # It writes the header when the stream ends, and then goes on behind it; nothing but samples follows the header.
        raw = self._recording.read_bytes() if self._recording.exists() else b""
        rate_hz = int.from_bytes(raw[24:28], "little") or max(_rate_hz(name) for name in _wanted(self.account))
        return audio.pcm(raw[WAV_HEADER_BYTES:], rate_hz).decimated(MEASURED_RATE_HZ)

    def wait_heard(self, duration_s: float, timeout_s: float = 15.0) -> audio.Recording:
        """Wait until it has heard sound for so long, and return what it heard."""

        def enough() -> audio.Recording | None:
            heard = self.heard().sounding()
            return heard if heard.duration_s >= duration_s else None

        return self.program.wait(enough, timeout_s, f"{duration_s:g} s of sound")

    def stop(self) -> None:
        """End the phone; it ends its calls and unregisters if the server answers. Idempotent."""
        if self.program.returncode is None and not _ASKS_PASSWORD.search(self.program.output()):
            with contextlib.suppress(PeerError):
                self.command("quit")
                self.program.wait(self._has_left, END_TIMEOUT_S, "its farewell")
        # It says goodbye, destroys its core and then hangs for seconds.
        self.program.stop(0.5)

    def _has_left(self) -> bool:
        return "Destroying core" in self.trace.read_text(errors="replace")


def _wanted(account: Account) -> list[str]:
    return [name for codec in account.codecs for name in CODECS if name.split("/")[0] == codec]


def _rate_hz(codec: str) -> int:
    """What a codec's sound is sampled at; G.722 is named after a rate that it does not have (RFC 3551 §4.5.2)."""
    return 16000 if codec.startswith("G722/") else int(codec.split("/")[1])


def _config(account: Account, sip_port: int) -> str:
    ports = {"udp": -2, "tcp": -2, "tls": -2} | {account.transport: sip_port}
    server = f"<sip:{account.server};transport={account.transport}>"
    sections: dict[str, dict[str, str | int]] = {
        "sip": {
            **{("sip_port" if name == "udp" else f"sip_{name}_port"): port for name, port in ports.items()},
            "use_ipv6": 0,
            "guess_hostname": 1,
            "default_proxy": 0,
            "incoming_calls_early_media": int(account.answer == "early"),
            "use_rfc2833": 1,
            **account.sip,
        },
        "proxy_0": {
            "reg_proxy": server,
            "reg_route": server.replace(">", ";lr>"),
            "reg_identity": account.address,
            "reg_expires": account.expires_s or 3600,
            "reg_sendregister": int(account.expires_s > 0),
            "publish": int(account.publishes),
        },
        "auth_info_0": {
            "username": account.user,
            "userid": account.auth_user or account.user,
            "passwd": account.password,
        },
        "rtp": {"audio_rtp_port": 7078, "symmetric": 1},
        "sound": {"remote_ring": ""},
    }
    wanted = _wanted(account)
    for number, name in enumerate([*wanted, *(name for name in CODECS if name not in wanted)]):
        mime, rate, *channels = name.split("/")
        sections[f"audio_codec_{number}"] = {
            "mime": mime,
            "rate": rate,
            "channels": channels[0] if channels else 1,
            "enabled": int(name in wanted),
        }
    return "".join(
        f"[{title}]\n" + "".join(f"{key}={value}\n" for key, value in entries.items()) + "\n"
        for title, entries in sections.items()
    )
