"""Every event that an application sees, as frozen values. Names are past tense or the seed's words.

`server.dispatch` hands them to the handlers; `trace` records them; the layers below make them. The objects inside (a call, a line, a
registration that waits for a decision) are live; all other fields are what was true when it happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trunkline.constants import ChannelId, ClosedReason, PeerType

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession
    from trunkline.calls.transfer_request import TransferOutcome, TransferRequest
    from trunkline.explanation import Explanation
    from trunkline.messaging.message import ChatMessage
    from trunkline.server.registrar import RegisterRequest
    from trunkline.storage.records import AttemptRecord, CallRecord

__all__ = [
    "AttemptFailed",
    "CallEvent",
    "CallRecorded",
    "CallSessionCancelled",
    "CallSessionClosed",
    "CallSessionConnected",
    "CallSessionConnecting",
    "CallSessionCreated",
    "CallSessionFailed",
    "CallSessionHangUp",
    "CallSessionInfo",
    "CallSessionLost",
    "CallSessionTimeout",
    "ChatMessageEvent",
    "ChatMessageFailed",
    "ChatMessageReceived",
    "ChatMessageSuccess",
    "ChatMessageTimeout",
    "Event",
    "FailedAttempt",
    "IncomingCall",
    "IncomingCallRefused",
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
    "RecordEvent",
    "RegisterUser",
    "RegisterUserFailed",
    "RegisterUserSuccess",
    "RegistrationEvent",
    "TransferAccepted",
    "TransferFailed",
    "TransferRequested",
    "TransferTimeout",
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
class CallSessionLost(CallEvent):
    """Media fell silent on a channel, or its dialog turned out to be dead."""

    channel: ChannelId
    reason: str
    explanation: Explanation | None = None
    """On which side, what was noticed, what to change."""


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
    """An INVITE was refused of which no session was made: no common codec, an unknown source, an extension that is off.

    Of a source that no line accepts calls from, and where nobody answers the challenge (401), one INVITE is told every 30 seconds.
    """

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
    count: int = 1
    """How many INVITEs it stands for: with 401, those of its source since it was told last."""


# --- transfers, before the `closed` of their session ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TransferRequested(CallEvent):
    """A phone sent REFER: accept or reject its request. Undecided, a user of ours is called, see `TransferRequest`."""

    channel: ChannelId
    request: TransferRequest


@dataclass(frozen=True, slots=True)
class TransferAccepted(CallEvent):
    """A transfer succeeded, whoever asked for it: the other party talks to whom it was transferred to."""

    outcome: TransferOutcome


@dataclass(frozen=True, slots=True)
class TransferFailed(CallEvent):
    """A transfer failed; the call goes on as it was, unless who asked for it has hung up."""

    outcome: TransferOutcome


@dataclass(frozen=True, slots=True)
class TransferTimeout(CallEvent):
    """Nobody answered in time to whom a call was to be transferred; as with `TransferFailed`."""

    outcome: TransferOutcome


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
    explanation: Explanation | None = None
    """What came, what was answered, what to change."""


@dataclass(frozen=True, slots=True)
class UnregisterUser(RegistrationEvent):
    """A contact is gone: the phone unregistered it, it lapsed, or another took its place."""

    user: str
    contact: str
    lapsed: bool


# --- lines ------------------------------------------------------------------------------------------------------------------------------


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


# --- records ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Something was recorded."""


@dataclass(frozen=True, slots=True)
class CallRecorded(RecordEvent):
    """The record of a session that is over: told shortly after its `closed`, when the last counts of its media are known."""

    record: CallRecord
    attempts: tuple[AttemptRecord, ...]
    """Each INVITE that was sent for it, and each line that was passed over, in order."""


Event = CallEvent | IncomingCallRefused | RegistrationEvent | LineEvent | ChatMessageEvent | RecordEvent
