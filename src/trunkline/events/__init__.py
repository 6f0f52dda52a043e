"""Every event that an application sees, as frozen values. Names are past tense or the seed's words.

`server.dispatch` hands them to the handlers; `trace` records them; the layers below make them. The objects inside (a call, a line, a
registration that waits for a decision) are live; all other fields are what was true when it happened. A module has the events of one
subject, in the order in which they happen; applications import all from here.
"""

from __future__ import annotations

from trunkline.events.call import (
    AttemptFailed,
    CallEvent,
    CallSessionCancelled,
    CallSessionClosed,
    CallSessionConnected,
    CallSessionConnecting,
    CallSessionCreated,
    CallSessionDigit,
    CallSessionFailed,
    CallSessionHangUp,
    CallSessionInfo,
    CallSessionLost,
    CallSessionSpeaking,
    CallSessionTimeout,
    FailedAttempt,
    IncomingCall,
    IncomingCallRefused,
)
from trunkline.events.line import (
    LineDown,
    LineEvent,
    LineMessagesWaiting,
    LineRegisterFailed,
    LineRegisterSuccess,
    LineRegisterTrying,
    LineServerChanged,
    LineUnregisterFailed,
    LineUnregisterSuccess,
    LineUnregisterTrying,
    LineUp,
)
from trunkline.events.message import (
    ChatMessageEvent,
    ChatMessageFailed,
    ChatMessageReceived,
    ChatMessageSuccess,
    ChatMessageTimeout,
)
from trunkline.events.record import CallRecorded, RecordEvent
from trunkline.events.recording import RecordingEvent, RecordingFailed
from trunkline.events.registration import (
    RegisterUser,
    RegisterUserFailed,
    RegisterUserSuccess,
    RegistrationEvent,
    UnregisterUser,
)
from trunkline.events.transfer import TransferAccepted, TransferFailed, TransferRequested, TransferTimeout

__all__ = [
    "AttemptFailed",
    "CallEvent",
    "CallRecorded",
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
    "RecordingEvent",
    "RecordingFailed",
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

Event = (
    CallEvent | IncomingCallRefused | RegistrationEvent | LineEvent | ChatMessageEvent | RecordingEvent | RecordEvent
)
