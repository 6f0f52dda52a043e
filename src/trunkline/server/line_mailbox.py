"""The mailbox that a line's provider keeps for its account: SUBSCRIBE to message-summary (RFC 3842), an event of what it tells.

`lines` makes one for each line with `message_waiting` and calls `check` when the line's state may have changed. It subscribes
while the line takes calls, refreshes, begins again when the provider ends it, and waits longer each time that it is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from random import Random

from trunkline.events import Event, LineMessagesWaiting
from trunkline.messaging.message_summary import CONTENT_TYPE
from trunkline.server.back_off import OUTAGE, REFUSED, BackOff
from trunkline.server.line import Line
from trunkline.server.line_states import LineState
from trunkline.sip.endpoint import Endpoint, Flow, MailboxSummary, Message, NameAddr, SipParseError, Uri
from trunkline.sip.request import Failure
from trunkline.sip.subscriber import Subscriber
from trunkline.sip.subscription import Advice, EventType, SubscriptionState

__all__ = ["LineMailbox", "waiting_of"]

log = logging.getLogger("trunkline.lines")

FAREWELL_TIMEOUT_S = 2.0
"""How long the provider has to say its last NOTIFY when the server stops."""


class LineMailbox:
    """Subscribes for one line. Lives on the loop.

    Args:
        line: Which.
        endpoint: Sends.
        contact: Our Contact value for the provider, for requests over a flow.
        emit: Takes `LineMessagesWaiting`; never raises.
        random: The source of jitter.
    """

    def __init__(
        self,
        line: Line,
        endpoint: Endpoint,
        contact: Callable[[Flow], str],
        emit: Callable[[Event], None],
        random: Random,
    ) -> None:
        self._line = line
        self._endpoint = endpoint
        self._contact = contact
        self._emit = emit
        self._subscriber: Subscriber | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._outages = BackOff(OUTAGE, random)
        self._refusals = BackOff(REFUSED, random)
        self._told: LineMessagesWaiting | None = None
        self._over = asyncio.Event()
        self._over.set()

    def check(self) -> None:
        """Subscribe where the line takes calls, end it where the line leaves its provider."""
        line = self._line
        if line.settings.register and line.state in (LineState.OFF, LineState.LEAVING):
            self.leave()
        elif self._subscriber is None and self._timer is None and line.usable and line.server.flow is not None:
            self._subscribe(line.server.flow)

    async def left(self) -> None:
        """End the subscription, and wait for its last NOTIFY a little."""
        self.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_TIMEOUT_S):
                await self._over.wait()

    def leave(self) -> None:
        """End the subscription; its last NOTIFY is not waited for."""
        self._stop_waiting()
        if self._subscriber is not None:
            self._subscriber.unsubscribe()

    def close(self) -> None:
        """End it without a word to the provider."""
        self._stop_waiting()
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            subscriber.abandon()

    def _subscribe(self, flow: Flow) -> None:
        line = self._line
        account = Uri("sip", line.settings.username, line.settings.aor_domain)
        self._subscriber = Subscriber(
            self._endpoint,
            self,
            event=EventType("message-summary"),
            contact=self._contact(flow),
            target=Uri("sip", line.settings.username, line.settings.aor_domain, line.settings.domain_port),
            flow=flow,
            local=NameAddr(account),
            remote=NameAddr(account),
            headers=[*line.routes, ("Accept", CONTENT_TYPE)],
            credentials=line.credentials,
        )
        self._over.clear()
        self._subscriber.start()

    def on_notify(self, subscriber: Subscriber, message: Message, state: SubscriptionState) -> None:
        """From the subscription."""
        self._outages.reset()
        self._refusals.reset()
        told = waiting_of(self._line.name, message)
        if told is not None and told != self._told:
            self._told = told
            self._emit(told)

    def on_ended(self, subscriber: Subscriber, state: SubscriptionState, failure: Failure | None) -> None:
        """From the subscription: begin again, some time later."""
        if subscriber is not self._subscriber:
            return
        self._subscriber = None
        self._over.set()
        if subscriber.notified and failure is None and state.advice is Advice.AGAIN_NOW:
            wait_s = self._outages.next_s()
        elif failure is None or failure.message is None or failure.status in (408, 481, 500, 503):
            wait_s = self._outages.next_s(state.retry_after_s)
        else:
            wait_s = self._refusals.next_s(failure.message.retry_after_s)
        if failure is not None:
            words = f"{failure.status} {failure.reason}"
            log.warning(
                "line %s: the provider tells of no messages: %s; again in %.0f s", self._line.name, words, wait_s
            )
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._again)

    def _again(self) -> None:
        self._timer = None
        self.check()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def waiting_of(line: str, message: Message) -> LineMessagesWaiting | None:
    """What a NOTIFY tells of a mailbox; None where it tells nothing that can be read."""
    if message.content_type != CONTENT_TYPE:
        return None
    try:
        summary = MailboxSummary.parse(message.body)
    except SipParseError:
        return None
    voice = summary.of("voice-message")
    counts = (voice.new, voice.old, voice.urgent_new, voice.urgent_old) if voice is not None else (0, 0, 0, 0)
    return LineMessagesWaiting(line, summary.waiting, *counts, summary.account)
