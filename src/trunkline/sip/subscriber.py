"""The subscriber's side of a subscription (RFC 6665 §4.1): SUBSCRIBE, NOTIFYs even before its 2xx, refresh, the end.

For what we are told: message-summary of a provider, and the outcome of a REFER that we sent, which is a `Subscriber`
whose first request is that REFER. One dialog comes of one SUBSCRIBE: NOTIFYs of further branches get 481 (§4.5.2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.dialog import Dialog, DialogError, request_uri
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message, NameAddr, RequestReceived, SipParseError, Uri
from trunkline.sip.request import Build, ClientRequest, Failure
from trunkline.sip.subscription import EventType, State, SubscriptionRefused, SubscriptionState, expires_of
from trunkline.sip.uas import refuse_unserved

__all__ = ["Subscriber", "SubscriberHandler"]

log = logging.getLogger("trunkline.sip")

NOTIFY_WAIT_S = 32.0
"""How long the NOTIFY that answers a SUBSCRIBE is waited for: Timer N, 64*T1 (§4.1.2.4)."""

REFRESH_LEAD_S = 60.0
"""A refresh goes out so long before the end, or at four fifths of a short subscription."""

MAX_MIN_EXPIRES_S = 86_400
"""A Min-Expires above this is not followed."""


class SubscriberHandler(Protocol):
    """Owner of a `Subscriber`."""

    def on_notify(self, subscriber: Subscriber, message: Message, state: SubscriptionState) -> None:
        """A NOTIFY, answered with 200. The last one says that it is the last."""

    def on_ended(self, subscriber: Subscriber, state: SubscriptionState, failure: Failure | None) -> None:
        """It is over, once. `failure` says what refused a request of ours; `state.advice` whether to subscribe again."""


class Subscriber:
    """One subscription of ours.

    Args:
        endpoint: Where its requests go out.
        handler: Its owner.
        event: The package, and an id if there is one.
        contact: Our Contact value.
        expires_s: The time to ask for, in seconds; 0 fetches the state once (§4.4.3).
        target: The Request-URI of the first request.
        flow: Where it goes.
        local: Our From, without tag.
        remote: The To.
        method: SUBSCRIBE; or REFER, whose acceptance is a subscription too (RFC 3515 §2.4.4).
        headers: Further headers of the first request and of each SUBSCRIBE: Accept, Refer-To, Route.
        credentials: Answers challenges.
        nat: The target is reached over the flow that it opened.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        handler: SubscriberHandler,
        *,
        event: EventType,
        contact: str,
        target: Uri,
        flow: Flow,
        local: NameAddr,
        remote: NameAddr,
        expires_s: int = 3_600,
        method: str = "SUBSCRIBE",
        headers: Headers = (),
        credentials: ClientCredentials | None = None,
        nat: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.event = event
        self.contact = contact
        self.dialog: Dialog | None = None
        self.call_id = endpoint.driver.mint_call_id()
        self.local_tag = endpoint.driver.mint_tag()
        self._handler = handler
        self._expires_s = expires_s
        self._target = target
        self._flow = flow
        self._local = str(NameAddr(local.uri, local.display_name, (*local.params, ("tag", self.local_tag))))
        self._remote = str(remote)
        self._method = method
        self._headers = list(headers)
        self._credentials = credentials
        self._nat = nat
        self._cseq = 0
        self._expires_at: float | None = None
        self._refresh_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._leaving = False
        self._left = False
        self._shares = False
        self._min_expires_followed = False
        self.notified = False
        """Whether a NOTIFY has come."""
        self.ended = False

    @classmethod
    def inside(
        cls,
        endpoint: Endpoint,
        handler: SubscriberHandler,
        dialog: Dialog,
        *,
        event: EventType,
        contact: str,
        credentials: ClientCredentials | None = None,
    ) -> Subscriber:
        """The subscription that a REFER of ours inside a dialog makes, which whoever has the dialog sends and keeps.

        The owner of the dialog hands it the NOTIFYs of its event, in order, by `on_dialog_request`, and calls `abandon`
        where the REFER is refused. Timer N runs from now on.

        Args:
            endpoint: Where its requests go out.
            handler: Its owner.
            dialog: The dialog, shared with its other usages.
            event: The package, and the id that their NOTIFYs carry.
            contact: Our Contact value.
            credentials: Answers challenges.
        """
        subscriber = cls(
            endpoint,
            handler,
            event=event,
            contact=contact,
            target=Uri.parse(dialog.remote_target),
            flow=dialog.flow,
            local=NameAddr(NameAddr.parse(dialog.local).uri),
            remote=NameAddr.parse(dialog.remote),
            credentials=credentials,
        )
        subscriber.call_id, subscriber.local_tag = dialog.call_id, dialog.local_tag
        subscriber.dialog, subscriber._shares = dialog, True
        subscriber._end_after(NOTIFY_WAIT_S, SubscriptionState(State.TERMINATED, None, "giveup"))
        return subscriber

    @property
    def _awaited(self) -> tuple[str, str, str]:
        return (self.call_id, self.local_tag, "")

    # --- from its owner ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Send the first request. A NOTIFY may come before its answer (§4.1.2.4)."""
        if self._cseq == 0:
            self.endpoint.add_dialog(self._awaited, self)
        self._request(self._method, self._build_first, self._flow, self._accepted, self._refused)

    def unsubscribe(self) -> None:
        """End it: SUBSCRIBE with Expires 0, then the last NOTIFY is waited for (§4.1.2.3). Idempotent."""
        if self.ended or self._leaving:
            return
        self._leaving = True
        self._expires_s = 0
        self._leave()

    def abandon(self) -> None:
        """Forget it without a word to anybody; its NOTIFYs get 481."""
        self._end(SubscriptionState(State.TERMINATED), None, tell=False)

    # --- SUBSCRIBE --------------------------------------------------------------------------------------------------

    def _build_first(self) -> tuple[str, list[tuple[str, str]]]:
        self._cseq += 1
        fields = [
            ("From", self._local),
            ("To", self._remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} {self._method}"),
        ]
        return request_uri(self._target), [*fields, *self._subscribing(self._method), *self._headers]

    def _build_inside(self) -> tuple[str, list[tuple[str, str]]]:
        assert self.dialog is not None
        uri, fields = self.dialog.request("SUBSCRIBE")
        routed = [header for header in self._headers if header[0].lower() not in ("route", "refer-to", "referred-by")]
        return uri, [*fields, *self._subscribing("SUBSCRIBE"), *routed]

    def _subscribing(self, method: str) -> list[tuple[str, str]]:
        if method != "SUBSCRIBE":
            return [("Contact", self.contact)]
        return [("Contact", self.contact), ("Event", str(self.event)), ("Expires", str(self._expires_s))]

    def _request(
        self,
        method: str,
        build: Build,
        flow: Flow,
        on_success: Callable[[Message, Flow], None],
        on_failure: Callable[[Failure], None],
    ) -> None:
        ClientRequest(
            self.endpoint,
            method,
            build,
            flow,
            credentials=self._credentials,
            on_response=lambda message, source: (
                None if message.status < 200 or self.ended else on_success(message, source)
            ),
            on_failure=lambda failure: None if self.ended else on_failure(failure),
        ).start()

    def _accepted(self, message: Message, flow: Flow) -> None:
        if self._expires_at is None:
            self._lasts(expires_of(message))
        if self.dialog is None:
            self._install(
                Dialog.as_caller(
                    message,
                    flow,
                    local=self._local,
                    local_tag=self.local_tag,
                    cseq=self._cseq,
                    target=str(self._target),
                    nat=self._nat,
                )
            )
        if self._leaving:
            self._leave()
        elif not self.notified:
            self._end_after(NOTIFY_WAIT_S, SubscriptionState(State.TERMINATED, None, "giveup"))

    def _refused(self, failure: Failure) -> None:
        if self._follows_min_expires(failure):
            self.start()
        else:
            self._end(SubscriptionState(State.TERMINATED, None, "rejected"), failure)

    def _follows_min_expires(self, failure: Failure) -> bool:
        """§4.1.2.1: after 423 it is asked for as long as they want, once."""
        if failure.status != 423 or failure.message is None or self._min_expires_followed:
            return False
        try:
            least = failure.message.integer("Min-Expires")
        except SipParseError:
            return False
        if least is None or not self._expires_s < least <= MAX_MIN_EXPIRES_S:
            return False
        self._min_expires_followed = True
        self._expires_s = least
        return True

    def _refresh(self) -> None:
        self._refresh_timer = None
        if self.dialog is not None and not self._leaving:
            self._request("SUBSCRIBE", self._build_inside, self.dialog.flow, self._refreshed, self._not_refreshed)

    def _refreshed(self, message: Message, flow: Flow) -> None:
        self._take_target(message, flow)
        self._lasts(expires_of(message))

    def _not_refreshed(self, failure: Failure) -> None:
        if failure.status == 481:
            # §4.1.2.2: they know nothing of it
            self._end(SubscriptionState(State.TERMINATED, None, "deactivated"), failure)
        elif self._follows_min_expires(failure):
            self._refresh()
        else:
            # §4.1.2.2: what stands goes on to its end; half of the time left is waited before the next try
            left_s = self._left_s
            if left_s > 10:
                self._refresh_after(left_s / 2)

    def _leave(self) -> None:
        if self.dialog is None or self._left:
            return
        self._left = True
        self._stop_timers()
        self._end_after(NOTIFY_WAIT_S, SubscriptionState(State.TERMINATED, None, "timeout"))
        done = SubscriptionState(State.TERMINATED, None, "timeout")
        self._request(
            "SUBSCRIBE",
            self._build_inside,
            self.dialog.flow,
            lambda message, flow: None,
            lambda failure: self._end(done, failure),
        )

    # --- NOTIFY -----------------------------------------------------------------------------------------------------

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint."""
        if request.message.method != "NOTIFY":
            refuse_unserved(self.endpoint, request)
            return
        try:
            state = self._taken(request)
        except (SubscriptionRefused, DialogError) as refused:
            headers = getattr(refused, "headers", ())
            self.endpoint.respond(request.tx, refused.status, refused.reason or None, headers)
            return
        self.endpoint.respond(request.tx, 200)
        self._told(request.message, state)

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: there is nothing that a BYE could end here."""

    def _taken(self, request: RequestReceived) -> SubscriptionState:
        message = request.message
        if not self._is_ours(EventType.of(message)):
            # §4.1.3: no such subscription of ours
            raise SubscriptionRefused(489, "", [("Allow-Events", self.event.package)])
        state = SubscriptionState.of(message)
        if self._shares:
            return state  # whoever has the dialog has judged its order and target
        if self.dialog is None:
            # §4.4.1: the NOTIFY makes the dialog
            dialog = Dialog.as_callee(message, request.flow, self.local_tag)
            dialog.local_cseq, dialog.caller = self._cseq, True
            self._install(dialog)
        elif not self.dialog.accepts(message):
            raise SubscriptionRefused(500, "", [("Retry-After", "1")])
        else:
            self._take_target(message, request.flow)
        return state

    def _is_ours(self, event: EventType | None) -> bool:
        if event is None:
            return False
        # RFC 3515 §2.4.6: the NOTIFYs of a REFER may carry its CSeq as id, and those of the first one may go without
        unnamed = not self.event.id or (self._shares and not event.id)
        return event == self.event or (event.package == self.event.package and unnamed)

    def _told(self, message: Message, state: SubscriptionState) -> None:
        first, self.notified = not self.notified, True
        if state.state is State.TERMINATED:
            self._handler.on_notify(self, message, state)
            self._end(state, None)
            return
        if not self._leaving:
            if first:
                self._stop_end_timer()
            self._lasts(state.expires_s)
        self._handler.on_notify(self, message, state)
        if self._leaving:
            self._leave()

    def _install(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.endpoint.add_dialog(dialog.key, self, remote_cseq=dialog.remote_cseq)
        # NOTIFYs of other branches get 481 from here on (§4.5.2)
        self.endpoint.remove_dialog(self._awaited)

    def _take_target(self, message: Message, flow: Flow) -> None:
        assert self.dialog is not None
        try:
            self.dialog.refresh_target(message, flow)
        except DialogError as error:
            log.info("%s in a subscription: %s; the target stays", message.method, error)

    # --- time and the end -------------------------------------------------------------------------------------------

    @property
    def _left_s(self) -> float:
        return max(0.0, (self._expires_at or 0.0) - self.endpoint.now_s)

    def _lasts(self, expires_s: int | None) -> None:
        """It lasts so long from now; None says nothing new."""
        if expires_s is None or (expires_s == 0 and self._expires_s == 0):
            return
        self._expires_at = self.endpoint.now_s + expires_s
        lead_s = min(REFRESH_LEAD_S, expires_s / 5)
        self._refresh_after(expires_s - lead_s)
        if self.notified:
            # their last NOTIFY is under way when the time is over
            self._end_after(expires_s + NOTIFY_WAIT_S, SubscriptionState(State.TERMINATED, None, "timeout"))

    def _refresh_after(self, delay_s: float) -> None:
        if self._refresh_timer is not None:
            self._refresh_timer.cancel()
        self._refresh_timer = asyncio.get_running_loop().call_later(delay_s, self._refresh)

    def _end_after(self, delay_s: float, state: SubscriptionState) -> None:
        self._stop_end_timer()
        self._end_timer = asyncio.get_running_loop().call_later(delay_s, self._end, state, None)

    def _end(self, state: SubscriptionState, failure: Failure | None, *, tell: bool = True) -> None:
        if self.ended:
            return
        self.ended = True
        self._stop_timers()
        self.endpoint.remove_dialog(self._awaited)
        if self.dialog is not None and not self._shares:
            self.endpoint.remove_dialog(self.dialog.key)
        if tell:
            self._handler.on_ended(self, state, failure)

    def _stop_timers(self) -> None:
        if self._refresh_timer is not None:
            self._refresh_timer.cancel()
            self._refresh_timer = None
        self._stop_end_timer()

    def _stop_end_timer(self) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None
