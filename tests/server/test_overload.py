"""Handlers that do not return, on a whole server: new calls are shed, live ones go on."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.world import MOBILE, world
from trunkline.calls.session import CallSession
from trunkline.events import CallSessionClosed, CallSessionConnected
from trunkline.server import dispatch
from trunkline.testing import VirtualNetwork
from trunkline.testing.call import CallRefused
from trunkline.testing.clock import run


def test_new_calls_are_answered_503_while_handlers_are_stuck_and_live_ones_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "OVERLOAD_ON_LOOP", 3)
    caplog.set_level("WARNING", "trunkline")

    async def main() -> None:
        release = asyncio.Event()
        async with world(VirtualNetwork(1)) as at:

            @at.server.on_incoming_call
            async def route(call: CallSession) -> None:
                await call.accept(to_line="itsp")

            @at.server.on_call_session_connected
            async def stuck(event: CallSessionConnected) -> None:
                await release.wait()

            alice = await at.phone("alice")
            up = []
            for _ in range(3):
                call = alice.dial(MOBILE)
                (await at.itsp.next_call()).answer()
                await call.wait_answered()
                up.append(call)
            with pytest.raises(CallRefused) as refused:
                await alice.dial(MOBILE).wait_answered()
            assert refused.value.status == 503
            await up[0].hold()
            up[0].hangup()
            await asyncio.sleep(1)
            assert len(at.events_of(CallSessionClosed)) == 1
            release.set()
            await asyncio.sleep(1)
            call = alice.dial(MOBILE)
            (await at.itsp.next_call()).answer()
            await call.wait_answered()
            await alice.stop()

    run(main())
    assert "handlers pile up: new calls are shed" in caplog.text
    assert "handlers have caught up" in caplog.text
