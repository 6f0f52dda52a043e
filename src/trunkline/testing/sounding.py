"""What a call of the test kit sends and hears: tones, digits, and what its detector makes of what arrives."""

from __future__ import annotations

import asyncio

from trunkline.media.engine import Heard, Leg

__all__ = ["Sounding"]


class Sounding:
    """The audio of a scripted call, mixed into it."""

    leg: Leg

    def play_tone(self, frequency_hz: float, level_dbm0: float = -10.0) -> None:
        """Send a tone until the call ends."""
        self.leg.play_tone(frequency_hz, level_dbm0)

    def send_digits(self, digits: str) -> None:
        """Send RFC 4733 events."""
        self.leg.send_digits(digits)

    async def hear(self, seconds: float = 0.5) -> Heard:
        """Listen for a while and say what was heard in it."""
        self.leg.heard()
        await asyncio.sleep(seconds)
        return self.leg.heard()

    async def hear_sound(self, seconds: float = 0.5, *, timeout_s: float = 5.0) -> Heard:
        """Wait until there is something to hear, then listen for a while; TimeoutError when there never is."""
        async with asyncio.timeout(timeout_s):
            while not (await self.hear(0.1)).frequency_hz:
                pass
        return await self.hear(seconds)
