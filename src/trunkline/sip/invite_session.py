"""The session that an INVITE made, between answer and BYE (RFC 3261 §14, §15): re-INVITE, UPDATE and BYE, both ways.

An `InviteSession` lives in a confirmed `Dialog` and keeps its session timer (RFC 4028). Owners are the server's channels
(`trunkline.calls`) and the test kit's phones. What they send of either kind is a `Reoffer`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable
from typing import ClassVar, Protocol

from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import ALLOW, SDP, supported
from trunkline.sip.dialog import Dialog, DialogError, DialogKeeper
from trunkline.sip.endpoint import Endpoint, Flow, Headers, Message, RequestReceived
from trunkline.sip.invite import end_unwanted, sends_again, with_body
from trunkline.sip.refer import ReferUsage
from trunkline.sip.reoffer import Reoffer
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.session_timer import Due, SessionTimer, SessionTimes
from trunkline.sip.uas import answer_info, answer_options, refuse_unserved

log = logging.getLogger("trunkline.sip")

RETRY_SOON = ("Retry-After", "1")

_UNQUOTABLE = re.compile(r"[^ !#-\[\]-~]")
"""What does not stand in a quoted string as it is (RFC 3261 §25.1)."""

Answer = Callable[[Message], bytes]
"""Makes our answer to the offer of a 2xx."""

GLARE_WAIT_S = {True: (2.1, 4.0), False: (0.0, 2.0)}
"""Between which bounds to wait after 491, for the side that made the Call-ID and for the other (RFC 3261 §14.1)."""


class InviteSessionHandler(Protocol):
    """Owner of an `InviteSession`."""

    def on_bye(self, message: Message) -> None:
        """They hung up; 200 has been sent."""

    def on_reinvite(self, offer: Reoffer) -> None:
        """They want the session changed: `offer.accept`, `offer.offer` or `offer.reject` is due."""

    def on_refresh_due(self) -> None:
        """The session is to be refreshed by a re-INVITE that changes nothing; `not_refreshed` where that fails."""

    def on_lost(self, reason: str) -> None:
        """The dialog turned out to be dead: an ACK that never came, a request answered 481 or never."""


class ReofferHandler(Protocol):
    """Waits for the answer to a re-INVITE or UPDATE of ours."""

    def on_reoffer_accepted(self, message: Message) -> None:
        """Their 2xx, acknowledged, with their answer."""

    def on_reoffer_refused(self, failure: Failure) -> None:
        """They refused; what stood before stands (RFC 3261 §14.1)."""


class InviteSession:
    """A confirmed dialog that an INVITE made.

    Args:
        endpoint: Where its requests go out.
        dialog: The dialog.
        handler: Its owner.
        contact: Our Contact value.
        leg: The media leg that Rust stops when it must answer BYE for us.
        credentials: Answers challenges to requests inside the dialog.
        confirmed: False while the ACK to our 2xx is due: until `confirm` a BYE of ours waits (RFC 3261 §15).
        timer: What the INVITE and its 2xx agreed about the session's time; none unless given.
        theirs: The INVITE or 2xx of theirs that made the dialog: its Allow says whether they take UPDATE.
        keeper: Writes down that the dialog exists, and that it does no more.
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
        timer: SessionTimer | None = None,
        theirs: Message | None = None,
        keeper: DialogKeeper | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.dialog = dialog
        self.contact = contact
        self.timer = timer or SessionTimer(SessionTimes(0))
        self._handler: InviteSessionHandler | None = handler
        self._keeper = keeper
        self.credentials = credentials
        self.refers = ReferUsage(self)
        self._confirmed = confirmed
        self._held_bye: list[tuple[str, str]] | None = None
        self._theirs: Reoffer | None = None
        self._ours: ClientRequest | None = None
        self._ours_handler: ReofferHandler | None = None
        self._ours_offers = False
        self._alarm: asyncio.TimerHandle | None = None
        self.on_info: Callable[[RequestReceived], None] = lambda request: answer_info(endpoint, request)
        """Takes an INFO of theirs, which it answers."""
        self.open_infos = 0
        """INFOs of ours that wait for an answer."""
        self.takes_updates = False
        """Whether they say that they take UPDATE (RFC 3311 §4)."""
        self._refuses_updates = False
        self.ended = False
        if theirs is not None:
            self._note_allow(theirs)
        endpoint.add_dialog(dialog.key, self, remote_cseq=dialog.remote_cseq, leg=leg)
        if keeper is not None:
            keeper.keep(dialog)
        self._set_alarm()

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
        end_unwanted(self.endpoint, self.dialog, headers, credentials=self.credentials)

    @property
    def glare_wait_s(self) -> float:
        """How long to wait before a re-INVITE that got 491 is tried again (RFC 3261 §14.1), drawn anew each time."""
        low, high = GLARE_WAIT_S[self.dialog.caller]
        return random.randint(int(low * 100), int(high * 100)) / 100

    @property
    def busy(self) -> bool:
        """Whether an INVITE or an offer is open in this dialog, in either direction (RFC 3261 §14.1, RFC 3311 §5.1)."""
        return self._ours is not None or self._theirs is not None

    def reinvite(self, body: bytes, handler: ReofferHandler, *, answer: Answer | None = None) -> None:
        """Offer a changed session. ValueError while an INVITE or an offer is open in either direction.

        Args:
            body: The offer; without one their 2xx brings it.
            handler: Hears how it ends.
            answer: Makes the body of the ACK of a 2xx that brings the offer.
        """
        self._send("INVITE", body, handler, lambda message: self._acknowledge(message, answer))

    def update(self, body: bytes, handler: ReofferHandler) -> None:
        """Offer a changed session, or refresh it without a body, by UPDATE. ValueError as `reinvite`."""
        self._send("UPDATE", body, handler, lambda message: None)

    def cancel_reinvite(self, headers: Headers = ()) -> None:
        """Give up the re-INVITE that is open; its handler still hears how it ended, mostly 487 (RFC 3261 §9.1)."""
        if self._ours is not None and self._ours.method == "INVITE":
            self._ours.cancel(headers)

    def not_refreshed(self) -> None:
        """From the owner: the refresh that was due failed. It is tried again while there is time."""
        if not self.ended:
            self.timer.not_refreshed(self.endpoint.now_s)
            self._set_alarm()

    def _send(self, method: str, body: bytes, handler: ReofferHandler, confirm: Callable[[Message], None]) -> None:
        if self.busy or self.ended:
            raise ValueError("an INVITE or an offer is open in this dialog")

        def build() -> tuple[str, list[tuple[str, str]]]:
            uri, fields = self.dialog.request(method)
            own = [("Contact", self.contact), ("Allow", ALLOW), *supported(self.timer), *self.timer.asking()]
            return uri, [*fields, *with_body(own, body)]

        self._ours_handler = handler
        # RFC 3311 §5.1: an UPDATE without description is no offer that theirs could cross
        self._ours_offers = method == "INVITE" or bool(body)
        self._ours = ClientRequest(
            self.endpoint,
            method,
            build,
            self.dialog.flow,
            body=body,
            credentials=self.credentials,
            on_response=lambda message, flow: self._response(message, flow, confirm),
            on_failure=self._failed,
            large_over_tcp=self.dialog.large_over_tcp,
        )
        self._ours.start()

    def _response(self, message: Message, flow: Flow, confirm: Callable[[Message], None]) -> None:
        if message.status < 200 or self._ours is None:
            return
        handler, self._ours_handler = self._ours_handler, None
        try:
            self._refresh_target(message, flow)
        except DialogError as error:
            log.info("2xx to a %s: %s; the target stays", message.method, error)
        confirm(message)
        self._ours = None
        if self.ended:
            return
        self._note_allow(message)
        self.timer.agreed(message, self.endpoint.now_s)
        self._set_alarm()
        if handler is not None:
            handler.on_reoffer_accepted(message)

    def _acknowledge(self, message: Message, answer: Answer | None) -> None:
        if self._ours is None:
            return
        body = answer(message) if answer is not None else b""
        uri, headers = self.dialog.ack(message.cseq)
        # RFC 3261 §13.2.2.4: with the credentials of the INVITE
        headers += self._ours.answers
        self.endpoint.send_ack(self._ours.tx, message.to_tag, uri, with_body(headers, body), body, self.dialog.flow)

    def _failed(self, failure: Failure) -> None:
        ours, self._ours = self._ours, None
        if not self.ended and ours is not None and sends_again(self.timer, failure) and ours.restart():
            self._ours = ours
            return
        handler, self._ours_handler = self._ours_handler, None
        if self.ended:
            return
        if ours is not None and ours.method == "UPDATE" and failure.status in (405, 501):
            # whatever their Allow says: by re-INVITE from now on
            self.takes_updates, self._refuses_updates = False, True
        if failure.status in (408, 481) or not failure.heard:
            # RFC 3261 §12.2.1.2: these end the dialog, not the request alone
            method = "re-INVITE" if ours is None or ours.method == "INVITE" else ours.method
            self.lose(f"{method} failed: {failure.status} {failure.reason}")
        elif handler is not None:
            handler.on_reoffer_refused(failure)

    # --- the session's time -----------------------------------------------------------------------------------------

    def agreeing(self, message: Message) -> list[tuple[str, str]]:
        """From `Reoffer`: what our 2xx to their re-INVITE or UPDATE says of the session's time."""
        headers = [*supported(self.timer), *self.timer.answering(message, self.endpoint.now_s)]
        self._set_alarm()
        return headers

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self.timer.next()
        if due is not None and not self.ended:
            when_s, what = due
            self._alarm = asyncio.get_running_loop().call_at(when_s, self._on_due[what], self)

    def _refresh(self) -> None:
        """RFC 4028 §7.4: by UPDATE where they take it, since nothing is offered then; else by a re-INVITE."""
        if self.busy:
            # §7.4: what is open may refresh the session itself
            self._alarm = asyncio.get_running_loop().call_later(max(self.glare_wait_s, 0.5), self._refresh_if_due)
            return
        self.timer.refreshing()
        self._set_alarm()
        if self.takes_updates:
            self.update(b"", _Refresh(self))
        elif self._handler is not None:
            self._handler.on_refresh_due()

    def _refresh_if_due(self) -> None:
        due = self.timer.next()
        if due is not None and due[1] is Due.REFRESH and due[0] <= self.endpoint.now_s:
            self._refresh()
        else:
            self._set_alarm()

    def _not_refreshed_in_time(self) -> None:
        """RFC 4028 §10."""
        by = "by us" if self.timer.refreshes else "by the other side"
        self.lose(f"the session was not refreshed {by} within its {self.timer.expires_s} s")

    _on_due: ClassVar[dict[Due, Callable[[InviteSession], None]]] = {
        Due.REFRESH: lambda self: self._refresh(),
        Due.FAREWELL: lambda self: self._not_refreshed_in_time(),
    }

    # --- theirs -----------------------------------------------------------------------------------------------------

    def on_dialog_request(self, request: RequestReceived) -> None:
        """From the endpoint."""
        message = request.message
        if not self.dialog.accepts(message):
            # RFC 3261 §12.2.2: an old sequence number
            self._refuse(request, 500, RETRY_SOON)
            return
        serve = self._by_method.get(message.method)
        if serve is None or not self.refers.serves(message.method):
            refuse_unserved(self.endpoint, request)
            return
        unknown = [tag for tag in message.values("Require") if not self._understands(tag)]
        if unknown and message.method != "BYE":
            # RFC 3261 §8.2.2.3; a BYE is never refused for an extension
            self._refuse(request, 420, ("Unsupported", ", ".join(unknown)))
            return
        serve(self, request)

    def on_bye_answered(self, message: Message) -> None:
        """From the endpoint: Rust answered, since we were late."""
        self._over(message)

    def lose(self, reason: str) -> None:
        """The dialog is dead: say BYE once, in case it is not, and tell the owner."""
        handler = self._handler
        words = _UNQUOTABLE.sub(" ", reason)[:80]
        self.bye([("Reason", f'SIP ;cause=408 ;text="{words}"')])
        if handler is not None:
            handler.on_lost(reason)

    def reoffer_done(self, reoffer: Reoffer) -> None:
        """From `Reoffer`: it has its final response."""
        if self._theirs is reoffer:
            self._theirs = None

    def _understands(self, option: str) -> bool:
        # no provisional of ours goes out to a re-INVITE, so that 100rel costs nothing
        return option.lower() == "100rel" or (option.lower() == "timer" and self.timer.enabled)

    def _refuse(self, request: RequestReceived, status: int, *headers: tuple[str, str]) -> None:
        self.endpoint.respond(request.tx, status, None, headers)

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

    def _on_info(self, request: RequestReceived) -> None:
        if self.ended:
            # our BYE waits for their ACK
            self._refuse(request, 481)
        else:
            self.on_info(request)

    def _on_invite(self, request: RequestReceived) -> None:
        # RFC 3261 §14.2: 500 for a second one before the first has its answer, 491 where both sides are at it
        self._take(request, RETRY_SOON)

    def _on_update(self, request: RequestReceived) -> None:
        if request.message.body:
            # RFC 3311 §5.2: the same for offers, and up to ten seconds to wait
            self._take(request, ("Retry-After", str(random.randint(0, 10))))
        elif self._passes(request):
            fields = [("Contact", self.contact), ("Allow", ALLOW), *self.agreeing(request.message)]
            self.endpoint.respond(request.tx, 200, None, fields)

    def _take(self, request: RequestReceived, retry_after: tuple[str, str]) -> None:
        """Hand a re-INVITE, or an UPDATE with an offer, to the owner, unless another one is open."""
        if self._theirs is not None:
            ours = self._theirs.offer_sent and request.message.method == "UPDATE"
            # RFC 3311 §5.2: our offer in a 2xx waits for its ACK
            self._refuse(request, *((491,) if ours else (500, retry_after)))
        elif self._ours is not None and self._ours_offers and not self.ended:
            self._refuse(request, 491)
        elif self._passes(request):
            self._theirs = Reoffer(self, request)
            if self._handler is not None:
                self._handler.on_reinvite(self._theirs)

    def _passes(self, request: RequestReceived) -> bool:
        """Whether a target refresh request may be served; it has been answered where it may not."""
        message = request.message
        too_brief = self.timer.refusal(message)
        if self.ended:
            # our BYE waits for their ACK
            self._refuse(request, 481)
        elif message.body and not message.sdp:
            # RFC 3261 §8.2.3
            self._refuse(request, 415, ("Accept", SDP))
        elif too_brief is not None:
            self._refuse(request, 422, *too_brief)
        else:
            try:
                self._refresh_target(message, request.flow)
            except DialogError as error:
                self.endpoint.respond(request.tx, error.status, error.reason)
                return False
            self._note_allow(message)
            return True
        return False

    _by_method: ClassVar[dict[str, Callable[[InviteSession, RequestReceived], None]]] = {
        "BYE": _on_bye,
        "INFO": _on_info,
        "INVITE": _on_invite,
        "NOTIFY": lambda self, request: self.refers.take(request),
        "OPTIONS": _on_options,
        "REFER": lambda self, request: self.refers.take(request),
        "SUBSCRIBE": lambda self, request: self.refers.take(request),
        "UPDATE": _on_update,
    }

    def _note_allow(self, message: Message) -> None:
        methods = message.values("Allow")
        if methods and not self._refuses_updates:
            self.takes_updates = any(method.upper() == "UPDATE" for method in methods)

    def _refresh_target(self, message: Message, flow: Flow) -> None:
        """Take over their Contact; DialogError where it is malformed."""
        dialog = self.dialog
        before = dialog.remote_target, dialog.flow
        dialog.refresh_target(message, flow)
        if self._keeper is not None and not self.ended and (dialog.remote_target, dialog.flow) != before:
            self._keeper.keep(dialog)

    def _end(self) -> None:
        if self._keeper is not None and not self.ended:
            self._keeper.forget(self.dialog)
        self.ended = True
        self._handler = None
        self._ours_handler = None
        self._set_alarm()
        self.refers.end()
        theirs, self._theirs = self._theirs, None
        if theirs is not None:
            # RFC 3261 §15.1.2: requests still open in the dialog get 487
            theirs.abandon()


class _Refresh:
    """The UPDATE that refreshes a session."""

    def __init__(self, session: InviteSession) -> None:
        self._session = session

    def on_reoffer_accepted(self, message: Message) -> None:
        """The timer has heard of it."""

    def on_reoffer_refused(self, failure: Failure) -> None:
        """It is tried again."""
        self._session.not_refreshed()
