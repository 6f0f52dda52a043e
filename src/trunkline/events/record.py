"""The event of a call's record.

`server.call_records` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.storage.records import AttemptRecord, CallRecord

__all__ = ["CallRecorded", "RecordEvent"]


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Something was recorded."""


@dataclass(frozen=True, slots=True)
class CallRecorded(RecordEvent):
    """The record of a session that is over: told shortly after its `closed`, when the last counts of its media are known."""

    record: CallRecord
    attempts: tuple[AttemptRecord, ...]
    """Each INVITE that was sent for it, and each line that was passed over, in order."""
