"""A thousand calls while every fifth packet is lost, each way and on both legs, in virtual time."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import pytest

from tests.server.world import MOBILE, World, world
from trunkline.constants import ClosedReason
from trunkline.events import CallSessionClosed, CallSessionConnected, CallSessionFailed, CallSessionTimeout
from trunkline.testing import CallRefused, Phone, ScriptedCall, VirtualNetwork
from trunkline.testing.clock import run

CALLS = 1_000
LOSS = 0.2
APART_S = 0.1
TALK_S = 20.0
T1_S = 0.5
NOTHING_LEFT_S = 64 * T1_S + 5


async def one_call(alice: Phone, dials: str) -> str:
    """What a caller sees of a call: how it ended for him, and by whom."""
    call = alice.dial(dials)
    try:
        await call.wait_answered(120)
    except CallRefused as error:
        return f"refused {error.status}"
    await asyncio.sleep(TALK_S)
    if int(dials) % 2:
        call.hangup()
    ended = await call.wait_ended(120)
    return ended.how


async def answer_all(here: World, far: list[ScriptedCall], after: set[asyncio.Task[None]]) -> None:
    async def hang_up_later(call: ScriptedCall) -> None:
        await asyncio.sleep(TALK_S)
        if not int(call.dialled) % 2:
            call.hangup()

    while True:
        call = await here.itsp.incoming.get()
        far.append(call)
        call.ring()
        call.answer()
        after.add(asyncio.create_task(hang_up_later(call)))


def lose(network: VirtualNetwork) -> None:
    network.default_link.loss = LOSS
    for link in network.links.values():
        link.loss = LOSS


@pytest.mark.timeout(120)
def test_a_fifth_of_all_packets_lost_each_way_costs_less_than_one_call_in_a_hundred() -> None:
    async def main() -> None:
        network = VirtualNetwork(20)
        # without pings, of which one might be on its way when everything is looked at
        options = {"recorded_entries": 100_000, "flood_rate": 1e6, "flood_burst": 1e6}
        async with world(network, line={"ping_interval_s": 0}, **options) as here:
            here.server.on_incoming_call(lambda call: call.accept(to_line="itsp", timeout_s=60))
            alice = await here.phone("alice")
            far: list[ScriptedCall] = []
            later: set[asyncio.Task[None]] = set()
            answering = asyncio.create_task(answer_all(here, far, later))
            lose(network)
            calls = []
            for number in range(CALLS):
                calls.append(asyncio.create_task(one_call(alice, f"{int(MOBILE) + number}")))
                await asyncio.sleep(APART_S)
            seen = Counter([await call for call in calls])
            await asyncio.gather(*later)
            await asyncio.sleep(NOTHING_LEFT_S)
            answering.cancel()

            connected = len(here.events_of(CallSessionConnected))
            assert connected >= 0.99 * CALLS
            # a caller hears how it ended: a status, a BYE, or that the other side is silent
            assert sum(seen.values()) == CALLS
            assert all(how in ("bye", "lost") or re.fullmatch(r"refused [456]\d\d", how) for how in seen), seen
            assert seen["bye"] >= 0.99 * CALLS
            # every failure has a type and words, on both sides
            closed = here.events_of(CallSessionClosed)
            assert len(closed) == len({event.call.id for event in closed})
            assert {event.reason for event in closed} <= set(ClosedReason)
            for event in here.events_of(CallSessionFailed):
                assert event.status >= 400
                assert event.explanation is not None
            failures = len(here.events_of(CallSessionFailed)) + len(here.events_of(CallSessionTimeout))
            assert failures <= 0.01 * CALLS
            assert all(call.ended is not None and call.ended.how in ("bye", "cancel", "lost") for call in far)
            nothing_is_left(here, alice)

    run(main())


def nothing_is_left(here: World, alice: Phone) -> None:
    running: Any = here.server._running
    assert here.server.calls == ()
    assert running.media.open_legs == 0
    for endpoint in (running.endpoint, alice.endpoint, here.itsp.endpoint):
        assert endpoint.live == {"clients": 0, "servers": 0, "dialogs": 0}
    counters = running.endpoint.driver.counters()
    assert [counters[name] for name in ("client_transactions", "server_transactions", "dialogs")] == [0, 0, 0]
    assert (alice.calls, here.itsp.calls) == ([], [])
