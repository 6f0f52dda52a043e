"""Channel ZERO until it is answered: the INVITE that arrived, its provisionals, its early answer, its final response.

`Channel` owns one while it is in stage RINGING or EARLY. To and From of our responses are the caller's own (RFC 3261
§8.2.6.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from trunkline.sip.capabilities import ALLOW, Reliable, supported
from trunkline.sip.dialog import Dialog
from trunkline.sip.early_update import EarlyUpdate, EarlyUpdates
from trunkline.sip.endpoint import Endpoint, Headers, Message, RequestReceived
from trunkline.sip.invite import InviteServer
from trunkline.sip.invite_session import RETRY_SOON
from trunkline.sip.session_timer import SessionTimer, requires, supports
from trunkline.sip.uas import answer_info, answer_options, refuse_unserved

__all__ = ["Incoming", "IncomingOwner"]


class IncomingOwner(Protocol):
    """The channel that waits for its answer."""

    def on_caller_gave_up(self, message: Message) -> None:
        """CANCEL, or BYE in the early dialog."""

    def on_answer_confirmed(self, ack: Message) -> None:
        """The ACK to our 200."""

    def on_answer_unconfirmed(self) -> None:
        """Our 200 was never acknowledged."""

    def on_acknowledged(self, prack: Message) -> tuple[int, bytes]:
        """A reliable provisional was: the status and body of the answer to the PRACK."""

    def on_early_offer(self, update: EarlyUpdate) -> None:
        """An UPDATE before the answer offers something else: it is to be answered."""

    def on_unacknowledged(self) -> None:
        """A reliable provisional never was: the INVITE has been refused with 504."""


class Incoming:
    """An INVITE from outside a dialog, until its ACK.

    Args:
        endpoint: Answers go out here.
        request: The INVITE.
        owner: Its channel.
        contact: Our Contact value.
        timer: The session's timer.
        reliable: Whether provisional responses go out reliably (RFC 3262).

    Raises:
        DialogError: No dialog can be made of it: its Contact or Record-Route is malformed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request: RequestReceived,
        owner: IncomingOwner,
        *,
        contact: str,
        timer: SessionTimer,
        reliable: Reliable,
    ) -> None:
        self._endpoint = endpoint
        self._owner: IncomingOwner | None = owner
        self.contact = contact
        self.timer = timer
        self.message = request.message
        local_tag = endpoint.driver.mint_tag()
        self.dialog = Dialog.as_callee(request.message, request.flow, local_tag)
        self._server = InviteServer(endpoint, request, self, local_tag=local_tag)
        self._able = reliable != "never" and supports(request.message, "100rel")
        # RFC 3262 §3: all of them where the caller requires it
        self._always = self._able and (reliable == "required" or requires(request.message, "100rel"))
        self._early = False
        self._last: tuple[int, bool] = (0, False)
        self._sent = self._described = self._acknowledged = 0
        self.updates = EarlyUpdates(
            endpoint, lambda: self.dialog, contact=contact, on_offer=lambda update: self._offered(update)
        )
        self.updates.note(request.message)

    @property
    def reliable(self) -> bool:
        """Whether a description in a provisional arrives for sure: it counts as the answer, or as our offer."""
        return self._able

    @property
    def sure(self) -> bool:
        """Whether the caller has acknowledged a description of ours: from then on we may offer another (RFC 3311 §5.1)."""
        return 0 < self._described <= self._acknowledged

    def _offered(self, update: EarlyUpdate) -> None:
        if self._owner is not None:
            self._owner.on_early_offer(update)
        else:
            update.reject(487)

    def provisional(self, status: int, reason: str | None = None, body: bytes = b"", headers: Headers = ()) -> None:
        """Send a 101 to 199, with an early description if there is a body. The same twice in a row goes out once."""
        if self._server.finished or ((status, bool(body)) == self._last and not headers):
            return
        self._last = (status, bool(body))
        if not self._early:
            # RFC 3261 §15: in an early dialog the caller may say BYE
            self._early = True
            self._endpoint.add_dialog(self.dialog.key, self, remote_cseq=self.dialog.remote_cseq)
        reliable = self._always or (self._able and bool(body))
        self._sent += reliable
        if body and reliable and not self._described:
            self._described = self._sent
        fields = [("Contact", self.contact), ("Allow", ALLOW), *headers]
        self._server.provisional(status, reason, fields, body, reliable=reliable)

    def answer(self, body: bytes, headers: Headers = ()) -> bool:
        """Send the 200. False when the caller has cancelled: `on_caller_gave_up` is on its way."""
        fields = [*supported(self.timer), *self.timer.answering(self.message, self._endpoint.now_s), *headers]
        if not self._server.accept(self.contact, body, fields):
            return False
        self.updates.close()
        # The early dialog is the confirmed one, whose session takes it over: were it forgotten here, Rust would say 481 to the BYE of a
        # caller who hangs up at once.
        self._early = False
        return True

    def reject(self, status: int, reason: str | None = None, headers: Headers = ()) -> None:
        """Send the final failure; nothing more is heard of it."""
        self._owner = None
        self._forget_dialog()
        self._server.reject(status, reason, headers)

    def _forget_dialog(self) -> None:
        self.updates.close(487)
        if self._early:
            self._early = False
            self._endpoint.remove_dialog(self.dialog.key)

    def _gave_up(self, message: Message) -> None:
        owner, self._owner = self._owner, None
        self._forget_dialog()
        if owner is not None:
            owner.on_caller_gave_up(message)

    # --- from the INVITE server -------------------------------------------------------------------------------------

    def on_cancelled(self, message: Message) -> None:
        """From the server transaction: 487 has gone out."""
        self._gave_up(message)

    def on_confirmed(self, message: Message) -> None:
        """From the server transaction."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_answer_confirmed(message)

    def on_unconfirmed(self) -> None:
        """From the server transaction."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_answer_unconfirmed()

    def on_prack(self, message: Message) -> tuple[int, bytes]:
        """From the server transaction."""
        self.dialog.accepts(message)
        self._acknowledged += 1
        owner = self._owner
        return owner.on_acknowledged(message) if owner is not None else (200, b"")

    def on_unacknowledged(self) -> None:
        """From the server transaction: 504 has gone out."""
        owner, self._owner = self._owner, None
        self._forget_dialog()
        if owner is not None:
            owner.on_unacknowledged()

    # --- requests in the early dialog -------------------------------------------------------------------------------

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint."""
        if not self.dialog.accepts(request.message):
            # RFC 3261 §12.2.2: an old sequence number
            self._endpoint.respond(request.tx, 500, None, [RETRY_SOON])
            return
        serve = self._by_method.get(request.message.method)
        if serve is None:
            refuse_unserved(self._endpoint, request)
        else:
            serve(self, request)

    def _on_bye(self, request: RequestReceived) -> None:
        self._endpoint.respond(request.tx, 200)
        self._server.reject(487)
        self._gave_up(request.message)

    def _on_invite(self, request: RequestReceived) -> None:
        # RFC 3261 §14.2: a second INVITE before the first has its answer
        self._endpoint.respond(request.tx, 500, None, [RETRY_SOON])

    _by_method: ClassVar[dict[str, Callable[[Incoming, RequestReceived], None]]] = {
        "BYE": _on_bye,
        "INFO": lambda self, request: answer_info(self._endpoint, request),
        "INVITE": _on_invite,
        "OPTIONS": lambda self, request: answer_options(self._endpoint, request),
        "UPDATE": lambda self, request: self.updates.take(request),
    }

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: Rust answered their BYE, since we were late."""
        self._server.reject(487)
        self._gave_up(message)
