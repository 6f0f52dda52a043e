"""Calls from a phone through the line to the provider's mobile, and whether they are heard."""

from __future__ import annotations

from trunkline.testing import Itsp, Phone, ScriptedCall

__all__ = ["Pair", "hears", "talk"]

Pair = tuple[ScriptedCall, ScriptedCall]

PHONE_HZ, MOBILE_HZ = 440.0, 1000.0


async def talk(phone: Phone, itsp: Itsp, number: str, *, timeout_s: float = 20.0) -> Pair:
    """A call, up, with a tone each way."""
    near = phone.dial(number)
    far = await itsp.next_call(timeout_s)
    far.answer()
    await near.wait_answered(timeout_s)
    near.play_tone(PHONE_HZ)
    far.play_tone(MOBILE_HZ)
    return near, far


async def hears(pair: Pair, seconds: float = 0.4) -> bool:
    """Whether each side hears the other's tone now."""
    near, far = pair
    near_heard = await near.hear(seconds)
    far_heard = await far.hear(seconds)
    return abs(near_heard.frequency_hz - MOBILE_HZ) < 10 and abs(far_heard.frequency_hz - PHONE_HZ) < 10
