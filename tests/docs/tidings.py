"""What happens for each row of events and constants in "Coming from VaxVoIP", so that the application is told of it.

The methods' scenarios, and how they are run, are in `moves.py`; what needs audio is in `voice.py`.
"""

from __future__ import annotations

import asyncio

import pytest
from tests.docs.moves import OTHER, mobile_talks_to_alice, move, settled, to_alice, to_line
from tests.docs.witness import Witness
from tests.server.world import ACCOUNT, MOBILE, SERVER, World, world

from trunkline import CallFailed, CallSession, ChatMessage, ClosedReason, RegisterRequest, TransferRequest
from trunkline.calls.destinations import ToUser
from trunkline.events import CallSessionClosed, CallSessionCreated, CallSessionHangUp
from trunkline.testing import CallRefused, RegistrationRefused
from trunkline.testing.referring import take_refers

# --- registrations --------------------------------------------------------------------------------------------------------


@move("OnRegisterUser, OnRegisterUserSuccess, OnRegisterUserFailed")
async def registrations(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_register_user
        async def decide(request: RegisterRequest) -> None:
            w.told("on_register_user")

        await at.phone("alice")
        stranger = await at.phone("nobody", 3, register=False)
        with pytest.raises(RegistrationRefused):
            await stranger.register()


@move("OnUnRegisterUser")
async def unregistration(w: Witness) -> None:
    async with world(w.network) as at:
        alice = await at.phone("alice")
        await alice.unregister()


@move("OnLineRegisterTrying, OnLineRegisterSuccess, OnLineRegisterFailed")
async def line_registrations(w: Witness) -> None:
    async with world(w.network) as at:
        await settled(at.server)
        at.itsp.refuse_register = 403
        at.server.register_line("itsp")
        await asyncio.sleep(1)
        assert not at.server.line("itsp").registered


@move("OnLineUnRegisterTrying, OnLineUnRegisterSuccess, OnLineUnRegisterFailed")
async def line_unregistrations(w: Witness) -> None:
    async with world(w.network) as at:
        await at.server.unregister_line("itsp")
        at.server.register_line("itsp")
        await at.itsp.wait_registered(ACCOUNT)
        at.itsp.silent = True
        await at.server.unregister_line("itsp")
        await asyncio.sleep(40)


# --- calls ----------------------------------------------------------------------------------------------------------------


async def talk_and_hang_up(w: Witness) -> None:
    """A call from its begin to its end."""
    async with world(w.network) as at:
        to_alice(at.server)
        _, mobile, at_alice, session = await mobile_talks_to_alice(at)
        mobile.hangup()
        await at_alice.wait_ended()
        assert await session.wait_closed() is ClosedReason.HANGUP
        assert at.call_events[0] == "CallSessionCreated"
        assert at.call_events[-2:] == ["CallSessionHangUp", "CallSessionClosed"]
        assert at.call_events.count("CallSessionClosed") == 1


for _row in ("OnCallSessionCreated", "OnCallSessionConnected", "OnCallSessionHangUp", "OnCallSessionClosed"):
    move(_row)(talk_and_hang_up)


@move("OnIncomingCall")
async def incoming(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            w.told("on_incoming_call")
            w.saw(call)
            assert (call.caller_name, call.caller_id, call.dial_number) == ("Mum", MOBILE, ACCOUNT)
            assert (call.from_peer_name, call.from_ip) == ("itsp", at.itsp.address)
            call.reject(486)

        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE, caller_name="Mum")
        assert (await mobile.wait_ended()).status == 486


@move("OnCallSessionConnecting")
async def connecting(w: Witness) -> None:
    async with world(w.network) as at:
        to_line(at.server)
        alice = await at.phone("alice")
        call = alice.dial(MOBILE)
        mobile = await at.itsp.next_call()
        mobile.ring()
        assert (await call.wait_ringing()).status == 180
        call.hangup()
        await mobile.wait_ended()


@move("OnCallSessionFailed")
async def failed(w: Witness) -> None:
    async with world(w.network) as at:
        to_alice(at.server)
        phones = [await at.phone("alice"), await at.phone("alice", 3)]
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        for phone in phones:
            (await phone.next_call()).reject(486)
        assert (await mobile.wait_ended()).status == 486
        assert at.call_events.count("AttemptFailed") == 2
        assert at.call_events.count("CallSessionFailed") == 1


@move("OnCallSessionTimeout")
async def timeout(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.accept(to_user="alice", timeout_s=5)

        alice = await at.phone("alice")
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        at_alice = await alice.next_call()
        assert (await mobile.wait_ended(10)).status == 480
        assert (await at_alice.wait_ended()).how == "cancel"


@move("OnCallSessionCancelled")
async def cancelled(w: Witness) -> None:
    async with world(w.network) as at:
        to_alice(at.server)
        alice = await at.phone("alice")
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        at_alice = await alice.next_call()
        at_alice.ring()
        await mobile.wait_ringing()
        mobile.hangup()
        assert (await at_alice.wait_ended()).how == "cancel"


async def fall_silent(at: World) -> None:
    """A call whose mobile is not heard any more."""
    alice, mobile, at_alice, session = await mobile_talks_to_alice(at)
    media = at.network.hosts[SERVER].media
    media.fall_silent(min(media.legs))
    assert (await at_alice.wait_ended()).how == (await mobile.wait_ended()).how == "bye"
    assert await session.wait_closed() is ClosedReason.SESSION_LOST
    await alice.stop()


@move("OnCallSessionLost")
async def lost(w: Witness) -> None:
    async with world(w.network) as at:
        to_alice(at.server)
        await fall_silent(at)


# --- transfers ------------------------------------------------------------------------------------------------------------


@move("OnSendReqTransferCallAccepted, OnSendReqTransferCallFailed, OnSendReqTransferCallTimeout")
async def transfers(w: Witness) -> None:
    async with world(w.network) as at:
        to_alice(at.server)

        @at.server.on_transfer_requested
        async def decide(request: TransferRequest) -> None:
            w.told("on_transfer_requested")
            w.saw(request)
            request.accept(ToUser("bob"))

        _, mobile, at_alice, session = await mobile_talks_to_alice(at)
        bob = await at.phone("bob", 3)
        going = asyncio.create_task(session.transfer(ToUser("bob"), timeout_s=3))
        await bob.next_call()
        assert (await going).status == 408
        going = asyncio.create_task(session.transfer(ToUser("bob"), timeout_s=3))
        (await bob.next_call()).reject(486)
        assert (await going).status == 486
        # the transfer key of alice's phone
        refer = at_alice.refer(f"sip:{OTHER}@pbx.example")
        (await bob.next_call()).answer()
        assert await refer.outcome() == 200
        mobile.hangup()


# --- messages -------------------------------------------------------------------------------------------------------------


@move("OnChatMessageText")
async def message(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_chat_message
        async def decide(message: ChatMessage) -> None:
            w.told("on_chat_message")
            w.saw(message)
            assert (message.from_id, message.to, message.text) == ("alice", "bob", "hello")
            assert message.content_type == "text/plain"
            message.accept()

        alice = await at.phone("alice")
        await alice.send_message("bob", "hello")


@move("OnChatMessageSuccess, OnChatMessageFailed, OnChatMessageTimeout")
async def message_outcomes(w: Witness) -> None:
    async with world(w.network) as at:
        bob = await at.phone("bob")
        for status in (200, 415):
            bob.message_status = status
            assert (await at.server.send_message("hello", to_user="bob")).status == status
        at.itsp.silent = True
        assert (await at.server.send_message("hello", to_line="itsp", number=MOBILE)).status == 408


# --- constants ------------------------------------------------------------------------------------------------------------


@move("Peer type: user, line")
async def peer_types(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            w.saw(call.from_peer_type)
            call.reject()

        alice = await at.phone("alice")
        with pytest.raises(CallRefused):
            await alice.call("bob")
        await at.itsp.dial(ACCOUNT, caller_id=MOBILE).wait_ended()


@move("Channel: zero, one")
async def channels(w: Witness) -> None:
    async with world(w.network) as at:
        to_alice(at.server)
        for leaves in ("mobile", "alice"):
            alice, mobile, at_alice, session = await mobile_talks_to_alice(at)
            (mobile if leaves == "mobile" else at_alice).hangup()
            await session.wait_closed()
            await alice.stop()
        for event in at.events_of(CallSessionHangUp):
            w.saw(event.channel)


def witnessed(w: Witness, at: World) -> None:
    """Show why each call was closed."""
    for event in at.events_of(CallSessionClosed):
        w.saw(event.reason)


@move("Closed: hangup, session lost, moved")
async def closed_after_talk(w: Witness) -> None:
    async with world(w.network) as at:
        to_alice(at.server)
        alice, mobile, at_alice, _ = await mobile_talks_to_alice(at)
        mobile.hangup()
        await at_alice.wait_ended()
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        (await alice.next_call()).reject(302, headers=[("Contact", "<sip:there@elsewhere.example>")])
        await mobile.wait_ended()
        await fall_silent(at)
        await asyncio.sleep(1)
        witnessed(w, at)


@move("Closed: transferred, rejected, failed")
async def closed_by_others(w: Witness) -> None:
    async with world(w.network, line={"transfer": "refer"}) as at:
        to_alice(at.server)
        alice, mobile, _, session = await mobile_talks_to_alice(at)
        assert mobile.session is not None
        take_refers(mobile.session, 200)
        await session.transfer(f"sip:{OTHER}@{at.itsp.realm}")
        await mobile.wait_ended()
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        (await alice.next_call()).reject(486)
        await mobile.wait_ended()

        @at.server.on_call_session_created
        async def refuse(event: CallSessionCreated) -> None:
            event.call.reject()

        await at.itsp.dial(ACCOUNT, caller_id=MOBILE).wait_ended()
        await asyncio.sleep(1)
        witnessed(w, at)


@move("Closed: cancelled, timeout, closed")
async def closed_early(w: Witness) -> None:
    async with world(w.network) as at:
        to_alice(at.server)
        alice = await at.phone("alice")
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        (await alice.next_call()).ring()
        await mobile.wait_ringing()
        mobile.hangup()
        placing = asyncio.create_task(at.server.dial_user("alice", timeout_s=3))
        with pytest.raises(CallFailed):
            await placing
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        await alice.incoming.get()
        (await alice.next_call()).answer()
        await mobile.wait_answered()
        at.server.calls[-1].close()
        await mobile.wait_ended()
        await asyncio.sleep(1)
        witnessed(w, at)


@move("Closed: redirect sent, failure sent")
async def closed_by_application(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            if call.dial_number == "1":
                call.redirect("sip:there@elsewhere.example")
            else:
                call.respond(404)

        alice = await at.phone("alice")
        for number in ("1", "2"):
            with pytest.raises(CallRefused):
                await alice.call(number)
        await asyncio.sleep(1)
        witnessed(w, at)
