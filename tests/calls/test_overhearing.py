"""Who listens to a call on the virtual network: it is transcoded meanwhile and relayed after it, and the listener is nobody else's."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.house import House, on_the_network
from trunkline.calls.conference import Conference
from trunkline.calls.session import CallSession
from trunkline.errors import CallEnded, CallStateError
from trunkline.events import CallSessionSpeaking
from trunkline.testing.media import VirtualLeg


def leg_of(house: House, call: CallSession) -> VirtualLeg:
    assert call.zero.leg is not None
    return house.host.media.legs[call.zero.leg.number]


def speaker(conference: Conference) -> CallSession | None:
    return conference.speaker


async def to_bob(call: CallSession) -> None:
    if call.dial_number == "bob":
        await call.accept(to_user="bob")
    else:
        await call.answer()


async def talk(house: House) -> tuple[CallSession, CallSession]:
    """Alice's call to bob, and carol's, answered with nobody behind."""
    for name in ("alice", "bob", "carol"):
        await house.phone(name)
    house.route(to_bob)
    house.call(house.places["alice"][0], "bob")
    (await house.places["bob"][0].next_call()).answer()
    house.call(house.places["carol"][0], "desk")
    await house.settle()
    call, supervisor = house.calls
    return call, supervisor


def test_a_call_is_transcoded_while_somebody_listens_and_relayed_again() -> None:
    async def scenario(house: House) -> None:
        call, supervisor = await talk(house)
        assert call.zero.leg is not None
        assert call.one is not None
        assert call.one.leg is not None
        host, guest = leg_of(house, call), leg_of(house, supervisor)
        async with supervisor.listen(call) as listening:
            assert (host.transcodes, guest.host, guest.part) == (True, call.zero.leg.number, {"heard_by": ()})
            listening.be_heard_by(call.one)
            assert guest.part == {"heard_by": (call.one.leg.number,)}
            with pytest.raises(CallStateError):
                await supervisor.bridge(call)
        assert (host.transcodes, guest.host) == (False, 0)

    on_the_network(scenario)


def test_listening_ends_with_the_call_and_begins_with_no_call_that_is_over() -> None:
    async def scenario(house: House) -> None:
        call, supervisor = await talk(house)
        async with supervisor.listen(call) as listening:
            ended = asyncio.ensure_future(listening.ended())
            await house.settle()
            assert not ended.done()
            call.close()
            await ended
        with pytest.raises(CallEnded):
            supervisor.listen(call)
        assert supervisor.closed_reason is None

    on_the_network(scenario)


def test_who_leaves_a_conference_speaks_no_more_and_nothing_is_told_after_the_end() -> None:
    async def scenario(house: House) -> None:
        _, supervisor = await talk(house)
        conference = Conference()
        joined = asyncio.ensure_future(conference.join(supervisor, heard_by=[supervisor]))
        await house.settle()
        assert supervisor.zero.leg is not None
        leg, number = leg_of(house, supervisor), supervisor.zero.leg.number
        assert leg.part["heard_by"] == (number,)
        assert conference.levels() == {supervisor: -90.0}
        house.host.media.speak(leg.room, number)
        assert speaker(conference) is supervisor
        told = [event.speaking for event in house.events.events if isinstance(event, CallSessionSpeaking)]
        assert told == [True]
        supervisor.close()
        await joined
        assert speaker(conference) is None
        told = [event.speaking for event in house.events.events if isinstance(event, CallSessionSpeaking)]
        assert told == [True]

    on_the_network(scenario)
