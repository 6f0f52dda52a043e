"""The notifier's side of a subscription (RFC 6665 §4.2): NOTIFY at once and on change, refresh, expiry, the end.

`accept_subscription` takes a SUBSCRIBE that is granted and makes the dialog; a REFER makes a `Notifier` in the dialog
that it came in. At most one NOTIFY is under way: what changes meanwhile is told together, in the newest state.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.dialog import Dialog, DialogError
from trunkline.sip.endpoint import Endpoint, Flow, Message, RequestReceived
from trunkline.sip.invite import with_body
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.subscription import EventType, Expiry, State, SubscriptionRefused, SubscriptionState
from trunkline.sip.uas import refuse_unserved

__all__ = ["Body", "Notifier", "NotifierHandler", "accept_subscription"]

log = logging.getLogger("trunkline.sip")

MAX_RETRY_AFTER_S = 300
"""A NOTIFY that is to be tried again later than this is given up, and the subscription with it."""

DUE_SLACK_S = 0.001
"""A timer may fire a rounding error early."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a NOTIFY says of the resource."""

    content_type: str = ""
    data: bytes = b""


class NotifierHandler(Protocol):
    """Owner of a `Notifier`: knows what there is to say."""

    def body(self, *, full: bool) -> Body:
        """The state as it is now; asked for each NOTIFY when it goes out.

        Args:
            full: All of it is due: the first NOTIFY, after a refresh, or after one that got lost. Else what changed
                since the last call is enough, for packages that can say so.
        """

    def on_ended(self, notifier: Notifier, reason: str) -> None:
        """It is over and forgotten, once. `reason` is that of the last NOTIFY, or what became of it."""


class Notifier:
    """One subscription that we serve.

    Args:
        endpoint: Where its NOTIFYs go out.
        dialog: The dialog that they go through.
        handler: Its owner.
        event: The package and id that it was made for.
        contact: Our Contact value.
        expiry: Bounds of a refresh.
        min_interval_s: Least time between two NOTIFYs that a change causes, as the package asks.
        owns_dialog: Whether it is alone in the dialog and takes its requests. Where it is not, whoever has the dialog
            hands it SUBSCRIBEs of its event by `on_subscribe`.
        credentials: Answers challenges to NOTIFY.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        dialog: Dialog,
        handler: NotifierHandler,
        *,
        event: EventType,
        contact: str,
        expiry: Expiry | None = None,
        min_interval_s: float = 0.0,
        owns_dialog: bool = False,
        credentials: ClientCredentials | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.dialog = dialog
        self.event = event
        self.contact = contact
        self.state = State.ACTIVE
        self._handler = handler
        self._expiry = expiry or Expiry()
        self._min_interval_s = min_interval_s
        self._owns_dialog = owns_dialog
        self._credentials = credentials
        self._expires_at = 0.0
        self._expiry_timer: asyncio.TimerHandle | None = None
        self._notify_timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._in_flight = False
        self._dirty = False
        self._full = True
        self._last: SubscriptionState | None = None
        self._over = False
        if owns_dialog:
            endpoint.add_dialog(dialog.key, self, remote_cseq=dialog.remote_cseq)

    # --- from its owner ---------------------------------------------------------------------------------------------

    def start(self, expires_s: int) -> None:
        """Begin: it lasts `expires_s` seconds, and a NOTIFY goes out at once. With 0 that is the only one (§4.4.3)."""
        self._last_until(expires_s)
        if expires_s == 0:
            self.terminate("timeout")
        else:
            self._notify_now(full=True)

    def changed(self) -> None:
        """The state has changed: tell it, now or when the NOTIFY that is under way is answered."""
        if self.state is not State.TERMINATED:
            self._dirty = True
            self._send_when_due()

    def terminate(self, reason: str, *, retry_after_s: int | None = None) -> None:
        """End it with a last NOTIFY (§4.2.2). Idempotent.

        Args:
            reason: One of RFC 6665 §4.1.3, as "noresource" or "deactivated".
            retry_after_s: When the subscriber may try again.
        """
        if self.state is State.TERMINATED:
            return
        self.state = State.TERMINATED
        self._last = SubscriptionState(State.TERMINATED, None, reason, retry_after_s)
        self._cancel_timers()
        self._dirty = True
        if not self._in_flight:
            self._send()

    @property
    def remaining_s(self) -> int:
        """Seconds that it lasts yet."""
        return max(0, round(self._expires_at - self.endpoint.now_s))

    # --- from the subscriber ----------------------------------------------------------------------------------------

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint: a request in a dialog that is this subscription's alone."""
        if not self.dialog.accepts(request.message):
            # RFC 3261 §12.2.2
            self.endpoint.respond(request.tx, 500, None, [("Retry-After", "1")])
        elif request.message.method == "SUBSCRIBE":
            self.on_subscribe(request)
        else:
            refuse_unserved(self.endpoint, request)

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: there is nothing that a BYE could end here."""

    def on_subscribe(self, request: RequestReceived) -> None:
        """A SUBSCRIBE in the dialog: refresh, or with Expires 0 the end (§4.2.1)."""
        try:
            expires_s = self._refreshed(request)
        except (SubscriptionRefused, DialogError) as refused:
            headers = getattr(refused, "headers", ())
            self.endpoint.respond(request.tx, refused.status, refused.reason or None, headers)
            return
        headers = [("Expires", str(expires_s)), ("Contact", self.contact)]
        self.endpoint.respond(request.tx, 200, None, headers)
        self.start(expires_s)

    def _refreshed(self, request: RequestReceived) -> int:
        message = request.message
        if EventType.of(message) != self.event or self.state is State.TERMINATED:
            raise SubscriptionRefused(481)
        if message.values("Require"):
            raise SubscriptionRefused(420, "", [("Unsupported", ", ".join(message.values("Require")))])
        expires_s = self._expiry.grant_s(message)
        self.dialog.refresh_target(message, request.flow)
        return expires_s

    # --- NOTIFY -----------------------------------------------------------------------------------------------------

    def _notify_now(self, *, full: bool) -> None:
        self._dirty = True
        self._full = self._full or full
        self._next_at = 0.0
        self._send_when_due()

    def _send_when_due(self) -> None:
        if self._in_flight or not self._dirty or self._over:
            return
        wait_s = self._next_at - self.endpoint.now_s
        if wait_s > DUE_SLACK_S:
            if self._notify_timer is None:
                self._notify_timer = asyncio.get_running_loop().call_later(wait_s, self._due)
            return
        self._stop_notify_timer()
        self._send()

    def _due(self) -> None:
        self._notify_timer = None
        self._send_when_due()

    def _send(self) -> None:
        body = self._handler.body(full=self._full)
        self._dirty = self._full = False
        self._in_flight = True
        self._next_at = self.endpoint.now_s + self._min_interval_s
        state = self._last or SubscriptionState(self.state, self.remaining_s)
        final = self.state is State.TERMINATED
        headers = with_body(
            [("Event", str(self.event)), ("Subscription-State", str(state)), ("Contact", self.contact)],
            body.data,
            body.content_type,
        )
        ClientRequest(
            self.endpoint,
            "NOTIFY",
            lambda: self._build(headers),
            self.dialog.flow,
            body=body.data,
            credentials=self._credentials,
            on_response=lambda message, flow: self._answered(message, flow, final=final),
            on_failure=lambda failure: self._refused(failure, final=final),
        ).start()

    def _build(self, headers: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
        uri, fields = self.dialog.request("NOTIFY")
        return uri, [*fields, *headers]

    def _answered(self, message: Message, flow: Flow, *, final: bool) -> None:
        if message.status < 200 or self._over:
            return
        self._in_flight = False
        if final:
            self._finish(self._last.reason if self._last is not None else "")
        elif self.state is State.TERMINATED:
            self._send()
        else:
            self._send_when_due()

    def _refused(self, failure: Failure, *, final: bool) -> None:
        self._in_flight = False
        retry_s = _retry_after_s(failure)
        if self._over:
            return
        if final or retry_s is None:
            # §4.2.2: silence and failures end it; 481 says that they know nothing of it
            self._finish(f"NOTIFY failed: {failure.status} {failure.reason}")
        elif self.state is State.TERMINATED:
            self._send()
        else:
            self._dirty = self._full = True
            self._next_at = self.endpoint.now_s + retry_s
            self._send_when_due()

    # --- time and the end -------------------------------------------------------------------------------------------

    def _last_until(self, expires_s: int) -> None:
        self._expires_at = self.endpoint.now_s + expires_s
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
        loop = asyncio.get_running_loop()
        self._expiry_timer = loop.call_later(expires_s, self.terminate, "timeout") if expires_s else None

    def abandon(self) -> None:
        """Forget it without a word to anybody."""
        if not self._over:
            self.state = State.TERMINATED
            self._finish("abandoned")

    def _finish(self, reason: str) -> None:
        self._over = True
        self.state = State.TERMINATED
        self._cancel_timers()
        if self._owns_dialog:
            self.endpoint.remove_dialog(self.dialog.key)
        log.debug("subscription %s of %s ended: %s", self.event, self.dialog.call_id, reason)
        self._handler.on_ended(self, reason)

    def _cancel_timers(self) -> None:
        if self._expiry_timer is not None:
            self._expiry_timer.cancel()
            self._expiry_timer = None
        self._stop_notify_timer()

    def _stop_notify_timer(self) -> None:
        if self._notify_timer is not None:
            self._notify_timer.cancel()
            self._notify_timer = None


def accept_subscription(
    endpoint: Endpoint,
    request: RequestReceived,
    handler: NotifierHandler,
    *,
    event: EventType,
    contact: str,
    expires_s: int,
    expiry: Expiry,
    min_interval_s: float = 0.0,
) -> Notifier:
    """Grant a SUBSCRIBE outside of dialogs: 200, a dialog, and a NOTIFY at once (§4.2.1.3).

    Args:
        endpoint: Answers.
        request: The SUBSCRIBE; its sender is known and may subscribe.
        handler: Owner of the notifier.
        event: What its Event says.
        contact: Our Contact value.
        expires_s: What is granted, in seconds.
        expiry: Bounds of its refreshes.
        min_interval_s: Least time between two NOTIFYs.

    Raises:
        DialogError: It can make no dialog; nothing was answered.
    """
    tag = endpoint.driver.mint_tag()
    dialog = Dialog.as_callee(request.message, request.flow, tag)
    notifier = Notifier(
        endpoint,
        dialog,
        handler,
        event=event,
        contact=contact,
        expiry=expiry,
        min_interval_s=min_interval_s,
        owns_dialog=True,
    )
    endpoint.respond(request.tx, 200, None, [("Expires", str(expires_s)), ("Contact", contact)], to_tag=tag)
    notifier.start(expires_s)
    return notifier


def _retry_after_s(failure: Failure) -> int | None:
    """When a NOTIFY may be tried again, as its refusal says; None where it says nothing, or too late (§4.2.2)."""
    if failure.message is None or failure.status == 481:
        return None
    seconds = failure.message.retry_after_s
    return seconds if seconds is not None and seconds <= MAX_RETRY_AFTER_S else None
