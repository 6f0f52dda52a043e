"""Listeners that are opened and closed while a server runs, over real sockets."""

from __future__ import annotations

import asyncio
import re
import socket

import pytest

from trunkline.calls.session import CallSession
from trunkline.errors import ListenError
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Uri
from trunkline.testing.call import CallRefused, ScriptedCall
from trunkline.testing.phone import Phone

REALM = "pbx.example"


def address_in(url: str) -> tuple[str, int]:
    found = re.fullmatch(r"udp://([0-9.]+):(\d+)", url)
    assert found is not None
    return found[1], int(found[2])


def dial_at(phone: Phone, user: str, host: str) -> ScriptedCall:
    """Call a user at an address, which has to be known as the server's own."""
    return phone.place(
        Uri("sip", user, host),
        phone.server_flow,
        local=phone.address_of(phone.name),
        remote=phone.address_of(user),
        credentials=phone._credentials,
        headers=(),
    )


async def answered(call: ScriptedCall, callee: Phone) -> ScriptedCall:
    at_callee = await callee.next_call()
    at_callee.answer()
    await call.wait_answered()
    return at_callee


def test_a_second_listener_takes_calls_and_its_address_is_the_servers_own_until_it_closes() -> None:
    async def main() -> None:
        server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(25_000, 25_199))
        server.add_user("alice", password="a")
        server.add_user("bob", password="b")

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob" if call.from_peer_name == "alice" else "alice")

        async with server, Phone("alice", "a", server.local_address(), realm=REALM) as alice:
            await alice.register()
            (first,) = server.listening
            second = server.listen("udp://127.0.0.2:0")
            assert list(server.listening) == [first, second]
            host, port = address_in(second)
            assert (host, port > 0) == ("127.0.0.2", True)
            async with Phone("bob", "b", (host, port), realm=host, address=host) as bob:
                await bob.register()
                assert server._now.addresses.is_ours(Uri("sip", "bob", host), alice.server_flow)
                # bob is called over the listener that he registered at, and calls over it
                call = dial_at(alice, "bob", host)
                at_bob = await answered(call, bob)
                assert at_bob.invite is not None
                assert at_bob.invite.contacts[0].uri.host == host
                assert at_bob.invite.contacts[0].uri.port == port
                back = bob.dial("alice")
                at_alice = await answered(back, alice)
                back.hangup()
                await at_alice.wait_ended()
                call.hangup()
                await at_bob.wait_ended()

            server.close_listener(second)
            assert list(server.listening) == [first]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind((host, port))
            assert not server._now.addresses.is_ours(Uri("sip", "bob", host), alice.server_flow)
            # the other listener goes on
            with pytest.raises(CallRefused) as refused:
                await alice.dial("bob").wait_answered()
            assert refused.value.status == 480

    asyncio.run(main())


def test_a_listener_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    async def main() -> None:
        async with SipServer(realm=REALM, listen=["udp://127.0.0.1:0"]) as server:
            (only,) = server.listening
            for url in ("udp://127.0.0.1:1", "tcp" + only[3:], "nonsense"):
                with pytest.raises(ListenError, match=f"{url}: nothing listens there; open are {only}"):
                    server.close_listener(url)
            with pytest.raises(ListenError, match=r"udp://127\.0\.0\.1:\d+: the port is taken by .* \(pid \d+\)"):
                server.listen(only)
            assert server.listening == (only,)
            server.close_listener(only)
            with pytest.raises(ListenError, match="open are none"):
                server.close_listener(only)

    asyncio.run(main())
