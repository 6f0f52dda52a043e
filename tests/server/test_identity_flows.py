"""Identity, numbers and headers in whole calls: what a provider and a phone see on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, PROVIDER, World, world
from trunkline import CallFailed, CallSession, PeerType
from trunkline.sip.endpoint import Message
from trunkline.testing import ScriptedCall, VirtualNetwork

Run = Callable[[Any], Any]

NUMBER = "+4930123456"


def played(
    run: Run,
    network: VirtualNetwork,
    scenario: Callable[[World], Awaitable[None]],
    *,
    line: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Play a scenario with the line itsp, and a second line at the same provider where settings are given."""

    async def main() -> None:
        async with world(network, line=line, **options) as at:
            if second is not None:
                at.server.add_line(
                    "second", username=ACCOUNT, password="line secret", server=f"{PROVIDER}:5060", domain=at.itsp.realm,
                    register=False, **second,
                )  # fmt: skip
            await scenario(at)

    run(main())


def answered(call: ScriptedCall) -> Message:
    """Its INVITE, after it was answered."""
    assert call.invite is not None
    call.answer()
    return call.invite


def test_an_anonymous_call_leaks_nothing_in_any_header_or_in_sdp(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        at.server.add_user("carol", password="pw", display_name="Carol Jones", numbers=[NUMBER])

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.accept(to_line="itsp", headers={"Organization": "Jones & Co"})

        carol = await at.phone("alice")
        call = carol.dial(
            MOBILE,
            display_name="Alice Jones",
            headers=[("Privacy", "id"), ("P-Preferred-Identity", f"<sip:{NUMBER}@x>"), ("Subject", "Alice here")],
        )
        invite = answered(await at.itsp.next_call())
        await call.wait_answered()
        await call.hold()
        call.hangup()
        await asyncio.sleep(1)
        requests = [
            message
            for packet in virtual_network.delivered
            if packet.destination[0] == PROVIDER and (message := Message.parse(packet.data)).call_id == invite.call_id
        ]
        assert {message.method for message in requests} == {"INVITE", "ACK", "BYE"}
        # the digest of the account is between us and the provider
        secrets = ("alice", "jones", ACCOUNT, NUMBER[1:], carol.address)
        for message in requests:
            told = [(name, value) for name, value in message.headers() if not name.endswith("Authorization")]
            text = "\n".join([*(f"{name}: {value}" for name, value in told), message.body.decode()]).lower()
            assert not [secret for secret in secrets if secret in text], text
            assert not message.lines("User-Agent")
            assert "@" not in message.call_id
            assert all(contact.display_name is None for contact in message.contacts)
        assert invite.header("Privacy") == "id"
        assert invite.contacts[0].uri.user == "anonymous"
        assert invite.contacts[0].uri.param("tl")
        assert "\r\no=- " in invite.body.decode()
        assert "\r\ns=-\r\n" in invite.body.decode()
        await carol.stop()

    settings = {
        "token_in": "parameter",
        "preferred_identity": True,
        "remote_party_id": True,
        "headers_passed": ["Subject", "User-Agent"],
        "headers_added": ["Organization: Jones"],
    }
    played(run_virtual, virtual_network, scenario, line=settings, user_agent="Jones PBX", session_name="Jones")


def test_an_anonymous_caller_stays_so_for_the_phone_and_is_known_to_the_application(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        seen: list[tuple[bool, str, str]] = []

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            seen.append((call.anonymous, call.caller_id, call.asserted_identity))
            await call.accept(to_user="alice")

        alice = await at.phone("alice")
        asserted = ("P-Asserted-Identity", f'"Mum" <sip:{MOBILE}@itsp.example>')
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE, caller_name="Mum", headers=[asserted, ("Privacy", "id")])
        invite = answered(await alice.next_call())
        await mobile.wait_answered()
        assert seen == [(True, "", MOBILE)]
        assert MOBILE not in invite.raw.decode()
        assert "Mum" not in invite.raw.decode()
        assert invite.from_.display_name == "Anonymous"
        await alice.stop()

    played(run_virtual, virtual_network, scenario)


def test_numbers_are_rewritten_on_their_way_in_and_out(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            if call.from_peer_type is PeerType.USER:
                await call.accept(to_line="itsp", caller_id="030 123456")
            else:
                assert call.dial_number == "030777777"
                await call.accept(to_user="alice")

        alice = await at.phone("alice")
        call = alice.dial("0043123456789")
        invite = answered(await at.itsp.next_call())
        await call.wait_answered()
        assert (invite.uri.user, invite.to.uri.user, invite.from_.uri.user) == (
            "43123456789",
            "43123456789",
            "4930123456",
        )
        mobile = at.itsp.dial(ACCOUNT, number="4930777777", caller_id="4917012345678")
        invite = answered(await alice.next_call())
        await mobile.wait_answered()
        assert invite.from_.uri.user == "+4917012345678"
        await alice.stop()

    settings = {
        "from_user": "caller",
        "country": "DE",
        "dialled_out": [{"format": "e164"}],
        "caller_ids_out": [{"format": "e164"}],
        "dialled_in": [{"prefix": "49", "strip": 2, "prepend": "0"}],
        "caller_ids_in": [{"pattern": r"\d+", "prepend": "+"}],
    }
    played(run_virtual, virtual_network, scenario, line=settings)


def test_a_call_from_line_to_line_is_marked_as_forwarded(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        told: list[Any] = []

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            told.append([each.number for each in call.diversions])
            with pytest.raises(CallFailed):
                await call.accept(to_user="alice")
            await call.accept(to_line="second", dial_number=MOBILE)

        alice = await at.phone("alice")
        earlier = ("Diversion", "<sip:+4930999@itsp.example>;reason=no-answer")
        mobile = at.itsp.dial(ACCOUNT, number=NUMBER, caller_id="15550001", headers=[earlier])
        (await alice.next_call()).reject(486)
        invite = answered(await at.itsp.next_call())
        await mobile.wait_answered()
        assert told == [["+4930999"]]
        assert invite.lines("Diversion") == [
            f"<sip:{NUMBER}@itsp.example>;reason=user-busy;counter=1;privacy=off",
            "<sip:+4930999@itsp.example>;reason=no-answer;counter=1;privacy=off",
        ]
        await alice.stop()

    played(run_virtual, virtual_network, scenario, second={"forwarding_header": "diversion"})


def test_chosen_headers_are_read_and_set_per_leg(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        read: list[Any] = []

        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            read.extend([call.header("user-to-user"), call.header("X-None"), call.zero.headers("X-Many")])
            with pytest.raises(ValueError, match="headers: X-A"):
                await call.accept(to_user="alice", headers={"X-A": "b\r\nVia: c"})
            await call.accept(to_user="alice", headers=[("User-to-User", "02"), ("User-to-User", "03")])

        alice = await at.phone("alice")
        headers = [("User-to-User", "01"), ("X-Many", "1"), ("X-Many", "2"), ("X-Through", "yes"), ("X-Not", "no")]
        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE, headers=headers)
        invite = answered(await alice.next_call())
        await mobile.wait_answered()
        assert read == ["01", None, ["1", "2"]]
        assert invite.lines("User-to-User") == ["02", "03"]
        assert (invite.header("X-Through"), invite.header("X-Not")) == ("yes", None)
        await alice.stop()

    played(run_virtual, virtual_network, scenario, line={"headers_passed": ["X-Through", "User-to-User"]})


def test_a_dialled_call_has_headers_and_may_be_anonymous(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        async def callee() -> Message:
            return answered(await at.itsp.next_call())

        await asyncio.sleep(1)  # the line learns that it is registered
        answering = asyncio.create_task(callee())
        await at.server.dial(MOBILE, line="itsp", privacy=True, headers={"X-Ticket": "7"})
        invite = await answering
        assert (invite.header("X-Ticket"), invite.from_.uri.host) == ("7", "anonymous.invalid")
        with pytest.raises(ValueError, match="Via is SIP's own"):
            await at.server.dial(MOBILE, line="itsp", headers={"Via": "x"})
        with pytest.raises(ValueError, match="Via is SIP's own"):
            await at.server.dial_user("alice", headers={"Via": "x"})

    played(run_virtual, virtual_network, scenario)


def test_a_refusal_and_a_response_have_headers_of_the_application(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        @at.server.on_incoming_call
        async def route(call: CallSession) -> None:
            with pytest.raises(ValueError, match="headers: Contact"):
                call.respond(183, headers={"Contact": "<sip:x@y>"})
            call.respond(183, headers={"X-Queue": "3"})
            call.reject(486, headers={"X-Why": "lunch"})

        mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
        ended = await mobile.wait_ended()
        assert mobile.provisionals[-1].header("X-Queue") == "3"
        assert ended.status == 486
        assert ended.message is not None
        assert ended.message.header("X-Why") == "lunch"

    played(run_virtual, virtual_network, scenario)
