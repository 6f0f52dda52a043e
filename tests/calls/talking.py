"""Calls of phones in a house, and who talks to whom in them: what the tests of transfers share."""

from __future__ import annotations

from tests.calls.house import REALM, House
from trunkline.calls.session import CallSession
from trunkline.testing.call import ScriptedCall


def to(name: str) -> str:
    return f"sip:{name}@{REALM}"


async def connected(house: House, caller: str = "alice", callee: str = "bob") -> tuple[ScriptedCall, ScriptedCall]:
    """A call of two phones, as each has it."""

    @house.route
    async def route(call: CallSession) -> None:
        await call.accept(to_user=call.dial_number)

    here = house.call(house.places[caller][0], callee)
    there = await house.places[callee][0].next_call()
    there.answer()
    await here.wait_answered()
    await house.settle()
    return here, there


async def talk(house: House, one: ScriptedCall, other: ScriptedCall) -> None:
    """Each sends to a leg of the house that is linked with the other's, in both directions."""
    await house.settle()
    assert one.ended is None
    assert other.ended is None
    legs = house.host.media.legs
    of = {
        scripted: next(number for number, leg in legs.items() if leg.port == remote_port(scripted))
        for scripted in (one, other)
    }
    assert legs[of[one]].linked == of[other]
    assert legs[of[other]].linked == of[one]
    for scripted in (one, other):
        plan = scripted._describer.plan
        assert plan is not None
        assert plan.direction == "sendrecv"
        assert legs[of[scripted]].tone_hz is None


def remote_port(scripted: ScriptedCall) -> int:
    """Where a phone sends its audio."""
    plan = scripted._describer.plan
    assert plan is not None
    assert plan.remote_rtp is not None
    return plan.remote_rtp[1]


async def three(house: House) -> tuple[ScriptedCall, ScriptedCall]:
    for name in ("alice", "bob", "carol"):
        await house.phone(name)
    return await connected(house)


def replaces(scripted: ScriptedCall, extra: str = "") -> list[tuple[str, str]]:
    """The header that names the house's dialog with that phone."""
    assert scripted.session is not None
    dialog = scripted.session.dialog
    return [("Replaces", f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}{extra}")]
