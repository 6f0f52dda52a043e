"""UPDATE in an early dialog (RFC 3311): offers of theirs and of ours before the INVITE has its final answer.

`Incoming` keeps one `EarlyUpdates` for the caller's early dialog, `EarlyDialog` one for each of a callee's. An offer of
theirs is an `EarlyUpdate`, which its owner answers, at once or when the other side of the call has answered it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import ALLOW, SDP
from trunkline.sip.dialog import Dialog, DialogError
from trunkline.sip.endpoint import Endpoint, Headers, Message, RequestReceived
from trunkline.sip.request import ClientRequest, Failure

__all__ = ["EarlyUpdate", "EarlyUpdates", "UpdateHandler"]


def retry_later() -> tuple[str, str]:
    """When a refused offer may come again: RFC 3311 §5.2 has it between 0 and 10 s, drawn anew each time."""
    return ("Retry-After", str(random.randint(0, 10)))


class UpdateHandler(Protocol):
    """Waits for the answer to an UPDATE of ours."""

    def on_update_accepted(self, message: Message) -> None:
        """Their 2xx, with their answer."""

    def on_update_refused(self, failure: Failure) -> None:
        """They refused, or are silent; what stood before stands."""


class EarlyUpdate:
    """An UPDATE of theirs with an offer, until it has our answer.

    Args:
        updates: Those of its dialog.
        request: The request.
    """

    def __init__(self, updates: EarlyUpdates, request: RequestReceived) -> None:
        self._updates = updates
        self._request = request
        self.message = request.message
        self.on_withdrawn: Callable[[], None] = lambda: None
        """Called when the dialog is confirmed, or over, before it is answered: it has been refused then."""

    def accept(self, body: bytes) -> None:
        """Answer 200 with our description."""
        if self._updates.settle(self):
            self._updates.grant(self._request, body)

    def reject(self, status: int, headers: Headers = ()) -> None:
        """Refuse it; what stood before stands (RFC 3311 §5.2)."""
        if self._updates.settle(self):
            self._updates.endpoint.respond(self._request.tx, status, None, headers)


class EarlyUpdates:
    """The UPDATEs of one early dialog: one offer at a time, either way (RFC 3311 §5).

    Args:
        endpoint: Where they go out.
        dialog: Gives the dialog as it is now.
        contact: Our Contact value.
        credentials: Answers challenges.
        on_offer: Takes an offer of theirs.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialog: Callable[[], Dialog],
        *,
        contact: str,
        credentials: ClientCredentials | None = None,
        on_offer: Callable[[EarlyUpdate], None],
    ) -> None:
        self.endpoint = endpoint
        self._dialog = dialog
        self._contact = contact
        self._credentials = credentials
        self._on_offer = on_offer
        self._theirs: EarlyUpdate | None = None
        self._ours: UpdateHandler | None = None
        self._closed = False
        self.taken = False
        """Whether they say that they take UPDATE (RFC 3311 §4)."""

    @property
    def busy(self) -> bool:
        """Whether an offer is open, in either direction; always once the dialog is no early one any more."""
        return self._closed or self._theirs is not None or self._ours is not None

    def note(self, message: Message) -> None:
        """Read the Allow of their INVITE or provisional."""
        methods = message.tokens("Allow")
        if methods:
            self.taken = "update" in methods

    def send(self, body: bytes, handler: UpdateHandler) -> None:
        """Offer a changed session. ValueError while an offer is open."""
        if self.busy:
            raise ValueError("an offer is open in this dialog")
        self._ours = handler

        def build() -> tuple[str, list[tuple[str, str]]]:
            uri, fields = self._dialog().request("UPDATE")
            return uri, [*fields, ("Contact", self._contact), ("Allow", ALLOW), ("Content-Type", SDP)]

        ClientRequest(
            self.endpoint,
            "UPDATE",
            build,
            self._dialog().flow,
            body=body,
            credentials=self._credentials,
            on_response=lambda message, flow: self._answered(message),
            on_failure=self._refused,
            large_over_tcp=not self._dialog().nat,
        ).start()

    def take(self, request: RequestReceived) -> None:
        """An UPDATE of theirs; one without description refreshes the target alone."""
        message = request.message
        refusal = self._refusal(message) if message.body else None
        if refusal is not None:
            status, *headers = refusal
            self.endpoint.respond(request.tx, status, None, headers)
            return
        try:
            self._dialog().refresh_target(message, request.flow)
        except DialogError as error:
            self.endpoint.respond(request.tx, error.status, error.reason)
            return
        self.note(message)
        if not message.body:
            self.grant(request, b"")
            return
        self._theirs = EarlyUpdate(self, request)
        self._on_offer(self._theirs)

    def close(self, status: int = 500) -> None:
        """The dialog is confirmed, or over with `status`: an offer of theirs that waits is refused."""
        self._closed = True
        theirs = self._theirs
        if theirs is not None:
            theirs.reject(status, [retry_later()] if status == 500 else ())
            theirs.on_withdrawn()

    def settle(self, update: EarlyUpdate) -> bool:
        """From the update: it gets its final response; False when it had one."""
        mine = self._theirs is update
        self._theirs = None if mine else self._theirs
        return mine

    def grant(self, request: RequestReceived, body: bytes) -> None:
        """Answer 200."""
        fields = [("Contact", self._contact), ("Allow", ALLOW), *([("Content-Type", SDP)] if body else [])]
        self.endpoint.respond(request.tx, 200, None, fields, body)

    def _refusal(self, message: Message) -> tuple[int, *tuple[tuple[str, str], ...]] | None:
        if not message.sdp:
            return (415, ("Accept", SDP))
        if self._theirs is not None:
            return (500, retry_later())
        return (491,) if self._ours is not None else None

    def _answered(self, message: Message) -> None:
        if message.status < 200:
            return
        ours, self._ours = self._ours, None
        if ours is not None:
            ours.on_update_accepted(message)

    def _refused(self, failure: Failure) -> None:
        ours, self._ours = self._ours, None
        if ours is not None:
            ours.on_update_refused(failure)
