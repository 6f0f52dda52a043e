"""What became of every request that the peers sent: the answers by method, and those that never came.

`Watched` is the endpoint of each peer. A request without a final response is one that the server left unanswered, unless its peer
was taken away meanwhile: those are `abandoned`.
"""

from __future__ import annotations

from collections import Counter

from trunkline.sip.endpoint import ClientHandler, Endpoint, Flow, Headers, Message

__all__ = ["ANSWERS", "Answers", "Watched"]

KEPT = 20
"""Unanswered requests that are named."""


class Answers:
    """The tally of all peers of the process."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        """By method and status."""
        self.abandoned = 0
        self.unanswered = 0
        self.named: list[str] = []
        """The first that were not answered."""

    def lost(self, what: str) -> None:
        """One was not answered."""
        self.unanswered += 1
        if len(self.named) < KEPT:
            self.named.append(what)


ANSWERS = Answers()


class _Asked:
    """Waits for the answers to one request, and hands them on."""

    def __init__(self, endpoint: Watched, method: str, uri: str, handler: ClientHandler) -> None:
        self._endpoint = endpoint
        self._method = method
        self._uri = uri
        self._handler = handler

    def on_response(self, tx: int, message: Message, flow: Flow) -> None:
        """From the endpoint."""
        if message.status >= 200 and tx in self._endpoint.asked:
            self._endpoint.asked.discard(tx)
            ANSWERS.answered[f"{self._method} {message.status}"] += 1
        self._handler.on_response(tx, message, flow)

    def on_failure(self, tx: int, reason: str | None) -> None:
        """From the endpoint."""
        if tx in self._endpoint.asked:
            self._endpoint.asked.discard(tx)
            ANSWERS.lost(f"{self._method} {self._uri}: {reason or 'timeout'}")
        self._handler.on_failure(tx, reason)


class Watched(Endpoint):
    """An endpoint whose requests are counted."""

    @property
    def asked(self) -> set[int]:
        """The requests that have no final response yet."""
        found: set[int] = self.__dict__.setdefault("_asked", set())
        return found

    def send_request(
        self,
        method: str,
        uri: str,
        headers: Headers,
        body: bytes,
        flow: Flow,
        handler: ClientHandler,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int:
        """As any endpoint; the answer is counted."""
        asked = _Asked(self, method, uri, handler)
        options = {"timeout_s": timeout_s, "large_over_tcp": large_over_tcp}
        tx = super().send_request(method, uri, headers, body, flow, asked, **options)  # type: ignore[arg-type]
        self.asked.add(tx)
        return tx

    def detach(self) -> None:
        """Its peer goes away; what waits is abandoned."""
        ANSWERS.abandoned += len(self.asked)
        self.asked.clear()
        super().detach()
