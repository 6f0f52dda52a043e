"""Who waits for what the SIP endpoint tells: the owners of requests, of INVITEs that were sent to us, and of dialogs.

`endpoint.py` calls these; the usages (`request.py`, `invite.py`, `invite_session.py`) implement them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trunkline.sip.endpoint import Flow, Message, PrackReceived, RequestReceived

__all__ = ["ClientHandler", "DialogHandler", "InvitingHandler", "ServerHandler"]


class ClientHandler(Protocol):
    """Waits for the responses to a request of ours."""

    def on_response(self, tx: int, message: Message, flow: Flow) -> None:
        """A provisional or final response; for INVITE also 2xx of further branches."""

    def on_failure(self, tx: int, reason: str | None) -> None:
        """No final response came: `reason` says what broke the transport, or is None for a timeout."""


class ServerHandler(Protocol):
    """Waits for what becomes of an INVITE that we answer."""

    def on_cancel(self, message: Message) -> None:
        """The caller gave up; 487 has been sent."""

    def on_ack(self, message: Message) -> None:
        """Our 2xx was acknowledged."""

    def on_ack_timeout(self) -> None:
        """Our 2xx was never acknowledged."""

    def on_prack(self, request: PrackReceived) -> None:
        """A reliable provisional of ours was acknowledged; the PRACK is to be answered (RFC 3262 §3)."""

    def on_prack_timeout(self, refused: bool) -> None:
        """A reliable provisional of ours was never acknowledged: the INVITE is to be refused. `refused`: Rust has, in place of a 2xx."""


class DialogHandler(Protocol):
    """Takes the requests inside a dialog."""

    def on_dialog_request(self, request: RequestReceived) -> None:
        """A request other than ACK and CANCEL in this dialog."""

    def on_bye_answered(self, message: Message) -> None:
        """Rust answered their BYE, since we had not for 400 ms. `on_dialog_request` is called with it too."""


class InvitingHandler(Protocol):
    """Sends an INVITE: requests may come in its early dialogs before anybody has made one of them known."""

    def on_early_request(self, request: RequestReceived) -> bool:
        """A request in a dialog that nobody handles; whether it is one of this INVITE's, and answered."""
