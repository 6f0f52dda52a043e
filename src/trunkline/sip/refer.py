"""REFER inside the dialog of an INVITE, both ways (RFC 3515), with Replaces (RFC 3891), Referred-By (RFC 3892), Refer-Sub (RFC 4488).

An `InviteSession` has one `ReferUsage`, which takes the REFER, NOTIFY and SUBSCRIBE of its dialog. What a REFER of theirs
becomes is told through a `Referral`; a `SentRefer` of ours waits for what they tell. Of a message/sipfrag of theirs the
status line alone is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trunkline.sip.endpoint import (
    Message,
    NameAddr,
    Parameterized,
    Replaces,
    RequestReceived,
    SipParseError,
    Uri,
    read_sipfrag,
)
from trunkline.sip.notifier import Body, Notifier
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.subscriber import Subscriber
from trunkline.sip.subscription import EventType, Expiry, SubscriptionState

if TYPE_CHECKING:
    from trunkline.sip.invite_session import InviteSession

__all__ = [
    "Refer",
    "ReferRefused",
    "ReferUsage",
    "Referral",
    "Replaces",
    "SentRefer",
    "SentReferHandler",
    "replaces_of",
    "told_status",
]

SIPFRAG = "message/sipfrag;version=2.0"

REFERRAL_LASTS_S = 180
"""How long the implicit subscription lasts (RFC 3515 §2.4.4); longer than any placing that we do not give up before."""


class ReferRefused(Exception):
    """A REFER, or an INVITE with Replaces, is answered with a failure.

    Args:
        status: The status.
        reason: In words; "" for the RFC's phrase.
    """

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


def replaces_of(message: Message) -> Replaces | None:
    """The dialog whose place an INVITE takes; None where it takes none. ReferRefused (400) for several (RFC 3891 §3)."""
    lines = message.lines("Replaces")
    if len(lines) > 1:
        raise ReferRefused(400, "Several Replaces")
    return _replaces(lines[0]) if lines else None


def _replaces(text: str) -> Replaces:
    try:
        return Replaces.parse(text)
    except SipParseError as error:
        raise ReferRefused(400, "Malformed Replaces") from error


@dataclass(frozen=True, slots=True)
class Refer:
    """What a REFER asks for."""

    uri: Uri
    """Whom to call, without headers."""
    replaces: Replaces | None = None
    """The dialog that the call is to replace: an attended transfer (RFC 5589 §7)."""
    referred_by: str = ""
    """Who says that he refers; "" where he does not."""
    subscribes: bool = True
    """Whether they want to be told what becomes of it (RFC 4488)."""

    @classmethod
    def of(cls, message: Message) -> Refer:
        """What a REFER says.

        Raises:
            ReferRefused: 400 for none, several or a malformed Refer-To (RFC 3515 §2.4.2), 416 for a scheme that cannot be
            called.
        """
        values = message.values("Refer-To")
        if len(values) != 1:
            raise ReferRefused(400, "One Refer-To Is Needed")
        try:
            uri = NameAddr.parse(values[0]).uri
        except SipParseError as error:
            raise ReferRefused(400, "Malformed Refer-To") from error
        if uri.scheme.lower() not in ("sip", "sips", "tel"):
            raise ReferRefused(416)
        method = uri.param("method")
        if method is not None and method.upper() != "INVITE":
            raise ReferRefused(603, "Only INVITE Can Be Referred To")
        named = [value for name, value in uri.headers if name.lower() == "replaces"]
        if len(named) > 1:
            raise ReferRefused(400, "Several Replaces")
        replaces = _replaces(named[0] or "") if named else None
        by = message.header("Referred-By") or ""
        return cls(uri.replace(headers=()) if uri.headers else uri, replaces, by, _wants_told(message))


def _wants_told(message: Message) -> bool:
    """Whether a REFER, or the answer to one, makes a subscription (RFC 4488 §4): unless it says `false`."""
    try:
        return Parameterized.parse(message.header("Refer-Sub") or "true").token.lower() != "false"
    except SipParseError:
        return True


def fragment(status: int, reason: str) -> Body:
    """What a NOTIFY says of a call that was referred to: its status line (RFC 3515 §2.4.5)."""
    words = "".join(letter if letter.isprintable() else " " for letter in reason)[:200]
    return Body(SIPFRAG, f"SIP/2.0 {status} {words}\r\n".encode())


def told_status(message: Message) -> tuple[int, str] | None:
    """Status and reason that a NOTIFY tells; None where it tells none."""
    if message.content_type != "message/sipfrag":
        return None
    return read_sipfrag(message.body)


class Referral:
    """A REFER of theirs that was accepted: tells them what becomes of it.

    Args:
        session: Where it came.
        request: The REFER; it gets 202 here.
        refer: What it asks for.
    """

    def __init__(self, session: InviteSession, request: RequestReceived, refer: Refer) -> None:
        self.refer = refer
        self.over = False
        self.on_over: Callable[[], None] = lambda: None
        """Called when the last of it is told, or nobody listens any more."""
        self._told = (100, "Trying")
        self.notifier: Notifier | None = None
        headers = [("Contact", session.contact)]
        if not refer.subscribes:
            # RFC 4488 §4
            session.endpoint.respond(request.tx, 202, None, [*headers, ("Refer-Sub", "false")])
            return
        session.endpoint.respond(request.tx, 202, None, headers)
        self.notifier = Notifier(
            session.endpoint,
            session.dialog,
            self,
            # RFC 3515 §2.4.6: the CSeq tells several REFERs of one dialog apart
            event=EventType("refer", str(request.message.cseq)),
            contact=session.contact,
            expiry=Expiry(min_s=1, default_s=REFERRAL_LASTS_S, max_s=REFERRAL_LASTS_S),
            credentials=session.credentials,
        )
        self.notifier.start(REFERRAL_LASTS_S)

    @property
    def decided(self) -> bool:
        """Whether there is an outcome, told already or on its way."""
        return self._told[0] >= 200

    def finish(self, status: int, reason: str) -> None:
        """Tell the outcome, once."""
        if self.decided:
            return
        self._told = (status, reason)
        if self.notifier is None:
            self._end()
        else:
            self.notifier.terminate("noresource")

    def body(self, *, full: bool) -> Body:
        """From the notifier."""
        return fragment(*self._told)

    def on_ended(self, notifier: Notifier, reason: str) -> None:
        """From the notifier."""
        # one step later: whoever ends it may be in the middle of its own step
        asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self.on_over()


class SentReferHandler(Protocol):
    """Waits for what becomes of a REFER of ours."""

    def on_refer_accepted(self) -> None:
        """202: they try."""

    def on_refer_over(self, status: int, reason: str) -> None:
        """The outcome, once: of the call that they made, of the REFER that they refused; 408 where they told none."""


class SentRefer:
    """A REFER of ours.

    Args:
        session: In whose dialog it goes out.
        handler: Hears the outcome.
        refer_to: The URI to call.
        timeout_s: After which nothing is awaited any more.
    """

    def __init__(self, session: InviteSession, handler: SentReferHandler, refer_to: Uri, timeout_s: float) -> None:
        self._session = session
        self._handler: SentReferHandler | None = handler
        self._to = refer_to
        self._last = (408, "no outcome was told")
        self.accepted = False
        self.subscriber = Subscriber.inside(
            session.endpoint,
            self,
            session.dialog,
            event=EventType("refer"),
            contact=session.contact,
            credentials=session.credentials,
        )
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._late)

    def start(self) -> None:
        """Send it."""
        session = self._session
        ClientRequest(
            session.endpoint,
            "REFER",
            self._build,
            session.dialog.flow,
            credentials=session.credentials,
            on_response=lambda message, flow: self._taken(message),
            on_failure=self._refused,
        ).start()

    def stop(self) -> None:
        """Wait no longer; the handler hears no more."""
        self._over(None)

    def _build(self) -> tuple[str, list[tuple[str, str]]]:
        dialog = self._session.dialog
        uri, fields = dialog.request("REFER")
        self.subscriber.event = EventType("refer", str(dialog.local_cseq))
        by = str(NameAddr(NameAddr.parse(dialog.local).uri))
        own = [("Contact", self._session.contact), ("Refer-To", str(NameAddr(self._to))), ("Referred-By", by)]
        return uri, [*fields, *own]

    def _taken(self, message: Message) -> None:
        if message.status < 200 or self._handler is None or self.accepted:
            return
        self.accepted = True
        self._handler.on_refer_accepted()
        if not _wants_told(message):
            # RFC 4488: they tell nothing more
            self._over((message.status, message.reason))

    def _refused(self, failure: Failure) -> None:
        self._over((failure.status, failure.reason))

    def on_notify(self, subscriber: Subscriber, message: Message, state: SubscriptionState) -> None:
        """From the subscriber."""
        told = told_status(message)
        if told is not None:
            self._last = told if told[0] >= 200 else self._last
            if told[0] >= 200:
                self._over(told)

    def on_ended(self, subscriber: Subscriber, state: SubscriptionState, failure: Failure | None) -> None:
        """From the subscriber: the last NOTIFY, silence, or its end."""
        self._over(self._last)

    def on_gone(self) -> None:
        """From the usage: the dialog is over; whoever accepted a REFER and leaves has gone where it was sent."""
        self._over((200, "they left for the other call") if self.accepted else (481, "the call was over before"))

    def _late(self) -> None:
        self._over(self._last)

    def _over(self, outcome: tuple[int, str] | None) -> None:
        handler, self._handler = self._handler, None
        self._timer.cancel()
        if self._session.refers.sent is self:
            self._session.refers.sent = None
        if handler is None:
            return
        self.subscriber.abandon()
        if outcome is not None:
            handler.on_refer_over(*outcome)


class ReferUsage:
    """What a dialog has of RFC 3515: at most one REFER of theirs and one of ours at a time.

    Args:
        session: The dialog's.
    """

    def __init__(self, session: InviteSession) -> None:
        self._session = session
        self.received: Referral | None = None
        self.sent: SentRefer | None = None
        self.on_refer: Callable[[RequestReceived, Refer], None] | None = None
        """Decides about a REFER: `accept`, or a refusal; None where REFER is not served."""

    def accept(self, request: RequestReceived, refer: Refer) -> Referral:
        """202, and NOTIFYs from now on."""
        self.received = Referral(self._session, request, refer)
        return self.received

    def send(self, refer_to: Uri, handler: SentReferHandler, timeout_s: float) -> SentRefer:
        """REFER them. ValueError while another one is open."""
        if self.sent is not None or self._session.ended:
            raise ValueError("a REFER is open in this dialog")
        self.sent = SentRefer(self._session, handler, refer_to, timeout_s)
        self.sent.start()
        return self.sent

    def serves(self, method: str) -> bool:
        """Whether something here takes a request of that method now."""
        if method == "REFER":
            return self.on_refer is not None
        if method == "NOTIFY":
            return self.sent is not None
        return method != "SUBSCRIBE" or (self.received is not None and self.received.notifier is not None)

    def take(self, request: RequestReceived) -> None:
        """From the session: a REFER, NOTIFY or SUBSCRIBE in its dialog that is served."""
        method = request.message.method
        notifier = self.received.notifier if self.received is not None else None
        if method == "REFER":
            self._refer(request)
        elif method == "NOTIFY" and self.sent is not None:
            self.sent.subscriber.on_dialog_request(request)
        elif method == "SUBSCRIBE" and notifier is not None:
            notifier.on_subscribe(request)

    def _refer(self, request: RequestReceived) -> None:
        open_one = self.received is not None and not self.received.decided
        try:
            if self._session.ended:
                raise ReferRefused(481)
            if open_one:
                raise ReferRefused(491)
            refer = Refer.of(request.message)
        except ReferRefused as refused:
            self._session.endpoint.respond(request.tx, refused.status, refused.reason or None)
            return
        assert self.on_refer is not None
        self.on_refer(request, refer)

    def end(self) -> None:
        """From the session: it is over. What is to be told of a REFER of theirs is told yet."""
        self.on_refer = None
        if self.sent is not None:
            self.sent.on_gone()
