"""The Rust half of trunkline, as one Python module; `__init__.pyi` beside this file is its typed face.

maturin places the compiled extension inside this package; everything it defines is re-exported here under
`_trunkline`, together with the names of types that have no class of their own.
"""

from typing import Literal

from ._trunkline import *  # noqa: F403  (the extension's whole namespace is the module)
from ._trunkline import (
    AckReceived,
    AckTimedOut,
    ByeAnswered,
    Cancelled,
    ChallengeIgnored,
    FlowClosed,
    FlowOpened,
    FramesArrived,
    LegFailed,
    LegForeign,
    LegLatched,
    LegSilent,
    PrackReceived,
    ReliableTimedOut,
    RequestReceived,
    ResponseReceived,
    Shed,
    SoundChanged,
    SourceEnded,
    Traced,
    TransactionTimedOut,
    TransportFailed,
)
from ._trunkline import __version__ as __version__

Address = tuple[str, int]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
ChallengeMode = Literal["everybody", "strangers", "nobody"]
Event = (
    RequestReceived
    | ResponseReceived
    | AckReceived
    | Cancelled
    | AckTimedOut
    | ByeAnswered
    | PrackReceived
    | ReliableTimedOut
    | TransactionTimedOut
    | TransportFailed
    | FlowOpened
    | FlowClosed
    | Shed
    | ChallengeIgnored
    | Traced
)
MediaEvent = LegSilent | LegLatched | LegFailed | LegForeign | SourceEnded | SoundChanged | FramesArrived
