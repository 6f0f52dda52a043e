"""Every Contact of ours has the node's and the worker's number in it, whatever it is sent for."""

from __future__ import annotations

import re

from tests.server.world import MOBILE, SERVER, world
from trunkline.calls.session import CallSession
from trunkline.testing import VirtualNetwork
from trunkline.testing.clock import run

MINTED = re.compile(rb"<sip:00000000[0-9a-f]{16}@10\.0\.0\.1[;>]")
"""Node 0, worker 0, and 64 random bits."""


def test_every_contact_carries_node_and_worker() -> None:
    async def main() -> None:
        network = VirtualNetwork(1)
        async with world(network) as at:

            @at.server.on_incoming_call
            async def route(call: CallSession) -> None:
                await call.accept(to_line="itsp")

            alice = await at.phone("alice")
            watch = alice.subscribe("dialog", "bob")
            await watch.next()
            call = alice.dial(MOBILE)
            (await at.itsp.next_call()).answer()
            await call.wait_answered()
            await call.refresh()
            call.hangup()
            watch.unsubscribe()
            await alice.stop()
        for_what = set()
        for packet in network.delivered:
            contact = re.search(rb"(?m)^Contact: (.*)\r$", packet.data)
            method = re.search(rb"(?m)^CSeq: \d+ (\w+)\r$", packet.data)
            assert method is not None
            answers = packet.data.startswith(b"SIP/2.0")
            # the answer to a REGISTER lists the phone's
            if packet.source[0] == SERVER and contact is not None and not (answers and method[1] == b"REGISTER"):
                assert MINTED.match(contact[1]), packet
                for_what.add((method[1].decode(), answers))
        assert for_what >= {
            ("REGISTER", False),
            ("INVITE", False),
            ("INVITE", True),
            ("UPDATE", True),
            ("SUBSCRIBE", True),
            ("NOTIFY", False),
        }

    run(main())
