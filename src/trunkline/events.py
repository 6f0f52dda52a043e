"""Every event that an application sees, as frozen values. Names are past tense or the seed's words.

`server.dispatch` hands them to the handlers; `trace` records them; the layers below make them. The objects inside (a call, a line, a
registration that waits for a decision) are live; all other fields are what was true when it happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.constants import ChannelId, ClosedReason, PeerType

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession
    from trunkline.messaging.message import ChatMessage
    from trunkline.server.registrar import RegisterRequest

__all__ = [
    "AttemptFailed",
    "CallEvent",
    "CallSessionCancelled",
    "CallSessionClosed",
    "CallSessionConnected",
    "CallSessionConnecting",
    "CallSessionCreated",
    "CallSessionFailed",
    "CallSessionHangUp",
    "CallSessionLost",
    "CallSessionTimeout",
    "ChatMessageEvent",
    "ChatMessageFailed",
    "ChatMessageReceived",
    "ChatMessageSuccess",
    "ChatMessageTimeout",
    "Event",
    "IncomingCall",
    "LineEvent",
    "LineRegisterFailed",
    "LineRegisterSuccess",
    "LineRegisterTrying",
    "LineUnregisterFailed",
    "LineUnregisterSuccess",
    "LineUnregisterTrying",
    "RegisterUser",
    "RegisterUserFailed",
    "RegisterUserSuccess",
    "RegistrationEvent",
    "UnregisterUser",
]

# --- calls, in the order of a session: created → incoming_call → connecting* → connected → hangup → closed ------------------------------


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
    """One of the attempts of a channel failed; others may go on."""

    channel: ChannelId
    target: str
    """The Request-URI that was tried."""
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class CallSessionFailed(CallEvent):
    """No attempt is left. The handler may accept another target or answer; if it does neither, the caller gets the failure."""

    channel: ChannelId
    status: int
    reason: str
    contact: str
    """The Contact of a 3xx; "" otherwise."""


@dataclass(frozen=True, slots=True)
class CallSessionTimeout(CallEvent):
    """`timeout_s` passed without an answer. As with `CallSessionFailed`, the handler may go on."""


@dataclass(frozen=True, slots=True)
class CallSessionCancelled(CallEvent):
    """The caller gave up before the answer."""


@dataclass(frozen=True, slots=True)
class CallSessionLost(CallEvent):
    """Media fell silent on a channel, or its dialog turned out to be dead."""

    channel: ChannelId
    reason: str


@dataclass(frozen=True, slots=True)
class CallSessionHangUp(CallEvent):
    """A party hung up after the answer."""

    channel: ChannelId


@dataclass(frozen=True, slots=True)
class CallSessionClosed(CallEvent):
    """The session is over; always last, exactly once."""

    reason: ClosedReason


# --- users ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RegistrationEvent:
    """Something happened to a user's registration."""


@dataclass(frozen=True, slots=True)
class RegisterUser(RegistrationEvent):
    """A REGISTER waits for a decision: authenticate, accept, reject, attach. Without a handler it is authenticated."""

    request: RegisterRequest


@dataclass(frozen=True, slots=True)
class RegisterUserSuccess(RegistrationEvent):
    """A phone is registered: `contact` reaches it for `expires_s` seconds."""

    user: str
    contact: str
    expires_s: int
    user_agent: str
    from_ip: str
    from_port: int
    refresh: bool
    """Whether this contact was registered before."""


@dataclass(frozen=True, slots=True)
class RegisterUserFailed(RegistrationEvent):
    """A registration was refused."""

    user: str
    status: int
    reason: str
    from_ip: str
    from_port: int


@dataclass(frozen=True, slots=True)
class UnregisterUser(RegistrationEvent):
    """A contact is gone: the phone unregistered it, it lapsed, or another took its place."""

    user: str
    contact: str
    lapsed: bool


# --- lines ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineEvent:
    """Something happened to a line's registration."""

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


# --- messages ---------------------------------------------------------------------------------------------------------------------------


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


Event = CallEvent | RegistrationEvent | LineEvent | ChatMessageEvent
