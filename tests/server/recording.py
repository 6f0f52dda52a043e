"""A driver that records what goes down to it, and requests made of real messages: what the server's tests put below an `Endpoint`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from trunkline.events import Event
from trunkline.sip.endpoint import (
    Challenge,
    ChallengeMode,
    Credentials,
    Endpoint,
    Flow,
    Headers,
    Message,
    RequestReceived,
    ServerTransaction,
)

PHONE = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))
REALM = "pbx.example"


@dataclass
class Answer:
    """A response as it went down."""

    tx: int
    status: int
    reason: str | None
    headers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


@dataclass
class Sent:
    """A request as it went down."""

    tx: int
    method: str
    uri: str
    headers: dict[str, str]
    flow: Flow
    timeout_s: float | None


@dataclass
class RecordingDriver:
    """A `Driver` that sends nothing."""

    answers: list[Answer] = field(default_factory=list)
    challenges: list[bool] = field(default_factory=list)
    """Whether each was stale."""
    sent: list[Sent] = field(default_factory=list)
    kept_open: dict[Flow, float] = field(default_factory=dict)
    closed: list[int] = field(default_factory=list)
    """Connections that were to be closed."""
    trust: list[tuple[str, dict[str, ChallengeMode], list[str], list[str], str]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """A request of ours went down."""
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def drain(self, limit: int = 512) -> list[object]:
        return []

    def send_request(
        self,
        method: str,
        uri: str,
        headers: Headers,
        body: bytes,
        flow: Flow,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int:
        tx = next(self.ids)
        self.sent.append(Sent(tx, method, uri, dict(headers), flow, timeout_s))
        self.arrived.set()
        return tx

    def respond(
        self,
        tx: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        *,
        to_tag: str | None = None,
        reliable: bool = False,
    ) -> bool:
        self.answers.append(Answer(tx.id, status, reason, list(headers)))
        return True

    def challenge(self, tx: ServerTransaction, *, stale: bool = False) -> bool:
        self.challenges.append(stale)
        return True

    def keep_alive(self, flow: Flow, interval_s: float) -> None:
        if interval_s:
            self.kept_open[flow] = interval_s
        else:
            self.kept_open.pop(flow, None)

    @property
    def t1_s(self) -> float:
        return 0.5

    def close_flow(self, connection: int) -> None:
        self.closed.append(connection)

    def mint_tag(self) -> str:
        return f"tag{next(self.ids)}"

    def mint_call_id(self) -> str:
        return f"call{next(self.ids)}"

    def mint_token(self) -> str:
        return f"token{next(self.ids)}"

    def set_challenge(
        self,
        realm: str,
        modes: Mapping[str, ChallengeMode],
        trusted_networks: Sequence[str],
        trusted_tokens: Sequence[str],
        *,
        algorithm: str = "MD5",
        nonce_lifetime_s: float = 300.0,
    ) -> None:
        self.trust.append((realm, dict(modes), list(trusted_networks), list(trusted_tokens), algorithm))


def endpoint() -> tuple[Endpoint, RecordingDriver]:
    """An endpoint above a recording driver."""
    driver = RecordingDriver()
    return Endpoint(driver), driver  # type: ignore[arg-type]


def request(
    method: str,
    uri: str,
    headers: Sequence[tuple[str, str]] = (),
    *,
    flow: Flow = PHONE,
    via: str = "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1",
    from_: str = f"<sip:alice@{REALM}>;tag=a",
    to: str = f"<sip:alice@{REALM}>",
    call_id: str = "c1",
    cseq: int = 1,
    body: bytes = b"",
    credentials: Credentials | None = None,
    trusted: bool = False,
) -> RequestReceived:
    """A request that came up."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: {via}",
        f"From: {from_}",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *(f"{name}: {value}" for name, value in headers),
        f"Content-Length: {len(body)}",
    ]
    message = Message.parse("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return cast(
        RequestReceived,
        SimpleNamespace(
            tx=SimpleNamespace(id=cseq, answered=False),
            message=message,
            flow=flow,
            credentials=credentials,
            trusted=trusted,
        ),
    )


def credentials(
    username: str, password: str, method: str = "REGISTER", *, realm: str = REALM, algorithm: str = "MD5"
) -> Credentials:
    """What a phone answers a challenge of ours with."""
    challenge = Challenge.parse(f'Digest realm="{realm}", nonce="n1", algorithm={algorithm}')
    value = challenge.authorize(
        username=username, password=password, method=method, uri=f"sip:{realm}", cnonce="c", nonce_count=1
    )
    return Credentials.parse(value)


def response(to: Sent, status: int, reason: str = "Whatever", headers: Sequence[tuple[str, str]] = ()) -> Message:
    """An answer to a request of ours."""
    lines = [
        f"SIP/2.0 {status} {reason}",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2",
        *(f"{name}: {to.headers[name]}" for name in ("From", "To", "Call-ID", "CSeq")),
        *(f"{name}: {value}" for name, value in headers),
        "Content-Length: 0",
    ]
    return Message.parse("\r\n".join(lines).encode() + b"\r\n\r\n")


def answer(
    above: Endpoint,
    to: Sent,
    status: int,
    reason: str = "Whatever",
    headers: Sequence[tuple[str, str]] = (),
    *,
    over: Flow | None = None,
) -> None:
    """Hand an answer to a request of ours up, that came over another flow than it was sent to where one is named."""
    handler = above._clients[to.tx]
    if status >= 200:
        del above._clients[to.tx]
    handler.on_response(to.tx, response(to, status, reason, headers), over or to.flow)


def fail(above: Endpoint, to: Sent, reason: str | None = None) -> None:
    """A request of ours is never answered, or could not be sent."""
    above._clients.pop(to.tx).on_failure(to.tx, reason)


class Events(list[Event]):
    """Events in order, by class where that is enough."""

    def of(self, *kinds: type) -> list[Event]:
        return [event for event in self if isinstance(event, kinds)]

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self]
