"""Looks at the counts of every call now and then, and tells when the sound of a direction becomes bad, or good again.

`Running` makes one. It looks at legs whose user or line has `quality_alarm_mos`, every ten seconds, and judges what was counted since the
look before; packets cost nothing by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from trunkline.calls.channel import Channel
from trunkline.calls.link import Stage
from trunkline.calls.session import CallSession
from trunkline.events import CallEvent
from trunkline.hearing_events import QualityLow, QualityRestored
from trunkline.media.quality import Counts, Quality, leg_quality, since, spoken_in

__all__ = ["Alarm", "QualityWatch"]

log = logging.getLogger("trunkline.server")

EVERY_S = 10.0
"""Between two looks: two reports of RTCP."""
HYSTERESIS_MOS = 0.2
"""By how much sound has to be above the threshold to be good again."""
AT_ONCE = 50
"""Legs that are looked at in one step of the loop."""

Direction = Literal["received", "sent"]


class Alarm:
    """Whether one direction of a leg is low, with hysteresis."""

    def __init__(self) -> None:
        self.low = False

    def judge(self, mos: float, threshold: float) -> bool | None:
        """Take the MOS of a span: True when it has become low, False when it is restored, None when nothing changed."""
        if not self.low and mos < threshold:
            self.low = True
            return True
        if self.low and mos >= threshold + HYSTERESIS_MOS:
            self.low = False
            return False
        return None


@dataclass(slots=True)
class _Watched:
    """A leg between two looks."""

    counts: Counts
    alarms: dict[Direction, Alarm] = field(default_factory=lambda: {"received": Alarm(), "sent": Alarm()})


class QualityWatch:
    """Watches the calls of a server.

    Args:
        emit: Takes the events.
        sessions: The calls that are not over.
    """

    def __init__(self, emit: Callable[[CallEvent], None], sessions: Callable[[], Iterable[CallSession]]) -> None:
        self._emit = emit
        self._sessions = sessions
        self._watched: dict[int, _Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="quality of calls")

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def look(self) -> None:
        """Look at every leg that somebody set a threshold for."""
        wanted = [
            (call, channel)
            for call in self._sessions()
            for channel in call.course.channels
            if channel.leg is not None and channel.party is not None and channel.party.quality_alarm_mos > 0
        ]
        numbers = {channel.leg.number for _, channel in wanted if channel.leg is not None}
        self._watched = {number: each for number, each in self._watched.items() if number in numbers}
        for place, (call, channel) in enumerate(wanted, 1):
            self._look_at(call, channel)
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except Exception:
                log.exception("the quality of calls cannot be watched")

    def _look_at(self, call: CallSession, channel: Channel) -> None:
        leg, party = channel.leg, channel.party
        # it may be over since the list was made
        if leg is None or party is None or channel.stage is not Stage.UP or call.closed_reason is not None:
            return
        counts = leg.statistics
        if counts is None:
            return
        watched = self._watched.get(leg.number)
        if watched is None:
            self._watched[leg.number] = _Watched(counts)
            return
        span = since(counts, watched.counts)
        watched.counts = counts
        received, sent, packet_ms = spoken_in(channel.plan)
        quality = leg_quality(span, received, sent, packet_ms=packet_ms)
        found: tuple[tuple[Direction, Quality | None], ...] = (
            ("received", quality.received),
            ("sent", quality.sent),
        )
        for direction, each in found:
            if each is not None:
                self._tell(call, channel, direction, each, watched.alarms[direction], party.quality_alarm_mos)

    def _tell(
        self,
        call: CallSession,
        channel: Channel,
        direction: Direction,
        quality: Quality,
        alarm: Alarm,
        threshold: float,
    ) -> None:
        low = alarm.judge(quality.mos, threshold)
        if low:
            self._emit(QualityLow(call, channel.id, direction, quality))
        elif low is False:
            self._emit(QualityRestored(call, channel.id, direction, quality))
