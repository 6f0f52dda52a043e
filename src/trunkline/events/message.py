"""Events of messages that are no calls.

The layer `messaging` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.constants import PeerType

if TYPE_CHECKING:
    from trunkline.messaging.message import ChatMessage

__all__ = [
    "ChatMessageEvent",
    "ChatMessageFailed",
    "ChatMessageReceived",
    "ChatMessageSuccess",
    "ChatMessageTimeout",
]


@dataclass(frozen=True, slots=True)
class ChatMessageEvent:
    """Something happened to a message."""


@dataclass(frozen=True, slots=True)
class ChatMessageReceived(ChatMessageEvent):
    """A message waits for a decision: relay, accept, reject. Without one, a user's message for a user is relayed."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class ChatMessageSuccess(ChatMessageEvent):
    """A message that was relayed or sent has been taken, or waits for its user."""

    message_id: str
    to_peer_type: PeerType
    to_peer_name: str
    status: int
    stored: bool
    """It waits until the user registers; told again when it has been taken."""


@dataclass(frozen=True, slots=True)
class ChatMessageFailed(ChatMessageEvent):
    """A message that was relayed or sent was refused, or can go nowhere."""

    message_id: str
    to_peer_type: PeerType
    to_peer_name: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChatMessageTimeout(ChatMessageEvent):
    """A message that was relayed or sent met silence."""

    message_id: str
    to_peer_type: PeerType
    to_peer_name: str
