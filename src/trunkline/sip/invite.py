"""The INVITE usage of RFC 3261 §13–§15: calling, being called, and the session between answer and BYE.

`InviteClient` places one call, `InviteServer` takes one, both end in an `InviteSession` that lives in a `Dialog`. Owners are the server's
channels (`trunkline.calls`) and the test kit's phones: they bring the session descriptions, this module brings the order of messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message, NameAddr, RequestReceived, SipParseError, Uri
from trunkline.sip.request import ClientRequest, Failure

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER"
"""The methods that we serve (RFC 3261 §20.5)."""

SDP = "application/sdp"

GLARE_RETRY_S = 2.1
"""Bound of the wait after 491 for the side that owns the Call-ID (RFC 3261 §14.1: 2.1 s to 4 s; the other side waits 0 s to 2 s)."""


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
        self._handler = handler
        self._target = target
        self._contact = contact
        self._nat = nat
        self.call_id = endpoint.driver.mint_call_id()
        self.local_tag = endpoint.driver.mint_tag()
        self._local = str(NameAddr(local.uri, local.display_name, (("tag", self.local_tag),)))
        self._remote = str(remote)
        self._cseq = 0
        self._headers = with_body([("Contact", contact), ("Allow", ALLOW), *headers], body)
        self._finished = False
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
        )

    def start(self) -> None:
        """Send the INVITE."""
        self._request.start()

    def give_up(self, headers: Headers = ()) -> None:
        """CANCEL it and tell the handler no more; a 2xx that crosses is acknowledged and ended with BYE (RFC 3261 §15)."""
        if not self._finished:
            self._finished = True
            self._request.cancel(headers)

    def _build(self) -> tuple[str, list[tuple[str, str]]]:
        self._cseq += 1
        return str(self._target), [
            ("From", self._local),
            ("To", self._remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            *self._headers,
        ]

    def _on_response(self, message: Message, flow: Flow) -> None:
        if message.status >= 200:
            self._on_success(message, flow)
        elif message.status > 100 and not self._finished:
            self._handler.on_provisional(self, message)

    def _on_success(self, message: Message, flow: Flow) -> None:
        if message.to_tag in self._answered_tags:
            return
        self._answered_tags.add(message.to_tag)
        dialog = self._dialog(message, flow)
        uri, headers = dialog.ack(self._cseq)
        self._endpoint.send_ack(self._request.tx, dialog.remote_tag, uri, headers, b"", dialog.flow)
        if self._finished:
            # RFC 3261 §13.2.2.4: a 2xx that nobody wants is acknowledged, then ended
            end_unwanted(self._endpoint, dialog)
            return
        self._finished = True
        self._handler.on_answered(self, dialog, message)

    def _on_failure(self, failure: Failure) -> None:
        if not self._finished:
            self._finished = True
            self._handler.on_refused(self, failure)

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


def end_unwanted(endpoint: Endpoint, dialog: Dialog) -> None:
    """End a dialog that no session was made of."""
    ClientRequest(
        endpoint,
        "BYE",
        lambda: dialog.request("BYE"),
        dialog.flow,
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

    def __init__(self, endpoint: Endpoint, request: RequestReceived, handler: InviteServerHandler) -> None:
        self._endpoint = endpoint
        self._handler = handler
        self.request = request
        self.local_tag = request.message.to_tag or endpoint.driver.mint_tag()
        endpoint.watch(request.tx, self)

    @property
    def finished(self) -> bool:
        """Whether the final response is out, ours or the 487 to a CANCEL."""
        return self.request.tx.answered

    def provisional(self, status: int, reason: str | None = None, headers: Headers = (), body: bytes = b"") -> None:
        """Send a 101 to 199, with an early answer if there is a body."""
        self._endpoint.respond(
            self.request.tx, status, reason, with_body(headers, body), body, to_tag=self.local_tag
        )

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


class InviteSessionHandler(Protocol):
    """Owner of an `InviteSession`."""

    def on_bye(self, message: Message) -> None:
        """They hung up; 200 has been sent."""

    def on_reinvite(self, offer: Reoffer) -> None:
        """They want the session changed: `offer.accept` or `offer.reject` is due."""

    def on_lost(self, reason: str) -> None:
        """The dialog turned out to be dead: an ACK that never came, a request answered 481 or never."""


class ReofferHandler(Protocol):
    """Waits for the answer to a re-INVITE of ours."""

    def on_reoffer_accepted(self, message: Message) -> None:
        """Their 2xx, acknowledged, with their answer."""

    def on_reoffer_refused(self, failure: Failure) -> None:
        """They refused; what stood before stands (RFC 3261 §14.1)."""


class Reoffer:
    """A re-INVITE of theirs that waits for our answer."""

    def __init__(self, session: InviteSession, request: RequestReceived) -> None:
        self._session = session
        self._server = InviteServer(session.endpoint, request, self)
        self.message = request.message

    def accept(self, body: bytes) -> bool:
        """Answer 200 with our description. False when they cancelled it meanwhile."""
        self._session.reoffer_done(self)
        return self._server.accept(self._session.contact, body)

    def reject(self, status: int, headers: Headers = ()) -> None:
        """Refuse it; the session goes on as it was."""
        self._session.reoffer_done(self)
        self._server.reject(status, None, headers)

    def on_cancelled(self, message: Message) -> None:
        """A re-INVITE may be cancelled too; 487 has gone out."""
        self._session.reoffer_done(self)

    def on_confirmed(self) -> None:
        """The ACK to our 2xx."""

    def on_unconfirmed(self) -> None:
        """RFC 3261 §14.2: no ACK to the 2xx of a re-INVITE ends the session."""
        self._session.lose("re-INVITE was never acknowledged")


class InviteSession:
    """A confirmed dialog that an INVITE made: re-INVITEs both ways, BYE both ways.

    Args:
        endpoint: Where its requests go out.
        dialog: The dialog.
        handler: Its owner.
        contact: Our Contact value.
        leg: The media leg that Rust stops when it must answer BYE for us.
        credentials: Answers challenges to requests inside the dialog.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialog: Dialog,
        handler: InviteSessionHandler,
        *,
        contact: str,
        leg: int = 0,
        credentials: ClientCredentials | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.dialog = dialog
        self.contact = contact
        self._handler = handler
        self._credentials = credentials
        self._theirs: Reoffer | None = None
        self._ours: ClientRequest | None = None
        self.ended = False
        endpoint.add_dialog(dialog.key, self, remote_cseq=dialog.remote_cseq, leg=leg)

    # --- ours -------------------------------------------------------------------------------------------------------

    def bye(self, headers: Headers = ()) -> None:
        """Hang up. The dialog is over at once; the BYE is repeated until answered. Idempotent."""
        if self.ended:
            return
        if self._theirs is not None:
            self._theirs.reject(487)
        self._end()
        extra = list(headers)
        ClientRequest(
            self.endpoint,
            "BYE",
            lambda: self._build("BYE", extra),
            self.dialog.flow,
            credentials=self._credentials,
            on_response=lambda message, flow: None,
            on_failure=lambda failure: None,
        ).start()

    @property
    def busy(self) -> bool:
        """Whether an INVITE is open in this dialog, in either direction (RFC 3261 §14.1)."""
        return self._ours is not None or self._theirs is not None

    def reinvite(self, body: bytes, handler: ReofferHandler) -> None:
        """Offer a changed session. ValueError while an INVITE is open in either direction."""
        if self.busy or self.ended:
            raise ValueError("an INVITE is open in this dialog")
        headers = with_body([("Contact", self.contact), ("Allow", ALLOW)], body)
        self._ours = ClientRequest(
            self.endpoint,
            "INVITE",
            lambda: self._build("INVITE", headers),
            self.dialog.flow,
            body=body,
            credentials=self._credentials,
            on_response=lambda message, flow: self._reinvite_response(message, flow, handler),
            on_failure=lambda failure: self._reinvite_failure(failure, handler),
        ).start()

    def _build(self, method: str, headers: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
        uri, fields = self.dialog.request(method)
        return uri, [*fields, *headers]

    def _reinvite_response(self, message: Message, flow: Flow, handler: ReofferHandler) -> None:
        if message.status < 200 or self._ours is None:
            return
        tx, self._ours = self._ours.tx, None
        self.dialog.refresh_target(message, flow)
        uri, headers = self.dialog.ack(message.cseq)
        self.endpoint.send_ack(tx, message.to_tag, uri, headers, b"", self.dialog.flow)
        if not self.ended:
            handler.on_reoffer_accepted(message)

    def _reinvite_failure(self, failure: Failure, handler: ReofferHandler) -> None:
        self._ours = None
        if self.ended:
            return
        if failure.status in (408, 481):
            # RFC 3261 §12.2.1.2: these end the dialog, not the request alone
            self.lose(f"re-INVITE failed: {failure.status} {failure.reason}")
            return
        handler.on_reoffer_refused(failure)

    # --- theirs -----------------------------------------------------------------------------------------------------

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint."""
        message = request.message
        if not self.dialog.accepts(message):
            # RFC 3261 §12.2.2: an old sequence number
            self.endpoint.respond(request.tx, 500, "Server Internal Error", [("Retry-After", "1")])
            return
        method = message.method
        if method == "BYE":
            self._on_bye(request)
        elif method == "INVITE":
            self._on_invite(request)
        elif method == "OPTIONS":
            self.endpoint.respond(request.tx, 200, None, [("Allow", ALLOW), ("Accept", SDP)])
        else:
            self.endpoint.respond(request.tx, 405, None, [("Allow", ALLOW)])

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: Rust answered, since we were late."""
        if not self.ended:
            self._end()
            self._handler.on_bye(message)

    def lose(self, reason: str) -> None:
        """The dialog is dead: say BYE once, in case it is not, and tell the owner."""
        if not self.ended:
            self.bye([("Reason", f'SIP ;cause=408 ;text="{reason}"')])
            self._handler.on_lost(reason)

    def reoffer_done(self, reoffer: Reoffer) -> None:
        """From `Reoffer`: it has its final response."""
        if self._theirs is reoffer:
            self._theirs = None

    def _on_bye(self, request: RequestReceived) -> None:
        self.endpoint.respond(request.tx, 200)
        if self._theirs is not None:
            # RFC 3261 §15.1.2: requests still open in the dialog get 487
            self._theirs.reject(487)
        self._end()
        self._handler.on_bye(request.message)

    def _on_invite(self, request: RequestReceived) -> None:
        if self._theirs is not None:
            # RFC 3261 §14.2: a second one before the first has its answer
            self.endpoint.respond(request.tx, 500, None, [("Retry-After", "1")])
            return
        if self._ours is not None:
            self.endpoint.respond(request.tx, 491)
            return
        try:
            self.dialog.refresh_target(request.message, request.flow)
        except SipParseError as error:
            self.endpoint.respond(request.tx, error.status or 400, error.reason)
            return
        self._theirs = Reoffer(self, request)
        self._handler.on_reinvite(self._theirs)

    def _end(self) -> None:
        self.ended = True
        self.endpoint.remove_dialog(self.dialog.key)
