"""baresip 1.0.0 as a phone: one account, headless, steered over its TCP control port.

It runs in a network namespace of the test's own. It plays a WAV file (module aufile) and hears into another (module
sndfile); aubridge stands in for the loudspeaker. Commands and events are JSON in netstrings (module ctrl_tcp):
`command` sends one and waits for its answer, `wait_event` waits for an event. Used by conftest.py's `baresip` fixture.
"""

from __future__ import annotations

import itertools
import json
import queue
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers import audio
from peers.namespace import Namespace
from peers.process import PeerError, Program, wait_until

MODULES = Path("/usr/lib/baresip/modules")
CODEC_MODULES = ("g711", "g722", "opus", "l16")
CONTROL_PORT = 4444
START_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 5.0
EVENT_TIMEOUT_S = 10.0
MAX_COMMAND_BYTES = 250  # ctrl_tcp copies a command into 256 bytes
MAX_NETSTRING_BYTES = 100_000


@dataclass(frozen=True)
class Account:
    """What the phone is.

    Attributes:
        user: the user part of its address-of-record.
        password: for the digest challenges.
        server: "address:port" of the registrar, also the proxy of every request.
        domain: of its address-of-record; the server when empty.
        codecs: as baresip names them; what is not 8 kHz mono with its sampling rate and channels ("G722/16000/1").
        transport: "udp" or "tcp".
        expires_s: what its REGISTER asks for; 0 does not register.
        answer: "manual" or "auto".
        auth_user: the digest's user name; `user` when empty.
        mediaenc: "srtp" offers keys on RTP/AVP, "srtp-mand" offers RTP/SAVP and takes nothing else; plain RTP when empty.
        publishes_s: for how long it publishes its presence (PUBLISH, RFC 3903); 0 for never.
        watches: addresses to whose presence it subscribes (RFC 3856).
        rtcp_mux: it offers one port for RTP and RTCP (RFC 5761), and takes such an offer.
        mailbox: it subscribes to its own messages (RFC 3842) once it is registered.
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
    mediaenc: str = ""
    publishes_s: int = 0
    watches: Sequence[str] = ()
    mailbox: bool = False
    rtcp_mux: bool = False

    @property
    def address(self) -> str:
        """The address-of-record."""
        return f"sip:{self.user}@{self.domain or self.server}"

    def line(self) -> str:
        """The account as a line of baresip's `accounts` file."""
        server = f"sip:{self.server};transport={self.transport}"
        parameters = {
            **({"auth_user": self.auth_user} if self.auth_user else {}),
            "auth_pass": self.password,
            "outbound": f'"{server}"',
            "regint": str(self.expires_s),
            "answermode": self.answer,
            **({"mediaenc": self.mediaenc} if self.mediaenc else {}),
            "mwi": "yes" if self.mailbox else "no",
            "pubint": str(self.publishes_s),
            "audio_codecs": ",".join(codec if "/" in codec else f"{codec}/8000/1" for codec in self.codecs),
        }
        return f"<{self.address};transport={self.transport}>" + "".join(
            f";{name}={value}" for name, value in parameters.items()
        )


@dataclass(frozen=True)
class Event:
    """One event of the phone.

    Attributes:
        type: as baresip names it: REGISTER_OK, CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED ...
        parameter: its text, such as the reason of CALL_CLOSED.
        peer: the other party's URI, for events of calls.
        call: baresip's id of the call.
        fields: everything that baresip sent.
    """

    type: str
    parameter: str
    peer: str
    call: str
    fields: Mapping[str, Any] = field(repr=False)


class Baresip:
    """A running phone.

    Args:
        folder: where its configuration, its log and its recordings go; removed by nobody.
        inside: the namespace that it runs in.
        account: its account.
        plays: a mono WAV file at the codec's sampling rate, at least as long as the call: it is played once, from the start of
            each call.
        sip_port: the local SIP port.
        trace: write every SIP message to the log.
    """

    def __init__(
        self,
        folder: Path,
        inside: Namespace,
        account: Account,
        plays: Path,
        *,
        sip_port: int = 5060,
        trace: bool = True,
    ) -> None:
        self.account, self.inside = account, inside
        self._folder = folder
        self._events: list[Event] = []
        self._seen = 0
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._tokens = itertools.count(1)
        self._heard_before: set[Path] = set()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config").write_text(_config(account, inside, sip_port, plays, folder))
        # The account comes by the control port, so that no event is missed; one that publishes has to be there at the start.
        (folder / "accounts").write_text(f"{account.line()}\n" if account.publishes_s else "# none\n")
        watched = (f'"{uri}" <{uri}>;presence=p2p\n' for uri in account.watches)
        (folder / "contacts").write_text("".join(watched))
        argv = ["baresip", "-4", "-f", str(folder), *(["-s"] if trace else [])]
        self.program = Program(inside.command(argv), folder / "baresip.log", name=f"baresip({account.user})")
        try:
            self._control = wait_until(self._connect, START_TIMEOUT_S, "baresip's control port")
        except PeerError as error:
            self.program.stop()
            raise self.program.failure(str(error)) from error
        self._reader = threading.Thread(target=self._read, name="baresip-control", daemon=True)
        self._reader.start()
        if not account.publishes_s:
            self.register()

    def _connect(self) -> socket.socket | None:
        if self.program.returncode is not None:
            raise self.program.failure(f"ended with status {self.program.returncode}")
        try:
            return self.inside.call(lambda: socket.create_connection((self.inside.address, CONTROL_PORT), 1.0))
        except OSError:
            return None

    # -- events and commands

    def _read(self) -> None:
        self._control.settimeout(None)
        with self._control.makefile("rb") as stream:
            while (message := _read_netstring(stream)) is not None:
                if message.get("response"):
                    self._answers.put(message)
                else:
                    self._events.append(_event(message))

    def command(self, name: str, parameters: str = "") -> str:
        """Send a command and return baresip's text answer.

        Args:
            name: one of baresip's long commands.
            parameters: its argument.

        Raises:
            PeerError: it was refused, or no answer came within 5 s.
        """
        token = str(next(self._tokens))
        request = {"command": name, "token": token} | ({"params": parameters} if parameters else {})
        if len(name) + len(parameters) > MAX_COMMAND_BYTES:
            raise ValueError("baresip cuts commands longer than 255 bytes")
        body = json.dumps(request).encode()
        try:
            self._control.sendall(b"%d:%s," % (len(body), body))
            return self._answer(name, token)
        except OSError as error:
            raise self.program.failure(f"took no command ({error})") from error

    def _answer(self, name: str, token: str) -> str:
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        while True:
            try:
                answer = self._answers.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                raise self.program.failure(f"did not answer {name!r}") from None
            if answer.get("token") == token:
                break
        if not answer.get("ok"):
            raise self.program.failure(f"refused {name!r}: {answer.get('data')}")
        return str(answer.get("data", ""))

    def events(self, event_type: str | None = None) -> list[Event]:
        """All events so far, or those of one type."""
        return [event for event in self._events if event_type in (None, event.type)]

    def wait_event(self, *types: str, timeout_s: float = EVENT_TIMEOUT_S) -> Event:
        """Wait for the next event of one of the types, skipping others; each event is returned once.

        Raises:
            PeerError: none came in time, or baresip ended.
        """

        def next_event() -> Event | None:
            while self._seen < len(self._events):
                self._seen += 1
                if self._events[self._seen - 1].type in types:
                    return self._events[self._seen - 1]
            return None

        return self.program.wait(next_event, timeout_s, f"event {' or '.join(types)}")

    # -- the phone

    def wait_registered(self, timeout_s: float = EVENT_TIMEOUT_S) -> None:
        """Wait until the server has accepted its REGISTER; it sends one when it starts."""
        if self.account.publishes_s:
            self.program.wait(lambda: "OK" in self.command("reginfo"), timeout_s, "its registration")
            return
        event = self.wait_event("REGISTER_OK", "REGISTER_FAIL", timeout_s=timeout_s)
        if event.type == "REGISTER_FAIL":
            raise self.program.failure(f"was not registered: {event.parameter}")

    def register(self) -> None:
        """Add the account, which sends its REGISTER; done when the phone starts."""
        self.command("uanew", self.account.line())

    def unregister(self) -> None:
        """Remove the account, which sends a REGISTER with an expiry of 0."""
        self.command("uadel", self.account.address)

    def dial(self, target: str) -> None:
        """Place a call; a bare user or number is dialled at the account's domain."""
        self._heard_before = set(self._recordings())
        domain = self.account.domain or self.account.server
        self.command("dial", target if target.startswith(("sip:", "tel:")) else f"sip:{target}@{domain}")

    def wait_incoming(self, timeout_s: float = EVENT_TIMEOUT_S) -> Event:
        """Wait until it rings."""
        return self.wait_event("CALL_INCOMING", timeout_s=timeout_s)

    def answer(self) -> None:
        """Answer the call that rings."""
        self._heard_before = set(self._recordings())
        self.command("accept")

    def wait_established(self, timeout_s: float = EVENT_TIMEOUT_S) -> Event:
        """Wait until the call is answered and acknowledged."""
        event = self.wait_event("CALL_ESTABLISHED", "CALL_CLOSED", timeout_s=timeout_s)
        if event.type == "CALL_CLOSED":
            raise self.program.failure(f"lost the call: {event.parameter}")
        return event

    def hangup(self) -> None:
        """End the call, or refuse the one that rings (486), or give up dialling (CANCEL)."""
        self.command("hangup")

    def wait_closed(self, timeout_s: float = EVENT_TIMEOUT_S) -> Event:
        """Wait until the call is over; the event's parameter says why."""
        return self.wait_event("CALL_CLOSED", timeout_s=timeout_s)

    def hold(self) -> None:
        """Put the call on hold by re-INVITE."""
        self.command("hold")

    def resume(self) -> None:
        """Take the call off hold by re-INVITE."""
        self.command("resume")

    def transfer(self, target: str) -> None:
        """Hold the call and send the other party elsewhere (REFER, RFC 3515)."""
        self.command("transfer", target)

    def dtmf(self, digits: str) -> None:
        """Send digits, one after the other (RFC 4733)."""
        for digit in digits:
            self.command("sndcode", digit)

    # -- what it heard

    def _recordings(self) -> list[Path]:
        return sorted(self._folder.glob("dump-*-dec.wav"))

    def heard(self) -> audio.Recording:
        """What the current or last call's other party has sent, up to now."""
        found = [path for path in self._recordings() if path not in self._heard_before]
        return audio.read(found[-1]) if found else audio.Recording([], 8000)

    def wait_heard(self, duration_s: float, timeout_s: float = 15.0) -> audio.Recording:
        """Wait until it has heard sound for so long, and return what it heard."""

        def enough() -> audio.Recording | None:
            heard = self.heard().sounding()
            return heard if heard.duration_s >= duration_s else None

        return self.program.wait(enough, timeout_s, f"{duration_s:g} s of sound")

    def stop(self) -> None:
        """End the phone; it unregisters and ends its calls if the server answers. Idempotent."""
        self.program.stop()
        self._control.close()
        self._reader.join(5.0)


def _config(account: Account, inside: Namespace, sip_port: int, plays: Path, folder: Path) -> str:
    settings = {
        "poll_method": "epoll",
        "sip_listen": f"{inside.address}:{sip_port}",
        "call_local_timeout": "120",
        "call_max_calls": "8",
        "audio_player": "aubridge,sink",
        "audio_source": f"aufile,{plays}",
        "audio_alert": "aubridge,alert",
        "rtp_ports": "10000-10200",
        "rtcp_mux": "yes" if account.rtcp_mux else "no",
        "jitter_buffer_delay": "2-10",
        "net_interface": f"{inside.name}p",
        "ctrl_tcp_listen": f"{inside.address}:{CONTROL_PORT}",
        "snd_path": str(folder),
        "ringback_disabled": "yes",
        "menu_bell": "no",
        "opus_stereo": "no",
        "module_path": str(MODULES),
    }
    modules = [("module", name) for name in (*CODEC_MODULES, "aufile", "aubridge", "sndfile", "srtp")]
    modules += [("module_tmp", "account"), ("module_app", "menu"), ("module_app", "ctrl_tcp")]
    modules += [("module_app", name) for name in ("contact", "presence", "mwi")]
    lines = [f"{name}\t{value}" for name, value in settings.items()]
    return "\n".join([*lines, *(f"{kind}\t{name}.so" for kind, name in modules), ""])


def _event(message: Mapping[str, Any]) -> Event:
    def text(name: str) -> str:
        return str(message.get(name, ""))

    return Event(text("type"), text("param"), text("peeruri") or text("peer"), text("id"), dict(message))


def _read_netstring(stream: Any) -> dict[str, Any] | None:
    """Read one netstring of JSON; `None` at the end of the stream."""
    try:
        size = b""
        while (byte := stream.read(1)) != b":":
            if not byte or len(size) > 9:
                return None
            size += byte
        if int(size) > MAX_NETSTRING_BYTES:
            return None
        body = stream.read(int(size))
        stream.read(1)
        message = json.loads(body)
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None
