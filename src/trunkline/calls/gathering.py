"""What an application asks of digits: to gather those that a party presses, and to send some; a part of `CallSession`.

`calls.digits` counts what is pressed, `calls.digit_sending` sends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trunkline.calls.digit_sending import DIGITS
from trunkline.calls.link import Stage
from trunkline.constants import ChannelId, DtmfWay
from trunkline.errors import CallEnded, CallStateError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from trunkline.calls.channel import Channel
    from trunkline.calls.course import Course
    from trunkline.calls.digits import Digits
    from trunkline.media.audio import Audio

__all__ = ["Gathering"]

MAX_SENT = 64
"""Digits that are sent at once."""

DURATION_MS = (40, 5_000)
"""How short and how long a digit may be."""


class Gathering:
    """Digits of a call, both ways."""

    _course: Course

    if TYPE_CHECKING:

        def play(self, audio: Audio) -> Awaitable[object]:
            """`CallSession.play`."""

    async def gather(
        self,
        prompt: Audio | None = None,
        *,
        max_digits: int,
        terminator: str = "#",
        timeout_s: float = 5.0,
        first_timeout_s: float | None = None,
        interrupt: bool = True,
        channel: ChannelId = ChannelId.ZERO,
    ) -> str:
        """Gather the digits that a party presses, in whatever way they come: telephone events, INFO or tones.

        Args:
            prompt: What is played first, as `play` takes it.
            max_digits: After so many it returns, 1 to 1000.
            terminator: Digits each of which ends it, without being returned; "" for none.
            timeout_s: Seconds after the last digit until it returns what there is.
            first_timeout_s: Seconds until the first digit, from the end of the prompt; `timeout_s` unless given.
            interrupt: The first digit ends the prompt, and digits that the party pressed while it was alone before this began count
                (up to 32). Else the prompt is played to its end, and only what is pressed after it counts.
            channel: Whose digits.

        Returns:
            The digits; "" where none came in time, or the terminator was the first.

        Raises:
            AudioError: The prompt cannot be read, or is no audio. The call goes on.
            CallEnded: The party hung up, or the call is over.
            CallStateError: Nobody is answered on that channel, or its digits are being gathered already.
            ValueError: An argument is out of range.

        Example:
            digits = await call.gather("menu.wav", max_digits=4, terminator="#", timeout_s=5)
        """
        first_s = timeout_s if first_timeout_s is None else first_timeout_s
        if not 1 <= max_digits <= 1_000:
            raise ValueError(f"max_digits: 1 to 1000, not {max_digits}")
        if min(timeout_s, first_s) < 0:
            raise ValueError("timeout_s, first_timeout_s: 0 or more")
        if set(terminator) - DIGITS:
            raise ValueError("terminator: digits of 0-9, *, # and A-D")
        party = answered(self._course, channel)
        with party.digits.gathering():
            if prompt is not None:
                await self._prompt(prompt, party.digits, interrupt=interrupt)
            if not interrupt:
                party.digits.forget()
            return await self._collect(party, max_digits, terminator.upper(), first_s, timeout_s)

    async def send_dtmf(
        self,
        digits: str,
        *,
        how: DtmfWay | None = None,
        channel: ChannelId = ChannelId.ZERO,
        duration_ms: int = 100,
    ) -> None:
        """Send digits to the party on a channel, one after another; returns when they are sent.

        Args:
            digits: 1 to 64 of 0-9, `*`, `#` and A-D.
            how: In which way; as the `dtmf` setting of the user or line says unless given: by itself RFC 4733 where it is agreed, else
                tones, and INFO where the party's codec carries none.
            channel: To whom.
            duration_ms: How long each lasts, 40 to 5000 ms; tones at least 70.

        Raises:
            CallFailed: An INFO was refused (415 by one who takes no digits so), or never answered (408).
            CallStateError: Nobody is answered on that channel, RFC 4733 is asked for and not agreed, or too many digits wait.
            CallEnded: The party hung up, or the call is over.
            ValueError: An argument is out of range.
        """
        shortest, longest = DURATION_MS
        if not 0 < len(digits) <= MAX_SENT or set(digits) - DIGITS:
            raise ValueError(f"digits: 1 to {MAX_SENT} of 0-9, *, # and A-D")
        if not shortest <= duration_ms <= longest:
            raise ValueError(f"duration_ms: {shortest} to {longest}, not {duration_ms}")
        party = answered(self._course, channel)
        if how is DtmfWay.RFC4733 and not party.digits.takes_events:
            raise CallStateError("the party has not agreed to telephone-event")
        await party.digits.sender.send(digits.upper(), duration_ms, party.digits.way if how is None else how)

    async def _prompt(self, prompt: Audio, digits: Digits, *, interrupt: bool) -> None:
        """Play the prompt, as long as no digit comes that may end it."""
        if not interrupt:
            await self.play(prompt)
            return
        playing, pressed = asyncio.ensure_future(self.play(prompt)), asyncio.ensure_future(digits.wait())
        try:
            await asyncio.wait((playing, pressed), return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()
        finally:
            playing.cancel()
            pressed.cancel()
            await asyncio.gather(playing, pressed, return_exceptions=True)

    async def _collect(
        self, party: Channel, max_digits: int, terminator: str, first_timeout_s: float, timeout_s: float
    ) -> str:
        gathered = ""
        while len(gathered) < max_digits:
            try:
                async with asyncio.timeout(timeout_s if gathered else first_timeout_s):
                    await party.digits.wait()
            except TimeoutError:
                break
            digit = party.digits.next()
            if digit is None:
                self._course.check_open()
                raise CallEnded("the party has gone")
            if digit in terminator:
                break
            gathered += digit
        return gathered


def answered(course: Course, channel: ChannelId) -> Channel:
    """The answered party of a channel.

    Raises:
        CallEnded: The call is over.
        CallStateError: Nobody is answered there.
    """
    course.check_open()
    party = course.zero if channel is ChannelId.ZERO else course.one
    if party is None or party.stage is not Stage.UP:
        raise CallStateError(f"nobody is up on channel {channel.name}")
    return party
