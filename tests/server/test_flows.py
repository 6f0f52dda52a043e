"""Whole calls as an application sees them: both flows of the tutorial and what becomes of them when a party does otherwise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, World, world
from trunkline import (
    Busy,
    CallEnded,
    CallFailed,
    CallSession,
    ChannelId,
    ClosedReason,
    NoAnswer,
    NotRegistered,
    PeerType,
)
from trunkline.events import (
    CallSessionClosed,
    CallSessionConnecting,
    CallSessionFailed,
    CallSessionHangUp,
    CallSessionLost,
    IncomingCall,
)
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Uri
from trunkline.testing import CallRefused, VirtualNetwork

Run = Callable[[Any], Any]

ANSWERED = [
    "CallSessionCreated",
    "IncomingCall",
    "CallSessionConnecting",
    "CallSessionConnected",
    "CallSessionHangUp",
    "CallSessionClosed",
]


def route(server: SipServer) -> None:
    """Users dial out through the line, the line rings alice."""

    @server.on_incoming_call
    async def decide(call: CallSession) -> None:
        if call.from_peer_type is PeerType.USER:
            await call.accept(to_line="itsp", timeout_s=30)
        else:
            await call.accept(to_user="alice", timeout_s=30)


async def all_closed(at: World) -> None:
    for call in at.server.calls:
        await call.wait_closed()
    # the last responses are on their way
    await asyncio.sleep(1)


def closed_reasons(at: World) -> list[ClosedReason]:
    return [event.reason for event in at.events_of(CallSessionClosed)]


def test_a_phone_dials_a_mobile_through_the_line(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            assert mobile.dialled == MOBILE
            assert mobile.caller_id == ACCOUNT
            mobile.ring()
            await call.wait_ringing()
            mobile.answer()
            await call.wait_answered()
            call.hangup()
            assert (await mobile.wait_ended()).how == "bye"
            await all_closed(at)
            assert at.call_events == ANSWERED
            (incoming,) = at.events_of(IncomingCall)
            assert (incoming.from_peer_type, incoming.from_peer_name) == (PeerType.USER, "alice")
            assert incoming.dial_number == MOBILE
            assert at.events_of(CallSessionConnecting)[0].channel is ChannelId.ONE
            assert at.events_of(CallSessionHangUp)[0].channel is ChannelId.ZERO
            assert closed_reasons(at) == [ClosedReason.HANGUP]
            await alice.stop()

    run_virtual(main())


def test_a_mobile_calls_in_and_the_phone_rings(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            alice = await at.phone("alice")
            mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE, caller_name="Mum")
            call = await alice.next_call()
            assert call.caller_id == MOBILE
            assert call.invite is not None
            assert call.invite.from_.display_name == "Mum"
            call.ring()
            await mobile.wait_ringing()
            call.answer()
            await mobile.wait_answered()
            call.hangup()
            assert (await mobile.wait_ended()).how == "bye"
            await all_closed(at)
            assert at.call_events == ANSWERED
            (incoming,) = at.events_of(IncomingCall)
            assert (incoming.from_peer_type, incoming.from_peer_name) == (PeerType.LINE, "itsp")
            assert incoming.dial_number == ACCOUNT
            assert at.events_of(CallSessionHangUp)[0].channel is ChannelId.ONE
            await alice.stop()

    run_virtual(main())


def test_both_parties_see_the_server_and_nothing_of_each_other(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            call.hangup()
            await mobile.wait_ended()
            await all_closed(at)
            secrets = {"10.0.0.2": "10.0.0.9", "10.0.0.9": "10.0.0.2"}
            for packet in at.network.delivered:
                other = secrets.get(packet.destination[0])
                if other is not None and packet.source[0] == "10.0.0.1":
                    assert other.encode() not in packet.data
            await alice.stop()

    run_virtual(main())


@pytest.mark.parametrize(
    ("status", "at_the_phone", "failure"),
    [(486, 486, Busy), (603, 603, CallFailed), (404, 404, CallFailed), (403, 502, CallFailed), (503, 500, CallFailed)],
)
def test_a_refusal_by_the_provider_reaches_the_phone_as_it_may(
    run_virtual: Run, virtual_network: VirtualNetwork, status: int, at_the_phone: int, failure: type[CallFailed]
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            raised: list[CallFailed] = []

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                try:
                    await call.accept(to_line="itsp")
                except CallFailed as error:
                    raised.append(error)
                    raise

            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            (await at.itsp.next_call()).reject(status)
            with pytest.raises(CallRefused) as refused:
                await call.wait_answered()
            assert refused.value.status == at_the_phone
            assert raised[0].status == status
            assert isinstance(raised[0], failure)
            await all_closed(at)
            assert at.call_events[-2:] == ["CallSessionFailed", "CallSessionClosed"]
            assert closed_reasons(at) == [ClosedReason.FAILED]
            await alice.stop()

    run_virtual(main())


def test_a_caller_who_gives_up_cancels_the_other_leg(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            ended: list[BaseException] = []

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                try:
                    await call.accept(to_line="itsp")
                except CallEnded as error:
                    ended.append(error)
                    raise

            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.ring()
            await call.wait_ringing()
            call.hangup()
            assert (await mobile.wait_ended()).how == "cancel"
            await all_closed(at)
            assert at.call_events[-2:] == ["CallSessionCancelled", "CallSessionClosed"]
            assert closed_reasons(at) == [ClosedReason.CANCELLED]
            assert len(ended) == 1
            await alice.stop()

    run_virtual(main())


def test_nobody_answers_in_time(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            raised: list[BaseException] = []

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                try:
                    await call.accept(to_user="bob", timeout_s=20)
                except NoAnswer as error:
                    raised.append(error)

            bob = await at.phone("bob", 3)
            alice = await at.phone("alice")
            call = alice.dial("bob")
            ringing = await bob.next_call()
            ringing.ring()
            with pytest.raises(CallRefused):
                await call.wait_answered(60)
            assert (await ringing.wait_ended()).how == "cancel"
            await all_closed(at)
            assert len(raised) == 1
            assert at.call_events[-2:] == ["CallSessionTimeout", "CallSessionClosed"]
            assert closed_reasons(at) == [ClosedReason.TIMEOUT]
            await alice.stop()
            await bob.stop()

    run_virtual(main())


def test_after_a_failure_the_handler_may_accept_another_target(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                call.accept(to_user="nobody home" if call.dial_number == "x" else "bob")

            @at.server.on_call_session_failed
            async def fall_back(event: CallSessionFailed) -> None:
                if event.status == 480:
                    event.call.accept(to_line="itsp", dial_number=MOBILE)

            alice = await at.phone("alice")
            call = alice.dial("bob")  # bob is not registered
            mobile = await at.itsp.next_call()
            assert mobile.dialled == MOBILE
            mobile.answer()
            await call.wait_answered()
            call.hangup()
            await all_closed(at)
            assert at.call_events == [
                "CallSessionCreated",
                "IncomingCall",
                "CallSessionFailed",
                "CallSessionConnected",
                "CallSessionHangUp",
                "CallSessionClosed",
            ]
            await alice.stop()

    run_virtual(main())


def test_a_plain_function_decides_from_its_thread(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            threads: list[int] = []

            @at.server.on_incoming_call
            def decide(call: CallSession) -> None:
                threads.append(threading.get_ident())
                call.accept(to_line="itsp")

            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            call.hangup()
            await all_closed(at)
            assert threads
            assert threads[0] != threading.get_ident()
            await alice.stop()

    run_virtual(main())


def test_a_handler_that_raises_closes_its_call_and_no_other(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                if call.from_peer_name == "alice":
                    raise ValueError("a bug of the application")
                await call.accept(to_line="itsp")

            alice, bob = await at.phone("alice"), await at.phone("bob", 3)
            sound = bob.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await sound.wait_answered()
            with pytest.raises(CallRefused) as refused:
                await alice.dial(MOBILE).wait_answered()
            assert refused.value.status == 500
            assert sound.ended is None
            assert closed_reasons(at) == [ClosedReason.FAILURE_SENT]
            sound.hangup()
            await all_closed(at)
            await alice.stop()
            await bob.stop()

    run_virtual(main())


def test_without_a_handler_a_call_gets_480(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            alice = await at.phone("alice")
            with pytest.raises(CallRefused) as refused:
                await alice.dial(MOBILE).wait_answered()
            assert refused.value.status == 480
            await alice.stop()

    run_virtual(main())


def test_all_phones_of_a_user_ring_and_the_losers_hear_why(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            desk, mobile_app = await at.phone("alice", 2), await at.phone("alice", 3)
            caller = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            first, second = await desk.next_call(), await mobile_app.next_call()
            first.ring()
            second.ring()
            second.answer()
            await caller.wait_answered()
            ended = await first.wait_ended()
            assert ended.how == "cancel"
            assert ended.message is not None
            assert "Call completed elsewhere" in (ended.message.header("Reason") or "")
            caller.hangup()
            await second.wait_ended()
            await all_closed(at)
            assert at.call_events.count("CallSessionConnected") == 1
            await desk.stop()
            await mobile_app.stop()

    run_virtual(main())


@pytest.mark.parametrize("holder", ["phone", "mobile"])
def test_hold_and_resume_cross_the_server(run_virtual: Run, virtual_network: VirtualNetwork, holder: str) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            await asyncio.sleep(1)
            holding, held = (call, mobile) if holder == "phone" else (mobile, call)
            await holding.hold()
            assert held.remote_holds == ["sendonly"]
            await holding.resume()
            assert held.remote_holds == ["sendonly", "sendrecv"]
            call.hangup()
            await all_closed(at)
            assert closed_reasons(at) == [ClosedReason.HANGUP]
            await alice.stop()

    run_virtual(main())


def test_a_party_that_falls_silent_is_lost(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            media = at.network.hosts["10.0.0.1"].media
            at.network.hosts["10.0.0.1"].media.fall_silent(min(media.legs))
            await mobile.wait_ended()
            await call.wait_ended()
            await all_closed(at)
            assert at.events_of(CallSessionLost)[0].channel is ChannelId.ZERO
            assert closed_reasons(at) == [ClosedReason.SESSION_LOST]
            await alice.stop()

    run_virtual(main())


def test_a_leg_whose_code_panicked_ends_its_call_and_no_other(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            alice = await at.phone("alice")
            calls, mobiles = [], []
            for _ in range(2):
                calls.append(alice.dial(MOBILE))
                mobiles.append(await at.itsp.next_call())
                mobiles[-1].answer()
                await calls[-1].wait_answered()
            leg = at.server.calls[0].course.zero.leg
            assert leg is not None
            assert leg.handler is not None
            leg.handler.on_leg_failed("panicked: told to fail")
            await mobiles[0].wait_ended()
            await calls[0].wait_ended()
            await asyncio.sleep(60)
            (lost,) = at.events_of(CallSessionLost)
            assert (lost.channel, lost.reason) == (ChannelId.ZERO, "media failed: panicked: told to fail")
            assert (calls[1].ended, mobiles[1].ended) == (None, None)
            calls[1].hangup()
            await all_closed(at)
            await alice.stop()

    run_virtual(main())


def test_a_codec_that_cannot_be_agreed_is_one_error_and_the_call_goes_on(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            said: list[str] = []

            @at.server.on_incoming_call
            async def receive(call: CallSession) -> None:
                await call.answer()
                with pytest.raises(CallFailed) as failed:
                    await call.dial_user("bob")
                said.append(f"{failed.value.status} {failed.value.explanation}")

            alice = await at.phone("alice")
            bob = await at.phone("bob", 3)
            call = alice.dial(MOBILE)
            await call.wait_answered()
            (await bob.next_call()).reject(488)
            await asyncio.sleep(5)
            codecs = "PCMA, PCMU, telephone-event"
            (words,) = said
            assert words.startswith(
                f"488 user bob takes none of the codecs that it was offered: {codecs}; add a codec "
            )
            assert call.ended is None
            call.hangup()
            await all_closed(at)
            await alice.stop()
            await bob.stop()

    run_virtual(main())


def test_the_servers_stop_ends_calls_and_unregisters_lines(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            route(at.server)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            await at.server.stop()
            assert call.ended is not None
            assert mobile.ended is not None
            await at.itsp.wait_unregistered(ACCOUNT)
            assert closed_reasons(at) == [ClosedReason.CLOSED]
            await alice.stop()

    run_virtual(main())


def test_dial_returns_the_answered_call_and_accept_adds_the_second_party(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            bob = await at.phone("bob", 3)
            dialling = asyncio.ensure_future(at.server.dial(MOBILE, line="itsp", timeout_s=30))
            mobile = await at.itsp.next_call()
            mobile.answer()
            call = await dialling
            placed = call.accept(to_user="bob")
            phone = await bob.next_call()
            phone.answer()
            await placed
            mobile.hangup()
            assert (await phone.wait_ended()).how == "bye"
            await all_closed(at)
            await bob.stop()

    run_virtual(main())


def test_what_dial_raises(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            with pytest.raises(NotRegistered):
                await at.server.dial_user("bob")
            bob = await at.phone("bob", 3)
            dialling = asyncio.ensure_future(at.server.dial_user("bob"))
            (await bob.next_call()).reject(486)
            with pytest.raises(Busy):
                await dialling
            with pytest.raises(NoAnswer):
                await at.server.dial_user("bob", timeout_s=5)
            with pytest.raises(CallFailed) as unknown:
                await at.server.dial_user("nobody")
            assert unknown.value.status == 404
            assert at.server.calls == ()
            await bob.stop()

    run_virtual(main())


def test_a_linear_flow_answers_dials_and_bridges(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            outcomes: list[CallSession] = []

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                await call.answer()
                agent = await call.dial_user("bob")
                outcome = await call.bridge(agent)
                outcomes.append(outcome.ended_by)
                agent.close()

            bob = await at.phone("bob", 3)
            caller = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            await caller.wait_answered()
            phone = await bob.next_call()
            phone.answer()
            await asyncio.sleep(1)
            caller.hangup()
            assert (await phone.wait_ended()).how == "bye"
            await all_closed(at)
            assert len(outcomes) == 1
            await bob.stop()

    run_virtual(main())


def test_dial_user_is_given_up_when_the_caller_hangs_up(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            ended: list[bool] = []

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                await call.answer()
                try:
                    await call.dial_user("bob")
                except CallEnded:
                    ended.append(True)
                    raise

            bob = await at.phone("bob", 3)
            caller = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            await caller.wait_answered()
            phone = await bob.next_call()
            phone.ring()
            caller.hangup()
            assert (await phone.wait_ended()).how == "cancel"
            await all_closed(at)
            assert ended == [True]
            await bob.stop()

    run_virtual(main())


def test_redirect_and_own_responses(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                if call.dial_number == "moved":
                    call.redirect("sip:bob@elsewhere.example")
                else:
                    call.respond(183, "Please wait")
                    await asyncio.sleep(1)
                    call.respond(404, "No such number")

            alice = await at.phone("alice")
            moved = alice.dial("moved")
            with pytest.raises(CallRefused) as refused:
                await moved.wait_answered()
            assert refused.value.status == 302
            assert refused.value.message is not None
            assert refused.value.message.contacts[0].uri.host == "elsewhere.example"
            unknown = alice.dial("unknown")
            assert (await unknown.wait_ringing()).reason == "Please wait"
            with pytest.raises(CallRefused) as refused:
                await unknown.wait_answered()
            assert (refused.value.status, refused.value.reason) == (404, "No such number")
            await all_closed(at)
            assert closed_reasons(at) == [ClosedReason.REDIRECT_SENT, ClosedReason.FAILURE_SENT]
            await alice.stop()

    run_virtual(main())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_phones_call_each_other_over_either_transport(
    run_virtual: Run, virtual_network: VirtualNetwork, transport: str
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                await call.accept(to_user=call.dial_number)

            alice = await at.phone("alice", 2, transport=transport)
            bob = await at.phone("bob", 3, transport=transport)
            call = alice.dial("bob")
            answering = await bob.next_call()
            answering.ring()
            await call.wait_ringing()
            answering.answer()
            await call.wait_answered()
            answering.hangup()
            assert (await call.wait_ended()).how == "bye"
            await all_closed(at)
            assert at.call_events == ANSWERED
            await alice.stop()
            await bob.stop()

    run_virtual(main())


def test_a_phone_cannot_show_a_number_that_is_not_its_users(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network, line={"from_user": "caller"}) as at:
            route(at.server)
            at.server.add_user("carol", password="secret of carol", numbers=["15550001"])
            carol = await at.phone("carol")
            for claimed, shown in (("911", "carol"), ("+15550001", "15550001")):
                call = carol.place(
                    Uri("sip", MOBILE, carol.realm),
                    carol.server_flow,
                    local=carol.address_of(claimed),
                    remote=carol.address_of(MOBILE),
                    credentials=carol._credentials,
                )
                mobile = await at.itsp.next_call()
                assert mobile.caller_id == shown
                assert at.events_of(IncomingCall)[-1].caller_id == shown
                mobile.reject(486)
                with pytest.raises(CallRefused):
                    await call.wait_answered()
            await all_closed(at)
            await carol.stop()

    run_virtual(main())


def test_calls_that_ring_count_towards_a_lines_limit(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network, line={"max_calls": 1}) as at:
            await asyncio.sleep(1)  # the line is registered
            dialling = [asyncio.ensure_future(at.server.dial(MOBILE, line="itsp", timeout_s=30)) for _ in range(3)]
            mobile = await at.itsp.next_call()
            mobile.ring()
            for refused in dialling[1:]:
                with pytest.raises(CallFailed, match="line itsp has its 1 calls"):
                    await refused
            with pytest.raises(CallFailed, match="line itsp has its 1 calls"):
                await at.server.dial(MOBILE, line="itsp")
            mobile.answer()
            call = await dialling[0]
            with pytest.raises(CallFailed, match="line itsp has its 1 calls"):
                await at.server.dial(MOBILE, line="itsp")
            call.close()
            await mobile.wait_ended()
            await all_closed(at)
            next_one = asyncio.ensure_future(at.server.dial(MOBILE, line="itsp", timeout_s=30))
            (await at.itsp.next_call()).reject(486)
            with pytest.raises(Busy):
                await next_one
            again = asyncio.ensure_future(at.server.dial(MOBILE, line="itsp", timeout_s=30))
            (await at.itsp.next_call()).answer()
            (await again).close()
            await all_closed(at)

    run_virtual(main())


def test_a_lossy_network_costs_no_call(run_virtual: Run) -> None:
    async def main(seed: int) -> None:
        network = VirtualNetwork(seed)
        network.default_link.loss = 0.2
        network.default_link.duplicate = 0.1
        network.default_link.jitter_s = 0.05
        async with world(network) as at:
            route(at.server)
            alice = await at.phone("alice", register=False)
            await alice.register(timeout_s=40)
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call(40)
            mobile.ring()
            mobile.answer()
            await call.wait_answered(40)
            call.hangup()
            await mobile.wait_ended(40)
            await all_closed(at)
            assert [event for event in at.call_events if event != "CallSessionConnecting"] == [
                event for event in ANSWERED if event != "CallSessionConnecting"
            ]
            await alice.stop()

    for seed in range(5):
        run_virtual(main(seed))
