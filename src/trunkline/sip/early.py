"""An early dialog of an INVITE of ours that sends reliable provisionals (RFC 3262): PRACK, and their requests inside it.

`InviteClient` keeps one per To tag. An offer that they make by UPDATE before the answer (RFC 3311) goes to its owner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import SDP
from trunkline.sip.dialog import Dialog, DialogError
from trunkline.sip.early_update import EarlyUpdate, EarlyUpdates
from trunkline.sip.endpoint import Endpoint, Flow, Message, RequestReceived
from trunkline.sip.request import ClientRequest
from trunkline.sip.uas import answer_info, answer_options, refuse_unserved

__all__ = ["EarlyDialog", "OnOffer"]

OnOffer = Callable[[str, EarlyUpdate], None]
"""Takes their tag, and their offer, which it answers."""


class EarlyDialog:
    """One early dialog, seen from the caller.

    Args:
        endpoint: Where it lives.
        dialog: The dialog.
        contact: Our Contact value.
        credentials: Answers challenges.
        on_offer: Answers an offer by UPDATE.
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
        self._credentials = credentials
        self.updates = EarlyUpdates(
            endpoint,
            lambda: self.dialog,
            contact=contact,
            credentials=credentials,
            on_offer=lambda update: on_offer(self.dialog.remote_tag, update),
        )
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
        """Take over the Contact of a provisional, and what it says that they can."""
        self.updates.note(message)
        try:
            self.dialog.refresh_target(message, flow)
        except DialogError:
            return  # what stood stands

    def close(self) -> None:
        """It is confirmed or over: its requests are for nobody here any more."""
        self._endpoint.remove_dialog(self.dialog.key)
        self.updates.close()

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

    _by_method: ClassVar[dict[str, Callable[[EarlyDialog, RequestReceived], None]]] = {
        "BYE": _on_bye,
        "INFO": lambda self, request: answer_info(self._endpoint, request),
        "INVITE": _on_invite,
        "OPTIONS": lambda self, request: answer_options(self._endpoint, request),
        "UPDATE": lambda self, request: self.updates.take(request),
    }
