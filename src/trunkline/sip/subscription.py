"""What both sides of a subscription share (RFC 6665): its state as headers say it, its duration, why it ends.

`notifier.py` tells somebody what changes, `subscriber.py` is told. Presence, lamps and message waiting
(`trunkline.messaging`) are notifiers; a REFER makes one without a SUBSCRIBE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from trunkline.sip.endpoint import Message, Parameterized, SipParseError, read_number

__all__ = [
    "ADVICE",
    "Advice",
    "EventType",
    "Expiry",
    "State",
    "SubscriptionRefused",
    "SubscriptionState",
    "expires_of",
]

FALLBACK_EXPIRES_S = 3_600
"""What a malformed Expires counts as (RFC 3261 §20.19)."""


class SubscriptionRefused(Exception):
    """A SUBSCRIBE is answered with a failure.

    Args:
        status: The status.
        reason: In words; "" for the RFC's phrase.
        headers: That go with it.
    """

    def __init__(self, status: int, reason: str = "", headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = tuple(headers)


class State(Enum):
    """How far a subscription is (§4.1.3)."""

    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


class Advice(Enum):
    """What a subscriber does about an end."""

    AGAIN_NOW = "again now"
    AGAIN_LATER = "again later"
    NEVER = "never"


ADVICE: dict[str, Advice] = {
    # §4.1.3
    "deactivated": Advice.AGAIN_NOW,
    "probation": Advice.AGAIN_LATER,
    "rejected": Advice.NEVER,
    "timeout": Advice.AGAIN_NOW,
    "giveup": Advice.AGAIN_LATER,
    "noresource": Advice.NEVER,
    "invariant": Advice.NEVER,
}
"""Reason of an end → what to do. A reason that is not named here is as none: again now."""


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """The value of Subscription-State."""

    state: State
    expires_s: int | None = None
    reason: str = ""
    retry_after_s: int | None = None

    @classmethod
    def of(cls, message: Message) -> SubscriptionState:
        """What a NOTIFY says. SubscriptionRefused (400) where it has none or it is malformed (§4.1.3)."""
        text = message.header("Subscription-State")
        try:
            value = Parameterized.parse(text or "")
        except SipParseError as error:
            raise SubscriptionRefused(400, "Malformed Subscription-State") from error
        try:
            state = State(value.token.lower())
        except ValueError:
            # §4.1.3 has further states as an extension; what is not over goes on
            state = State.PENDING
        return cls(
            state,
            _seconds(value.param("expires")),
            (value.param("reason") or "").lower(),
            _seconds(value.param("retry-after")),
        )

    @property
    def advice(self) -> Advice:
        """What a subscriber does about this end."""
        return ADVICE.get(self.reason, Advice.AGAIN_NOW)

    def __str__(self) -> str:
        parts = [self.state.value]
        if self.expires_s is not None:
            parts.append(f"expires={self.expires_s}")
        if self.reason:
            parts.append(f"reason={self.reason}")
        if self.retry_after_s is not None:
            parts.append(f"retry-after={self.retry_after_s}")
        return ";".join(parts)


@dataclass(frozen=True, slots=True)
class EventType:
    """The value of Event: a package, and an id that tells several subscriptions of one dialog apart."""

    package: str
    id: str = ""

    @classmethod
    def of(cls, message: Message) -> EventType | None:
        """What a message says; None where it says nothing. SubscriptionRefused (400) where it is malformed."""
        text = message.header("Event")
        if text is None:
            return None
        try:
            value = Parameterized.parse(text)
        except SipParseError as error:
            raise SubscriptionRefused(400, "Malformed Event") from error
        # §8.2.1: compared byte by byte; parameters other than id do not count
        return cls(value.token, value.param("id") or "")

    def __str__(self) -> str:
        return f"{self.package};id={self.id}" if self.id else self.package


@dataclass(frozen=True, slots=True)
class Expiry:
    """How long a subscription of a package lasts, in seconds."""

    min_s: int = 60
    """Shorter ones are refused with 423; 0, which ends or fetches, is not short."""
    default_s: int = 3_600
    """Where the subscriber names none."""
    max_s: int = 7_200
    """Longer ones are cut to this."""

    def grant_s(self, message: Message) -> int:
        """What a SUBSCRIBE or PUBLISH is granted. SubscriptionRefused (423) where it asks for too little (§4.2.1.1)."""
        asked_s = expires_of(message)
        if asked_s is None:
            return self.default_s
        if 0 < asked_s < self.min_s:
            raise SubscriptionRefused(423, "", [("Min-Expires", str(self.min_s))])
        return min(asked_s, self.max_s)


def expires_of(message: Message) -> int | None:
    """The seconds of Expires; None without one."""
    return _seconds(message.header("Expires"))


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    seconds = read_number(text)
    return FALLBACK_EXPIRES_S if seconds is None else seconds
