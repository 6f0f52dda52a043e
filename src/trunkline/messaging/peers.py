"""What messaging needs to know of the world above it, as values and protocols: who sent, where it goes, who is there.

`server.messaging` implements them. Nothing here knows a user table, a line or a handler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trunkline.constants import PeerType
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Flow, NameAddr, RequestReceived, Uri

__all__ = ["Destination", "Directory", "Sender", "Target", "Unreachable"]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a message."""

    peer_type: PeerType
    peer_name: str
    name: str
    """A display name; "" for none."""
    id: str
    """The number or name that it is known by."""
    dialled: str
    """Whom the message is for, as the sender wrote it."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message is to go, as the application said it."""

    peer_type: PeerType
    peer_name: str
    number: str = ""
    """Over a line: the number."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where one copy goes: a phone of a user, or a line's server."""

    uri: Uri
    flow: Flow
    local: NameAddr
    remote: NameAddr
    headers: tuple[tuple[str, str], ...] = ()
    credentials: ClientCredentials | None = None


class Unreachable(Exception):
    """A message can go nowhere.

    Args:
        status: What stands for it: 404 unknown, 503 a line that cannot be used.
        reason: In words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class Directory(Protocol):
    """Knows users, lines and our addresses."""

    def has_user(self, name: str) -> bool:
        """Whether there is such a user."""

    def address_of(self, user: str) -> Uri:
        """A user's address of record."""

    def user_named(self, uri: Uri, flow: Flow) -> str | None:
        """The user that a URI in a message over `flow` names; None where it names none of ours."""

    def is_registered(self, user: str) -> bool:
        """Whether a phone of the user is registered."""

    def contact(self, flow: Flow) -> str:
        """Our Contact value for a peer on `flow`."""

    def proven_user(self, request: RequestReceived) -> str | None:
        """The user whose password a request proves; None after it has been challenged."""

    def user_targets(self, user: str, sender_name: str, sender_id: str) -> Sequence[Target]:
        """The user's phones; none while it is away. Unreachable (404) where there is no such user."""

    async def line_target(self, line: str, number: str, sender_name: str, sender_id: str) -> Target:
        """The line's server. Unreachable where the line cannot be used."""
