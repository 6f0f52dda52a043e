"""An INVITE that was answered is listened to for further branches as long as its T1 asks for (RFC 3261 §13.2.2.4), and then forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.sip.endpoint import INVITE_LINGER_T1, Endpoint, Flow, Message
from trunkline.testing import VirtualNetwork
from trunkline.testing.network import Packet

OURS = ("192.0.2.1", 5060)
THEIRS = ("192.0.2.9", 5060)


class Branches:
    """Far ends behind one INVITE; notes what comes up of their answers."""

    def __init__(self, network: VirtualNetwork, t1_s: float) -> None:
        host = network.host(OURS[0], t1_s=t1_s)
        self.network = network
        self.tags: list[str] = []
        self.invite: Message | None = None
        self.endpoint = Endpoint(host.driver)
        self.endpoint.attach()
        host.driver.listen("udp", *OURS)
        network.filters.append(self._take)

    def _take(self, packet: Packet) -> int:
        if packet.destination != THEIRS:
            return 1
        message = Message.parse(packet.data)
        if message.method == "INVITE":
            self.invite = message
        return 0

    def call(self) -> None:
        headers = [("From", "<sip:a@x>;tag=f"), ("To", "<sip:b@x>"), ("Call-ID", "c"), ("CSeq", "1 INVITE")]
        self.endpoint.send_request("INVITE", "sip:b@x", headers, b"", Flow("udp", THEIRS, OURS), self)

    async def answer(self, tag: str) -> None:
        """A 200 of another branch."""
        assert self.invite is not None
        lines = [f"{name}: {self.invite.header(name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
        lines += [f"To: <sip:b@x>;tag={tag}", "Contact: <sip:b@192.0.2.9>", "Content-Length: 0"]
        data = "\r\n".join(["SIP/2.0 200 OK", *lines, "", ""]).encode()
        self.network.send_datagram(Packet("udp", THEIRS, OURS, data))
        await asyncio.sleep(self.network.default_link.delay_s * 2)

    def on_response(self, tx: int, message: Message, flow: Flow) -> None:
        self.tags.append(message.to_tag)

    def on_failure(self, tx: int, reason: str | None) -> None:
        self.tags.append("failed")


@pytest.mark.parametrize("t1_s", [0.05, 0.5, 1.0])
def test_an_answered_invite_is_listened_to_for_64_t1_and_then_forgotten(
    run_virtual: Callable[..., Any], virtual_network: VirtualNetwork, t1_s: float
) -> None:
    async def main() -> None:
        far = Branches(virtual_network, t1_s)
        far.call()
        await asyncio.sleep(0.1)
        await far.answer("first")
        await asyncio.sleep(60 * t1_s)
        await far.answer("second")
        assert far.tags == ["first", "second"]
        assert far.endpoint.live["clients"] == 1
        await asyncio.sleep((INVITE_LINGER_T1 - 60) * t1_s)
        assert far.endpoint.live["clients"] == 0
        far.endpoint.detach()

    run_virtual(main())
