"""A request of ours from first sending to final response, challenges answered on the way (RFC 3261 §8.1, §22).

REGISTER, INVITE, BYE and all others go out through `ClientRequest`; its owner sees only what is left after challenges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trunkline.sip.authenticate import ClientCredentials, answer_challenge
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message

MAX_CHALLENGES_ANSWERED = 3
"""A proxy and a registrar may each challenge, and one nonce may be stale; a fourth challenge is a refusal."""

Build = Callable[[], tuple[str, list[tuple[str, str]]]]
"""Makes Request-URI and headers of the next sending, with a new CSeq each time."""

_NO_ANSWERS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request of ours got no 2xx."""

    status: int
    """The final status; 408 for a timeout and 503 for a broken transport (RFC 3261 §8.1.3.1)."""
    reason: str
    message: Message | None = None
    """The final response; None when none came."""

    @property
    def heard(self) -> bool:
        """Whether the other side said so, rather than being silent or unreachable."""
        return self.message is not None


class ClientRequest:
    """One request of ours.

    Args:
        endpoint: Where it is sent from.
        method: Its method.
        build: Called for each sending: Request-URI and headers, with the next CSeq.
        flow: Where it goes.
        on_response: Takes provisional and 2xx responses.
        on_failure: Takes the final failure, once.
        body: The body; its Content-Type is among the headers that `build` gives.
        credentials: Answers challenges; without them 401 and 407 are failures.
        timeout_s: Instead of 64*T1.
        large_over_tcp: A request too large for UDP may go over TCP (RFC 3261 §18.1.1).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        method: str,
        build: Build,
        flow: Flow,
        *,
        on_response: Callable[[Message, Flow], None],
        on_failure: Callable[[Failure], None],
        body: bytes = b"",
        credentials: ClientCredentials | None = None,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self.method = method
        self._build = build
        self._flow = flow
        self._on_response = on_response
        self._on_failure = on_failure
        self._body = body
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._large_over_tcp = large_over_tcp
        self._answers = _NO_ANSWERS
        self._nonces: frozenset[str] = frozenset()
        self._cancelled = False
        self._uri = ""
        self.tx = 0
        self.heard = False
        """Any response has arrived, be it a 100."""

    def start(self) -> ClientRequest:
        """Send it."""
        self._uri, headers = self._build()
        headers.extend(self._answers.items())
        self.tx = self._endpoint.send_request(
            self.method,
            self._uri,
            headers,
            self._body,
            self._flow,
            self,
            timeout_s=self._timeout_s,
            large_over_tcp=self._large_over_tcp,
        )
        return self

    def restart(self) -> bool:
        """Send it once more after a refusal that `build` heeds, as 422; False when it was cancelled meanwhile."""
        if not self._cancelled:
            # challenges begin anew with it: a nonce is not used twice with the same count
            self._answers, self._nonces = _NO_ANSWERS, frozenset()
            self.start()
        return not self._cancelled

    @property
    def answers(self) -> list[tuple[str, str]]:
        """The credentials that it carries; the ACK to its 2xx carries them too (RFC 3261 §13.2.2.4)."""
        return list(self._answers.items())

    def cancel(self, headers: Headers = ()) -> None:
        """Give it up (an INVITE): a challenge that arrives now is not answered any more."""
        self._cancelled = True
        self._endpoint.cancel(self.tx, headers)

    def on_response(self, tx: int, message: Message, flow: Flow) -> None:
        """From the endpoint."""
        if tx != self.tx:
            return
        self.heard = True
        if message.status < 300:
            self._on_response(message, flow)
        elif message.status in (401, 407) and self._answered(message):
            # RFC 3261 §22.2: the same Call-ID and From tag, the next CSeq
            self.start()
        else:
            self._on_failure(Failure(message.status, message.reason, message))

    def on_failure(self, tx: int, reason: str | None) -> None:
        """From the endpoint."""
        if tx != self.tx:
            return
        if reason is None:
            self._on_failure(Failure(408, "Request Timeout"))
        else:
            self._on_failure(Failure(503, reason))

    def _answered(self, message: Message) -> bool:
        """Note the answer to a challenge; False when it must not or cannot be answered."""
        if self._credentials is None or self._cancelled or len(self._nonces) >= MAX_CHALLENGES_ANSWERED:
            return False
        cnonce = self._endpoint.driver.mint_tag()
        answer = answer_challenge(message, self._credentials, method=self.method, uri=self._uri, cnonce=cnonce)
        if answer is None or answer.nonce in self._nonces:
            return False
        if answer.name in self._answers and not answer.stale:
            # RFC 3261 §22.2: the same password is not offered twice to one challenger
            return False
        self._nonces |= {answer.nonce}
        self._answers = {**self._answers, answer.name: answer.value}
        return True
