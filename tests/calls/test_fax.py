"""T.38 by re-INVITE passed through: offered to the other side as it is, answered as that answers, and audio again after it."""

from __future__ import annotations

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import connected
from tests.calls.test_session_timer import SHORT, refreshes
from tests.calls.test_session_timer import connected as refreshed
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


@pytest.mark.parametrize("asking", [0, 1])
@pytest.mark.parametrize("takes_update", [True, False])
def test_a_session_that_we_refresh_during_a_fax_stays_a_fax(asking: int, takes_update: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await refreshed(house, alice=SHORT, bob=SHORT)
        calls = [at_alice, at_bob]
        for each in calls:
            each.agent.fax = THEIRS
        if not takes_update:
            at_alice.agent.refuse_inside["UPDATE"] = 405
        await calls[asking].offer_fax()
        assert call.zero.describer is not None
        described, seen = call.zero.describer.local, len(at_alice.requests)
        across = len(at_bob.requests)
        await house.settle(400)
        assert call.closed_reason is None
        ports = [(each.agent.address, each.leg.port) for each in calls]
        assert modes(house, call) == [(True, ports[0]), (True, ports[1])]
        if takes_update:
            assert refreshes(house, at_alice, "UPDATE") >= 7
            assert len(at_alice.requests) == seen
        else:
            repeated = at_alice.requests[seen:]
            assert len(repeated) >= 7
            assert {request.body for request in repeated} == {described}
            assert described is not None
            assert b"m=image" in described
        # nothing of it crosses
        assert len(at_bob.requests) == across
        await calls[1 - asking].reoffer("sendrecv")
        assert [udptl for udptl, _ in modes(house, call)] == [False, False]

    on_the_network(scenario)
