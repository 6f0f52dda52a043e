"""Messages between users and lines (MESSAGE, RFC 3428): taken in, decided about, relayed, stored for who is away.

`ChatMessage` is what `on_chat_message` is given. Where no handler decides, a user's message for another user is
relayed; what can reach nobody waits until the user registers. The server hands requests in and says who registers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from trunkline.constants import PeerType
from trunkline.events import ChatMessageFailed, ChatMessageReceived, ChatMessageSuccess, ChatMessageTimeout, Event
from trunkline.messaging.courier import Courier, Letter, MessageResult, carried
from trunkline.messaging.mailbox import Mailbox
from trunkline.messaging.peers import Destination, Directory, Sender
from trunkline.one_decision import OneDecision
from trunkline.sip.endpoint import Endpoint, Headers, Message, RequestReceived, SipParseError
from trunkline.sip.subscription import expires_of

__all__ = ["ChatMessage", "Messages", "MessagesOptions"]

log = logging.getLogger("trunkline.messaging")

MAX_OPEN = 5_000
"""Messages under way at a time; further ones get 503."""

RETRY_AFTER_S = 10

DECISION_TIMEOUT_S = 15.0
"""How long a message waits for its handlers; its sender gives up at 32 s (Timer F)."""

TEXT = "text/plain;charset=utf-8"

ANSWERS = {401: 500, 407: 500, 408: 480, 503: 500}
"""Status of a delivery → what the sender is told instead: challenges were ours to answer, RFC 4320 §4.2 has no 408, and
RFC 3261 §16.7 step 6 passes no 503 on."""


@dataclass(frozen=True, slots=True)
class MessagesOptions:
    """The options of messages."""

    max_bytes: int = 16_384
    """Size of a body that is taken."""


class ChatMessage(OneDecision):
    """A message that arrived. Decide it by exactly one of `relay`, `accept` and `reject`, from any thread.

    Attributes:
        id: The same in all events of this message.
        from_peer_type: Whether a user or a line sent it.
        from_peer_name: That user's or line's name.
        from_name: The sender's display name; "" for none.
        from_id: The number or name that the sender is known by.
        to: Whom it is for, as the sender wrote it: a user's name or a number.
        content_type: Its type, as `text/plain`; without parameters.
        body: It, as it came.
        from_ip: Where it came from.
        from_port: Its port there.
    """

    def __init__(self, messages: Messages, request: RequestReceived, sender: Sender, message_id: str) -> None:
        super().__init__(asyncio.get_running_loop(), "message")
        message = request.message
        self.id = message_id
        self.from_peer_type = sender.peer_type
        self.from_peer_name = sender.peer_name
        self.from_name = sender.name
        self.from_id = sender.id
        self.to = sender.dialled
        self.content_type = message.content_type or ""
        self.body = message.body
        self.from_ip, self.from_port = request.flow.remote
        self.request = request
        self._messages = messages

    def __repr__(self) -> str:
        return f"<ChatMessage {self.id} from {self.from_peer_name}>"

    @property
    def text(self) -> str:
        """The body as text in UTF-8; what is none is replaced."""
        return self.body.decode("utf-8", "replace")

    def relay(self, to_user: str | None = None, *, to_line: str | None = None, number: str | None = None) -> None:
        """Pass it on, untouched; the sender is told what becomes of it: 200, 202 for stored, or the failure.

        Args:
            to_user: The user all of whose phones get it. It waits in the store while the user is away.
            to_line: The line through which it goes. Exactly one of the two is given.
            number: Over a line: instead of whom it is for.

        Raises:
            RuntimeError: It is decided already.
            ValueError: Not exactly one of `to_user` and `to_line` is given.
        """
        to = destination(to_user, to_line, self.to if number is None else number)
        self._decide(lambda: self._messages.relay(self, to))

    def accept(self) -> None:
        """Take it: the sender gets 200, and it goes no further. RuntimeError where it is decided already."""
        self._decide(lambda: self._messages.answer(self, 200))

    def reject(self, status: int = 403, reason: str | None = None) -> None:
        """Refuse it.

        Args:
            status: 400 to 699.
            reason: The phrase; None for the RFC's.

        Raises:
            RuntimeError: It is decided already.
            ValueError: The status is no failure.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"{status} refuses nothing: 400 to 699 is needed")
        self._decide(lambda: self._messages.answer(self, status, reason))

    def settle(self) -> None:
        """Do what is done without a handler, unless it is decided."""
        if not self.decided:
            self._messages.settle(self)


class Messages:
    """All messages under way.

    Args:
        endpoint: Takes and sends them.
        directory: Knows users and lines.
        mailbox: Keeps what waits.
        emit: Takes the four events; never raises.
        wall_clock: Seconds since the epoch, for the Date of what waited.
        options: The configuration.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        directory: Directory,
        mailbox: Mailbox,
        emit: Callable[[Event], None],
        *,
        wall_clock: Callable[[], float],
        options: MessagesOptions | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._mailbox = mailbox
        self._emit = emit
        self._wall_clock = wall_clock
        self._options = options or MessagesOptions()
        self._courier = Courier(endpoint, directory)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0
        self._delivering: set[str] = set()
        self.asks = False
        """Whether there is an `on_chat_message` handler: messages wait for its decision."""

    # --- arriving ---------------------------------------------------------------------------------------------------

    def receive(self, request: RequestReceived, sender: Sender) -> None:
        """Take a MESSAGE whose sender is known and that has passed the checks of RFC 3261 §8.2."""
        if self._open >= MAX_OPEN:
            self._endpoint.respond(request.tx, 503, None, [("Retry-After", str(RETRY_AFTER_S))])
        elif len(request.message.body) > self._options.max_bytes:
            self._endpoint.respond(request.tx, 413)
        else:
            self._arrived(ChatMessage(self, request, sender, self._endpoint.driver.mint_token()))

    def _arrived(self, message: ChatMessage) -> None:
        self._open += 1
        if self.asks:
            message.wait(DECISION_TIMEOUT_S)
        self._emit(ChatMessageReceived(message))
        if not self.asks:
            message.settle()

    def settle(self, message: ChatMessage) -> None:
        """Nobody decides: a user's message for a user is relayed, all else has nowhere to go."""
        if message.from_peer_type is PeerType.USER and self._directory.has_user(message.to):
            message.relay(message.to)
        else:
            message.reject(404)

    # --- decided ----------------------------------------------------------------------------------------------------

    def answer(self, message: ChatMessage, status: int, reason: str | None = None) -> None:
        """Answer its sender."""
        self._open -= 1
        self._endpoint.respond(message.request.tx, status, reason)

    def relay(self, message: ChatMessage, to: Destination) -> None:
        """Pass it on."""
        request = message.request.message
        letter = Letter(message.from_name, message.from_id, tuple(carried(request)), message.body, _hops(request) - 1)
        self._spawn(self._relay(message, letter, to))

    async def _relay(self, message: ChatMessage, letter: Letter, to: Destination) -> None:
        status = 500
        try:
            result = await self._send(message.id, letter, to, expires_s=expires_of(message.request.message))
            status = ANSWERS.get(result.status, result.status)
        finally:
            self.answer(message, status)

    async def send(self, letter: Letter, to: Destination) -> MessageResult:
        """Send a message of the application's own; returns what became of it. Its events are emitted too."""
        return await self._send(self._endpoint.driver.mint_token(), letter, to)

    async def _send(
        self, message_id: str, letter: Letter, to: Destination, *, expires_s: int | None = None
    ) -> MessageResult:
        waits = to.peer_type is PeerType.USER and self._mailbox.first(to.peer_name) is not None
        if waits and self._store(message_id, letter, to, expires_s):
            # what is newer does not overtake what waits
            result = MessageResult(message_id, 202, "Accepted", stored=True)
            if self._directory.is_registered(to.peer_name):
                self.registered(to.peer_name)
        else:
            result = await self._courier.deliver(message_id, letter, to)
            if to.peer_type is PeerType.USER and result.away and self._store(message_id, letter, to, expires_s):
                result = MessageResult(message_id, 202, "Accepted", stored=True)
        self._tell(result, to)
        return result

    def _store(self, message_id: str, letter: Letter, to: Destination, expires_s: int | None) -> bool:
        return self._directory.has_user(to.peer_name) and self._mailbox.put(to.peer_name, message_id, letter, expires_s)

    def _tell(self, result: MessageResult, to: Destination) -> None:
        peer = (result.id, to.peer_type, to.peer_name)
        if result.delivered or result.stored:
            self._emit(ChatMessageSuccess(*peer, result.status, result.stored))
        elif result.status == 408:
            self._emit(ChatMessageTimeout(*peer))
        else:
            self._emit(ChatMessageFailed(*peer, result.status, result.reason))

    # --- what waited ------------------------------------------------------------------------------------------------

    def registered(self, user: str) -> None:
        """A phone of a user is there: it gets what waited, the oldest first."""
        if user not in self._delivering and self._mailbox.first(user) is not None:
            self._delivering.add(user)
            self._spawn(self._deliver_waiting(user))

    def drop_user(self, user: str) -> None:
        """A user is gone, and what waited for it."""
        self._mailbox.drop_user(user)

    async def _deliver_waiting(self, user: str) -> None:
        to = Destination(PeerType.USER, user)
        try:
            while (record := self._mailbox.first(user)) is not None:
                headers = [(name, value) for name, value in record.headers]
                if not any(name == "Date" for name, _ in headers):
                    headers.append(("Date", formatdate(record.received_at, usegmt=True)))
                letter = Letter(record.sender_name, record.sender_id, tuple(headers), record.body)
                result = await self._courier.deliver(record.id, letter, to)
                if result.away:
                    return
                self._mailbox.remove(record)
                self._tell(result, to)
        finally:
            self._delivering.discard(user)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Give up what is under way; what waits is stored."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def destination(to_user: str | None, to_line: str | None, number: str) -> Destination:
    """Where a message goes. ValueError unless exactly one of a user and a line is given."""
    if to_user is not None and to_line is None:
        return Destination(PeerType.USER, to_user)
    if to_line is not None and to_user is None:
        return Destination(PeerType.LINE, to_line, number)
    raise ValueError("a message goes either to_user or to_line")


def body_headers(content_type: str) -> Headers:
    """The headers of a body of our own. ValueError where the type cannot stand in a message."""
    if not content_type.isprintable() or "/" not in content_type:
        raise ValueError(f"{content_type!r} is no content type")
    return [("Content-Type", content_type)]


def _hops(message: Message) -> int:
    try:
        hops = message.integer("Max-Forwards")
    except SipParseError:
        return 70
    return 70 if hops is None else hops
