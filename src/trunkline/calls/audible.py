"""What is heard of a channel's party: how good it sounds, how loud it is, whether it speaks. A part of `Channel`."""

from __future__ import annotations

from trunkline.calls.securing import Secured
from trunkline.media.engine import Leg, LegStatistics
from trunkline.media.quality import LegQuality, leg_quality, spoken_in

__all__ = ["Audible"]


class Audible(Secured):
    """What is heard of a channel's party."""

    leg: Leg | None

    @property
    def quality(self) -> LegQuality | None:
        """How good it sounds up to now, both ways; None where it has no audio. Asks the media worker, which takes microseconds."""
        counts = self._counts
        plan = self.describer.plan if self.describer is not None else None
        if counts is None or plan is None:
            return None
        received, sent, packet_ms = spoken_in(plan)
        return leg_quality(counts, received, sent, packet_ms=packet_ms)

    @property
    def speaking(self) -> bool:
        """Whether the party speaks now; known of calls that asked for it by `watch_speech`."""
        return self.leg is not None and self.leg.sound.kind == "voice"

    @property
    def level_dbm0(self) -> float | None:
        """How loud the party is now; None unless the call asked for it by `watch_speech`."""
        counts = self._counts
        return counts.level_dbm0 if counts is not None else None

    @property
    def _counts(self) -> LegStatistics | None:
        return self.leg.statistics if self.leg is not None else None
