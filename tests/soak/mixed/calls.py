"""Scripts of calls: answered, cancelled, rejected, unanswered, held, forked, and with somebody who vanishes."""

from __future__ import annotations

import asyncio
import contextlib

from tests.soak.mixed.errand import PATIENCE_S, Errand
from tests.soak.mixed.people import ACCOUNT
from trunkline.testing import CallRefused, ScriptedCall

__all__ = [
    "bad_network",
    "both_hold",
    "callee_vanishes",
    "caller_vanishes_ringing",
    "caller_vanishes_talking",
    "cancelled",
    "forked",
    "handler_raises",
    "handler_raises_later",
    "held",
    "nobody_there",
    "rejected",
    "talk",
    "unanswered",
]

GUEST_S = 8
"""How long a guest registers that will vanish."""


async def talk(errand: Errand) -> str:
    """Answered, and one of both hangs up."""
    near = errand.call_somehow()
    far = await errand.connect(near)
    await errand.pause(2.0)
    await errand.hang_up(near, far)
    return "hung up"


async def cancelled(errand: Errand) -> str:
    """The caller gives up while it rings."""
    near = errand.call_somehow()
    far = await errand.arrival()
    far.ring()
    await near.wait_ringing(PATIENCE_S)
    await errand.pause(0.5)
    near.hangup()
    return f"callee: {(await far.wait_ended(PATIENCE_S)).how}"


async def rejected(errand: Errand) -> str:
    """The callee is busy."""
    near = errand.call_somehow("bob" if errand.random.random() < 0.5 else None)
    far = await errand.arrival()
    far.reject(486)
    if far.agent.name == "team":
        far = await errand.arrival()
        far.reject(486)
    return f"caller: {await errand.refused(near)}"


async def unanswered(errand: Errand) -> str:
    """It rings until the server gives up."""
    near = errand.dial(errand.alice, errand.random.choice(("bob", "steady", "named")))
    far = await errand.arrival()
    far.ring()
    status = await errand.refused(near)
    await far.wait_ended(PATIENCE_S)
    return f"caller: {status}"


async def nobody_there(errand: Errand) -> str:
    """The user has no phone."""
    return f"caller: {await errand.refused(errand.call_somehow('nobody'))}"


async def forked(errand: Errand) -> str:
    """Two phones ring, one answers, the other one is cancelled."""
    near = errand.call_somehow("team")
    first, second = await errand.arrival(), await errand.arrival()
    first.ring()
    second.ring()
    await errand.pause(0.5)
    first.answer()
    await near.wait_answered(PATIENCE_S)
    other = await second.wait_ended(PATIENCE_S)
    await errand.hang_up(near, first)
    return f"other phone: {other.how}"


async def held(errand: Errand) -> str:
    """Either side holds and resumes, by re-INVITE or UPDATE."""
    near = errand.call_somehow()
    far = await errand.connect(near)
    for _ in range(errand.random.randint(1, 3)):
        side = errand.random.choice((near, far))
        if errand.random.random() < 0.5:
            await side.hold(errand.random.choice(("sendonly", "inactive")), PATIENCE_S)
            await errand.pause(0.5)
            await side.resume(PATIENCE_S)
        else:
            await side.reoffer("sendonly", update=True, timeout_s=PATIENCE_S)
            await errand.pause(0.5)
            await side.reoffer("sendrecv", update=True, timeout_s=PATIENCE_S)
    await errand.hang_up(near, far)
    return "hung up"


async def both_hold(errand: Errand) -> str:
    """Both sides hold in the same moment (glare), and hang up."""
    near = errand.call_somehow()
    far = await errand.connect(near)
    # RFC 3261 §14.1: 491 for one of them, or for both; or one was first
    await asyncio.gather(_holds(near), _holds(far))
    await errand.hang_up(near, far)
    return "hung up"


async def _holds(call: ScriptedCall) -> None:
    try:
        await call.hold("sendonly", PATIENCE_S)
    except CallRefused as error:
        if error.status not in (491, 500):
            raise


async def caller_vanishes_ringing(errand: Errand) -> str:
    """The caller's phone dies while it rings; nobody acknowledges the answer."""
    guest = await errand.guest(registers_s=GUEST_S)
    errand.dial(guest, errand.random.choice(("bob", "steady")))
    far = await errand.arrival()
    far.ring()
    await errand.pause(0.3)
    guest.vanish()
    far.answer()
    return f"callee: {(await far.wait_ended(PATIENCE_S)).how}"


async def caller_vanishes_talking(errand: Errand) -> str:
    """The caller's phone dies in the call; the callee hangs up."""
    guest = await errand.guest(registers_s=GUEST_S)
    near = errand.dial(guest, errand.random.choice(("bob", "named")))
    far = await errand.connect(near)
    guest.vanish()
    await errand.pause(0.5)
    far.hangup()
    return "hung up"


async def callee_vanishes(errand: Errand) -> str:
    """The callee's phone dies in the call, and the caller hangs up."""
    guest = await errand.guest(registers_s=GUEST_S)
    near = errand.call_somehow(guest.name)
    await errand.connect(near)
    guest.vanish()
    await errand.pause(0.5)
    near.hangup()
    return "hung up"


async def handler_raises(errand: Errand) -> str:
    """The application fails before it decides."""
    return f"caller: {await errand.refused(errand.call_somehow())}"


async def handler_raises_later(errand: Errand) -> str:
    """The application fails when the call is answered: both sides are hung up on."""
    near = errand.call_somehow("bob")
    far = await errand.arrival()
    far.answer()
    return f"caller: {(await near.wait_ended(PATIENCE_S)).how}, callee: {(await far.wait_ended(PATIENCE_S)).how}"


async def bad_network(errand: Errand) -> str:
    """A call with one of those that faults meet; it may go wrong in every way, but it has to end."""
    target = errand.random.choice(("shaky", "dave", "trunk"))
    shaky = errand.people.providers["shaky"]
    if errand.random.random() < 0.3 and shaky.here and shaky.accounts[ACCOUNT].contact is not None:
        near = errand.dial_in(shaky, "alice")
    else:
        near = errand.dial(errand.alice, target)
    with contextlib.suppress(CallRefused, TimeoutError, OSError):
        far = await _first_of(errand, near)
        await errand.pause(4.0)
        with contextlib.suppress(RuntimeError):
            await errand.random.choice((near, far)).hold("sendonly", PATIENCE_S)
    if near.agent is shaky and not shaky.here:
        return "its provider is gone"
    near.hangup()
    return (await near.wait_ended(PATIENCE_S)).how


async def _first_of(errand: Errand, near: ScriptedCall) -> ScriptedCall:
    """The callee's call, answered; CallRefused where the caller's fails before."""
    answered = asyncio.ensure_future(near.wait_answered(2 * PATIENCE_S))
    arriving = asyncio.ensure_future(errand.arrival())
    try:
        await asyncio.wait((answered, arriving), return_when=asyncio.FIRST_COMPLETED)
        if answered.done():
            await answered
        far = await arriving
        far.ring()
        await errand.pause(0.5)
        far.answer()
        await answered
        return far
    finally:
        for task in (answered, arriving):
            task.cancel()
        await asyncio.gather(answered, arriving, return_exceptions=True)
