"""A request of ours and the challenges on its way (RFC 3261 §22)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import ClientHandler, Credentials, Flow, Message
from trunkline.sip.request import ClientRequest, Failure

FLOW = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))


class Wire:
    """Stands for the endpoint: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.driver = self

    def send_request(
        self,
        method: str,
        uri: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        flow: Flow,
        handler: ClientHandler,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int:
        self.sent.append(dict(headers))
        return len(self.sent)

    def cancel(self, tx: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.sent.append({"CANCEL": str(tx)})

    def mint_tag(self) -> str:
        return "cnonce"


class Script:
    """A request and what became of it."""

    def __init__(self, password: str | None = "secret") -> None:
        self.wire = Wire()
        self.cseq = 0
        self.responses: list[int] = []
        self.failures: list[Failure] = []
        self.request = ClientRequest(
            self.wire,  # type: ignore[arg-type]
            "INVITE",
            self._build,
            FLOW,
            credentials=ClientCredentials("alice", password) if password is not None else None,
            on_response=lambda message, flow: self.responses.append(message.status),
            on_failure=self.failures.append,
        )
        self.request.start()

    def _build(self) -> tuple[str, list[tuple[str, str]]]:
        self.cseq += 1
        return "sip:bob@x", [("CSeq", f"{self.cseq} INVITE")]

    def get(self, status: int, *headers: str, tx: int | None = None) -> None:
        lines = [
            f"SIP/2.0 {status} Whatever",
            "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2",
            "From: <sip:a@x>;tag=1",
            "To: <sip:b@x>;tag=2",
            "Call-ID: c",
            f"CSeq: {self.cseq} INVITE",
            *headers,
            "Content-Length: 0",
        ]
        message = Message.parse(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.request.on_response(tx or self.request.tx, message, FLOW)


def challenge(nonce: str, *, proxy: bool = False, stale: bool = False) -> str:
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    return f'{name}: Digest realm="x", nonce="{nonce}", algorithm=MD5, qop="auth"{", stale=true" if stale else ""}'


def test_a_challenge_is_answered_with_the_next_cseq() -> None:
    script = Script()
    script.get(401, challenge("n1"))
    assert [fields["CSeq"] for fields in script.wire.sent] == ["1 INVITE", "2 INVITE"]
    answer = Credentials.parse(script.wire.sent[1]["Authorization"])
    assert (answer.username, answer.nonce, answer.uri) == ("alice", "n1", "sip:bob@x")
    script.get(200)
    assert script.responses == [200]
    assert [name for name, _ in script.request.answers] == ["Authorization"]


def test_a_proxy_and_a_server_are_both_answered() -> None:
    script = Script()
    script.get(407, challenge("n1", proxy=True))
    script.get(401, challenge("n2"))
    assert set(script.wire.sent[2]) == {"CSeq", "Proxy-Authorization", "Authorization"}


def test_the_same_password_is_not_offered_twice() -> None:
    script = Script()
    script.get(401, challenge("n1"))
    script.get(401, challenge("n2"))
    assert len(script.wire.sent) == 2
    assert [failure.status for failure in script.failures] == [401]


def test_a_stale_nonce_is_answered_once_more() -> None:
    script = Script()
    script.get(401, challenge("n1"))
    script.get(401, challenge("n2", stale=True))
    assert len(script.wire.sent) == 3
    script.get(401, challenge("n2", stale=True))
    assert [failure.status for failure in script.failures] == [401]


def test_challenges_have_an_end() -> None:
    script = Script()
    for number in range(10):
        script.get(401, challenge(f"n{number}", stale=True))
    assert len(script.wire.sent) == 4
    assert len(script.failures) == 7


@pytest.mark.parametrize("header", ["WWW-Authenticate: Basic realm=x", "WWW-Authenticate: Digest nonce", "X: y"])
def test_a_challenge_that_cannot_be_answered_is_a_failure(header: str) -> None:
    script = Script()
    script.get(401, header)
    assert [failure.status for failure in script.failures] == [401]


def test_without_credentials_a_challenge_is_a_failure() -> None:
    script = Script(None)
    script.get(407, challenge("n1", proxy=True))
    assert script.failures[0].heard


def test_a_challenge_after_the_cancel_is_not_answered() -> None:
    script = Script()
    script.request.cancel()
    script.get(401, challenge("n1"))
    assert script.wire.sent[-1] == {"CANCEL": "1"}
    assert [failure.status for failure in script.failures] == [401]


def test_silence_counts_as_408_and_a_broken_transport_as_503() -> None:
    script = Script()
    script.request.on_failure(1, None)
    script.request.on_failure(1, "connection refused")
    assert [(failure.status, failure.heard) for failure in script.failures] == [(408, False), (503, False)]


def test_a_late_response_to_an_earlier_sending_is_not_heard() -> None:
    script = Script()
    script.get(401, challenge("n1"))
    script.get(486, tx=1)
    assert script.failures == []
