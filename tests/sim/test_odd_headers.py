"""Odd headers in messages that a whole server takes, on both flows: nothing raises, nothing stays.

A phone calls out through the line, or a mobile calls in; the call is held, changed by UPDATE, asked in every method, and ended, while one
header of every request, or of every response, that reaches the server says something odd. Which names meet which values, in what and on
which flow, is drawn from a seed: a failing case repeats by its parameters.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from dataclasses import replace

import pytest

from tests.server.world import ACCOUNT, MOBILE, REALM, SERVER, world
from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.testing import VirtualNetwork
from trunkline.testing.agent import Agent
from trunkline.testing.call import CallRefused, ScriptedCall
from trunkline.testing.clock import run
from trunkline.testing.network import Packet

NAMES = (
    "Accept", "Alert-Info", "Allow", "Authorization", "Contact", "Content-Disposition", "Content-Encoding", "Content-Type", "Diversion",
    "Event", "Expires", "From", "History-Info", "Info-Package", "Max-Forwards", "Min-SE", "P-Asserted-Identity", "P-Called-Party-ID",
    "Path", "Privacy", "Proxy-Authenticate", "RAck", "RSeq", "Reason", "Record-Route", "Recv-Info", "Refer-To", "Referred-By",
    "Remote-Party-ID", "Replaces", "Require", "Retry-After", "Service-Route", "Session-Expires", "Subscription-State", "Supported", "To",
    "User-Agent", "User-to-User", "Warning",
)  # fmt: skip
VALUES = (
    b"", b";", b"<", b'"', b"<sip:", b"\xff\xfe\x80", b"99999999999999999999", b"-1", b"a\x00b", b'<sip:a@b>;x="', b"*", b",",
    b"sip:[::1", b"tel:+", b"<sip:a@b;;>;;", b'Digest realm="', b"<http://x>", b"\xed\xa0\x80<sip:a@b>",
)  # fmt: skip
MAY_HAPPEN = (CallRefused, TimeoutError, RuntimeError)
"""To a scripted call whose server is told odd things: it is refused, not answered, or over."""
METHODS = ("INFO", "OPTIONS", "NOTIFY", "REFER", "MESSAGE", "SUBSCRIBE")
VALUES_A_NAME = 10
"""So many of the 18 values meet each name, each in requests or responses, on one of the two flows."""
OVER_S = 100.0
"""All that may still be repeated, waited for or lingered on is over by then."""


def spoilt(data: bytes, name: str, value: bytes) -> bytes:
    """The message with another value of a header, or with one more header. The tag of From and To stays."""
    head, gap, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    odd = name.encode() + b": " + value
    for at, line in enumerate(lines):
        if line.split(b":", 1)[0].strip().lower() == name.lower().encode():
            tag = re.search(rb";tag=[^;]+", line) if name in ("From", "To") else None
            lines[at] = odd + (tag[0] if tag else b"")
            break
    else:
        lines.insert(1, odd)
    return b"\r\n".join([first, *lines]) + gap + body


class Spoiler:
    """A filter of the network: what reaches the server comes with an odd header."""

    def __init__(self, network: VirtualNetwork, name: str, value: bytes, *, responses: bool) -> None:
        self._host = network.hosts[SERVER]
        self._name = name
        self._value = value
        self._responses = responses
        self.spoilt = 0
        network.filters.append(self)

    def __call__(self, packet: Packet) -> int:
        """Deliver another in its place."""
        is_response = packet.data.startswith(b"SIP/2.0 ")
        if packet.destination[0] != SERVER or is_response is not self._responses:
            return 1
        other = replace(packet, data=spoilt(packet.data, self._name, self._value))
        asyncio.get_running_loop().call_later(0.005, self._host.driver.receive_datagram, other)
        self.spoilt += 1
        return 0


async def talk(placed: ScriptedCall, agent: Agent) -> None:
    """A call with all that may happen in one."""
    arrived = await agent.next_call(3)
    arrived.ring()
    await placed.wait_ringing(3)
    arrived.answer()
    await placed.wait_answered(5)
    # what is refused or not answered is no reason to end: the rest comes too
    with contextlib.suppress(*MAY_HAPPEN):
        await placed.hold()
    with contextlib.suppress(*MAY_HAPPEN):
        await arrived.reoffer("sendonly", update=True)
    asked = [placed.request(method, headers=[("Refer-To", f"<sip:bob@{REALM}>")]) for method in METHODS]
    async with asyncio.timeout(2):
        await asyncio.gather(*asked, return_exceptions=True)


async def odd_call(name: str, value: bytes, *, responses: bool, inbound: bool) -> None:
    network = VirtualNetwork(1)
    async with world(network) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            if call.from_peer_type is PeerType.USER:
                await call.accept(to_line="itsp", timeout_s=30)
            else:
                await call.accept(to_user="alice", timeout_s=30)

        alice = await at.phone("alice")
        spoiler = Spoiler(network, name, value, responses=responses)
        placed = at.itsp.dial(ACCOUNT, caller_id=MOBILE) if inbound else alice.dial(MOBILE)
        with contextlib.suppress(*MAY_HAPPEN):
            await talk(placed, alice if inbound else at.itsp)
        placed.hangup()
        await asyncio.sleep(OVER_S / 2)
        network.filters.remove(spoiler)
        await asyncio.sleep(OVER_S / 2)
        assert spoiler.spoilt or responses, (name, value)
        assert not at.server.calls, at.server.calls
        assert network.hosts[SERVER].driver.counters()["dialogs"] == 0
        await alice.stop()


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_header_raises_nothing_and_leaves_no_session(name: str, caplog: pytest.LogCaptureFixture) -> None:
    chosen = random.Random(name)
    for value in chosen.sample(VALUES, VALUES_A_NAME):
        how = {"responses": chosen.random() < 0.5, "inbound": chosen.random() < 0.5}
        run(odd_call(name, value, **how))
        wrong = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert not wrong, (value, how, wrong)
