"""Digits that are sent to a party: telephone events (RFC 4733), INFO, or tones, one after another in the order they were asked for.

Every channel's `Digits` has a `DigitSender`. The application's digits are waited for, those of the other party are not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from trunkline.calls.link import Stage
from trunkline.constants import DtmfWay
from trunkline.errors import CallEnded, CallStateError
from trunkline.media.engine import digit_tones
from trunkline.sip.endpoint import InfoDigit
from trunkline.sip.info import ask_by_info

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["DIGITS", "DigitSender"]

DIGITS = frozenset("0123456789*#ABCDabcd")

MAX_WAITING = 64
"""Requests that wait to be sent to one party."""

EVENT_PAUSE_MS = 100
"""What a telephone event takes beyond its duration: two repeated ends, and three packets of silence."""

TONE_MS = 70
"""The shortest tone and pause that every receiver takes (ITU-T Q.24 table A-1)."""

TONE_RATE = 8_000


class _Request(NamedTuple):
    digits: str
    duration_ms: int
    way: DtmfWay
    sent: asyncio.Future[None] | None
    """None where nobody waits."""


class DigitSender:
    """Sends digits to the party of one channel.

    Args:
        channel: To whom.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[_Request] = deque()
        self._runs = False

    def relay(self, digit: str, duration_ms: int, way: DtmfWay) -> None:
        """Send a digit of the other party; dropped where too many wait."""
        self._put(_Request(digit, duration_ms, way, None))

    async def send(self, digits: str, duration_ms: int, way: DtmfWay) -> None:
        """Send digits, and wait until they are said.

        Raises:
            CallStateError: Too many wait.
            CallFailed: An INFO was refused.
            CallEnded: The party has gone.
        """
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._put(_Request(digits, duration_ms, way, sent)):
            raise CallStateError("too many digits wait to be sent")
        await sent

    def _put(self, request: _Request) -> bool:
        if len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(request)
        if not self._runs:
            self._runs = True
            self._channel.env.spawn(self._run(), f"digits to {self._channel!r}")
        return True

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._carry_out(self._waiting.popleft())
        finally:
            self._runs = False
            for request in self._waiting:
                # the server stops
                if request.sent is not None:
                    request.sent.cancel()
            self._waiting.clear()

    async def _carry_out(self, request: _Request) -> None:
        sent = request.sent
        if sent is not None and sent.done():
            return  # whoever waited has been cancelled
        error: Exception | None = None
        try:
            await _SEND[request.way](self._channel, request.digits, request.duration_ms)
        except asyncio.CancelledError:
            if sent is not None:
                sent.cancel()
            raise
        except Exception as failure:
            error = failure
        if sent is None or sent.done():
            if error is not None:
                self._channel.log.warning("a digit for channel %s was not sent: %s", self._channel.id.name, error)
        elif error is not None:
            sent.set_exception(error)
        else:
            sent.set_result(None)


async def _by_events(channel: Channel, digits: str, duration_ms: int) -> None:
    if channel.leg is None or channel.stage is not Stage.UP:
        raise CallEnded("the party has gone")
    channel.leg.send_digits(digits, duration_ms)
    await asyncio.sleep(len(digits) * (duration_ms + EVENT_PAUSE_MS) / 1000)


async def _by_info(channel: Channel, digits: str, duration_ms: int) -> None:
    for digit in digits:
        if channel.invite is None:
            raise CallEnded("the party has gone")
        body = InfoDigit.body(digit, duration_ms) or ""
        await ask_by_info(channel.invite, "application/dtmf-relay", body.encode())


async def _by_tones(channel: Channel, digits: str, duration_ms: int) -> None:
    leg = channel.leg
    if leg is None or channel.stage is not Stage.UP:
        raise CallEnded("the party has gone")
    samples = digit_tones(digits, max(duration_ms, TONE_MS), TONE_MS)
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_end(complete: bool) -> None:
        if not ended.done():
            ended.set_result(complete)

    frames = min(len(samples) // 320 + 1, 3_000)
    try:
        source = channel.env.media.open_source(leg.number, TONE_RATE, on_end, frames=frames, exclusive=True)
    except OSError as error:
        raise CallEnded("the party has gone") from error
    source.write(samples)
    source.finish()
    if not await ended:
        raise CallEnded("the party has gone")


_SEND: dict[DtmfWay, Callable[[Channel, str, int], Awaitable[None]]] = {
    DtmfWay.RFC4733: _by_events,
    DtmfWay.INFO: _by_info,
    DtmfWay.INBAND: _by_tones,
}
