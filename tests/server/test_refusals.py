"""INVITEs that make no session: who is told of them, what is recorded, and what a flood of strangers costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, PROVIDER, World, world
from trunkline import PeerType
from trunkline.events import CallRecorded, CallSessionCreated, IncomingCallRefused
from trunkline.server.refusals import NAMED_LINES, STRANGERS_BURST
from trunkline.sip.endpoint import Flow
from trunkline.testing import CallRefused, Phone, VirtualNetwork
from trunkline.testing.network import Packet

Run = Callable[[Any], Any]


def listen(at: World) -> tuple[list[IncomingCallRefused], list[CallRecorded]]:
    refused: list[IncomingCallRefused] = []
    recorded: list[CallRecorded] = []
    at.server.on_incoming_call_refused(refused.append)
    at.server.on_call_recorded(recorded.append)
    at.server.on_incoming_call(lambda call: call.accept(to_user="alice"))
    return refused, recorded


def strange_invite(phone: Phone, number: int, to: str = ACCOUNT) -> None:
    headers = [
        ("From", f"<sip:scan{number}@elsewhere.example>;tag=a"),
        ("To", f"<sip:{to}@10.0.0.1>"),
        ("Call-ID", f"c{number}"),
        ("CSeq", "1 INVITE"),
        ("Contact", "<sip:scan@10.0.0.66:5060>"),
    ]
    flow = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.66", 5060))
    phone.endpoint.driver.send_request("INVITE", f"sip:{to}@10.0.0.1", headers, b"", flow)


def invite_from(source: str, number: int) -> bytes:
    lines = [
        f"INVITE sip:{ACCOUNT}@10.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/UDP {source}:5060;branch=z9hG4bK{number}",
        f"From: <sip:scan@elsewhere.example>;tag={number}",
        f"To: <sip:{ACCOUNT}@10.0.0.1>",
        f"Call-ID: {number}@{source}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:scan@{source}>",
        "Max-Forwards: 70",
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_line_without_a_common_codec_is_told_recorded_and_counted(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network, line={"codecs": ["G722"]}) as at:
            refused, recorded = listen(at)
            with pytest.raises(CallRefused):
                await at.itsp.dial(ACCOUNT, caller_id=MOBILE).wait_answered()
            await asyncio.sleep(1)
            (event,) = refused
            assert (event.from_peer_type, event.from_peer_name) == (PeerType.LINE, "itsp")
            assert (event.status, event.dial_number, event.caller_id) == (488, ACCOUNT, MOBILE)
            assert event.from_ip == PROVIDER
            assert event.explanation.problem.startswith("line itsp: none of the offered codecs may be used here: PCMU")
            assert "option codecs of line itsp" in event.explanation.advice
            assert event.explanation.sent == "488"
            assert event.explanation.received.endswith(f"from udp:{PROVIDER}:5060")
            (found,) = [each.record for each in recorded]
            assert (found.from_type, found.from_name, found.line) == ("line", "itsp", "itsp")
            assert (found.closed_reason, found.status) == ("refused", 488)
            assert found.explanation == event.explanation.as_json()
            assert at.events_of(CallSessionCreated) == []
            assert at.server._running is not None
            assert at.server._running.refusals.counts == {("line", 488): 1}

    run_virtual(main())


def test_a_source_of_several_lines_without_the_number_is_told_and_recorded(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        networks: dict[str, Any] = {"accept_from": ["10.0.0.66"]}
        async with world(virtual_network, line=networks) as at:
            at.server.add_line(
                "second", username="2", password="x", server="10.0.0.9:5060", domain="d", register=False, **networks
            )
            refused, recorded = listen(at)
            phone = await at.phone("alice", 66, register=False)
            strange_invite(phone, 1, to="4711")
            await asyncio.sleep(1)
            (event,) = refused
            assert event.status == 404
            assert (event.from_peer_type, event.from_peer_name) == (PeerType.LINE, "itsp, second")
            assert event.explanation.problem == (
                "the lines itsp, second are all at 10.0.0.66, and none of them has the number 4711"
            )
            assert [each.record.status for each in recorded] == [404]

    run_virtual(main())


def test_strangers_are_told_a_few_a_second_and_never_recorded(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            refused, recorded = listen(at)
            phone = await at.phone("alice", 66, register=False)
            at.server._running._policy._endpoint.driver.set_challenge(  # type: ignore[union-attr]
                "pbx.example", {"*": "nobody"}, [], []
            )
            for number in range(STRANGERS_BURST + 30):
                strange_invite(phone, number)
            await asyncio.sleep(0.5)
            assert len(refused) == STRANGERS_BURST
            event = refused[0]
            assert (event.from_peer_type, event.from_peer_name, event.status) == (None, "", 403)
            assert "10.0.0.66, which belongs to no line" in event.explanation.problem
            assert "accept_from" in event.explanation.advice
            assert recorded == []
            assert at.server._running is not None
            assert at.server._running.refusals.counts == {("stranger", 403): STRANGERS_BURST + 30}

    run_virtual(main())


def test_where_no_line_is_configured_a_stranger_is_counted_alone(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            refused, _ = listen(at)
            await at.server.remove_line("itsp")
            phone = await at.phone("alice", 66, register=False)
            at.server._running._policy._endpoint.driver.set_challenge(  # type: ignore[union-attr]
                "pbx.example", {"*": "nobody"}, [], []
            )
            strange_invite(phone, 1)
            await asyncio.sleep(0.5)
            assert refused == []
            assert at.server._running is not None
            assert at.server._running.refusals.counts == {("stranger", 403): 1}

    run_virtual(main())


def test_a_provider_at_an_address_that_no_line_accepts_is_told_with_the_line_to_change(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            at.server.add_line("second", username="2", password="x", server="10.0.0.9:5060", domain="d", register=False)
            refused, recorded = listen(at)
            phone = await at.phone("alice", 66, register=False)
            strange_invite(phone, 1)
            await asyncio.sleep(3)
            assert refused == [], "who is challenged has time to answer"
            strange_invite(phone, 2)
            await asyncio.sleep(3)
            (event,) = refused
            assert (event.from_peer_type, event.from_peer_name) == (None, "")
            assert (event.status, event.reason, event.count) == (401, "Unauthorized", 2)
            assert (event.from_ip, event.from_port) == ("10.0.0.66", 5060)
            assert (event.caller_id, event.dial_number) == ("scan1", ACCOUNT)
            assert event.explanation.problem == (
                f"no line accepts calls from 10.0.0.66: an INVITE for {ACCOUNT} came from there, "
                "and nobody answered its challenge"
            )
            assert "add 10.0.0.66 to the option accept_from of line itsp, or" in event.explanation.advice
            assert event.explanation.received == f"INVITE sip:{ACCOUNT}@10.0.0.1 from udp:10.0.0.66:5060"
            assert recorded == []
            assert at.server._running is not None
            assert at.server._running.refusals.counts == {("stranger", 401): 2}
            assert at.server._running.sip_counters["challenged"] == 2

    run_virtual(main())


def test_a_number_of_no_line_leaves_the_choice_among_all(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            for number in range(NAMED_LINES):
                settings: dict[str, Any] = {"username": str(number), "password": "x", "server": "10.0.0.9:5060"}
                at.server.add_line(f"line{number}", domain="d", register=False, **settings)
            refused, _ = listen(at)
            strange_invite(await at.phone("alice", 66, register=False), 1, to="4711")
            await asyncio.sleep(5)
            (event,) = refused
            named = "one of the lines itsp, line0, line1, line2, line3, …, or check"
            assert f"accept_from of {named}" in event.explanation.advice

    run_virtual(main())


def test_a_phone_that_answers_its_challenge_is_no_stranger(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            refused, _ = listen(at)
            alice, bob = await at.phone("alice"), await at.phone("bob", 3)
            call = bob.dial("alice")
            (await alice.next_call()).answer()
            await call.wait_answered()
            await asyncio.sleep(10)
            assert refused == []
            assert at.server._running is not None
            assert at.server._running.refusals.counts == {}
            call.hangup()

    run_virtual(main())


def test_a_flood_of_challenged_invites_is_few_events_whatever_its_sources(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            refused, _ = listen(at)
            server = virtual_network.hosts["10.0.0.1"].driver
            for number in range(10_000):
                one = number % 2 == 0
                source = "10.9.9.9" if one else f"10.8.{number // 256}.{number % 256}"
                server.receive_datagram(Packet("udp", (source, 5060), ("10.0.0.1", 5060), invite_from(source, number)))
                if number % 100 == 99:
                    await asyncio.sleep(0.001)  # the trace of so many fills the queue
            await asyncio.sleep(29)
            assert len(refused) == 8, "the bound of Rust, within 30 seconds"
            assert [event.count for event in refused] == [5_000, 1, 1, 1, 1, 1, 1, 1]
            assert at.server._running is not None
            assert at.server._running.sip_counters["challenged"] == 10_000

    run_virtual(main())
