"""The session that an INVITE made, between answer and BYE (RFC 3261 §14, §15): re-INVITEs both ways, BYE both ways.

An `InviteSession` lives in a confirmed `Dialog`. Owners are the server's channels (`trunkline.calls`) and the test
kit's phones.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.dialog import Dialog, DialogError
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message, RequestReceived
from trunkline.sip.invite import ALLOW, SDP, InviteServer, end_unwanted, with_body
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.uas import UNKNOWN_METHOD, UNSERVED, Refusal, answer_options

log = logging.getLogger("trunkline.sip")

UNSERVED_INSIDE: dict[str, Refusal] = {
    **UNSERVED,
    # Outside a dialog these get 481 since they match none. Inside one their dialog is known, the method is not served:
    # §8.2.1. PRACK and NOTIFY keep their 481, for a provisional or subscription that is not there.
    "INFO": Refusal(405, None, (("Allow", ALLOW),)),
    "UPDATE": Refusal(405, None, (("Allow", ALLOW),)),
    "REGISTER": Refusal(400, "REGISTER Inside A Dialog"),  # RFC 3261 §10.2: it is sent outside of any
}
"""Methods that we recognize and do not serve in the dialog of an INVITE: what they get."""


def refuse_unserved(endpoint: Endpoint, request: RequestReceived) -> None:
    """Answer a request in the dialog of an INVITE whose method nothing serves there (RFC 3261 §8.2.1, §21.5.2)."""
    found = UNSERVED_INSIDE.get(request.message.method, UNKNOWN_METHOD)
    endpoint.respond(request.tx, found.status, found.reason, found.headers)


GLARE_WAIT_S = {True: (2.1, 4.0), False: (0.0, 2.0)}
"""Between which bounds to wait after 491, for the side that made the Call-ID and for the other (RFC 3261 §14.1)."""


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
        self.on_withdrawn: Callable[[], None] = lambda: None
        """Called when they cancel it, or hang up, before it is answered."""

    def accept(self, body: bytes) -> bool:
        """Answer 200 with our description. False when they cancelled it meanwhile."""
        self._session.reoffer_done(self)
        return self._server.accept(self._session.contact, body)

    def reject(self, status: int, headers: Headers = ()) -> None:
        """Refuse it; the session goes on as it was."""
        self._session.reoffer_done(self)
        self._server.reject(status, None, headers)

    def abandon(self) -> None:
        """The dialog ends while it is open: 487 (RFC 3261 §15.1.2)."""
        self.reject(487)
        self.on_withdrawn()

    def on_cancelled(self, message: Message) -> None:
        """A re-INVITE may be cancelled too; 487 has gone out."""
        self._session.reoffer_done(self)
        self.on_withdrawn()

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
        confirmed: False while the ACK to our 2xx is due: until `confirm` a BYE of ours waits (RFC 3261 §15).
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
        confirmed: bool = True,
    ) -> None:
        self.endpoint = endpoint
        self.dialog = dialog
        self.contact = contact
        self._handler: InviteSessionHandler | None = handler
        self._credentials = credentials
        self._confirmed = confirmed
        self._held_bye: list[tuple[str, str]] | None = None
        self._theirs: Reoffer | None = None
        self._ours: ClientRequest | None = None
        self._ours_handler: ReofferHandler | None = None
        self.ended = False
        endpoint.add_dialog(dialog.key, self, remote_cseq=dialog.remote_cseq, leg=leg)

    # --- ours -------------------------------------------------------------------------------------------------------

    def bye(self, headers: Headers = ()) -> None:
        """Hang up. The session is over at once; the BYE is repeated until answered. Idempotent."""
        if self.ended:
            return
        self._end()
        if self._confirmed:
            self._send_bye(list(headers))
        else:
            # RFC 3261 §15: the callee says no BYE before the ACK, or before it has waited for it in vain
            self._held_bye = list(headers)

    def confirm(self) -> None:
        """The ACK to our 2xx has come, or is given up: a BYE that waited goes out."""
        self._confirmed = True
        if self._held_bye is not None:
            headers, self._held_bye = self._held_bye, None
            self._send_bye(headers)

    def _send_bye(self, headers: list[tuple[str, str]]) -> None:
        self.endpoint.remove_dialog(self.dialog.key)
        end_unwanted(self.endpoint, self.dialog, headers, credentials=self._credentials)

    @property
    def glare_wait_s(self) -> float:
        """How long to wait before a re-INVITE that got 491 is tried again (RFC 3261 §14.1), drawn anew each time."""
        low, high = GLARE_WAIT_S[self.dialog.caller]
        return random.randint(int(low * 100), int(high * 100)) / 100

    @property
    def busy(self) -> bool:
        """Whether an INVITE is open in this dialog, in either direction (RFC 3261 §14.1)."""
        return self._ours is not None or self._theirs is not None

    def reinvite(self, body: bytes, handler: ReofferHandler) -> None:
        """Offer a changed session. ValueError while an INVITE is open in either direction."""
        if self.busy or self.ended:
            raise ValueError("an INVITE is open in this dialog")
        headers = with_body([("Contact", self.contact), ("Allow", ALLOW)], body)
        self._ours_handler = handler
        self._ours = ClientRequest(
            self.endpoint,
            "INVITE",
            lambda: self._build("INVITE", headers),
            self.dialog.flow,
            body=body,
            credentials=self._credentials,
            on_response=self._reinvite_response,
            on_failure=self._reinvite_failure,
            large_over_tcp=not self.dialog.nat,
        )
        self._ours.start()

    def cancel_reinvite(self, headers: Headers = ()) -> None:
        """Give up the re-INVITE that is open; its handler still hears how it ended, mostly 487 (RFC 3261 §9.1)."""
        if self._ours is not None:
            self._ours.cancel(headers)

    def _build(self, method: str, headers: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
        uri, fields = self.dialog.request(method)
        return uri, [*fields, *headers]

    def _reinvite_response(self, message: Message, flow: Flow) -> None:
        if message.status < 200 or self._ours is None:
            return
        ours, self._ours = self._ours, None
        handler, self._ours_handler = self._ours_handler, None
        try:
            self.dialog.refresh_target(message, flow)
        except DialogError as error:
            log.info("2xx to a re-INVITE: %s; the target stays", error)
        uri, headers = self.dialog.ack(message.cseq)
        headers += ours.answers
        self.endpoint.send_ack(ours.tx, message.to_tag, uri, headers, b"", self.dialog.flow)
        if handler is not None:
            handler.on_reoffer_accepted(message)

    def _reinvite_failure(self, failure: Failure) -> None:
        self._ours = None
        handler, self._ours_handler = self._ours_handler, None
        if self.ended:
            return
        if failure.status in (408, 481) or not failure.heard:
            # RFC 3261 §12.2.1.2: these end the dialog, not the request alone
            self.lose(f"re-INVITE failed: {failure.status} {failure.reason}")
        elif handler is not None:
            handler.on_reoffer_refused(failure)

    # --- theirs -----------------------------------------------------------------------------------------------------

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint."""
        message = request.message
        if not self.dialog.accepts(message):
            # RFC 3261 §12.2.2: an old sequence number
            self.endpoint.respond(request.tx, 500, "Server Internal Error", [("Retry-After", "1")])
            return
        serve = self._by_method.get(message.method)
        if serve is None:
            refuse_unserved(self.endpoint, request)
            return
        required = message.values("Require")
        if required and message.method != "BYE":
            # RFC 3261 §8.2.2.3: no extension is supported yet; a BYE is never refused for one
            self.endpoint.respond(request.tx, 420, None, [("Unsupported", ", ".join(required))])
            return
        serve(self, request)

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: Rust answered, since we were late."""
        self._over(message)

    def lose(self, reason: str) -> None:
        """The dialog is dead: say BYE once, in case it is not, and tell the owner."""
        handler = self._handler
        self.bye([("Reason", 'SIP ;cause=408 ;text="Dialog lost"')])
        if handler is not None:
            handler.on_lost(reason)

    def reoffer_done(self, reoffer: Reoffer) -> None:
        """From `Reoffer`: it has its final response."""
        if self._theirs is reoffer:
            self._theirs = None

    def _on_bye(self, request: RequestReceived) -> None:
        self.endpoint.respond(request.tx, 200)
        self._over(request.message)

    def _over(self, message: Message) -> None:
        """They ended it; a BYE of ours that waited for their ACK is not needed any more."""
        handler = self._handler
        self._held_bye = None
        self._end()
        self.endpoint.remove_dialog(self.dialog.key)
        if handler is not None:
            handler.on_bye(message)

    def _on_options(self, request: RequestReceived) -> None:
        answer_options(self.endpoint, request)

    def _on_invite(self, request: RequestReceived) -> None:
        if self.ended:
            # our BYE waits for their ACK
            self.endpoint.respond(request.tx, 481)
            return
        if request.message.body and not request.message.sdp:
            # RFC 3261 §8.2.3
            self.endpoint.respond(request.tx, 415, None, [("Accept", SDP)])
            return
        if self._theirs is not None:
            # RFC 3261 §14.2: a second one before the first has its answer
            self.endpoint.respond(request.tx, 500, None, [("Retry-After", "1")])
            return
        if self._ours is not None:
            # RFC 3261 §14.2: both sides at once
            self.endpoint.respond(request.tx, 491)
            return
        try:
            self.dialog.refresh_target(request.message, request.flow)
        except DialogError as error:
            self.endpoint.respond(request.tx, error.status, error.reason)
            return
        self._theirs = Reoffer(self, request)
        if self._handler is not None:
            self._handler.on_reinvite(self._theirs)

    _by_method: ClassVar[dict[str, Callable[[InviteSession, RequestReceived], None]]] = {
        "BYE": _on_bye,
        "INVITE": _on_invite,
        "OPTIONS": _on_options,
    }

    def _end(self) -> None:
        self.ended = True
        self._handler = None
        self._ours_handler = None
        if self._theirs is not None:
            # RFC 3261 §15.1.2: requests still open in the dialog get 487
            self._theirs.abandon()
