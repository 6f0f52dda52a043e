"""REFER by the test kit's phones: what is asked for, and every NOTIFY that comes of it. Made by `ScriptedCall.refer`."""

from __future__ import annotations

import asyncio

from trunkline.sip.endpoint import Headers, Message, RequestReceived, Uri
from trunkline.sip.invite_session import InviteSession
from trunkline.sip.refer import Refer, Replaces, SentRefer, told_status
from trunkline.sip.subscriber import Subscriber
from trunkline.sip.subscription import SubscriptionState
from trunkline.testing.scripted import within

__all__ = ["ScriptedRefer", "take_refers"]

LASTS_S = 300.0


def take_refers(session: InviteSession, status: int, reason: str = "OK") -> list[str]:
    """Take the REFERs in the dialog of a session, and tell this outcome of each.

    Args:
        session: A `ScriptedCall.session`.
        status: What became of the call that was asked for; 0 for no outcome.
        reason: Its reason phrase.

    Returns:
        The URIs that were asked for, as they come.
    """
    asked: list[str] = []

    def take(request: RequestReceived, refer: Refer) -> None:
        asked.append(str(refer.uri))
        referral = session.refers.accept(request, refer)
        if status:
            referral.finish(status, reason)

    session.refers.on_refer = take
    return asked


class _Sent(SentRefer):
    """A REFER with header fields of the script's own, whose NOTIFYs are kept."""

    headers: Headers = ()
    script: ScriptedRefer

    def _build(self) -> tuple[str, list[tuple[str, str]]]:
        uri, fields = super()._build()
        return uri, [*fields, *self.headers]

    def _taken(self, message: Message) -> None:
        self.script.response = message
        super()._taken(message)

    def on_notify(self, subscriber: Subscriber, message: Message, state: SubscriptionState) -> None:
        """From the subscriber."""
        self.script.notifies.append(message)
        told = told_status(message)
        if told is not None:
            self.script.told.append(told)
        super().on_notify(subscriber, message, state)


class ScriptedRefer:
    """A REFER that a test sent."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        """Status and reason of each NOTIFY."""
        self.notifies: list[Message] = []
        self.response: Message | None = None
        """The 2xx to it."""
        self.accepted = False
        self._over: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    @classmethod
    def send(cls, session: InviteSession, to: str, replaces: InviteSession | None, headers: Headers) -> ScriptedRefer:
        """Send it in the dialog of a session."""
        script = cls()
        uri = Uri.parse(to)
        if replaces is not None:
            dialog = replaces.dialog
            # RFC 3891 §3: as who gets the INVITE sees it
            named = Replaces(dialog.call_id, to_tag=dialog.remote_tag, from_tag=dialog.local_tag)
            uri = uri.replace(headers=[("Replaces", str(named))])
        sent = _Sent(session, script, uri, LASTS_S)
        sent.script, sent.headers = script, headers
        session.refers.sent = sent
        sent.start()
        return script

    async def outcome(self, timeout_s: float = 40.0) -> int:
        """The final status: what they told, or refused with."""
        return (await within(self._over, timeout_s))[0]

    def on_refer_accepted(self) -> None:
        """From the REFER."""
        self.accepted = True

    def on_refer_over(self, status: int, reason: str) -> None:
        """From the REFER."""
        if not self._over.done():
            self._over.set_result((status, reason))
