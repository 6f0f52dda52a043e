"""A re-INVITE or UPDATE of theirs inside a confirmed dialog, until it has our answer (RFC 3261 §14.2, RFC 3311 §5.2).

`InviteSession` makes one of each that passed its checks and gives it to its owner, which answers an offer, or makes one
where the re-INVITE brings none (RFC 3261 §14.2): then the ACK brings the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trunkline.sip.capabilities import ALLOW
from trunkline.sip.endpoint import Endpoint, Headers, Message, RequestReceived
from trunkline.sip.invite import InviteServer, with_body

__all__ = ["Reoffer", "ReofferSession"]


class ReofferSession(Protocol):
    """The session in which it came."""

    endpoint: Endpoint
    contact: str

    def reoffer_done(self, reoffer: Reoffer) -> None:
        """It has its final response, and its answer where we made the offer."""

    def agreeing(self, message: Message) -> list[tuple[str, str]]:
        """The headers of a 2xx to it besides Contact and Allow."""

    def lose(self, reason: str) -> None:
        """The dialog is dead."""


class Reoffer:
    """A re-INVITE or UPDATE of theirs that waits for our answer.

    Args:
        session: Where it came.
        request: The request; an UPDATE always brings an offer here.
    """

    def __init__(self, session: ReofferSession, request: RequestReceived) -> None:
        self._session = session
        self._request = request
        self.message = request.message
        self._server = InviteServer(session.endpoint, request, self) if request.message.method == "INVITE" else None
        self._on_answer: Callable[[bytes], bool] | None = None
        self.on_withdrawn: Callable[[], None] = lambda: None
        """Called when they cancel it, or hang up, before it is answered."""

    @property
    def is_update(self) -> bool:
        """Whether it is an UPDATE, which is to be answered at once and cannot be cancelled (RFC 3311 §5.2)."""
        return self._server is None

    @property
    def offer_sent(self) -> bool:
        """Whether our offer in the 2xx waits for the answer in their ACK."""
        return self._on_answer is not None

    def accept(self, body: bytes) -> bool:
        """Answer 200 with our description. False when they cancelled it meanwhile."""
        self._session.reoffer_done(self)
        return self._succeed(body)

    def offer(self, body: bytes, on_answer: Callable[[bytes], bool]) -> bool:
        """Answer a re-INVITE that offers nothing with 200 and our offer. False when they cancelled it meanwhile.

        Args:
            body: Our offer.
            on_answer: Takes the body of the ACK; whether it is an answer. One that is none ends the session.
        """
        if not self._succeed(body):
            self._session.reoffer_done(self)
            return False
        self._on_answer = on_answer
        return True

    def reject(self, status: int, headers: Headers = ()) -> None:
        """Refuse it; the session goes on as it was."""
        self._session.reoffer_done(self)
        if self._server is not None:
            self._server.reject(status, None, headers)
        else:
            self._session.endpoint.respond(self._request.tx, status, None, headers)

    def abandon(self) -> None:
        """The dialog ends while it is open: 487 (RFC 3261 §15.1.2)."""
        if not self.offer_sent:
            self.reject(487)
        self._on_answer = None
        self.on_withdrawn()

    def on_cancelled(self, message: Message) -> None:
        """A re-INVITE may be cancelled too; 487 has gone out."""
        self._session.reoffer_done(self)
        self.on_withdrawn()

    def on_confirmed(self, message: Message) -> None:
        """The ACK to our 2xx."""
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is None:
            return
        self._session.reoffer_done(self)
        if not on_answer(message.sdp):
            # RFC 3261 §13.2.2.4, §14.2: the ACK must bring the answer
            self._session.lose("the ACK of a re-INVITE without offer brought no usable answer")

    def on_unconfirmed(self) -> None:
        """RFC 3261 §14.2: no ACK to the 2xx of a re-INVITE ends the session."""
        self._session.lose("re-INVITE was never acknowledged")

    def on_prack(self, message: Message) -> tuple[int, bytes]:
        """Nothing is sent reliably here."""
        return 200, b""

    def on_unacknowledged(self) -> None:
        """Nothing is sent reliably here."""

    def _succeed(self, body: bytes) -> bool:
        headers = self._session.agreeing(self.message)
        if self._server is not None:
            return self._server.accept(self._session.contact, body, headers)
        fields = with_body([("Contact", self._session.contact), ("Allow", ALLOW), *headers], body)
        return self._session.endpoint.respond(self._request.tx, 200, None, fields, body)
