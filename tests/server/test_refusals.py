"""INVITEs that make no session: who is told of them, what is recorded, and what a flood of strangers costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, PROVIDER, World, world
from trunkline import PeerType
from trunkline.events import CallRecorded, CallSessionCreated, IncomingCallRefused
from trunkline.server.refusals import STRANGERS_BURST
from trunkline.sip.endpoint import Flow
from trunkline.testing import CallRefused, Phone, VirtualNetwork

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
