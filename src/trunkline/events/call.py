"""Events of a call, in the order of its session: created → incoming_call → connecting* → connected → hangup → closed.

The layer `calls` makes them; an `IncomingCallRefused` stands for the session that was not made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trunkline.constants import ChannelId, ClosedReason, DtmfWay, PeerType

if TYPE_CHECKING:
    from trunkline.calls.conference import Conference
    from trunkline.calls.session import CallSession
    from trunkline.explanation import Explanation

__all__ = [
    "AttemptFailed",
    "CallEvent",
    "CallSessionCancelled",
    "CallSessionClosed",
    "CallSessionConnected",
    "CallSessionConnecting",
    "CallSessionCreated",
    "CallSessionDigit",
    "CallSessionFailed",
    "CallSessionHangUp",
    "CallSessionInfo",
    "CallSessionLost",
    "CallSessionSpeaking",
    "CallSessionTimeout",
    "FailedAttempt",
    "IncomingCall",
    "IncomingCallRefused",
]


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something happened to a call."""

    call: CallSession


@dataclass(frozen=True, slots=True)
class CallSessionCreated(CallEvent):
    """A session exists: an INVITE arrived, or `dial` made it."""


@dataclass(frozen=True, slots=True)
class IncomingCall(CallEvent):
    """A call waits for a decision: accept, reject, redirect, answer."""

    caller_name: str
    caller_id: str
    dial_number: str
    from_peer_type: PeerType
    from_peer_name: str
    user_agent: str
    from_ip: str
    from_port: int


@dataclass(frozen=True, slots=True)
class CallSessionConnecting(CallEvent):
    """A provisional response on a channel that is being placed: ringing (180), progress (183)."""

    channel: ChannelId
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class CallSessionConnected(CallEvent):
    """Both channels are answered (or the one, where there is no other): audio flows."""


@dataclass(frozen=True, slots=True)
class AttemptFailed(CallEvent):
    """One of the attempts of a channel failed, or a line was passed over; others may go on, or come next."""

    channel: ChannelId
    target: str
    """The Request-URI that was tried; "" where none was found."""
    status: int
    reason: str
    peer_type: PeerType = PeerType.USER
    peer_name: str = ""
    """The user or line."""
    server: str = ""
    """Address, port and transport where it went; "" where none was found."""
    explanation: Explanation | None = None
    """What was sent, what came back, what to change."""

    @classmethod
    def of(cls, call: CallSession, channel: ChannelId, failed: FailedAttempt) -> AttemptFailed:
        """The event of an attempt that failed on a channel."""
        return cls(
            call,
            channel,
            target=failed.target,
            status=failed.status,
            reason=failed.reason,
            peer_type=failed.peer_type,
            peer_name=failed.peer_name,
            server=failed.server,
            explanation=failed.explanation,
        )


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that failed, or a line that was passed over, as a failure keeps it."""

    peer_type: PeerType
    peer_name: str
    """The user or line."""
    target: str
    """The Request-URI; "" where none was found."""
    server: str
    """Address, port and transport where it went; "" where none was found."""
    status: int
    reason: str
    """The other side's words, or ours."""
    explanation: Explanation
    """What was sent, what came back, what to change."""


@dataclass(frozen=True, slots=True)
class CallSessionFailed(CallEvent):
    """No attempt is left. The handler may accept another target or answer; if it does neither, the caller gets the failure."""

    channel: ChannelId
    status: int
    reason: str
    contact: str
    """The Contact of a 3xx; "" otherwise."""
    attempts: tuple[FailedAttempt, ...] = ()
    """All that failed or were passed over, in order."""
    explanation: Explanation | None = None
    """What was sent, what came back, what to change."""


@dataclass(frozen=True, slots=True)
class CallSessionTimeout(CallEvent):
    """The time passed without an answer. As with `CallSessionFailed`, the handler may go on."""

    attempts: tuple[FailedAttempt, ...] = ()
    """All that failed, were passed over, or were not answered in time, in order."""
    explanation: Explanation | None = None
    """Who was called, what came back, what to change."""


@dataclass(frozen=True, slots=True)
class CallSessionCancelled(CallEvent):
    """The caller gave up before the answer."""


@dataclass(frozen=True, slots=True)
class CallSessionInfo(CallEvent):
    """A party sent an INFO inside the call (RFC 2976); it has been passed on to the other party where there is one."""

    channel: ChannelId
    content_type: str
    """What the body is, with its parameters, as it was written."""
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallSessionDigit(CallEvent):
    """A party pressed a key and let it go; once, in however many ways it came. Neither its repr nor a log shows the digit."""

    channel: ChannelId
    digit: str = field(repr=False)
    """One of 0-9, `*`, `#` and A-D."""
    duration_ms: int
    """How long it was held; 0 where an INFO does not say."""
    way: DtmfWay
    """How it came first."""


@dataclass(frozen=True, slots=True)
class CallSessionLost(CallEvent):
    """Media fell silent on a channel, or its dialog turned out to be dead."""

    channel: ChannelId
    reason: str
    explanation: Explanation | None = None
    """On which side, what was noticed, what to change."""


@dataclass(frozen=True, slots=True)
class CallSessionSpeaking(CallEvent):
    """In a conference the call's party has become the one who speaks, or is no longer."""

    conference: Conference
    speaking: bool


@dataclass(frozen=True, slots=True)
class CallSessionHangUp(CallEvent):
    """A party hung up after the answer."""

    channel: ChannelId


@dataclass(frozen=True, slots=True)
class CallSessionClosed(CallEvent):
    """The session is over; always last, exactly once."""

    reason: ClosedReason


@dataclass(frozen=True, slots=True)
class IncomingCallRefused:
    """An INVITE was refused of which no session was made: no common codec, an unknown source, an extension that is off."""

    from_peer_type: PeerType | None
    """None for a stranger: of those only a few a second are told."""
    from_peer_name: str
    """The user or line; several lines that share the source, by comma; "" for a stranger."""
    caller_name: str
    caller_id: str
    dial_number: str
    status: int
    reason: str
    from_ip: str
    from_port: int
    explanation: Explanation
    """What came, what was answered, what to change."""
