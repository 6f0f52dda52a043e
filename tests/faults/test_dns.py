"""DNS is gone for hours: the name servers answer nothing, in virtual time, with all timers as they are by default."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.talking import Pair
from tests.server.world import ACCOUNT, MOBILE, PROVIDER, World, world
from trunkline.events import CallSessionFailed
from trunkline.testing import CallRefused, Fault, Phone, VirtualNetwork, Zone
from trunkline.testing.clock import run
from trunkline.testing.itsp import Account

OTHER = "15550000"
GONE_S = 3 * 3600.0
WITHIN_S = 36.0


async def connect(at: World, alice: Phone) -> Pair:
    """A call, up."""
    near = alice.dial(MOBILE)
    far = await at.itsp.next_call()
    far.answer()
    await near.wait_answered()
    return near, far


def provider_of_two_names() -> Zone:
    zone = Zone()
    for name in ("itsp", "other"):
        zone.add(f"_sip._udp.{name}.example", "SRV", f"10 0 5060 one.{name}.example.")
        zone.add(f"one.{name}.example", "A", PROVIDER)
    return zone


def add_other(at: World) -> None:
    at.itsp.accounts[OTHER] = Account(OTHER, "line secret")
    at.server.add_line(
        "other", username=OTHER, password="line secret", server="other.example", domain=at.itsp.realm, expires_s=600
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize("gone_s", [20.0, 300.0, GONE_S, GONE_S + 12.0, GONE_S + 24.0])
def test_dns_that_is_gone_stops_no_known_line_and_a_new_one_registers_soon_after_it_is_back(gone_s: float) -> None:
    async def main() -> None:
        zone = provider_of_two_names()
        async with world(
            VirtualNetwork(3), line={"server": "itsp.example", "expires_s": 600}, resolver=zone.resolver()
        ) as at:
            through = ["itsp"]
            at.server.on_incoming_call(lambda call: call.accept(to_line=through[-1]))
            alice = await at.phone("alice")
            standing = await connect(at, alice)
            zone.fault = Fault.DEAD
            before = at.itsp.accounts[ACCOUNT].registrations
            add_other(at)
            for _ in range(4):
                await asyncio.sleep(gone_s / 4)
                # a new line cannot be used, and says so at once or when the lookup is given up
                through.append("other")
                with pytest.raises(CallRefused) as refused:
                    await alice.dial(MOBILE).wait_answered(30)
                # the failure is 503, and what a phone hears of a line's 503 is 500 (RFC 3261 §16.7)
                assert refused.value.status == 500
                assert [failed.status for failed in at.events_of(CallSessionFailed)][-1] == 503
                through.pop()
                # a known one can
                near, far = await connect(at, alice)
                near.hangup()
                await far.wait_ended()
            assert not at.server.line("other").registered
            assert at.server.line("itsp").registered
            if gone_s > 600:
                assert at.itsp.accounts[ACCOUNT].registrations >= before + int(gone_s / 600)
            zone.fault = Fault.NONE
            await at.itsp.wait_registered(OTHER, WITHIN_S)
            await asyncio.sleep(1)
            through.append("other")
            near, far = await connect(at, alice)
            near.hangup()
            await far.wait_ended()
            assert [call.ended for call in standing] == [None, None]
            standing[0].hangup()
            await standing[1].wait_ended()
            await alice.stop()

    run(main())
