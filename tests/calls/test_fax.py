"""T.38 by re-INVITE passed through: offered to the other side as it is, answered as that answers, and audio again after it."""

from __future__ import annotations

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import connected
from trunkline.calls.session import CallSession
from trunkline.sip.description import FaxAttributes
from trunkline.testing.call import CallRefused

THEIRS: FaxAttributes = (("T38FaxVersion", "0"), ("T38MaxBitRate", "9600"), ("T38FaxRateManagement", "transferredTCF"))


def modes(house: House, call: CallSession) -> list[tuple[object, object]]:
    """Whether each leg is in UDPTL mode, and where it sends."""
    found = []
    for channel in (call.zero, call.one):
        assert channel is not None
        assert channel.leg is not None
        configured = house.host.media.legs[channel.leg.number].configured
        found.append((configured["udptl"], configured["remote_rtp"]))
    return found


@pytest.mark.parametrize("asking", [0, 1])
def test_a_fax_is_offered_across_and_audio_comes_back(asking: int) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        calls = [at_alice, at_bob]
        asks, other = calls[asking], calls[1 - asking]
        other.agent.fax = THEIRS
        await asks.offer_fax()
        ports = [(each.agent.address, each.leg.port) for each in calls]
        assert modes(house, call) == [(True, ports[0]), (True, ports[1])]
        assert b"m=image" in other.requests[0].body
        plan = asks._describer.plan
        assert plan is not None
        assert plan.fax is not None
        assert ("T38MaxBitRate", "9600") in plan.fax.attributes
        # repeated as it stands it is answered here
        body = asks._describer.offer_again()
        assert body is not None
        assert asks.session is not None
        asks.session.reinvite(body, asks)
        await house.settle()
        assert len(other.requests) == 1
        await asks.reoffer("sendrecv")
        assert [udptl for udptl, _ in modes(house, call)] == [False, False]
        assert call.closed_reason is None

    on_the_network(scenario)


def test_a_fax_that_the_other_side_refuses_leaves_audio() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        with pytest.raises(CallRefused) as refused:
            await at_alice.offer_fax()
        assert refused.value.status == 488
        assert [udptl for udptl, _ in modes(house, call)] == [False, False]
        await at_alice.hold()
        assert at_bob.remote_holds == ["sendonly"]

    on_the_network(scenario)
