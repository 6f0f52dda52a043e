"""The digits that a party presses: each counted once, told, kept for `gather`, and given to the other party in its way.

Every channel has a `Digits`. The leg hands over telephone events (RFC 4733) and tones, `informing` what comes by INFO. Telephone
events that both sides agreed to with one clock cross on the media workers, tones cross in the audio; everything else is sent anew by
`digit_sending`. Tones are heard only where no telephone-event is agreed and somebody wants them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trunkline.calls.digit_sending import DigitSender
from trunkline.calls.link import Stage
from trunkline.constants import DtmfWay
from trunkline.errors import CallStateError
from trunkline.media.engine import can_transcode, voice_keys
from trunkline.sip.description import is_event
from trunkline.sip.endpoint import InfoDigit

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["Digits"]

SAME_PRESS_S = 0.5
"""A digit that comes another way within this of the time in which its key was held is the same press."""

REMEMBERED = 32
"""Presses that another way may still repeat."""

TYPED_AHEAD = 32
"""Digits that wait for `gather`; of more the oldest go."""

SENT_MS = (40, 8_000)
"""The shortest and the longest digit that is sent anew."""


@dataclass(slots=True)
class _Press:
    digit: str
    ended_s: float
    ways: set[DtmfWay] = field(default_factory=set)


class Digits:
    """What the party of one channel presses.

    Args:
        channel: Whose.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._presses: deque[_Press] = deque(maxlen=REMEMBERED)
        self._typed: deque[str] = deque(maxlen=TYPED_AHEAD)
        self._news: asyncio.Event | None = None
        self.sender = DigitSender(channel)

    # --- what was pressed -------------------------------------------------------------------------------------------

    def on_leg_digit(self, digit: str, duration_ms: int, clock_rate: int) -> None:
        """From the leg: a telephone event of that clock, or with none a tone."""
        way = DtmfWay.RFC4733 if clock_rate else DtmfWay.INBAND
        if self._take(way, digit, duration_ms) is None:
            return
        other = self._other
        if other is not None and not other.digits.hears_it(way, clock_rate):
            other.digits.send(digit, duration_ms)

    def on_info(self, found: InfoDigit) -> bool:
        """From `informing`: an INFO with a digit. Whether it is to be passed on as it is."""
        duration_ms = found.duration_ms or 0
        press = self._take(DtmfWay.INFO, found.digit, duration_ms)
        other = self._other
        if press is None or other is None:
            return False
        if other.digits.way is DtmfWay.INFO:
            return True
        if self._events_cross(other):
            # its telephone event would cross by itself: it is seen first whether one comes
            self._channel.env.call_later(SAME_PRESS_S, lambda: self._send_single(press, other, duration_ms))
        else:
            other.digits.send(found.digit, duration_ms)
        return False

    def _take(self, way: DtmfWay, digit: str, duration_ms: int) -> _Press | None:
        """Count a press and tell it; None where it was counted as it came another way."""
        now = self._channel.env.endpoint.now_s
        began_s = now - duration_ms / 1000
        for press in self._presses:
            if press.digit == digit and way not in press.ways and began_s - press.ended_s <= SAME_PRESS_S:
                press.ways.add(way)
                return None
        press = _Press(digit, now, {way})
        self._presses.append(press)
        if self._news is not None or self._channel.link is None:
            self._typed.append(digit)
        if self._news is not None:
            self._news.set()
        self._channel.owner.on_digit(self._channel, digit, duration_ms, way)
        return press

    def _send_single(self, press: _Press, other: Channel, duration_ms: int) -> None:
        if DtmfWay.RFC4733 not in press.ways and self._other is other:
            other.digits.send(press.digit, duration_ms)

    # --- to this party ----------------------------------------------------------------------------------------------

    @property
    def way(self) -> DtmfWay:
        """How this party is told digits."""
        channel = self._channel
        wanted = channel.party.dtmf if channel.party is not None else "auto"
        if wanted in _SET:
            return _SET[wanted]
        if self.takes_events:
            return DtmfWay.RFC4733
        plan = channel.plan
        spoken = plan is None or any(can_transcode(codec) for codec in plan.send_codecs if not is_event(codec))
        return DtmfWay.INBAND if spoken else DtmfWay.INFO

    @property
    def takes_events(self) -> bool:
        """Whether telephone-event is agreed."""
        plan = self._channel.plan
        return plan is not None and any(map(is_event, plan.send_codecs))

    def hears_it(self, way: DtmfWay, clock_rate: int) -> bool:
        """Whether a digit that came to the other party this way has crossed to this one by itself."""
        if way is DtmfWay.INBAND:
            return self.way is DtmfWay.INBAND
        plan = self._channel.plan
        return plan is not None and any(
            is_event(codec) and codec.clock_rate == clock_rate for codec in plan.send_codecs
        )

    def send(self, digit: str, duration_ms: int) -> None:
        """Tell this party a digit of the other one; nothing where too many wait."""
        shortest, longest = SENT_MS
        self.sender.relay(digit, min(max(duration_ms, shortest), longest), self.way)

    # --- for gather -------------------------------------------------------------------------------------------------

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """While `gather` runs, all digits are its own, also those of a party that talks.

        Raises:
            CallStateError: Another one runs.
        """
        if self._news is not None:
            raise CallStateError("digits of this party are being gathered already")
        self._news = asyncio.Event()
        self.arrange()
        try:
            yield
        finally:
            self._news = None
            self.arrange()

    async def wait(self) -> None:
        """While gathering: wait until there is a digit, or the channel is over."""
        while self._news is not None and not self._typed and self._channel.stage is not Stage.OVER:
            self._news.clear()
            await self._news.wait()

    def next(self) -> str | None:
        """The oldest digit that nobody has taken."""
        return self._typed.popleft() if self._typed else None

    def forget(self) -> None:
        """Forget what was typed and not taken."""
        self._typed.clear()

    # --- tones ------------------------------------------------------------------------------------------------------

    def arrange(self) -> None:
        """What is agreed, the link, or who wants digits has changed: hear tones on both sides where they are wanted."""
        channel = self._channel
        if channel.stage is Stage.OVER and self._news is not None:
            self._news.set()
        if channel.link is not None and self._news is None:
            self._typed.clear()
        self._arrange()
        if (other := self._other) is not None:
            other.digits._arrange()

    def _arrange(self) -> None:
        leg = self._channel.leg
        if leg is not None:
            leg.hear_digits(self._wants_tones())

    def _wants_tones(self) -> bool:
        channel = self._channel
        plan, party = channel.plan, channel.party
        if channel.stage is not Stage.UP or plan is None or plan.fax is not None or party is None:
            return False
        if party.dtmf == "info" or any(map(is_event, plan.receive_codecs)) or not voice_keys(plan.receive_codecs):
            return False
        other = self._other
        told_otherwise = other is not None and other.digits.way is not DtmfWay.INBAND
        return channel.link is None or told_otherwise or self._news is not None or channel.env.hears_digits()

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _other(self) -> Channel | None:
        """Who talks to this party."""
        link = self._channel.link
        other = link.other(self._channel) if link is not None else None
        return other if other is not None and other.stage is Stage.UP else None

    def _events_cross(self, other: Channel) -> bool:
        """Whether telephone events of this party reach the other one on the media workers."""
        plan = self._channel.plan
        if plan is None:
            return False
        clocks = {codec.clock_rate for codec in plan.receive_codecs if is_event(codec)}
        return any(other.digits.hears_it(DtmfWay.RFC4733, clock) for clock in clocks)


_SET = {"info": DtmfWay.INFO, "inband": DtmfWay.INBAND}
