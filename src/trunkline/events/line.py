"""Events of lines: their registrations, their servers, the mailboxes that their providers keep.

`server.lines` and what it holds make them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.explanation import Explanation

__all__ = [
    "LineDown",
    "LineEvent",
    "LineMessagesWaiting",
    "LineRegisterFailed",
    "LineRegisterSuccess",
    "LineRegisterTrying",
    "LineServerChanged",
    "LineUnregisterFailed",
    "LineUnregisterSuccess",
    "LineUnregisterTrying",
    "LineUp",
]


@dataclass(frozen=True, slots=True)
class LineEvent:
    """Something happened to a line."""

    line: str


@dataclass(frozen=True, slots=True)
class LineRegisterTrying(LineEvent):
    """A REGISTER goes out that is no mere refresh."""


@dataclass(frozen=True, slots=True)
class LineRegisterSuccess(LineEvent):
    """The provider took the registration (told again only after a failure)."""

    expires_s: int


@dataclass(frozen=True, slots=True)
class LineRegisterFailed(LineEvent):
    """The provider refused it, or is silent. The line goes on trying unless told to stop."""

    status: int
    reason: str
    retry_in_s: float
    """Seconds until the next attempt."""
    explanation: Explanation | None = None
    """What was sent, what came back, what to change."""


@dataclass(frozen=True, slots=True)
class LineUnregisterTrying(LineEvent):
    """A REGISTER with expiry 0 goes out."""


@dataclass(frozen=True, slots=True)
class LineUnregisterSuccess(LineEvent):
    """The provider forgot us."""


@dataclass(frozen=True, slots=True)
class LineUnregisterFailed(LineEvent):
    """The provider did not confirm; its registration lapses by itself."""

    status: int
    reason: str
    explanation: Explanation | None = None
    """What was sent, what came back, and until when calls may still come."""


@dataclass(frozen=True, slots=True)
class LineDown(LineEvent):
    """A line that took calls takes none any more: its registration is lost, or none of its servers is up."""

    reason: str


@dataclass(frozen=True, slots=True)
class LineUp(LineEvent):
    """A line that was down takes calls again."""

    reason: str
    """What has become better."""


@dataclass(frozen=True, slots=True)
class LineServerChanged(LineEvent):
    """Requests of the line go to another server of its provider: the one before failed, or a better one is up again."""

    server: str
    """Transport, address and port, as udp:198.51.100.6:5060."""
    before: str
    reason: str


@dataclass(frozen=True, slots=True)
class LineMessagesWaiting(LineEvent):
    """What the provider tells of the mailbox that it keeps for a line, when that has changed (RFC 3842)."""

    waiting: bool
    """Whether something new waits; providers that give no counts say this alone."""
    new: int
    """Voice messages not heard yet."""
    old: int
    urgent_new: int
    """Of the new ones."""
    urgent_old: int
    account: str
    """The address by which the mailbox is called; "" where the provider names none."""
