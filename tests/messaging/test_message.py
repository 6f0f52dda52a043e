"""MESSAGE (RFC 3428): relayed, decided about, sent by the application, stored for who is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, World, world
from trunkline import ChatMessage, PeerType
from trunkline.events import ChatMessageEvent, ChatMessageFailed, ChatMessageSuccess, ChatMessageTimeout
from trunkline.sip.endpoint import RequestReceived
from trunkline.testing import RequestRefused, VirtualNetwork

Run = Callable[[Any], Any]


def outcomes(at: World) -> list[tuple[str, int]]:
    """The outcomes of messages so far: the last word of the event, and its status."""
    found = [event for event in at.server.recorder.events if isinstance(event, ChatMessageEvent)]
    return [
        (type(event).__name__.removeprefix("ChatMessage"), getattr(event, "status", 0))
        for event in found
        if not type(event).__name__.endswith("Received")
    ]


def play(run_virtual: Run, network: VirtualNetwork, scenario: Callable[[World], Any], **options: Any) -> None:
    async def main() -> None:
        async with world(network, **options) as at:
            await scenario(at)

    run_virtual(main())


def test_a_message_to_a_user_reaches_all_its_phones_untouched(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        alice, bob, other = await at.phone("alice", 2), await at.phone("bob", 3), await at.phone("bob", 4)
        answer = await alice.send_message("bob", "<hi> ☎", content_type="text/html;charset=utf-8")
        await asyncio.sleep(1)
        assert answer.status == 200
        for phone in (bob, other):
            (message,) = phone.messages
            assert message.body.decode() == "<hi> ☎"
            assert message.header("Content-Type") == "text/html;charset=utf-8"
            assert str(message.from_.uri) == "sip:alice@pbx.example"
            assert message.integer("Max-Forwards") == 69
        assert outcomes(at) == [("Success", 200)]

    play(run_virtual, virtual_network, scenario)


def test_one_phone_that_takes_it_is_enough(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice, bob, other = await at.phone("alice", 2), await at.phone("bob", 3), await at.phone("bob", 4)
        bob.message_status = 486
        assert (await alice.send_message("bob", "x")).status == 200
        assert len(other.messages) == 1

    play(run_virtual, virtual_network, scenario)


def test_a_refusal_goes_to_the_sender(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        bob.message_status = 415
        with pytest.raises(RequestRefused) as refused:
            await alice.send_message("bob", "x")
        assert refused.value.status == 415
        assert outcomes(at) == [("Failed", 415)]

    play(run_virtual, virtual_network, scenario)


def test_a_message_waits_for_a_user_who_is_away_and_comes_in_order(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        for text in ("one", "two"):
            assert (await alice.send_message("bob", text)).status == 202
        bob = await at.phone("bob", 3)
        await asyncio.sleep(1)
        assert [message.body for message in bob.messages] == [b"one", b"two"]
        assert all(message.header("Date") for message in bob.messages)
        assert outcomes(at) == [("Success", 202), ("Success", 202), ("Success", 200), ("Success", 200)]
        stored = [event.stored for event in at.events_of(ChatMessageSuccess)]
        assert stored == [True, True, False, False]
        await bob.register()
        await asyncio.sleep(1)
        assert len(bob.messages) == 2

    play(run_virtual, virtual_network, scenario)


def test_a_phone_that_is_silent_counts_as_away(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        bob.message_status = 0
        assert (await alice.send_message("bob", "x")).status == 202
        bob.message_status = 200
        await bob.register()
        await asyncio.sleep(1)
        assert len(bob.messages) == 1

    play(run_virtual, virtual_network, scenario)


def test_what_is_newer_does_not_overtake_what_waits(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        bob.message_status = 0
        assert (await alice.send_message("bob", "one")).status == 202
        bob.message_status = 200
        assert (await alice.send_message("bob", "two")).status == 202
        await asyncio.sleep(1)
        assert [message.body for message in bob.messages] == [b"one", b"two"]

    play(run_virtual, virtual_network, scenario)


def test_stored_messages_survive_a_restart(run_virtual: Run, tmp_path: Path) -> None:
    file = tmp_path / "pbx.db"

    async def before() -> None:
        async with world(VirtualNetwork(1), storage=file) as at:
            alice = await at.phone("alice", 2)
            assert (await alice.send_message("bob", "kept")).status == 202
            await alice.stop()

    async def after() -> None:
        async with world(VirtualNetwork(2), storage=file) as at:
            bob = await at.phone("bob", 3)
            await asyncio.sleep(1)
            assert [message.body for message in bob.messages] == [b"kept"]

    async def gone() -> None:
        async with world(VirtualNetwork(3), storage=file) as at:
            bob = await at.phone("bob", 3)
            await asyncio.sleep(1)
            assert bob.messages == []

    run_virtual(before())
    run_virtual(after())
    run_virtual(gone())


def test_no_more_wait_than_may_and_none_longer(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        clock = [1_000_000.0]
        at.server._now.messaging._mailbox._wall_clock = lambda: clock[0]
        alice = await at.phone("alice", 2)
        await alice.send_message("bob", "old", headers=[("Expires", "30")])
        await alice.send_message("bob", "new")
        with pytest.raises(RequestRefused) as refused:
            await alice.send_message("bob", "too many")
        assert refused.value.status == 480
        clock[0] += 31
        bob = await at.phone("bob", 3)
        await asyncio.sleep(1)
        assert [message.body for message in bob.messages] == [b"new"]

    play(run_virtual, virtual_network, scenario, stored_messages=2)


@pytest.mark.parametrize(
    ("to", "text", "headers", "status"),
    [("nobody", "x", (), 404), ("bob", "x" * 2_000, (), 413), ("bob", "x", [("Max-Forwards", "0")], 483),
     ("bob", "x", [("Require", "magic")], 420)],
)  # fmt: skip
def test_what_cannot_be_relayed_is_refused(
    run_virtual: Run, virtual_network: VirtualNetwork, to: str, text: str, headers: Any, status: int
) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        with pytest.raises(RequestRefused) as refused:
            await alice.send_message(to, text, headers=headers)
        assert refused.value.status == status

    play(run_virtual, virtual_network, scenario, message_bytes=1_000)


def test_a_stranger_is_challenged_and_a_wrong_password_stays_out(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        alice._credentials = type(alice._credentials)("alice", "guess")
        with pytest.raises(RequestRefused) as refused:
            await alice.send_message("bob", "x")
        assert refused.value.status == 401

    play(run_virtual, virtual_network, scenario)


def test_a_handler_decides(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        seen: list[ChatMessage] = []

        @at.server.on_chat_message
        async def decide(message: ChatMessage) -> None:
            seen.append(message)
            if message.text == "bot":
                message.accept()
            elif message.text == "bad":
                message.reject(606, "Not Acceptable")
            elif message.text == "crash":
                raise KeyError("x")

        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        assert (await alice.send_message("robot", "bot")).status == 200
        for text, status in (("bad", 606), ("crash", 500)):
            with pytest.raises(RequestRefused) as refused:
                await alice.send_message("bob", text)
            assert refused.value.status == status
        assert (await alice.send_message("bob", "undecided")).status == 200
        assert [message.body for message in bob.messages] == [b"undecided"]
        first = seen[0]
        assert (first.from_peer_type, first.from_peer_name, first.to) == (PeerType.USER, "alice", "robot")
        assert (first.from_ip, first.content_type) == ("10.0.0.2", "text/plain")
        with pytest.raises(RuntimeError):
            first.accept()

    play(run_virtual, virtual_network, scenario)


def test_a_plain_function_decides_from_its_thread(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        @at.server.on_chat_message
        def decide(message: ChatMessage) -> None:
            message.relay("bob")

        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        assert (await alice.send_message("anyone", "x")).status == 200
        assert len(bob.messages) == 1

    play(run_virtual, virtual_network, scenario)


def test_messages_go_over_a_line_and_come_from_it(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        @at.server.on_chat_message
        async def decide(message: ChatMessage) -> None:
            if message.from_peer_type is PeerType.USER:
                message.relay(to_line="itsp")
            else:
                message.relay("alice")

        at.itsp.on_other = taking(at, at.itsp.on_other)  # type: ignore[assignment,method-assign]
        alice = await at.phone("alice", 2)
        assert (await alice.send_message(MOBILE, "out")).status == 200
        (out,) = [message for message in at.itsp.seen if message.method == "MESSAGE"]
        assert (out.uri.user, out.body) == (MOBILE, b"out")
        from trunkline.testing.watch import ask

        account = at.itsp.accounts[ACCOUNT]
        assert account.contact is not None
        assert account.flow is not None
        answer = await ask(
            at.itsp.endpoint,
            "MESSAGE",
            str(account.contact),
            account.flow,
            local=f"<sip:{MOBILE}@itsp.example>",
            remote=f"<sip:{ACCOUNT}@itsp.example>",
            headers=[("Content-Type", "text/plain")],
            body=b"in",
        )
        assert answer.status == 200
        (came,) = alice.messages
        assert (came.from_.uri.user, came.body) == (MOBILE, b"in")
        assert at.server.line("itsp").statistics.calls_in == 0

    play(run_virtual, virtual_network, scenario)


def taking(at: World, otherwise: Callable[[RequestReceived], None]) -> Callable[[RequestReceived], None]:
    """A provider that takes messages."""

    def take(request: RequestReceived) -> None:
        if request.message.method == "MESSAGE":
            at.itsp.seen.append(request.message)
            at.itsp.endpoint.respond(request.tx, 200)
        else:
            otherwise(request)

    return take


def test_a_message_over_a_line_whose_provider_asks_for_the_password_is_sent_again_with_it(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        proofs: list[str | None] = []
        otherwise = at.itsp.on_other

        def ask_for_password(request: RequestReceived) -> None:
            if request.message.method != "MESSAGE":
                otherwise(request)
                return
            proofs.append(request.credentials.username if request.credentials is not None else None)
            if request.credentials is None:
                at.itsp.endpoint.driver.challenge(request.tx)
            else:
                assert at.itsp._verified(request) is not None
                at.itsp.endpoint.respond(request.tx, 200)

        at.itsp.on_other = ask_for_password  # type: ignore[method-assign]
        await asyncio.sleep(1)  # our side has heard that the line is registered
        result = await at.server.send_message("hello", to_line="itsp", number=MOBILE)
        assert (result.delivered, result.status) == (True, 200)
        assert proofs == [None, ACCOUNT]

    play(run_virtual, virtual_network, scenario)


def test_a_message_from_a_line_that_nobody_decides_about_is_refused(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        from trunkline.testing.watch import ask

        account = at.itsp.accounts[ACCOUNT]
        assert account.flow is not None
        with pytest.raises(RequestRefused) as refused:
            await ask(
                at.itsp.endpoint,
                "MESSAGE",
                str(account.contact),
                account.flow,
                local=f"<sip:{MOBILE}@itsp.example>",
                remote=f"<sip:{ACCOUNT}@itsp.example>",
                headers=[("Content-Type", "text/plain")],
                body=b"in",
            )
        assert refused.value.status == 404

    play(run_virtual, virtual_network, scenario)


def test_the_application_sends_and_hears_what_became_of_it(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        bob = await at.phone("bob", 3)
        result = await at.server.send_message("hello", to_user="bob", from_name="Office", from_id="office")
        assert (result.delivered, result.status) == (True, 200)
        assert bob.messages[0].from_.display_name == "Office"
        stored = await at.server.send_message("later", to_user="alice")
        assert (stored.stored, stored.delivered, stored.status) == (True, False, 202)
        unknown = await at.server.send_message("x", to_user="nobody")
        assert unknown.status == 404
        at.itsp.silent = True
        silent = await at.server.send_message("x", to_line="itsp", number=MOBILE)
        assert silent.status == 408
        assert [event.message_id for event in at.events_of(ChatMessageTimeout)] == [silent.id]
        assert [event.status for event in at.events_of(ChatMessageFailed)] == [404]
        with pytest.raises(ValueError, match="either"):
            await at.server.send_message("x", to_user="bob", to_line="itsp")
        with pytest.raises(ValueError, match="content type"):
            await at.server.send_message("x", to_user="bob", content_type="text\r\nX: y")

    play(run_virtual, virtual_network, scenario)


def test_messages_cross_a_network_that_loses_a_fifth(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        virtual_network.default_link.loss = 0.2
        for link in virtual_network.links.values():
            link.loss = 0.2
        for number in range(20):
            answer = await alice.send_message("bob", str(number))
            assert answer.status in (200, 202)
        for link in virtual_network.links.values():
            link.loss = 0.0
        await bob.register()
        await asyncio.sleep(30)
        assert {int(message.body) for message in bob.messages} == set(range(20))

    play(run_virtual, virtual_network, scenario)
