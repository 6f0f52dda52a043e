"""A caller who cannot be answered is told why, where the handler lets the failure pass or does nothing about it."""

from __future__ import annotations

import pytest

from tests.server.world import world
from trunkline import CallFailed, CallSession, ClosedReason
from trunkline.errors import NoMediaPorts
from trunkline.events import CallSessionClosed
from trunkline.media.engine import Leg
from trunkline.testing import CallRefused, VirtualNetwork
from trunkline.testing.clock import run


def no_ports(address: str, *, beside: Leg | None = None) -> Leg:
    raise NoMediaPorts("no media port is free")


@pytest.mark.parametrize("caught", [False, True])
def test_an_answer_without_media_ports_is_503_to_the_caller(caught: bool) -> None:
    async def scenario() -> None:
        async with world(VirtualNetwork()) as w:

            @w.server.on_incoming_call
            async def route(call: CallSession) -> None:
                try:
                    await call.answer()
                except CallFailed:
                    if not caught:
                        raise

            alice = await w.phone("alice")
            running = w.server._running
            assert running is not None
            running.media.open_leg = no_ports  # type: ignore[method-assign]
            with pytest.raises(CallRefused) as refused:
                await alice.call("100", timeout_s=10)
            assert refused.value.status == 503
            assert [event.reason for event in w.events_of(CallSessionClosed)] == [ClosedReason.FAILED]

    run(scenario())
