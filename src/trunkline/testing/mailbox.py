"""The voice mailbox that the test kit's provider keeps for an account (RFC 3842). Made by `Itsp`; a test leaves messages there."""

from __future__ import annotations

from trunkline.messaging.message_summary import CONTENT_TYPE
from trunkline.sip.endpoint import Endpoint, RequestReceived
from trunkline.sip.notifier import Body, Notifier, accept_subscription
from trunkline.sip.subscription import EventType, Expiry

__all__ = ["Mailbox"]

EXPIRY = Expiry(60, 3_600, 3_600)


class Mailbox:
    """One account's mailbox, and who has subscribed to it.

    Args:
        account: Its address.
    """

    def __init__(self, account: str) -> None:
        self.account = account
        self.lines = ["Messages-Waiting: no"]
        """What it tells."""
        self.subscriptions: list[Notifier] = []

    def leave(self, new: int, old: int = 0) -> None:
        """So many messages wait from now on; whoever has subscribed is told."""
        waits = "yes" if new else "no"
        self.tell(
            [f"Messages-Waiting: {waits}", f"Message-Account: {self.account}", f"Voice-Message: {new}/{old} (0/0)"]
        )

    def tell(self, lines: list[str]) -> None:
        """Tell something of the test's own."""
        self.lines = lines
        for subscription in self.subscriptions:
            subscription.changed()

    def end(self, reason: str, retry_after_s: int | None = None) -> None:
        """End all subscriptions."""
        for subscription in list(self.subscriptions):
            subscription.terminate(reason, retry_after_s=retry_after_s)

    def subscribe(self, endpoint: Endpoint, request: RequestReceived, contact: str) -> None:
        """A SUBSCRIBE of its account, whose password has been verified."""
        event = EventType.of(request.message)
        if event is None or event.package != "message-summary":
            endpoint.respond(request.tx, 489, None, [("Allow-Events", "message-summary")])
            return
        granted_s = EXPIRY.grant_s(request.message)
        self.subscriptions.append(
            accept_subscription(
                endpoint, request, self, event=event, contact=contact, expires_s=granted_s, expiry=EXPIRY
            )
        )

    def body(self, *, full: bool) -> Body:
        """From a notifier."""
        return Body(CONTENT_TYPE, "".join(f"{line}\r\n" for line in self.lines).encode())

    def on_ended(self, notifier: Notifier, reason: str) -> None:
        """From a notifier."""
        if notifier in self.subscriptions:
            self.subscriptions.remove(notifier)
