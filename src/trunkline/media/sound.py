"""What a leg's party makes heard, as the media workers tell it: silence, voice, a tone, noise, each since it began.

`media.engine` makes these values for whoever attends to a leg; `calls.hearing` and `calls.answerer` read them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

__all__ = ["QUIET", "Attendant", "Sound", "SoundHeard"]

Sound = Literal["silence", "voice", "tone", "noise"]


class SoundHeard(NamedTuple):
    """A kind of sound that a leg's party makes, since it began."""

    kind: Sound
    began_s: float
    """On the loop's clock."""
    frequency_hz: float = 0.0
    """Of a tone."""
    ended_dbm0: float = float("-inf")
    """The mean level of what was before it."""


Attendant = Callable[[SoundHeard | None], None]
"""Hears of another kind of sound, and with None that the leg is closed."""

QUIET = SoundHeard("silence", 0.0)
"""What a leg hears before anything was told of it."""
