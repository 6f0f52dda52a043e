"""How an application registers handlers: one decorator an event, as methods of the server.

`SipServer` inherits them. Each takes an `async def` or a plain `def` with one argument and returns it unchanged; several handlers of one
event are started in the order in which they were registered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from trunkline.calls.session import CallSession
from trunkline.calls.transfer_request import TransferRequest
from trunkline.events import (
    AttemptFailed,
    CallRecorded,
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
    ChatMessageFailed,
    ChatMessageReceived,
    ChatMessageSuccess,
    ChatMessageTimeout,
    Event,
    IncomingCall,
    IncomingCallRefused,
    LineDown,
    LineMessagesWaiting,
    LineRegisterFailed,
    LineRegisterSuccess,
    LineRegisterTrying,
    LineServerChanged,
    LineUnregisterFailed,
    LineUnregisterSuccess,
    LineUnregisterTrying,
    LineUp,
    RecordingFailed,
    RegisterUser,
    RegisterUserFailed,
    RegisterUserSuccess,
    TransferAccepted,
    TransferFailed,
    TransferRequested,
    TransferTimeout,
    UnregisterUser,
)
from trunkline.hearing_events import QualityLow, QualityRestored, SpeechStarted, SpeechStopped
from trunkline.messaging.message import ChatMessage
from trunkline.server.registrar import RegisterRequest

__all__ = ["Handlers", "On"]

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Registration(Generic[Argument]):
    """The decorator of one event on one server."""

    def __init__(self, add: Callable[[type[Event], Callable[[Any], Any]], None], kind: type[Event]) -> None:
        self._add = add
        self._kind = kind

    def __call__(self, handler: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
        """Register a handler and return it."""
        self._add(self._kind, handler)
        return handler


class On(Generic[Argument]):
    """Makes the decorator of one event an attribute.

    Args:
        kind: The event's class.
    """

    def __init__(self, kind: type[Event]) -> None:
        self._kind = kind

    def __get__(self, server: Handlers, owner: type[Handlers]) -> Registration[Argument]:
        return Registration(server.add_handler, self._kind)


class Handlers:
    """The decorators. What a handler is given stands in brackets."""

    def add_handler(self, kind: type[Event], handler: Callable[[Any], Any]) -> None:
        """Call `handler` with each event of a kind; what the decorators do."""
        raise NotImplementedError

    on_register_user = On[RegisterRequest](RegisterUser)
    """A phone registers: authenticate, accept, reject or attach the request. Without a handler it is authenticated."""
    on_register_user_success = On[RegisterUserSuccess](RegisterUserSuccess)
    """A phone is registered."""
    on_register_user_failed = On[RegisterUserFailed](RegisterUserFailed)
    """A registration was refused."""
    on_unregister_user = On[UnregisterUser](UnregisterUser)
    """A phone is no longer registered: by itself, by lapse, or since another took its place."""

    on_line_register_trying = On[LineRegisterTrying](LineRegisterTrying)
    """A line begins to register."""
    on_line_register_success = On[LineRegisterSuccess](LineRegisterSuccess)
    """A line is registered."""
    on_line_register_failed = On[LineRegisterFailed](LineRegisterFailed)
    """A line's provider refused or is silent; it is tried again."""
    on_line_unregister_trying = On[LineUnregisterTrying](LineUnregisterTrying)
    """A line begins to unregister."""
    on_line_unregister_success = On[LineUnregisterSuccess](LineUnregisterSuccess)
    """A line's provider forgot us."""
    on_line_unregister_failed = On[LineUnregisterFailed](LineUnregisterFailed)
    """A line's provider did not confirm that it forgot us."""

    on_line_down = On[LineDown](LineDown)
    """A line takes no calls any more."""
    on_line_up = On[LineUp](LineUp)
    """A line that was down takes calls again."""
    on_line_server_changed = On[LineServerChanged](LineServerChanged)
    """A line has moved to another server of its provider."""
    on_line_messages_waiting = On[LineMessagesWaiting](LineMessagesWaiting)
    """A line's provider tells how many voice messages wait in its mailbox."""

    on_chat_message = On[ChatMessage](ChatMessageReceived)
    """A message arrived: relay, accept or reject it. Undecided, a user's message for a user is relayed."""
    on_chat_message_success = On[ChatMessageSuccess](ChatMessageSuccess)
    """A message was taken, or stored for a user who is away."""
    on_chat_message_failed = On[ChatMessageFailed](ChatMessageFailed)
    """A message was refused, or can go nowhere."""
    on_chat_message_timeout = On[ChatMessageTimeout](ChatMessageTimeout)
    """A message met silence."""

    on_call_session_created = On[CallSessionCreated](CallSessionCreated)
    """A session exists."""
    on_incoming_call = On[CallSession](IncomingCall)
    """A call waits for a decision; the handler is given the call itself."""
    on_incoming_call_refused = On[IncomingCallRefused](IncomingCallRefused)
    """An INVITE was refused of which no session was made."""
    on_call_session_connecting = On[CallSessionConnecting](CallSessionConnecting)
    """A provisional response on a channel that is being placed."""
    on_call_session_connected = On[CallSessionConnected](CallSessionConnected)
    """The parties are connected."""
    on_attempt_failed = On[AttemptFailed](AttemptFailed)
    """One of a channel's attempts failed."""
    on_call_session_failed = On[CallSessionFailed](CallSessionFailed)
    """No attempt is left; the handler may accept another target or answer."""
    on_call_session_timeout = On[CallSessionTimeout](CallSessionTimeout)
    """Nobody answered in time; the handler may accept another target or answer."""
    on_call_session_cancelled = On[CallSessionCancelled](CallSessionCancelled)
    """The caller gave up."""
    on_call_session_info = On[CallSessionInfo](CallSessionInfo)
    """A party sent an INFO inside the call."""
    on_dtmf = On[CallSessionDigit](CallSessionDigit)
    """A party pressed a key."""
    on_call_session_lost = On[CallSessionLost](CallSessionLost)
    """A party fell silent, or its dialog is dead."""
    on_call_session_speaking = On[CallSessionSpeaking](CallSessionSpeaking)
    """In a conference a party begins to speak, or ceases."""
    on_call_session_hangup = On[CallSessionHangUp](CallSessionHangUp)
    """A party hung up."""
    on_call_session_closed = On[CallSessionClosed](CallSessionClosed)
    """The session is over; always last, exactly once."""
    on_transfer_requested = On[TransferRequest](TransferRequested)
    """A phone transfers its call: accept or reject the request. Without a handler a user of ours is called."""
    on_transfer_accepted = On[TransferAccepted](TransferAccepted)
    """A transfer succeeded, whoever asked for it."""
    on_transfer_failed = On[TransferFailed](TransferFailed)
    """A transfer failed; the call goes on."""
    on_transfer_timeout = On[TransferTimeout](TransferTimeout)
    """Nobody answered in time to whom a call was to be transferred; the call goes on."""
    on_speech_started = On[SpeechStarted](SpeechStarted)
    """A party began to speak, in a call that asked for it by `watch_speech`."""
    on_speech_stopped = On[SpeechStopped](SpeechStopped)
    """It has stopped."""
    on_quality_low = On[QualityLow](QualityLow)
    """The sound of a direction fell below `quality_alarm_mos`."""
    on_quality_restored = On[QualityRestored](QualityRestored)
    """It is good again."""
    on_recording_failed = On[RecordingFailed](RecordingFailed)
    """A recording ended early, as on a full disk; the call goes on."""
    on_call_recorded = On[CallRecorded](CallRecorded)
    """The record of a session that is over: who, whom, how long, why it ended, how it sounded."""
