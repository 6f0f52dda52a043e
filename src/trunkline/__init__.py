"""trunkline: a SIP server SDK. Users are phones, lines are accounts at providers; what happens to each call is decided in Python.

The public names, and nothing else.
"""

from importlib.metadata import version as _version

from trunkline.calls.bridge import BridgeEnd, BridgeOutcome
from trunkline.calls.placement import Placement
from trunkline.calls.session import CallSession, CallState
from trunkline.constants import ChannelId, ClosedReason, PeerType, Transport
from trunkline.errors import (
    Busy,
    CallEnded,
    CallError,
    CallFailed,
    CallStateError,
    ConfigurationError,
    Declined,
    ListenError,
    NoAnswer,
    NoMediaPorts,
    NotRegistered,
    StorageError,
    TrunklineError,
    UnknownPeer,
)
from trunkline.messaging.courier import MessageResult
from trunkline.messaging.message import ChatMessage
from trunkline.server.line import Line, LineState
from trunkline.server.registrar import RegisterRequest
from trunkline.server.server import SipServer

__all__ = [
    "BridgeEnd",
    "BridgeOutcome",
    "Busy",
    "CallEnded",
    "CallError",
    "CallFailed",
    "CallSession",
    "CallState",
    "CallStateError",
    "ChannelId",
    "ChatMessage",
    "ClosedReason",
    "ConfigurationError",
    "Declined",
    "Line",
    "LineState",
    "ListenError",
    "MessageResult",
    "NoAnswer",
    "NoMediaPorts",
    "NotRegistered",
    "PeerType",
    "Placement",
    "RegisterRequest",
    "SipServer",
    "StorageError",
    "Transport",
    "TrunklineError",
    "UnknownPeer",
]

__version__ = _version("trunkline")
