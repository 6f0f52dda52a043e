"""Sends a MESSAGE (RFC 3428) to all phones of a user, or over a line, and says what became of it.

`message` decides where; every copy is a request of its own, and the first that is taken counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trunkline.constants import PeerType
from trunkline.messaging.peers import Destination, Directory, Target, Unreachable
from trunkline.sip.dialog import request_uri
from trunkline.sip.endpoint import Endpoint, Headers, Message, NameAddr, SipParseError
from trunkline.sip.request import ClientRequest, Failure

__all__ = ["Courier", "Letter", "MessageResult"]

Taken = Callable[[Message], None]
Refused = Callable[[Failure], None]

DELIVERY_TIMEOUT_S = 10.0
"""A phone or provider that is silent for so long counts as away: its sender waits no longer than 32 s (Timer F)."""

AWAY = (408, 410, 430, 480, 503)
"""Statuses that say that somebody is not there now, rather than that the message is not wanted."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: from whom, and the body as it came."""

    sender_name: str
    sender_id: str
    headers: tuple[tuple[str, str], ...]
    """Content-Type and what else belongs to the body."""
    body: bytes
    max_forwards: int = 70


@dataclass(frozen=True, slots=True)
class MessageResult:
    """What became of a message."""

    id: str
    """The message's id, the same in all its events."""
    status: int
    """The final status: 2xx, or the failure; 408 for silence, 480 for a user without a phone, 202 for stored."""
    reason: str
    stored: bool = False
    """It waits until the user registers."""

    @property
    def delivered(self) -> bool:
        """Whether somebody has taken it."""
        return 200 <= self.status < 300 and not self.stored

    @property
    def away(self) -> bool:
        """Whether it failed since nobody is there now."""
        return self.status in AWAY


class Courier:
    """Sends messages.

    Args:
        endpoint: Where they go out.
        directory: Knows where users and lines are.
    """

    def __init__(self, endpoint: Endpoint, directory: Directory) -> None:
        self._endpoint = endpoint
        self._directory = directory

    async def deliver(self, message_id: str, letter: Letter, to: Destination) -> MessageResult:
        """Send it, and wait for what becomes of it; never raises."""
        try:
            targets = await self._targets(letter, to)
        except Unreachable as error:
            return MessageResult(message_id, error.status, error.reason)
        except SipParseError as error:
            return MessageResult(message_id, 400, f"the sender or the number makes no address: {error.reason}")
        if not targets:
            return MessageResult(message_id, 480, f"no phone of {to.peer_name} is registered")
        outcome = await self._first_of(letter, targets)
        return MessageResult(message_id, outcome.status, outcome.reason)

    async def _targets(self, letter: Letter, to: Destination) -> Sequence[Target]:
        if to.peer_type is PeerType.USER:
            return self._directory.user_targets(to.peer_name, letter.sender_name, letter.sender_id)
        target = await self._directory.line_target(to.peer_name, to.number, letter.sender_name, letter.sender_id)
        return [target]

    async def _first_of(self, letter: Letter, targets: Sequence[Target]) -> Failure:
        """The first 2xx, or when all have failed the failure that says most."""
        done: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        failures: list[Failure] = []

        def taken(message: Message) -> None:
            if message.status >= 200 and not done.done():
                done.set_result(Failure(message.status, message.reason, message))

        def refused(failure: Failure) -> None:
            failures.append(failure)
            if len(failures) == len(targets) and not done.done():
                done.set_result(min(failures, key=_weight))

        for target in targets:
            self._send(letter, target, taken, refused)
        return await done

    def _send(self, letter: Letter, target: Target, taken: Taken, refused: Refused) -> None:
        call_id, tag = self._endpoint.driver.mint_call_id(), self._endpoint.driver.mint_tag()
        local = str(NameAddr(target.local.uri, target.local.display_name, (("tag", tag),)))
        sequence = iter(range(1, 100))

        def build() -> tuple[str, list[tuple[str, str]]]:
            return request_uri(target.uri), [
                ("From", local),
                ("To", str(target.remote)),
                ("Call-ID", call_id),
                ("CSeq", f"{next(sequence)} MESSAGE"),
                ("Max-Forwards", str(letter.max_forwards)),
                *target.headers,
                *letter.headers,
            ]

        ClientRequest(
            self._endpoint,
            "MESSAGE",
            build,
            target.flow,
            body=letter.body,
            credentials=target.credentials,
            timeout_s=DELIVERY_TIMEOUT_S,
            on_response=lambda message, flow: taken(message),
            on_failure=refused,
        ).start()


def _weight(failure: Failure) -> tuple[int, int]:
    """RFC 3261 §16.7 step 6: 6xx before all, then the lowest class; what says that nobody is there last."""
    if failure.status >= 600:
        return (0, failure.status)
    return (2 if failure.status in AWAY or not failure.heard else 1, failure.status)


def carried(message: Message) -> Headers:
    """The headers of a MESSAGE that belong to its body, for the next hop."""
    return [(name, value) for name in CARRIED for value in message.lines(name)]


CARRIED = (
    "Content-Type",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "MIME-Version",
    "Date",
    "Expires",
    "Subject",
)
