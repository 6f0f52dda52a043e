"""The INVITE usage of RFC 3261 §13: calling and being called, until there is a dialog.

`InviteClient` places one call, `InviteServer` takes one; what follows is the `InviteSession` of `invite_session.py`.
Owners are the server's channels (`trunkline.calls`) and the test kit's phones: they bring the session descriptions,
this module brings the order of messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import ALLOW, SDP, Reliable, demanded, supported
from trunkline.sip.dialog import NO_AGENT, Dialog, request_uri
from trunkline.sip.early import EarlyDialog, OnOffer
from trunkline.sip.early_update import EarlyUpdates
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message, NameAddr, PrackReceived, RequestReceived, Uri
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.session_timer import SessionTimer, SessionTimes

MAX_ANSWERED_TAGS = 32
"""2xx of different branches that are acknowledged for one INVITE: more come from no honest proxy."""


def with_body(headers: Headers, body: bytes, content_type: str = SDP) -> list[tuple[str, str]]:
    """The headers, and the Content-Type of a body that is there."""
    return [*headers, ("Content-Type", content_type)] if body else list(headers)


def sends_again(timer: SessionTimer, failure: Failure) -> bool:
    """Whether a request of ours got 422 and is sent again with the time that they ask for (RFC 4028 §7.3)."""
    return failure.status == 422 and failure.message is not None and timer.too_brief(failure.message)


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
        timer: The session's timer; none unless given.
        answer: Makes the body of the ACK where the INVITE offers nothing, of the 2xx that brings the offer.
        reliable: Whether provisional responses are acknowledged (RFC 3262).
        on_offer: Answers an offer by UPDATE in an early dialog; without it there is no answer.
        discreet: Requests of the call say nothing of what sends them.
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
        timer: SessionTimer | None = None,
        answer: Callable[[Message], bytes] | None = None,
        reliable: Reliable = "never",
        on_offer: OnOffer = lambda tag, update: update.reject(491),
        discreet: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._handler: InviteClientHandler | None = handler
        self.timer = timer or SessionTimer(SessionTimes(0))
        self._answer = answer
        self._reliable: Reliable = reliable
        self._on_offer = on_offer
        self._contact = contact
        self._early: dict[str, EarlyDialog] = {}
        self._agreed: frozenset[str] = frozenset()
        self._heard: dict[str, tuple[Message, Flow]] = {}
        self.target = target
        self.flow = flow
        self._credentials = credentials
        self._nat = nat
        self._discreet = discreet
        self.call_id = endpoint.driver.mint_call_id()
        self.local_tag = endpoint.driver.mint_tag()
        self._local = str(NameAddr(local.uri, local.display_name, (("tag", self.local_tag),)))
        self._remote = str(remote)
        self._cseq = 0
        self._headers = with_body([("Contact", contact), ("Allow", ALLOW), *headers], body)
        if discreet:
            self._headers.append(NO_AGENT)
        self._answered_tags: frozenset[str] = frozenset()
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

    @property
    def heard(self) -> bool:
        """Whether any response has arrived, be it a 100."""
        return self._request.heard

    def has_early(self, key: tuple[str, str, str]) -> bool:
        """Whether a dialog by that key, Call-ID and our and their tag, is an early one of this INVITE."""
        call_id, local_tag, remote_tag = key
        return (call_id, local_tag) == (self.call_id, self.local_tag) and remote_tag in self._heard

    def start(self) -> None:
        """Send the INVITE."""
        self._endpoint.add_inviting(self.call_id, self.local_tag, self)
        self._request.start()

    def give_up(self, headers: Headers = ()) -> None:
        """CANCEL it and tell the handler no more; a 2xx that crosses is acknowledged and ended (RFC 3261 §15)."""
        if self._handler is not None:
            self._handler = None
            self._request.cancel(headers)

    def _build(self) -> tuple[str, list[tuple[str, str]]]:
        self._cseq += 1
        return request_uri(self.target), [
            ("From", self._local),
            ("To", self._remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} INVITE"),
            *self._headers,
            *supported(self.timer, self._reliable),
            *demanded(self._reliable),
            *self.timer.asking(),
        ]

    def _on_response(self, message: Message, flow: Flow) -> None:
        if message.status >= 200:
            self._on_success(message, flow)
        elif message.status > 100:
            if message.to_tag and (message.to_tag in self._heard or len(self._heard) < MAX_ANSWERED_TAGS):
                self._heard[message.to_tag] = message, flow
                if message.rseq is not None:
                    self._acknowledge(message, flow)
            if self._handler is not None:
                self._handler.on_provisional(self, message)

    def _acknowledge(self, message: Message, flow: Flow) -> None:
        """RFC 3262 §4: PRACK, in an early dialog of its own."""
        early = self._early_dialog(message, flow)
        early.heard(message, flow)
        early.acknowledge(message, self._cseq, self._answered(message))

    def _early_dialog(self, message: Message, flow: Flow) -> EarlyDialog:
        early = self._early.get(message.to_tag)
        if early is None:
            early = self._early[message.to_tag] = EarlyDialog(
                self._endpoint,
                self._dialog(message, flow),
                contact=self._contact,
                credentials=self._credentials,
                on_offer=self._on_offer,
            )
        return early

    def updates(self, tag: str) -> EarlyUpdates | None:
        """The UPDATEs of the early dialog with that tag; None where there is none."""
        early = self._early.get(tag)
        return early.updates if early is not None else None

    def on_early_request(self, request: RequestReceived) -> bool:
        """From the endpoint: the first request in an early dialog of unreliable provisionals makes it one of ours."""
        heard = self._heard.get(request.message.from_tag)
        if heard is None:
            return False
        self._early_dialog(*heard).on_dialog_request(request)
        return True

    def _answered(self, message: Message) -> bytes:
        """Our answer where a reliable provisional or the 2xx brings the offer of its dialog (RFC 3261 §13.2.1)."""
        if self._answer is None or not message.sdp or message.to_tag in self._agreed:
            return b""
        self._agreed |= {message.to_tag}
        return self._answer(message)

    def _close_early(self) -> None:
        self._endpoint.remove_inviting(self.call_id, self.local_tag)
        for early in self._early.values():
            early.close()

    def _on_success(self, message: Message, flow: Flow) -> None:
        if message.to_tag in self._answered_tags or len(self._answered_tags) >= MAX_ANSWERED_TAGS:
            return
        self._answered_tags |= {message.to_tag}
        dialog = self._dialog(message, flow)
        early = self._early.get(message.to_tag)
        if early is not None:
            # RFC 3261 §12.2.1.1: one dialog, one sequence of numbers
            dialog.local_cseq, dialog.remote_cseq = early.dialog.local_cseq, early.dialog.remote_cseq
            early.dialog = dialog
        self._close_early()
        uri, headers = dialog.ack(self._cseq)
        # RFC 3261 §13.2.2.4: with the credentials of the INVITE
        headers += self._request.answers
        # RFC 3261 §13.2.2.4: where the 2xx brings the offer, the ACK brings the answer
        body = self._answered(message)
        self._endpoint.send_ack(self._request.tx, dialog.remote_tag, uri, with_body(headers, body), body, dialog.flow)
        self.timer.agreed(message, self._endpoint.now_s)
        handler, self._handler = self._handler, None
        if handler is None:
            # RFC 3261 §13.2.2.4: a 2xx that nobody wants is acknowledged, then ended
            end_unwanted(self._endpoint, dialog, credentials=self._credentials)
        else:
            handler.on_answered(self, dialog, message)

    def _on_failure(self, failure: Failure) -> None:
        if self._handler is not None and sends_again(self.timer, failure) and self._request.restart():
            return
        self._close_early()
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
            target=str(self.target),
            nat=self._nat,
            discreet=self._discreet,
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

    def on_confirmed(self, message: Message) -> None:
        """The ACK to our 2xx arrived; where the 2xx brought the offer, with the answer."""

    def on_unconfirmed(self) -> None:
        """Our 2xx was never acknowledged: the session is to be ended with BYE (RFC 3261 §13.3.1.4)."""

    def on_prack(self, message: Message) -> tuple[int, bytes]:
        """A reliable provisional was acknowledged: the status and body of the answer to the PRACK (RFC 3262 §5)."""

    def on_unacknowledged(self) -> None:
        """A reliable provisional was never acknowledged; 504 has gone out (RFC 3262 §3)."""


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

    def provisional(
        self,
        status: int,
        reason: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        *,
        reliable: bool = False,
    ) -> None:
        """Send a 101 to 199, with an early answer if there is a body, `reliable` by RFC 3262 where they offer that."""
        fields = with_body(headers, body)
        self._endpoint.respond(self.request.tx, status, reason, fields, body, to_tag=self.local_tag, reliable=reliable)

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
        self._handler.on_confirmed(message)

    def on_ack_timeout(self) -> None:
        """From the endpoint."""
        self._handler.on_unconfirmed()

    def on_prack(self, request: PrackReceived) -> None:
        """From the endpoint."""
        status, body = self._handler.on_prack(request.message)
        self._endpoint.respond(request.tx, status, None, with_body((), body), body)

    def on_prack_timeout(self, refused: bool) -> None:
        """From the endpoint. RFC 3262 §3: who does not acknowledge an answer cannot be called through."""
        if not refused:
            self.reject(504)
        self._handler.on_unacknowledged()
