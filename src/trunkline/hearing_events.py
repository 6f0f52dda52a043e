"""Events of what is heard in calls, as frozen values: who speaks, and whose sound became bad. `trunkline.events` has all others.

`calls.hearing` and `server.quality_watch` make them; `server.dispatch` hands them to the handlers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trunkline.constants import ChannelId
from trunkline.events import CallEvent

if TYPE_CHECKING:
    from trunkline.media.quality import Quality

__all__ = ["QualityLow", "QualityRestored", "SpeechStarted", "SpeechStopped"]


@dataclass(frozen=True, slots=True)
class SpeechStarted(CallEvent):
    """A party began to speak; told of calls that ask for it by `watch_speech`."""

    channel: ChannelId


@dataclass(frozen=True, slots=True)
class SpeechStopped(CallEvent):
    """A party has not spoken for 200 ms."""

    channel: ChannelId
    duration_s: float
    """How long it spoke."""
    level_dbm0: float
    """How loud, on average over what it said."""


@dataclass(frozen=True, slots=True)
class QualityLow(CallEvent):
    """The sound of a direction fell below `quality_alarm_mos`; told once until it is restored."""

    channel: ChannelId
    direction: Literal["received", "sent"]
    """What the party says, or what is said to it."""
    quality: Quality
    """Of the last ten seconds."""


@dataclass(frozen=True, slots=True)
class QualityRestored(CallEvent):
    """The sound of a direction that was low is above `quality_alarm_mos` again, by two tenths at least."""

    channel: ChannelId
    direction: Literal["received", "sent"]
    quality: Quality
