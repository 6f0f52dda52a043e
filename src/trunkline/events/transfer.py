"""Events of a call's transfers; all of them come before the `closed` of their session.

`calls.transfers` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.constants import ChannelId
from trunkline.events.call import CallEvent

if TYPE_CHECKING:
    from trunkline.calls.transfer_request import TransferOutcome, TransferRequest

__all__ = ["TransferAccepted", "TransferFailed", "TransferRequested", "TransferTimeout"]


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
