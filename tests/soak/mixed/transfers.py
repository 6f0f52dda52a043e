"""Scripts of transfers: blind and attended, those that succeed and those that fail and give the call back."""

from __future__ import annotations

from tests.soak.mixed.errand import PATIENCE_S, Errand
from tests.soak.mixed.people import REALM
from trunkline.testing import ScriptedCall

__all__ = ["attended", "attended_to_a_dead_call", "blind", "blind_and_hangs_up", "blind_raises", "blind_refused"]


async def _called(errand: Errand) -> tuple[ScriptedCall, ScriptedCall]:
    """Somebody has called alice: his call and hers."""
    source = errand.random.choice(("steady", "named", "bob"))
    providers, phones = errand.people.providers, errand.people.phones
    theirs = errand.dial(phones[source], "alice") if source in phones else errand.dial_in(providers[source], "alice")
    return theirs, await errand.connect(theirs)


async def _pair(errand: Errand) -> tuple[ScriptedCall, ScriptedCall]:
    """Somebody talks to alice: his call and hers."""
    if errand.random.random() < 0.5:
        return await _called(errand)
    hers = errand.dial(errand.alice, errand.random.choice(("bob", "steady", "named")))
    return await errand.connect(hers), hers


def _refer(errand: Errand, target: str) -> str:
    """Whom she transfers to: called as her caller, so that it is this errand's call."""
    return f"sip:{errand.number(target)}@{REALM}"


async def blind(errand: Errand) -> str:
    """Alice's party goes on with somebody else."""
    theirs, hers = await _called(errand)
    refer = hers.refer(_refer(errand, errand.random.choice(("team", "named"))))
    new = await errand.arrival()
    new.ring()
    await errand.pause(0.5)
    new.answer()
    outcome = await refer.outcome(PATIENCE_S)
    await hers.wait_ended(PATIENCE_S)
    await errand.pause(0.5)
    await errand.hang_up(theirs, new)
    return f"told {outcome}"


async def blind_refused(errand: Errand) -> str:
    """The third is busy, and the call goes on."""
    theirs, hers = await _called(errand)
    refer = hers.refer(_refer(errand, "bob"))
    (await errand.arrival()).reject(486)
    outcome = await refer.outcome(PATIENCE_S)
    await errand.hang_up(theirs, hers)
    return f"told {outcome}"


async def blind_and_hangs_up(errand: Errand) -> str:
    """Alice hangs up right after her REFER; the rest is not her concern."""
    theirs, hers = await _called(errand)
    hers.refer(_refer(errand, "bob"))
    new = await errand.arrival()
    new.ring()
    hers.hangup()
    await errand.pause(0.5)
    new.answer()
    await errand.pause(0.5)
    await errand.hang_up(theirs, new)
    return "hung up"


async def blind_raises(errand: Errand) -> str:
    """The application fails over the request, and the call goes on."""
    theirs, hers = await _pair(errand)
    outcome = await hers.refer(f"sip:raises-bob-0@{REALM}").outcome(PATIENCE_S)
    await errand.hang_up(theirs, hers)
    return f"told {outcome}"


async def attended(errand: Errand) -> str:
    """Alice talks to both, and connects them."""
    theirs, hers = await _pair(errand)
    second = errand.dial(errand.alice, errand.random.choice(("bob", "named")))
    third = await errand.connect(second)
    outcome = await hers.refer(f"sip:{errand.number('bob')}@{REALM}", replaces=second).outcome(PATIENCE_S)
    await hers.wait_ended(PATIENCE_S)
    await second.wait_ended(PATIENCE_S)
    await errand.pause(0.5)
    await errand.hang_up(theirs, third)
    return f"told {outcome}"


async def attended_to_a_dead_call(errand: Errand) -> str:
    """The call that alice wants to connect to has ended: hers goes on."""
    theirs, hers = await _pair(errand)
    second = errand.dial(errand.alice, "bob")
    third = await errand.connect(second)
    await errand.hang_up(second, third)
    outcome = await hers.refer(f"sip:{errand.number('bob')}@{REALM}", replaces=second).outcome(PATIENCE_S)
    await errand.hang_up(theirs, hers)
    return f"told {outcome}"
