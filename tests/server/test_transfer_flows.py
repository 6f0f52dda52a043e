"""Transfer through a whole server: a phone's REFER for a user and for a number, by a handler, and per line to the provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, REALM, World, world
from trunkline.calls.destinations import ToLine
from trunkline.calls.session import CallSession
from trunkline.calls.transfer_request import TransferRequest
from trunkline.constants import ClosedReason
from trunkline.errors import ConfigurationError
from trunkline.events import CallRecorded, CallSessionClosed
from trunkline.server.server import SipServer
from trunkline.testing import VirtualNetwork
from trunkline.testing.call import ScriptedCall
from trunkline.testing.referring import take_refers
from trunkline.testing.watch import RequestRefused
from trunkline.trace.describe import describe

Run = Callable[[Coroutine[Any, Any, None]], None]

OTHER = "15550001111"


async def mobile_and_alice(at: World) -> tuple[ScriptedCall, ScriptedCall]:
    """A mobile has called in and talks to alice."""

    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user="alice")

    alice = await at.phone("alice")
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE, caller_name="Mum")
    at_alice = await alice.next_call()
    at_alice.answer()
    await mobile.wait_answered()
    return mobile, at_alice


def test_a_phone_transfers_its_caller_to_a_user_and_the_provider_sees_nothing(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            bob = await at.phone("bob", 3)
            recorded: list[CallRecorded] = []

            @at.server.on_call_recorded
            async def note(event: CallRecorded) -> None:
                recorded.append(event)

            mobile, at_alice = await mobile_and_alice(at)
            refer = at_alice.refer(f"sip:bob@{REALM}")
            at_bob = await bob.next_call()
            assert at_bob.caller_id == MOBILE
            at_bob.answer()
            assert await refer.outcome() == 200
            assert (await at_alice.wait_ended()).by_us is False
            assert not [
                packet
                for packet in virtual_network.delivered
                if packet.destination[0] == at.itsp.address and b"REFER" in packet.data.partition(b"\r\n")[0]
            ]
            at_bob.hangup()
            await mobile.wait_ended()
            (closed,) = at.events_of(CallSessionClosed)
            assert closed.reason is ClosedReason.HANGUP
            assert at.call_events[-3:] == ["TransferAccepted", "CallSessionHangUp", "CallSessionClosed"]
            await asyncio.sleep(1)
            assert (recorded[0].record.to_name, recorded[0].record.closed_reason) == ("bob", "hangup")
            assert [(each.peer_name, each.answered) for each in recorded[0].attempts] == [
                ("alice", True),
                ("bob", True),
            ]
            (transfer,) = recorded[0].record.transfers
            assert isinstance(transfer.pop("at") if isinstance(transfer, dict) else None, float)
            assert transfer == {
                "how": "blind",
                "by": "user alice",
                "whom": "line itsp",
                "to": f"sip:bob@{REALM}",
                "outcome": "accepted",
                "status": 200,
                "reason": "OK",
            }
            await bob.stop()
            await at_alice.agent.stop()

    run_virtual(main())


@pytest.mark.parametrize("plain", [True, False])
def test_a_handler_transfers_to_a_number_over_a_line(
    run_virtual: Run, virtual_network: VirtualNetwork, plain: bool
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            if plain:

                @at.server.on_transfer_requested
                def thread(request: TransferRequest) -> None:
                    request.accept(ToLine("itsp"))
            else:

                @at.server.on_transfer_requested
                async def task(request: TransferRequest) -> None:
                    request.accept(ToLine("itsp"))

            mobile, at_alice = await mobile_and_alice(at)
            refer = at_alice.refer(f"sip:{OTHER}@{REALM}")
            other = await at.itsp.next_call(60)
            assert other.dialled == OTHER
            assert other.invite is not None
            assert other.invite.header("Referred-By") is None
            other.answer()
            assert await refer.outcome() == 200
            other.hangup()
            await mobile.wait_ended()
            await at_alice.agent.stop()

    run_virtual(main())


def test_a_handler_that_raises_or_says_nothing_leaves_the_call_as_it_was(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            requests: list[TransferRequest] = []

            @at.server.on_transfer_requested
            async def decide(request: TransferRequest) -> None:
                requests.append(request)
                if len(requests) == 1:
                    raise RuntimeError("a fault of the handler")

            mobile, at_alice = await mobile_and_alice(at)
            assert await at_alice.refer(f"sip:bob@{REALM}").outcome() == 500
            assert await at_alice.refer(f"sip:{OTHER}@{REALM}").outcome() == 603
            assert mobile.ended is None
            assert at_alice.ended is None
            told = [describe(event) for event in at.server.recorder.events]
            assert f"transfer_requested call=1 channel=one to=sip:{OTHER}@{REALM}" in told
            assert 'transfer_failed call=1 status=500 reason="Server Internal Error"' in told
            mobile.hangup()
            await at_alice.wait_ended()
            await at_alice.agent.stop()

    run_virtual(main())


def test_a_line_may_leave_transfers_to_its_provider(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network, line={"transfer": "refer"}) as at:
            mobile, at_alice = await mobile_and_alice(at)
            assert mobile.session is not None
            asked = take_refers(mobile.session, 200)
            assert await at_alice.refer(f"sip:{OTHER}@{REALM}").outcome() == 200
            assert asked == [f"sip:{OTHER}@{at.itsp.realm}"]
            await mobile.wait_ended()
            await at_alice.wait_ended()
            (closed,) = at.events_of(CallSessionClosed)
            assert closed.reason is ClosedReason.TRANSFERRED
            await at_alice.agent.stop()

    run_virtual(main())


def test_a_refer_outside_a_call_is_refused(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            alice = await at.phone("alice")
            with pytest.raises(RequestRefused) as refused:
                await alice._ask("REFER", "bob", [("Contact", alice.contact), ("Refer-To", "<sip:x@y>")], b"")
            assert refused.value.status == 403
            await alice.stop()

    run_virtual(main())


def test_the_setting_of_a_line_has_two_values() -> None:
    server = SipServer(realm=REALM)
    with pytest.raises(ConfigurationError, match=r"lines\.itsp\.transfer"):
        server.add_line("itsp", username="1", server="192.0.2.1", transfer="elsewhere")
