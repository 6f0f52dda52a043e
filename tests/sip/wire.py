"""Real sockets against the real SIP endpoint, for the tests that need the kernel.

`Station` is an endpoint of ours with the events that it told; `DatagramPeer` and `StreamPeer` are bare sockets that
speak prepared text. Everything waits by deadline, nothing sleeps.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

from _trunkline import Address, Event, Listener, SipEndpoint

PATIENCE_S = 10.0
"""How long something that must happen may take on a busy machine."""
SILENCE_S = 0.3
"""How long nothing must happen for a test to believe that nothing does."""

E = TypeVar("E")
serial = count(1)


class Station:
    """A real endpoint and what it told."""

    def __init__(self, **settings: Any) -> None:
        self.endpoint = SipEndpoint(**settings)
        self.told: deque[Event] = deque()

    def listen(self, transport: str = "udp", host: str = "127.0.0.1", port: int = 0) -> Listener:
        return self.endpoint.listen(transport, host, port)

    def pump(self, timeout_s: float) -> None:
        """Take what was told, waiting for it at most that long."""
        if select.select([self.endpoint], [], [], timeout_s)[0]:
            self.told.extend(self.endpoint.drain())

    def next(self, kind: type[E], timeout_s: float = PATIENCE_S) -> E:
        """The next event of that class; others stay for later."""
        deadline = time.monotonic() + timeout_s
        while True:
            for event in self.told:
                if isinstance(event, kind):
                    self.told.remove(event)
                    return event
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind.__name__}, but {[type(event).__name__ for event in self.told]}"
            self.pump(left)

    def quiet(self, kind: type[object] = object) -> bool:
        """Whether no event of that class comes for a while."""
        deadline = time.monotonic() + SILENCE_S
        while (left := deadline - time.monotonic()) > 0:
            self.pump(left)
        return not any(isinstance(event, kind) for event in self.told)

    def until(self, holds: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Wait until the counters say so."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(counters := self.endpoint.counters()):
            assert time.monotonic() < deadline, counters
            self.pump(0.01)
        return counters


@contextmanager
def station(**settings: Any) -> Iterator[Station]:
    """A station that is closed in the end."""
    it = Station(**settings)
    try:
        yield it
    finally:
        it.endpoint.close()


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class DatagramPeer:
    """A UDP socket; connected, it hears only the address that it asked."""

    def __init__(self, to: Address, *, connected: bool = True, host: str = "") -> None:
        self.socket = socket.socket(family_of(to[0]), socket.SOCK_DGRAM)
        self.socket.bind((host or ("::1" if ":" in to[0] else "127.0.0.1"), 0))
        self.to = to
        if connected:
            self.socket.connect(to)

    @property
    def address(self) -> Address:
        host, port, *_ = self.socket.getsockname()
        return host, port

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.to) if not self._connected() else self.socket.send(data)

    def _connected(self) -> bool:
        try:
            self.socket.getpeername()
        except OSError:
            return False
        return True

    def receive(self, timeout_s: float = PATIENCE_S) -> str:
        self.socket.settimeout(timeout_s)
        return self.socket.recv(65_536).decode()

    def hears_nothing(self) -> bool:
        try:
            self.receive(SILENCE_S)
        except TimeoutError:
            return True
        return False

    def __enter__(self) -> DatagramPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class StreamPeer:
    """A TCP connection that reads whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.unread = b""

    @classmethod
    def to(cls, address: Address) -> StreamPeer:
        return cls(socket.create_connection(address, PATIENCE_S))

    @property
    def address(self) -> Address:
        host, port, *_ = self.socket.getsockname()
        return host, port

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, timeout_s: float = PATIENCE_S) -> str:
        """One message, by its Content-Length."""
        self.socket.settimeout(timeout_s)
        while True:
            head, end, rest = self.unread.partition(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            if end and length and len(rest) >= int(length[1]):
                size = len(head) + 4 + int(length[1])
                message, self.unread = self.unread[:size], self.unread[size:]
                return message.decode()
            data = self.socket.recv(65_536)
            assert data, "closed by the server"
            self.unread += data

    def is_closed(self, timeout_s: float = PATIENCE_S) -> bool:
        """Whether the server closes this connection in time; what it sent before is read away."""
        self.socket.settimeout(timeout_s)
        try:
            while self.socket.recv(65_536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def __enter__(self) -> StreamPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def sent_by(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def request(
    method: str,
    address: Address,
    *,
    transport: str = "UDP",
    uri: str = "sip:alice@pbx.example",
    call_id: str = "",
    to_tag: str = "",
    from_tag: str = "theirs",
    cseq: int = 1,
    branch: str = "",
    lines: tuple[str, ...] = (),
    body: str = "",
) -> bytes:
    """A request as a phone at `address` writes it."""
    number = next(serial)
    head = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {sent_by(address)};branch={branch or f'z9hG4bKw{number}'};rport",
        "Max-Forwards: 70",
        f"From: <sip:bob@pbx.example>;tag={from_tag}",
        f"To: <sip:alice@pbx.example>{';tag=' + to_tag if to_tag else ''}",
        f"Call-ID: {call_id or f'wire-{number}'}",
        f"CSeq: {cseq} {method}",
        f"Contact: <sip:bob@{sent_by(address)}>",
        *lines,
        f"Content-Length: {len(body.encode())}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def header(message: str, name: str) -> str:
    """The first value of a header of a message's text."""
    found = re.search(rf"(?im)^{re.escape(name)}: *(.*?)\r?$", message)
    assert found, f"no {name} in {message!r}"
    return found[1]


def status(message: str) -> int:
    assert message.startswith("SIP/2.0 "), message
    return int(message.split(" ")[1])


def answer(message: str, code: int = 200, *, lines: tuple[str, ...] = ()) -> bytes:
    """A response to the text of a request, as a peer that gets it writes one."""
    kept = [line for line in message.split("\r\n") if re.match(r"(?i)(via|from|call-id|cseq):", line)]
    to = header(message, "To")
    return "\r\n".join([f"SIP/2.0 {code} X", *kept, f"To: {to};tag=peer", *lines, "Content-Length: 0", "", ""]).encode()


OUTGOING = (
    ("From", "<sip:us@pbx.example>;tag=ours"),
    ("To", "<sip:them@peer.example>"),
    ("CSeq", "1 OPTIONS"),
)


def outgoing(method: str = "OPTIONS") -> list[tuple[str, str]]:
    """The headers of a request of ours."""
    fields = [(name, value.replace("OPTIONS", method)) for name, value in OUTGOING]
    return [*fields, ("Call-ID", f"out-{next(serial)}")]
