"""A 2xx that comes after the INVITE was given up: it still finds who acknowledges it and ends its dialog."""

from __future__ import annotations

import asyncio

from _trunkline import Flow, Message, SansIoEndpoint
from tests.sip.wire import answer, outgoing
from trunkline.sip.endpoint import Endpoint

FLOW = Flow("udp", ("192.0.2.9", 5070), ("192.0.2.1", 5060))


class Caller:
    """Waits for the outcome of an INVITE."""

    def __init__(self) -> None:
        self.heard: list[int | None] = []

    def on_response(self, tx: int, message: Message, flow: Flow) -> None:
        self.heard.append(message.status)

    def on_failure(self, tx: int, reason: str | None) -> None:
        self.heard.append(None)


def test_a_late_2xx_reaches_the_one_that_was_told_of_the_timeout() -> None:
    asyncio.run(late())


async def late() -> None:
    core = SansIoEndpoint(seed=3)
    core.add_listener("udp", "192.0.2.1", 5060)
    core.set_time(0.0)
    endpoint, caller = Endpoint(core), Caller()
    endpoint.send_request("INVITE", "sip:p@peer", outgoing("INVITE"), b"", FLOW, caller)
    transmit = core.poll_transmit()
    assert transmit is not None
    core.set_time(33.0)
    core.handle_timeout()
    endpoint.pump()
    assert caller.heard == [None]
    assert endpoint.open_transactions == 0
    core.receive(FLOW, answer(transmit[1].decode()))
    endpoint.pump()
    assert caller.heard == [None, 200]
    endpoint.detach()
