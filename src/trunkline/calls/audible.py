"""What is heard of a channel's party: how good it sounds, how loud it is, whether it speaks. A part of `Channel`."""

from __future__ import annotations

from trunkline.calls.securing import Secured
from trunkline.media.engine import Leg, LegStatistics
from trunkline.media.quality import LegQuality, leg_quality
from trunkline.sip.endpoint import Codec, MediaPlan

__all__ = ["Audible", "Spoken", "spoken_in"]

_NO_VOICE = frozenset({"telephone-event", "cn"})

Spoken = tuple[tuple[str, int] | None, tuple[str, int] | None, float]
"""The codecs for voice that are received and sent, by name and clock rate, and how many milliseconds a packet holds."""


def _voice(codecs: tuple[Codec, ...]) -> tuple[str, int] | None:
    found = (each for each in codecs if each.name.lower() not in _NO_VOICE)
    return next(((each.name, each.clock_rate) for each in found), None)


def spoken_in(plan: MediaPlan | None) -> Spoken:
    """What a plan says of voice."""
    if plan is None:
        return None, None, 20.0
    return _voice(plan.receive_codecs), _voice(plan.send_codecs), float(plan.ptime_ms or 20)


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
