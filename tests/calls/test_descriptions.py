"""Descriptions of every kind: forked early dialogs, a 200 without one, INVITEs that offer nothing or cannot make a dialog."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.calls.house import ADDRESS, House, on_the_network
from tests.calls.test_accept import to_bob
from trunkline.constants import ClosedReason, PeerType
from trunkline.events import AttemptFailed, CallSessionClosed
from trunkline.sip.endpoint import Flow, Message, RequestReceived, SessionDescriber
from trunkline.testing.agent import G711, Agent
from trunkline.testing.call import CallRefused
from trunkline.testing.network import Packet


class Forked(Agent):
    """A callee behind a forking proxy: what it answers, and with which tag, is in the script's hands."""

    request: RequestReceived

    def on_invite(self, request: RequestReceived) -> None:
        self.request = request

    def respond(self, status: int, tag: str, port: int = 0) -> None:
        """Answer from the phone with that tag; with a description of that port if there is one."""
        body = b""
        if port:
            describer = SessionDescriber(session_id=port)
            offer = describer.read_offer(self.request.message.body)
            body, _ = describer.answer(offer, address=self.address, port=port, codecs=G711[:1])
        headers = [("Contact", f"<sip:{tag}@{self.address}>")]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        self.endpoint.respond(self.request.tx, status, None, headers, body, to_tag=tag)


async def forked(house: House) -> Forked:
    template = await house.phone("bob")
    template.vanish()
    house.places["bob"].clear()
    house._hosts += 1
    address = f"10.0.0.{house._hosts}"
    callee = Forked("bob", platform=house.network.host(address), address=address, port=5060)
    await callee.start()
    house.places["bob"].append(callee)
    house.agents.append(callee)
    return callee


def heard_at_bob(house: House) -> object:
    """Where our leg toward the callee sends."""
    one = house.calls[0].one
    assert one is not None
    assert one.leg is not None
    return house.host.media.legs[one.leg.number].configured["remote_rtp"]


def test_each_early_dialog_has_its_own_answer_and_the_200_chooses() -> None:
    async def scenario(house: House) -> None:
        alice, callee = await house.phone("alice"), await forked(house)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        await house.settle(0.1)
        callee.respond(183, "t1", 7000)
        await house.settle(0.1)
        assert heard_at_bob(house) == (callee.address, 7000)
        callee.respond(183, "t2", 7002)
        await house.settle(0.1)
        assert heard_at_bob(house) == (callee.address, 7002)
        callee.respond(200, "t1")
        await at_alice.wait_answered()
        assert heard_at_bob(house) == (callee.address, 7000)
        one = house.calls[0].one
        assert one is not None
        assert one.invite is not None
        assert one.invite.dialog.remote_tag == "t1"
        assert house.events.names().count("Connecting") == 2

    on_the_network(scenario)


def test_the_description_of_the_200_is_the_last_word() -> None:
    async def scenario(house: House) -> None:
        alice, callee = await house.phone("alice"), await forked(house)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        await house.settle(0.1)
        callee.respond(183, "t1", 7000)
        await house.settle(0.1)
        callee.respond(200, "t1", 7004)
        await at_alice.wait_answered()
        assert heard_at_bob(house) == (callee.address, 7004)

    on_the_network(scenario)


def test_a_late_200_of_another_branch_is_acknowledged_and_ended_and_the_call_goes_on() -> None:
    async def scenario(house: House) -> None:
        alice, callee = await house.phone("alice"), await forked(house)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        await house.settle(0.1)
        callee.respond(183, "t1", 7000)
        callee.respond(183, "t2", 7002)

        def double(packet: Packet) -> int:
            if packet.data.startswith(b"SIP/2.0 200") and b"tag=t1" in packet.data and b" INVITE\r\n" in packet.data:
                late = replace(packet, data=packet.data.replace(b"tag=t1", b"tag=t2").replace(b"sip:t1", b"sip:t2"))
                asyncio.get_running_loop().call_later(0.3, house.host.driver.receive_datagram, late)
            return 1

        house.network.filters.append(double)
        callee.respond(200, "t1", 7000)
        await at_alice.wait_answered()
        await house.settle(2)
        ended = [packet.data for packet in house.sent("BYE ", to=callee)]
        assert ended
        assert all(b";tag=t2" in data for data in ended)
        assert {data.split(b" ", 2)[1] for data in (each.data for each in house.sent("ACK ", to=callee))} == {
            b"sip:t1@" + callee.address.encode(),
            b"sip:t2@" + callee.address.encode(),
        }
        assert house.calls[0].closed_reason is None
        assert heard_at_bob(house) == (callee.address, 7000)

    on_the_network(scenario)


def test_a_description_among_the_parts_of_a_body_makes_a_call() -> None:
    """RFC 5621: what gateways send whose ISUP goes along."""

    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        isup = b"Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n\r\n\x01\x10"
        sdp = b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
        body = b"--b\r\n" + isup + b"\r\n--b\r\nContent-Type: application/sdp\r\n\r\n" + sdp + b"\r\n--b--\r\n"
        headers = [
            ("From", "<sip:alice@pbx.example>;tag=a"),
            ("To", "<sip:bob@pbx.example>"),
            ("Call-ID", "c1"),
            ("CSeq", "1 INVITE"),
            ("Contact", alice.contact),
            ("Content-Type", "multipart/mixed;boundary=b"),
        ]
        flow = Flow("udp", (ADDRESS, 5060), (alice.address, 5060))
        alice.endpoint.driver.send_request("INVITE", "sip:bob@pbx.example", headers, body, flow)
        at_bob = await bob.next_call()
        assert at_bob.invite is not None
        assert at_bob.invite.content_type == "application/sdp"
        assert b" RTP/AVP 8" in at_bob.invite.body
        at_bob.answer()
        await house.settle()
        plan = house.calls[0].zero.plan
        assert plan is not None
        assert plan.remote_rtp == ("10.0.0.2", 4000)

    on_the_network(scenario)


def test_a_200_without_any_description_is_ended_and_explained() -> None:
    async def scenario(house: House) -> None:
        alice, callee = await house.phone("alice"), await forked(house)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        await house.settle(0.1)
        callee.respond(200, "t1")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 488
        assert "no session description" in house.events.only(AttemptFailed).reason
        assert house.sent("ACK ", to=callee)
        assert house.sent("BYE ", to=callee)
        assert house.events.only(CallSessionClosed).reason is ClosedReason.FAILED
        await house.settle(60)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("contact", "body", "status"),
    [
        ("<sip:alice@10.0.0.2>", b"this is no SDP", 400),
        ("", b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", 400),
        (
            "<sip:alice@10.0.0.2>",
            b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=video 4000 RTP/AVP 31\r\n",
            488,
        ),
    ],
    ids=["malformed description", "no contact", "no audio"],
)
def test_an_invite_that_can_make_no_call_makes_no_session(contact: str, body: bytes, status: int) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        house.route(to_bob)
        headers = [
            ("From", "<sip:alice@pbx.example>;tag=a"),
            ("To", "<sip:bob@pbx.example>"),
            ("Call-ID", "c1"),
            ("CSeq", "1 INVITE"),
        ]
        headers += [("Contact", contact)] if contact else []
        headers += [("Content-Type", "application/sdp")] if body else []
        flow = Flow("udp", (ADDRESS, 5060), (alice.address, 5060))
        alice.endpoint.driver.send_request("INVITE", "sip:bob@pbx.example", headers, body, flow)
        await house.settle()
        answers = [packet.data for packet in house.network.delivered if packet.destination[0] == alice.address]
        assert any(data.startswith(f"SIP/2.0 {status} ".encode()) for data in answers), answers
        if status == 488:
            assert any(b"Warning: 305 trunkline" in data for data in answers)
        assert house.events.events == []
        assert house.exchange.sessions == ()
        await house.settle(40)
        assert house.endpoint.live == {"clients": 0, "servers": 0, "dialogs": 0}

    on_the_network(scenario)


BOTH = """v=0
o=gw 1 {version} IN IP4 10.0.0.2
s=-
c=IN IP4 10.0.0.2
t=0 0
m=audio 4100 RTP/SAVP 8 0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj
m=audio 4000 RTP/AVP 8 0
a={direction}
m=video 4200 RTP/AVP 31
"""
"""What a phone or gateway offers that takes SRTP and does without: both audio lines, the better one first."""


def both(version: int, direction: str = "sendrecv") -> bytes:
    return BOTH.format(version=version, direction=direction).replace("\n", "\r\n").encode()


def media_lines(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if line.startswith("m=")]


@pytest.mark.parametrize("caller", [PeerType.USER, PeerType.LINE])
def test_of_a_savp_and_an_avp_line_together_the_avp_one_is_used_and_the_other_refused_in_order(
    caller: PeerType,
) -> None:
    """RFC 3264 §6: as many lines as the offer, in its order, port 0 for those that are not taken."""

    async def scenario(house: House) -> None:
        alice = await house.phone("alice", peer_type=caller)
        bob = await house.phone("bob", peer_type=PeerType.LINE if caller is PeerType.USER else PeerType.USER)
        house.route(to_bob)
        headers = [
            ("From", "<sip:alice@pbx.example>;tag=a"),
            ("To", "<sip:bob@pbx.example>"),
            ("Call-ID", "c1"),
            ("Contact", alice.contact),
            ("Content-Type", "application/sdp"),
        ]
        flow = Flow("udp", (ADDRESS, 5060), (alice.address, 5060))
        alice.endpoint.driver.send_request(
            "INVITE", "sip:bob@pbx.example", [*headers, ("CSeq", "1 INVITE")], both(1), flow
        )
        at_bob = await bob.next_call()
        assert at_bob.invite is not None
        (offered,) = media_lines(at_bob.invite.body)
        assert " RTP/AVP 8 0" in offered
        at_bob.answer()
        await house.settle()
        answer = answers(house, alice, "INVITE")[-1]
        call = house.calls[0]
        assert call.zero.leg is not None
        assert media_lines(answer.body) == [
            "m=audio 0 RTP/SAVP 8 0",
            f"m=audio {call.zero.leg.port} RTP/AVP 8 0",
            "m=video 0 RTP/AVP 31",
        ]
        assert b"crypto" not in answer.body
        assert call.zero.plan is not None
        assert call.zero.plan.remote_rtp == ("10.0.0.2", 4000)
        # and so again in the dialog: an UPDATE that holds
        inside = [("To", answer.header("To") or ""), *(pair for pair in headers if pair[0] != "To")]
        alice.endpoint.driver.send_request(
            "UPDATE", str(answer.contacts[0].uri), [*inside, ("CSeq", "2 UPDATE")], both(2, "sendonly"), flow
        )
        await house.settle()
        held = answers(house, alice, "UPDATE")[-1]
        assert held.status == 200
        assert [line.split(" ")[1] == "0" for line in media_lines(held.body)] == [True, False, True]
        assert at_bob.remote_holds == ["sendonly"]
        assert call.zero.plan.remote_rtp == ("10.0.0.2", 4000)

    on_the_network(scenario)


def answers(house: House, agent: Agent, method: str) -> list[Message]:
    """The 2xx that a phone got to its requests of that method."""
    found = [Message.parse(packet.data) for packet in house.sent("SIP/2.0 2", to=agent)]
    return [message for message in found if message.method == method]
