"""Events of recordings of calls.

`calls.sound` makes them, of what `media.recording` tells it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession

__all__ = ["RecordingEvent", "RecordingFailed"]


@dataclass(frozen=True, slots=True)
class RecordingEvent:
    """Something happened to a recording of a call, which goes on; the last of it is written after the call's `closed`."""

    call: CallSession
    path: str
    """The file."""


@dataclass(frozen=True, slots=True)
class RecordingFailed(RecordingEvent):
    """A recording ended early, as on a full disk: its file holds what was written before. Its `stop` raises the same."""

    reason: str
