"""An early dialog of an INVITE of ours that sends reliable provisionals (RFC 3262): PRACK, and their requests inside it.

`InviteClient` keeps one per To tag. An offer that they make by UPDATE before the answer (RFC 3311) goes to its owner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import ALLOW, SDP
from trunkline.sip.dialog import Dialog, DialogError
from trunkline.sip.endpoint import Endpoint, Flow, Message, RequestReceived
from trunkline.sip.request import ClientRequest
from trunkline.sip.uas import answer_info, answer_options, refuse_unserved

__all__ = ["EarlyDialog", "OnOffer"]

OnOffer = Callable[[str, bytes], bytes | None]
"""Takes their tag and their offer; gives our answer, or None where it can be none."""


class EarlyDialog:
    """One early dialog, seen from the caller.

    Args:
        endpoint: Where it lives.
        dialog: The dialog.
        contact: Our Contact value.
        credentials: Answers challenges.
        on_offer: Answers an offer by UPDATE; None where the INVITE's owner is gone.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialog: Dialog,
        *,
        contact: str,
        credentials: ClientCredentials | None,
        on_offer: OnOffer,
    ) -> None:
        self._endpoint = endpoint
        self.dialog = dialog
        self._contact = contact
        self._credentials = credentials
        self._on_offer = on_offer
        endpoint.add_dialog(dialog.key, self)

    def acknowledge(self, message: Message, invite_cseq: int, body: bytes = b"") -> None:
        """PRACK a reliable provisional (RFC 3262 §4), whatever becomes of the PRACK; with the answer to its offer."""
        if message.rseq is None:
            return
        rack = ("RAck", f"{message.rseq} {invite_cseq} INVITE")

        def build() -> tuple[str, list[tuple[str, str]]]:
            uri, fields = self.dialog.request("PRACK")
            return uri, [*fields, rack, *([("Content-Type", SDP)] if body else [])]

        ClientRequest(
            self._endpoint,
            "PRACK",
            build,
            self.dialog.flow,
            body=body,
            credentials=self._credentials,
            on_response=lambda response, flow: None,
            on_failure=lambda failure: None,
        ).start()

    def heard(self, message: Message, flow: Flow) -> None:
        """Take over the Contact of a further provisional."""
        try:
            self.dialog.refresh_target(message, flow)
        except DialogError:
            return  # what stood stands

    def close(self) -> None:
        """It is confirmed or over: its requests are for nobody here any more."""
        self._endpoint.remove_dialog(self.dialog.key)

    # --- from the endpoint ------------------------------------------------------------------------------------------

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint."""
        if not self.dialog.accepts(request.message):
            # RFC 3261 §12.2.2
            self._endpoint.respond(request.tx, 500, None, [("Retry-After", "1")])
            return
        serve = self._by_method.get(request.message.method)
        if serve is not None:
            serve(self, request)
        else:
            refuse_unserved(self._endpoint, request)

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: RFC 3261 §15, a callee ends no early dialog with BYE; its final answer is awaited."""

    def _on_bye(self, request: RequestReceived) -> None:
        self._endpoint.respond(request.tx, 200)

    def _on_invite(self, request: RequestReceived) -> None:
        # RFC 3261 §14.2: ours is open
        self._endpoint.respond(request.tx, 491)

    def _on_update(self, request: RequestReceived) -> None:
        message = request.message
        try:
            self.dialog.refresh_target(message, request.flow)
        except DialogError as error:
            self._endpoint.respond(request.tx, error.status, error.reason)
            return
        fields = [("Contact", self._contact), ("Allow", ALLOW)]
        answer: bytes | None = b""
        if message.body:
            if not message.sdp:
                self._endpoint.respond(request.tx, 415, None, [("Accept", SDP)])
                return
            answer = self._on_offer(message.from_tag, message.sdp)
            fields.append(("Content-Type", SDP))
        if answer is None:
            # RFC 3311 §5.2: our offer has no answer yet, or theirs can have none
            self._endpoint.respond(request.tx, 491)
            return
        self._endpoint.respond(request.tx, 200, None, fields, answer)

    _by_method: ClassVar[dict[str, Callable[[EarlyDialog, RequestReceived], None]]] = {
        "BYE": _on_bye,
        "INFO": lambda self, request: answer_info(self._endpoint, request),
        "INVITE": _on_invite,
        "OPTIONS": lambda self, request: answer_options(self._endpoint, request),
        "UPDATE": _on_update,
    }
