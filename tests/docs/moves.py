"""What is done for each row of "Coming from VaxVoIP": methods that take effect, on a virtual network or loopback.

`test_vaxvoip.py` runs them by the left side of their row and asks a `Witness` whether all that the right side names was used.
The scenarios of audio and digits are in `voice.py`, those of events and constants in `tidings.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.docs.witness import Witness
from tests.server.world import ACCOUNT, MOBILE, PROVIDER, REALM, SERVER, World, world

from trunkline import (
    CallFailed,
    CallSession,
    ChatMessage,
    ConfigurationError,
    RegisterRequest,
    SipServer,
    UnknownPeer,
)
from trunkline.calls.destinations import ToUser
from trunkline.sip.endpoint import Message
from trunkline.testing import CallRefused, Itsp, Phone, RegistrationRefused, RequestRefused, ScriptedCall
from trunkline.testing.clock import run
from trunkline.testing.referring import take_refers

Scenario = Callable[[Witness], Coroutine[Any, Any, None]]

MOVES: dict[str, Scenario] = {}
"""The scenario of each row, by its left side."""

ON_LOOPBACK: set[str] = set()
"""Rows whose scenario needs sockets and real time."""

OTHER = "15550001111"


def move(row: str, *, on_loopback: bool = False) -> Callable[[Scenario], Scenario]:
    """Make it the scenario of a row."""

    def take(scenario: Scenario) -> Scenario:
        assert row not in MOVES
        MOVES[row] = scenario
        if on_loopback:
            ON_LOOPBACK.add(row)
        return scenario

    return take


def perform(row: str, witness: Witness) -> None:
    """Run a row's scenario to its end."""
    (asyncio.run if row in ON_LOOPBACK else run)(MOVES[row](witness))


def to_line(server: SipServer) -> None:
    """Every call goes out through the line."""

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_line="itsp")


def to_alice(server: SipServer) -> None:
    """Every call rings alice."""

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user="alice")


async def settled(server: SipServer, line: str = "itsp") -> None:
    """The line knows that it is registered, too."""
    async with asyncio.timeout(5):
        while not server.line(line).registered:
            await asyncio.sleep(0.1)


async def mobile_talks_to_alice(at: World) -> tuple[Phone, ScriptedCall, ScriptedCall, CallSession]:
    """Alice's phone, the mobile's call and hers, and the session, on a server that has calls ring alice."""
    alice = await at.phone("alice")
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    at_alice = await alice.next_call()
    at_alice.answer()
    await mobile.wait_answered()
    await at_alice.wait_answered()
    (session,) = at.server.calls
    return alice, mobile, at_alice, session


def by_hand(w: Witness, host: str = SERVER, **options: Any) -> SipServer:
    """A server without users and lines."""
    return SipServer(**{"realm": REALM, "listen": [f"udp://{host}:5060"], "platform": w.network.host(host), **options})


def phone_of(w: Witness, name: str, number: int = 2, **options: Any) -> Phone:
    """A phone at 10.0.0.`number`, not started."""
    host = w.network.host(f"10.0.0.{number}")
    where = {"platform": host, "address": host.address, "port": 5060, **options}
    return Phone(name, f"secret of {name}", (SERVER, 5060), realm=REALM, **where)


async def ring_alice(server: SipServer) -> Message:
    """The INVITE with which a server on loopback calls alice, who is busy."""
    server.add_user("alice", password="secret of alice")
    async with Phone("alice", "secret of alice", server.local_address(), realm=REALM) as alice:
        await alice.register()
        placing = asyncio.create_task(server.dial_user("alice"))
        call = await alice.next_call()
        assert call.invite is not None
        call.reject(486)
        with pytest.raises(CallFailed):
            await placing
        return call.invite


# --- the server -----------------------------------------------------------------------------------------------------------


@move("Initialize, UnInitialize")
async def initialize(w: Witness) -> None:
    server = by_hand(w)
    server.add_user("alice", password="secret of alice")
    async with phone_of(w, "alice") as alice:
        await server.start()
        await alice.register()
        await server.stop()
        with pytest.raises((RegistrationRefused, TimeoutError)):
            await alice.register()


@move("OpenNetworkUDP, OpenNetworkTCP, CloseNetworkUDP, CloseNetworkTCP")
async def open_network(w: Witness) -> None:
    async with by_hand(w) as server:
        server.add_user("alice", password="secret of alice")
        opened = server.listen(f"tcp://{SERVER}:5060")
        async with phone_of(w, "alice", transport="tcp") as alice:
            await alice.register()
        server.close_listener(opened)
        assert server.listening == (f"udp://{SERVER}:5060",)
        async with phone_of(w, "alice", 3, transport="tcp") as alice:
            with pytest.raises((RegistrationRefused, TimeoutError)):
                await alice.register()


@move("SetListenPortRangeRTP, SetNetworkMediaRTP", on_loopback=True)
async def media_ports(w: Witness) -> None:
    async with SipServer(
        realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(27_900, 27_999), media_address="127.0.0.2"
    ) as server:
        text = (await ring_alice(server)).body.decode()
        assert "c=IN IP4 127.0.0.2\r\n" in text
        port = int(text.split("m=audio ", 1)[1].split(" ", 1)[0])
        assert 27_900 <= port <= 27_999


@move("AddNetworkRouteSIP, AddNetworkRouteRTP")
async def advertise(w: Witness) -> None:
    async with world(w.network, advertise={SERVER: "203.0.113.1"}) as at:
        contact = at.itsp.accounts[ACCOUNT].contact
        assert contact is not None
        assert contact.host == "203.0.113.1"
        await settled(at.server)
        placing = asyncio.create_task(at.server.dial(MOBILE, line="itsp"))
        mobile = await at.itsp.next_call()
        assert mobile.invite is not None
        assert b"c=IN IP4 203.0.113.1\r\n" in mobile.invite.body
        mobile.reject(486)
        with pytest.raises(CallFailed):
            await placing


@move("SetUserAgentName, SetSessionNameSDP", on_loopback=True)
async def user_agent(w: Witness) -> None:
    async with SipServer(
        realm=REALM, listen=["udp://127.0.0.1:0"], user_agent="Jones PBX", session_name="Jones"
    ) as server:
        invite = await ring_alice(server)
        assert invite.header("User-Agent") == "Jones PBX"
        assert b"s=Jones\r\n" in invite.body


@move("CryptoMediaNONE, CryptoMediaSDP")
async def crypto(w: Witness) -> None:
    async with by_hand(w, srtp="never", srtp_in_clear=True) as server:
        server.add_user("alice", password="secret of alice", srtp="required")
        itsp = Itsp({ACCOUNT: "x"}, platform=w.network.host(PROVIDER), address=PROVIDER, port=5060, srtp="required")
        async with itsp, phone_of(w, "alice", srtp="required") as alice:
            account: dict[str, Any] = {
                "username": ACCOUNT,
                "password": "x",
                "server": f"{PROVIDER}:5060",
                "domain": itsp.realm,
            }
            server.add_line("itsp", srtp="required", **account)
            server.add_line("plain", register=False, **account)
            await itsp.wait_registered(ACCOUNT)
            await alice.register()
            to_line(server)
            call = alice.dial(MOBILE)
            mobile = await itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            assert call.suite
            assert mobile.suite
            call.hangup()
            # a line that says nothing has the server's
            placing = asyncio.create_task(server.dial(MOBILE, line="plain"))
            mobile = await itsp.next_call()
            assert mobile.invite is not None
            assert b"crypto" not in mobile.invite.body
            mobile.reject(488)
            with pytest.raises(CallFailed):
                await placing


@move("AudioSessionLost")
async def audio_lost(w: Witness) -> None:
    async with world(w.network, media_timeout_s=20.0, line={"media_timeout_s": 40.0}) as at:
        at.server.add_user("carol", password="secret of carol", media_timeout_s=30.0)
        to_line(at.server)
        media = w.network.hosts[SERVER].media
        for name, seconds in (("alice", 20.0), ("carol", 30.0)):
            phone = await at.phone(name, 5 if name == "carol" else 6)
            call = phone.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.answer()
            await call.wait_answered()
            timeouts = [leg.configured["silence_timeout_s"] for _, leg in sorted(media.legs.items())]
            assert timeouts == [seconds, 40.0]
            media.fall_silent(min(media.legs))
            await call.wait_ended()
            await mobile.wait_ended()
            await phone.stop()


# --- users ----------------------------------------------------------------------------------------------------------------


@move("AddUser, RemoveUser")
async def add_user(w: Witness) -> None:
    async with world(w.network) as at:
        at.server.add_user("carol", password="secret of carol", codecs=["PCMA"])
        carol = await at.phone("carol")
        placing = asyncio.create_task(at.server.dial_user("carol"))
        call = await carol.next_call()
        assert call.invite is not None
        assert b"PCMA/8000" in call.invite.body
        assert b"PCMU" not in call.invite.body
        call.answer()
        (await placing).close()
        await call.wait_ended()
        at.server.remove_user("carol")
        with pytest.raises(RegistrationRefused):
            await carol.register()


@move("RegisterUserExpiry")
async def expiry(w: Witness) -> None:
    async with world(w.network, registration_expiry_s=(100, 200, 300)) as at:
        alice = await at.phone("alice", register=False)
        with pytest.raises(RegistrationRefused) as refused:
            await alice.register(99)
        assert refused.value.status == 423
        answer = await alice.register(3600)
        assert answer.contacts[0].param("expires") == "300"


@move("AuthRegister, AcceptRegister, RejectRegister, AttachRegister")
async def decide_registers(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_register_user
        async def decide(request: RegisterRequest) -> None:
            w.told("on_register_user")
            if request.user_agent == "accepted":
                request.accept()
            elif request.user_agent == "rejected":
                request.reject(status=480, reason="Not now")
            elif request.user_agent == "attached":
                request.attach(user="bob")
            else:
                request.authenticate()

        async def registers(name: str, number: int, agent: str) -> None:
            host = w.network.host(f"10.0.0.{number}")
            where: dict[str, Any] = {"platform": host, "address": host.address, "port": 5060}
            async with Phone(name, "wrong", (SERVER, 5060), realm=REALM, **where) as phone:
                await phone.register(headers=[("User-Agent", agent)])

        with pytest.raises(RegistrationRefused) as refused:
            await registers("alice", 2, "authenticated")
        assert refused.value.status in (401, 403)
        with pytest.raises(RegistrationRefused) as refused:
            await registers("alice", 3, "rejected")
        assert (refused.value.status, refused.value.reason) == (480, "Not now")
        await registers("alice", 4, "accepted")
        await registers("whoever", 5, "attached")
        assert [each.uri.host for each in at.server.registrations("alice")] == ["10.0.0.4"]
        assert [each.uri.host for each in at.server.registrations("bob")] == ["10.0.0.5"]


# --- lines ----------------------------------------------------------------------------------------------------------------


@move("AddLine, RemoveLine")
async def add_line(w: Witness) -> None:
    async with world(w.network, line={"register": False}) as at:
        provider = Itsp(
            {"login": "x"}, platform=w.network.host("10.0.0.8"), address="10.0.0.8", transport="tcp", port=5060
        )
        async with provider:
            at.server.add_line(
                "desk",
                username=OTHER,
                password="x",
                server="10.0.0.8:5060",
                transport="tcp",
                auth_username="login",
                domain=provider.realm,
                display_name="Desk",
                codecs=["PCMA"],
            )
            await provider.wait_registered("login")
            await settled(at.server, "desk")
            register = provider.seen[-1]
            assert (register.from_.uri.user, register.from_.display_name) == (OTHER, "Desk")
            assert register.from_.uri.host == provider.realm
            placing = asyncio.create_task(at.server.dial(MOBILE, line="desk"))
            mobile = await provider.next_call()
            assert mobile.invite is not None
            assert b"PCMU" not in mobile.invite.body
            mobile.reject(486)
            with pytest.raises(CallFailed):
                await placing
            await at.server.remove_line("desk")
            await provider.wait_unregistered("login")


@move("RegisterLine, UnRegisterLine")
async def register_line(w: Witness) -> None:
    async with world(w.network) as at:
        at.server.add_line(
            "quiet", username="2", password="x", server=f"{PROVIDER}:5060", domain=at.itsp.realm, register=False
        )
        await at.server.unregister_line("itsp")
        assert at.itsp.accounts[ACCOUNT].contact is None
        at.server.register_line("itsp", expires_s=120)
        await at.itsp.wait_registered(ACCOUNT)
        assert at.itsp.seen[-1].integer("Expires") == 120
        assert all(message.from_.uri.user != "2" for message in at.itsp.seen)


# --- calls ----------------------------------------------------------------------------------------------------------------


@move("AcceptCallSession")
async def accept(w: Witness) -> None:
    async with world(w.network, line={"from_user": "caller"}) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            if call.dial_number == "bob":
                await call.accept(to_user="bob", timeout_s=5)
            else:
                await call.accept(to_line="itsp", dial_number=OTHER, caller_name="Jones", caller_id="100", timeout_s=5)

        alice, bob = await at.phone("alice"), await at.phone("bob", 3)
        call = alice.dial(MOBILE)
        mobile = await at.itsp.next_call()
        assert (mobile.dialled, mobile.caller_id) == (OTHER, "100")
        assert mobile.invite is not None
        assert mobile.invite.from_.display_name == "Jones"
        with pytest.raises(CallRefused) as refused:
            await call.wait_answered(10)
        assert refused.value.status == 480
        call = alice.dial("bob")
        (await bob.next_call()).answer()
        await call.wait_answered()
        call.hangup()


@move("RejectCallSession, CloseCallSession")
async def reject(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            if call.dial_number == "bob":
                call.reject(status=486, reason="At lunch")
            else:
                await call.accept(to_line="itsp")

        alice = await at.phone("alice")
        with pytest.raises(CallRefused) as refused:
            await alice.call("bob")
        assert (refused.value.status, refused.value.reason) == (486, "At lunch")
        call = alice.dial(MOBILE)
        mobile = await at.itsp.next_call()
        mobile.answer()
        await call.wait_answered()
        (session,) = at.server.calls
        session.close()
        assert (await call.wait_ended()).how == (await mobile.wait_ended()).how == "bye"


@move("DialCallSession")
async def dial(w: Witness) -> None:
    async with world(w.network, line={"from_user": "caller"}) as at:
        alice = await at.phone("alice")
        placing = asyncio.create_task(
            at.server.dial(MOBILE, line="itsp", caller_name="Jones", caller_id="100", timeout_s=9)
        )
        mobile = await at.itsp.next_call()
        mobile.answer()
        (await placing).close()
        placing = asyncio.create_task(at.server.dial_user("alice", caller_name="Jones", caller_id="100", timeout_s=9))
        at_alice = await alice.next_call()
        at_alice.answer()
        (await placing).close()
        for each in (mobile, at_alice):
            assert each.invite is not None
            assert (each.caller_id, each.invite.from_.display_name) == ("100", "Jones")
            assert (await each.wait_ended()).how == "bye"


@move("CallSessionSendStatusResponse")
async def respond(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            if call.dial_number == "1":
                call.respond(302, reason="Gone", contact="sip:there@elsewhere.example")
            else:
                call.redirect(contact="sip:there@elsewhere.example")

        alice = await at.phone("alice")
        for number, reason in (("1", "Gone"), ("2", "Moved Temporarily")):
            with pytest.raises(CallRefused) as refused:
                await alice.call(number)
            assert (refused.value.status, refused.value.reason) == (302, reason)
            assert refused.value.message is not None
            assert refused.value.message.contacts[0].uri.host == "elsewhere.example"


@move("SendReqTransferCallBlind, SendReqTransferCallConsult")
async def transfer(w: Witness) -> None:
    async with world(w.network) as at:
        account: dict[str, Any] = {"username": ACCOUNT, "password": "line secret", "server": f"{PROVIDER}:5060"}
        at.server.add_line("refers", register=False, transfer="refer", domain=at.itsp.realm, **account)
        to_alice(at.server)
        alice, mobile, at_alice, session = await mobile_talks_to_alice(at)
        bob = await at.phone("bob", 3)
        leaves = session.one
        assert leaves is not None
        going = asyncio.create_task(session.transfer(ToUser("bob"), channel=leaves.id, dial_number=OTHER, timeout_s=9))
        at_bob = await bob.next_call()
        at_bob.answer()
        outcome = await going
        w.saw(outcome)
        assert outcome.status == 200
        assert (await at_alice.wait_ended()).how == "bye"
        # bob asks alice first
        asking = asyncio.create_task(at.server.dial_user("alice"))
        (await alice.next_call()).answer()
        consulted = await asking
        outcome = await session.transfer_to_session(consulted, channel=leaves.id)
        assert outcome.status == 200
        assert (await at_bob.wait_ended()).how == "bye"
        mobile.hangup()
        # the provider is asked by REFER where the line says so
        placing = asyncio.create_task(at.server.dial(MOBILE, line="refers"))
        mobile = await at.itsp.next_call()
        mobile.answer()
        session = await placing
        assert mobile.session is not None
        asked = take_refers(mobile.session, 200)
        await session.transfer(f"sip:{OTHER}@{at.itsp.realm}")
        assert asked == [f"sip:{OTHER}@{at.itsp.realm}"]
        await mobile.wait_ended()


@move("GetVaxErrorCode, GetVaxErrorText")
async def errors(w: Witness) -> None:
    async with world(w.network) as at:
        at.itsp.refuse_invite = 486
        for wrong in (
            at.server.dial(MOBILE, line="itsp"),
            at.server.unregister_line("nobody"),
        ):
            with pytest.raises((CallFailed, UnknownPeer)) as raised:
                await wrong
            w.saw(raised.value)
            assert str(raised.value)
        with pytest.raises(ConfigurationError) as refused:
            at.server.add_user("alice", password="x", max_contacts=0)
        w.saw(refused.value)


# --- messages -------------------------------------------------------------------------------------------------------------


@move("AcceptChatMessage")
async def relay_messages(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_chat_message
        async def decide(message: ChatMessage) -> None:
            if message.text == "to bob":
                message.relay(to_user="bob")
            elif message.text == "out":
                message.relay(to_line="itsp", number=MOBILE)
            else:
                message.accept()

        alice, bob = await at.phone("alice"), await at.phone("bob", 3)
        seen = len(at.itsp.seen)
        assert (await alice.send_message("whoever", "to bob")).status == 200
        assert [message.body for message in bob.messages] == [b"to bob"]
        with pytest.raises(RequestRefused):
            await alice.send_message("whoever", "out")  # this provider takes no messages
        sent = [message for message in at.itsp.seen[seen:] if message.method == "MESSAGE"]
        assert [(message.uri.user, message.body) for message in sent] == [(MOBILE, b"out")]
        assert (await alice.send_message("bob", "kept")).status == 200
        assert len(bob.messages) == 1


@move("RejectChatMessage")
async def reject_messages(w: Witness) -> None:
    async with world(w.network) as at:

        @at.server.on_chat_message
        async def decide(message: ChatMessage) -> None:
            message.reject(488, "Not so")

        alice = await at.phone("alice")
        with pytest.raises(RequestRefused) as refused:
            await alice.send_message("bob", "x")
        assert refused.value.status == 488


@move("SendChatMessageText")
async def send_messages(w: Witness) -> None:
    async with world(w.network) as at:
        bob = await at.phone("bob")
        result = await at.server.send_message("hello", to_user="bob")
        w.saw(result)
        assert result.status == 200
        assert [message.body for message in bob.messages] == [b"hello"]
        await at.server.send_message("hello", to_line="itsp", number=MOBILE)
        sent = [message for message in at.itsp.seen if message.method == "MESSAGE"]
        assert [(message.uri.user, message.body) for message in sent] == [(MOBILE, b"hello")]
