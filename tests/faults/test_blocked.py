"""A handler that holds the event loop for ten seconds while a hundred calls talk over real sockets.

The peers wait a second before they repeat a request, twice T1's default: that the answers come before half a second has passed is shown in
virtual time by crates/sip/tests/endpoint_stall.rs, where no other process can hold up either side.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.served import ACCOUNT, MOBILE, Served
from tests.faults.talking import Pair, hears, talk
from trunkline.server.platform import Machine, SipDriver, SipOptions
from trunkline.testing import CallRefused, Itsp, Phone

CALLS = 100
HANGING = 10
BLOCKED_S = 10.0
BLOCK = "999"

CODE = """
import time

from trunkline import SipServer

server = SipServer(
    realm="pbx.example", listen=["udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}"], media_ports=(25000, 27999),
    media_workers=1,
)
server.add_user("alice", password="secret of alice")
server.add_line(
    "itsp", username="{account}", password="line secret", server="127.0.0.1:{provider}", domain="itsp.example"
)


@server.on_incoming_call
async def route(call):
    if call.dial_number == "999":
        time.sleep(10.0)
        call.reject(486)
    else:
        await call.accept(to_line="itsp")
"""


class PatientMachine(Machine):
    """The real machine, with twice the T1."""

    def sip_driver(self, options: SipOptions) -> SipDriver:
        return super().sip_driver(replace(options, t1_s=1.0))


def repeated(*peers: Itsp | Phone) -> list[int]:
    return [peer.endpoint.driver.counters()["retransmitted"] for peer in peers]


@pytest.mark.timeout(90)
def test_a_handler_that_blocks_the_loop_costs_no_retransmission_and_no_audio(tmp_path: Path) -> None:
    async def main() -> None:
        async with Itsp({ACCOUNT: "line secret"}, platform=PatientMachine()) as itsp:
            served = Served(tmp_path, itsp.port, code=CODE)
            await served.start()
            try:
                await itsp.wait_registered(ACCOUNT)
                at = ("127.0.0.1", served.port)
                platform = PatientMachine()
                async with Phone("alice", "secret of alice", at, realm="pbx.example", platform=platform) as alice:
                    await alice.register()
                    pairs = [await talk(alice, itsp, MOBILE) for _ in range(CALLS)]
                    before = repeated(alice, itsp)

                    blocking = alice.dial(BLOCK)
                    # its handler runs: the line says nothing more to anybody
                    await asyncio.sleep(0.5)
                    loop = asyncio.get_running_loop()
                    begun = loop.time()
                    for near, _ in pairs[:HANGING]:
                        near.hangup()
                    for _, far in pairs[HANGING : 2 * HANGING]:
                        far.hangup()
                    holding = [asyncio.create_task(near.hold(timeout_s=30)) for near, _ in pairs[2 * HANGING : 25]]
                    waiting = [alice.dial(MOBILE) for _ in range(HANGING)]
                    talking = pairs[25:]
                    counts = [heard_by(pair) for pair in talking]
                    await asyncio.sleep(BLOCKED_S - 2.0 - (loop.time() - begun))
                    assert blocking.ended is None
                    assert not any(task.done() for task in holding)
                    grown = [now - then for pair, then in zip(talking, counts, strict=True) for now in [heard_by(pair)]]
                    assert min(grown) > 0
                    assert await hears(talking[0])

                    with pytest.raises(CallRefused) as refused:
                        await blocking.wait_answered(30)
                    assert refused.value.status == 486
                    await asyncio.gather(*holding)
                    for _ in waiting:
                        (await itsp.next_call(20)).answer()
                    for call in waiting:
                        await call.wait_answered(20)
                    for near, far in pairs[: 2 * HANGING]:
                        await near.wait_ended(20)
                        await far.wait_ended(20)
                    assert repeated(alice, itsp) == before
                    assert lost(talking) == 0
            finally:
                await served.kill()

    asyncio.run(main())


def heard_by(pair: Pair) -> int:
    """Packets that have arrived at both ends of a call."""
    return sum(counts.packets_received for call in pair if (counts := call.leg.statistics) is not None)


def lost(pairs: list[Pair]) -> int:
    """Packets that were lost on their way to either end."""
    return sum(counts.packets_lost for pair in pairs for call in pair if (counts := call.leg.statistics) is not None)
