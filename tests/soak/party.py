"""Scripted SIP parties on bare UDP sockets, cheap enough for tens of thousands of calls: text in, text out, nothing of our stack.

A `Party` is a socket, a `Call` what a script does in one call. Repeats of the other side are answered as before without the script; what
the script itself sent last is repeated when nothing comes. A call whose party has vanished hears nothing and says nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

__all__ = ["Call", "Heard", "Party", "Unexpected", "digest"]

REPEAT_S = 1.0
"""When what was sent last is sent again."""
PATIENCE_S = 40.0
FINISHED = 2_000
"""Calls that are remembered after their script, for repeats that are still on their way."""
BUFFER_BYTES = 8 << 20
SO_RCVBUFFORCE = 33

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)

_HEADER = re.compile(r"^([^:\r\n]+?)[ \t]*:[ \t]*([^\r\n]*)\r?$", re.MULTILINE)
_TAG = re.compile(r";tag=([^;>\s]+)")
_URI = re.compile(r"<([^>]+)>")
_serial = count(1)


class Unexpected(AssertionError):
    """A script heard something else than it waits for, or nothing."""


@dataclass(slots=True)
class Heard:
    """A message that arrived."""

    what: str
    """Its method, or its status."""
    uri: str
    """The Request-URI; "" for a response."""
    headers: dict[str, str]
    """The first value of each, by lower-case name."""
    method: str
    cseq: int

    @classmethod
    def parse(cls, text: str) -> Heard:
        head = text.partition("\r\n\r\n")[0]
        start, _, rest = head.partition("\r\n")
        headers: dict[str, str] = {}
        for name, value in _HEADER.findall(rest):
            headers.setdefault(name.lower(), value)
        number, method = headers["cseq"].split()
        words = start.split(" ")
        is_response = words[0] == "SIP/2.0"
        return cls(words[1] if is_response else words[0], "" if is_response else words[1], headers, method, int(number))

    @property
    def tag(self) -> str:
        """The To tag."""
        found = _TAG.search(self.headers["to"])
        return found[1] if found else ""


def digest(challenge: str, *, username: str, password: str, method: str, uri: str) -> str:
    """The value of Authorization that answers a Digest challenge with MD5 and qop=auth (RFC 7616 §3.4)."""
    values = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    first = _md5(f"{username}:{values['realm']}:{password}")
    proof = _md5(f"{first}:{values['nonce']}:00000001:c:auth:{_md5(f'{method}:{uri}')}")
    return (
        f'Digest username="{username}", realm="{values["realm"]}", nonce="{values["nonce"]}", uri="{uri}", '
        f'response="{proof}", algorithm=MD5, cnonce="c", qop=auth, nc=00000001'
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


class Party(asyncio.DatagramProtocol):
    """One socket and the calls on it.

    Args:
        user: The user part of its addresses.
        on_invite: Called with a call that comes in; None for a party that is not called.
    """

    def __init__(self, user: str, on_invite: Callable[[Call, Heard], None] | None = None) -> None:
        self.user = user
        self.host, self.port = "", 0
        self.calls: dict[str, Call] = {}
        self.server = ("", 0)
        self.late = 0
        """Messages for calls that nobody remembers."""
        self._on_invite = on_invite
        self._finished: deque[str] = deque()
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, host: str) -> None:
        """Bind a port of the system's choice."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setblocking(False)
        try:
            bound.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        except PermissionError:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        bound.bind((host, 0))
        self.host, self.port = bound.getsockname()
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)

    @property
    def uri(self) -> str:
        """Where it is."""
        return f"sip:{self.user}@{self.host}:{self.port}"

    def call(self, number: str) -> Call:
        """A call to a number through the server; nothing is sent yet."""
        call = Call(self, f"soak-{next(_serial)}@{self.host}")
        call.target = f"sip:{number}@{self.server[0]}:{self.server[1]}"
        call.local = f"<{self.uri}>;tag={next(_serial)}"
        call.remote = f"<{call.target}>"
        self.calls[call.call_id] = call
        return call

    def finish(self, call: Call) -> None:
        """The script has ended."""
        self._finished.append(call.call_id)
        if len(self._finished) > FINISHED:
            self.calls.pop(self._finished.popleft(), None)

    def send(self, data: bytes) -> None:
        """Send a datagram to the server."""
        if self._transport is not None:
            self._transport.sendto(data, self.server)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        heard = Heard.parse(data.decode())
        call = self.calls.get(heard.headers["call-id"])
        if call is not None:
            call.take(heard)
        elif heard.what == "INVITE" and self._on_invite is not None:
            call = Call(self, heard.headers["call-id"])
            call.target = _URI.findall(heard.headers["contact"])[0]
            call.local = f"{heard.headers['to']};tag={next(_serial)}"
            call.remote = heard.headers["from"]
            call.begin(heard)
            self.calls[call.call_id] = call
            self._on_invite(call, heard)
        else:
            self.late += 1


class Call:
    """One call of a party, as its script sees it. Made by `Party.call`, or by an INVITE that arrives."""

    def __init__(self, party: Party, call_id: str) -> None:
        self.party = party
        self.call_id = call_id
        self.target = ""
        self.local = ""
        self.remote = ""
        self.vanished = False
        """The party has stopped: it hears nothing and says nothing."""
        self.answers_bye = False
        """A BYE is answered without the script."""
        self._cseq = 0
        self._branch = ""
        self._heard: deque[Heard] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._last = b""
        self._answers: dict[tuple[int, str], bytes] = {}
        self._acks: dict[int, bytes] = {}

    # --- what the script does -----------------------------------------------------------------------------------------

    def invite(self, *headers: str) -> None:
        """Send INVITE with an offer."""
        self._request("INVITE", *headers, body=SDP.format(host=self.party.host))

    def ack(self, answer: Heard) -> None:
        """Acknowledge the 200; each repeat of it too."""
        self.target = _URI.findall(answer.headers["contact"])[0]
        self.remote = answer.headers["to"]
        self._acks[answer.cseq] = self._build("ACK", self.target, answer.cseq, self._new_branch())
        self.party.send(self._acks[answer.cseq])

    def bye(self) -> None:
        """Send BYE."""
        self._request("BYE")

    def cancel(self) -> None:
        """CANCEL the INVITE."""
        self._last = self._build("CANCEL", self.target, self._cseq, self._branch)
        self.party.send(self._last)

    def respond(self, request: Heard, status: int, *headers: str, sdp: bool = False) -> None:
        """Answer a request."""
        kept = [f"{name}: {request.headers[name.lower()]}" for name in ("Via", "From", "Call-ID", "CSeq")]
        body = SDP.format(host=self.party.host) if sdp else ""
        to = self.local if self.local.startswith(request.headers["to"].partition(";tag")[0]) else request.headers["to"]
        lines = [f"SIP/2.0 {status} Said", *kept, f"To: {to}", f"Contact: <{self.party.uri}>", *headers]
        self._last = _message(lines, body)
        self._answers[request.cseq, request.method] = self._last
        self.party.send(self._last)

    async def next(self, *wanted: str) -> Heard:
        """The next message of those kinds; provisionals that are not among them are passed over.

        Raises:
            Unexpected: Something else came, or nothing.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while True:
            while self._heard:
                heard = self._heard.popleft()
                if heard.what in wanted:
                    return heard
                if not (len(heard.what) == 3 and heard.what[0] == "1"):
                    raise Unexpected(f"{self.target}: {heard.what} to {heard.method} came, not {' or '.join(wanted)}")
            if loop.time() > deadline:
                raise Unexpected(f"{self.target}: neither {' nor '.join(wanted)} came within {PATIENCE_S:g} s")
            await self._wait()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        repeat = loop.call_later(REPEAT_S, self._repeat)
        try:
            await waiter
        finally:
            repeat.cancel()
            self._waiter = None

    def _repeat(self) -> None:
        if self._last:
            self.party.send(self._last)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- messages -----------------------------------------------------------------------------------------------------

    def begin(self, invite: Heard) -> None:
        """From the party: this INVITE is what the call came with."""
        self._answers[invite.cseq, invite.method] = b""

    def take(self, heard: Heard) -> None:
        """From the party: a message of this call arrived."""
        if self.vanished or self._is_repeat(heard):
            return
        if not heard.uri and heard.method == "INVITE" and heard.what >= "300":
            # RFC 3261 §17.1.1.3: the ACK to a failure belongs to the INVITE's transaction
            self._acks[heard.cseq] = self._build("ACK", self.target, heard.cseq, self._branch, to=heard.headers["to"])
            self.party.send(self._acks[heard.cseq])
        if heard.what == "BYE" and self.answers_bye:
            self.respond(heard, 200)
            return
        if heard.what == "ACK" or (not heard.uri and heard.what >= "200"):
            self._last = b""  # it has done its work
        self._heard.append(heard)
        self._wake()

    def _is_repeat(self, heard: Heard) -> bool:
        """Answer what was answered before."""
        key = (heard.cseq, heard.method)
        if heard.uri:
            if key in self._answers:
                if self._answers[key]:
                    self.party.send(self._answers[key])
                return True
            self._answers[key] = b""
        elif not heard.uri and heard.method == "INVITE" and heard.what >= "200" and heard.cseq in self._acks:
            self.party.send(self._acks[heard.cseq])
            return True
        return False

    def _request(self, method: str, *headers: str, body: str = "") -> None:
        self._cseq += 1
        self._branch = self._new_branch()
        self._last = self._build(method, self.target, self._cseq, self._branch, *headers, body=body)
        self.party.send(self._last)

    def _new_branch(self) -> str:
        return f"z9hG4bKsoak{next(_serial)}"

    def _build(
        self, method: str, uri: str, cseq: int, branch: str, *headers: str, to: str = "", body: str = ""
    ) -> bytes:
        party = self.party
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {party.host}:{party.port};branch={branch}",
            "Max-Forwards: 70",
            f"From: {self.local}",
            f"To: {to or self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <{party.uri}>",
            *headers,
        ]
        return _message(lines, body)


def _message(lines: list[str], body: str) -> bytes:
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
