"""trunkline: a SIP server SDK. Users are phones, lines are accounts at providers; what happens to each call is decided in Python.

The public names, and nothing else.
"""

from importlib.metadata import version as _version

from trunkline.calls.answerer import AnsweredBy, Answerer, AnswererRules
from trunkline.calls.bridge import BridgeEnd, BridgeOutcome
from trunkline.calls.conference import Conference
from trunkline.calls.destinations import AtOnce, ToLine, ToUser
from trunkline.calls.forwarding import Diverted
from trunkline.calls.hearing import CallQuality
from trunkline.calls.placement import Placement
from trunkline.calls.session import CallSession, CallState
from trunkline.calls.transfer_request import TransferOutcome, TransferRequest, TransferResult
from trunkline.constants import ChannelId, ClosedReason, DtmfWay, PeerType, Transport
from trunkline.errors import (
    AudioError,
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
from trunkline.explanation import Explanation
from trunkline.media.quality import LegQuality, Quality
from trunkline.messaging.courier import MessageResult
from trunkline.messaging.message import ChatMessage
from trunkline.server.groups import LineGroup
from trunkline.server.line import Line, LineState
from trunkline.server.numbers import NumberRule
from trunkline.server.registrar import RegisterRequest
from trunkline.server.server import SipServer
from trunkline.storage.records import AttemptRecord, CallRecord

__all__ = [
    "AnsweredBy",
    "Answerer",
    "AnswererRules",
    "AtOnce",
    "AttemptRecord",
    "AudioError",
    "BridgeEnd",
    "BridgeOutcome",
    "Busy",
    "CallEnded",
    "CallError",
    "CallFailed",
    "CallQuality",
    "CallRecord",
    "CallSession",
    "CallState",
    "CallStateError",
    "ChannelId",
    "ChatMessage",
    "ClosedReason",
    "Conference",
    "ConfigurationError",
    "Declined",
    "Diverted",
    "DtmfWay",
    "Explanation",
    "LegQuality",
    "Line",
    "LineGroup",
    "LineState",
    "ListenError",
    "MessageResult",
    "NoAnswer",
    "NoMediaPorts",
    "NotRegistered",
    "NumberRule",
    "PeerType",
    "Placement",
    "Quality",
    "RegisterRequest",
    "SipServer",
    "StorageError",
    "ToLine",
    "ToUser",
    "TransferOutcome",
    "TransferRequest",
    "TransferResult",
    "Transport",
    "TrunklineError",
    "UnknownPeer",
]

__version__ = _version("trunkline")
