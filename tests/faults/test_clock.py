"""The wall clock jumps by an hour while the server runs: nothing but what is shown and stored follows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.server.world import ACCOUNT, MOBILE, world
from trunkline.events import CallRecorded, CallSessionLost, UnregisterUser
from trunkline.testing import VirtualNetwork
from trunkline.testing.clock import run

HOUR_S = 3_600.0
GRANTED_S = 600


class Wall:
    """A wall clock that somebody turns."""

    def __init__(self) -> None:
        self.turned_s = 0.0

    def time(self) -> float:
        return 1_700_000_000.0 + asyncio.get_running_loop().time() + self.turned_s


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_a_clock_that_jumps_ends_no_call_and_no_registration_and_prolongs_none(
    jump_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = Wall()
    monkeypatch.setattr("trunkline.server.server.time", SimpleNamespace(time=wall.time))

    async def main() -> None:
        async with world(VirtualNetwork(3), storage=tmp_path / "pbx.db") as here:
            here.server.on_incoming_call(lambda call: call.accept(to_line="itsp"))
            here.server.on_call_recorded(lambda event: None)
            alice = await here.phone("alice", register=False)
            await alice.register(GRANTED_S)
            if alice._refresh is not None:
                alice._refresh.cancel()  # she is to lapse when her time is over
            near = alice.dial(MOBILE)
            far = await here.itsp.next_call()
            far.answer()
            await near.wait_answered()
            registered = here.itsp.accounts[ACCOUNT].registrations

            wall.turned_s = jump_s
            await asyncio.sleep(GRANTED_S - 60)
            # as if nothing had happened
            assert (near.ended, far.ended) == (None, None)
            assert here.events_of(CallSessionLost) == []
            assert here.events_of(UnregisterUser) == []
            assert here.server.registrations("alice")
            assert here.server.line("itsp").registered
            near.hangup()
            await far.wait_ended()
            await asyncio.sleep(1)
            [recorded] = here.events_of(CallRecorded)
            assert recorded.record.talk_s == pytest.approx(GRANTED_S - 60, abs=1)
            # the registration ends when it was granted until, and the line's is refreshed in its time
            await asyncio.sleep(70)
            assert not here.server.registrations("alice")
            assert len(here.events_of(UnregisterUser)) == 1
            await asyncio.sleep(HOUR_S)
            assert here.itsp.accounts[ACCOUNT].registrations > registered
            assert here.server.line("itsp").registered
            await alice.stop()

    run(main())
