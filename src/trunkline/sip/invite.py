"""The INVITE usage of RFC 3261 §13: calling and being called, until there is a dialog.

`InviteClient` places one call, `InviteServer` takes one; what follows is the `InviteSession` of `invite_session.py`.
Owners are the server's channels (`trunkline.calls`) and the test kit's phones: they bring the session descriptions,
this module brings the order of messages.
"""

from __future__ import annotations

from typing import Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.dialog import Dialog, request_uri
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message, NameAddr, PrackReceived, RequestReceived, Uri
from trunkline.sip.request import ClientRequest, Failure

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER"
"""The methods that we serve (RFC 3261 §20.5)."""

SDP = "application/sdp"

MAX_ANSWERED_TAGS = 32
"""2xx of different branches that are acknowledged for one INVITE: more come from no honest proxy."""


def with_body(headers: Headers, body: bytes, content_type: str = SDP) -> list[tuple[str, str]]:
    """The headers, and the Content-Type of a body that is there."""
    return [*headers, ("Content-Type", content_type)] if body else list(headers)


class InviteClientHandler(Protocol):
    """Owner of an `InviteClient`."""

    def on_provisional(self, client: InviteClient, message: Message) -> None:
        """A 101 to 199: ringing, progress, maybe with an early answer."""

    def on_answered(self, client: InviteClient, dialog: Dialog, message: Message) -> None:
        """The first 2xx; it has been acknowledged."""

    def on_refused(self, client: InviteClient, failure: Failure) -> None:
        """The final failure. Not called after `give_up`."""


class InviteClient:
    """One INVITE to one target, until its final response and for the 2xx that cross a CANCEL.

    Args:
        endpoint: Where it is sent from.
        handler: Its owner.
        target: The Request-URI.
        flow: Where it goes.
        local: Our From, without tag.
        remote: The To.
        contact: Our Contact value.
        body: The offer.
        headers: Further headers.
        credentials: Answers challenges.
        nat: The target is reached over the flow that it opened, whatever its Contact will say.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        handler: InviteClientHandler,
        *,
        target: Uri,
        flow: Flow,
        local: NameAddr,
        remote: NameAddr,
        contact: str,
        body: bytes,
        headers: Headers = (),
        credentials: ClientCredentials | None = None,
        nat: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._handler: InviteClientHandler | None = handler
        self._target = target
        self._credentials = credentials
        self._nat = nat
        self.call_id = endpoint.driver.mint_call_id()
        self.local_tag = endpoint.driver.mint_tag()
        self._local = str(NameAddr(local.uri, local.display_name, (("tag", self.local_tag),)))
        self._remote = str(remote)
        self._cseq = 0
        self._headers = with_body([("Contact", contact), ("Allow", ALLOW), *headers], body)
        self._answered_tags: set[str] = set()
        self._request = ClientRequest(
            endpoint,
            "INVITE",
            self._build,
            flow,
            body=body,
            credentials=credentials,
            on_response=self._on_response,
            on_failure=self._on_failure,
            large_over_tcp=not nat,
        )

    def start(self) -> None:
        """Send the INVITE."""
        self._request.start()

    def give_up(self, headers: Headers = ()) -> None:
        """CANCEL it and tell the handler no more; a 2xx that crosses is acknowledged and ended (RFC 3261 §15)."""
        if self._handler is not None:
            self._handler = None
            self._request.cancel(headers)

    def _build(self) -> tuple[str, list[tuple[str, str]]]:
        self._cseq += 1
        return request_uri(self._target), [
            ("From", self._local),
            ("To", self._remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            *self._headers,
        ]

    def _on_response(self, message: Message, flow: Flow) -> None:
        if message.status >= 200:
            self._on_success(message, flow)
        elif message.status > 100 and self._handler is not None:
            self._handler.on_provisional(self, message)

    def _on_success(self, message: Message, flow: Flow) -> None:
        if message.to_tag in self._answered_tags or len(self._answered_tags) >= MAX_ANSWERED_TAGS:
            return
        self._answered_tags.add(message.to_tag)
        dialog = self._dialog(message, flow)
        uri, headers = dialog.ack(self._cseq)
        # RFC 3261 §13.2.2.4: with the credentials of the INVITE
        headers += self._request.answers
        self._endpoint.send_ack(self._request.tx, dialog.remote_tag, uri, headers, b"", dialog.flow)
        handler, self._handler = self._handler, None
        if handler is None:
            # RFC 3261 §13.2.2.4: a 2xx that nobody wants is acknowledged, then ended
            end_unwanted(self._endpoint, dialog, credentials=self._credentials)
        else:
            handler.on_answered(self, dialog, message)

    def _on_failure(self, failure: Failure) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.on_refused(self, failure)

    def _dialog(self, message: Message, flow: Flow) -> Dialog:
        return Dialog.as_caller(
            message,
            flow,
            local=self._local,
            local_tag=self.local_tag,
            cseq=self._cseq,
            target=str(self._target),
            nat=self._nat,
        )


def end_unwanted(
    endpoint: Endpoint, dialog: Dialog, headers: Headers = (), *, credentials: ClientCredentials | None = None
) -> None:
    """Say BYE in a dialog, whatever becomes of it: any outcome means that it is over (RFC 3261 §15.1.1)."""

    def build() -> tuple[str, list[tuple[str, str]]]:
        uri, fields = dialog.request("BYE")
        return uri, [*fields, *headers]

    ClientRequest(
        endpoint,
        "BYE",
        build,
        dialog.flow,
        credentials=credentials,
        on_response=lambda message, flow: None,
        on_failure=lambda failure: None,
    ).start()


class InviteServerHandler(Protocol):
    """Owner of an `InviteServer`."""

    def on_cancelled(self, message: Message) -> None:
        """The caller gave up; 487 has gone out."""

    def on_confirmed(self) -> None:
        """The ACK to our 2xx arrived."""

    def on_unconfirmed(self) -> None:
        """Our 2xx was never acknowledged: the session is to be ended with BYE (RFC 3261 §13.3.1.4)."""


class InviteServer:
    """An INVITE that we were sent, from arrival to ACK; the first of a dialog or one inside it."""

    def __init__(
        self,
        endpoint: Endpoint,
        request: RequestReceived,
        handler: InviteServerHandler,
        *,
        local_tag: str | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._handler = handler
        self.request = request
        self.local_tag = request.message.to_tag or local_tag or endpoint.driver.mint_tag()
        endpoint.watch(request.tx, self)

    @property
    def finished(self) -> bool:
        """Whether the final response is out, ours or the 487 to a CANCEL."""
        return self.request.tx.answered

    def provisional(self, status: int, reason: str | None = None, headers: Headers = (), body: bytes = b"") -> None:
        """Send a 101 to 199, with an early answer if there is a body."""
        self._endpoint.respond(self.request.tx, status, reason, with_body(headers, body), body, to_tag=self.local_tag)

    def accept(self, contact: str, body: bytes, headers: Headers = ()) -> bool:
        """Send the 200; Rust repeats it until the ACK. False when the caller has cancelled."""
        fields = with_body([("Contact", contact), ("Allow", ALLOW), *headers], body)
        return self._endpoint.respond(self.request.tx, 200, None, fields, body, to_tag=self.local_tag)

    def reject(self, status: int, reason: str | None = None, headers: Headers = ()) -> bool:
        """Send a final failure. False when there is a final response already."""
        return self._endpoint.respond(self.request.tx, status, reason, headers, to_tag=self.local_tag)

    def on_cancel(self, message: Message) -> None:
        """From the endpoint."""
        self._handler.on_cancelled(message)

    def on_ack(self, message: Message) -> None:
        """From the endpoint."""
        self._handler.on_confirmed()

    def on_ack_timeout(self) -> None:
        """From the endpoint."""
        self._handler.on_unconfirmed()

    def on_prack(self, request: PrackReceived) -> None:
        """From the endpoint: nothing in a PRACK without offer needs a decision."""
        self._endpoint.respond(request.tx, 488 if request.message.body else 200)

    def on_prack_timeout(self, refused: bool) -> None:
        """From the endpoint. RFC 3262 §3: who does not acknowledge an answer cannot be called through."""
        if not refused:
            self.reject(504)
        self._handler.on_unconfirmed()
