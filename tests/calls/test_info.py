"""INFO inside calls: told to the application, passed on with its body as it is, answered as the other party answers."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import to_bob
from trunkline.calls.session import CallSession
from trunkline.constants import ChannelId, ClosedReason
from trunkline.errors import CallEnded, CallFailed, CallStateError
from trunkline.events import CallSessionInfo
from trunkline.sip.endpoint import Message, RequestReceived
from trunkline.testing.call import ScriptedCall

TYPE = 'application/vnd.door+json;charset="utf-8"'
BODY = b'{"door": "open"}\r\n\xff'


async def connected(house: House) -> tuple[ScriptedCall, ScriptedCall, CallSession]:
    """Alice talks to bob, through the house."""
    alice, bob = await house.phone("alice"), await house.phone("bob")
    house.route(to_bob)
    at_alice = house.call(alice, "bob")
    at_bob = await bob.next_call()
    at_bob.answer()
    await at_alice.wait_answered()
    await house.settle()
    return at_alice, at_bob, house.calls[0]


def takes(call: ScriptedCall, status: int = 200, headers: list[tuple[str, str]] | None = None) -> list[Message]:
    """What INFOs this phone gets from now on; it answers them so."""
    got: list[Message] = []

    def take(request: RequestReceived) -> None:
        got.append(request.message)
        call.agent.endpoint.respond(request.tx, status, None, headers or ())

    assert call.session is not None
    call.session.on_info = take
    return got


def typed(*more: tuple[str, str]) -> list[tuple[str, str]]:
    return [("Content-Type", TYPE), *more]


@pytest.mark.parametrize("by_caller", [True, False], ids=["caller", "callee"])
def test_an_info_is_told_and_passed_on_with_its_body_and_type_as_they_are(by_caller: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        asking, other = (at_alice, at_bob) if by_caller else (at_bob, at_alice)
        got = takes(other)
        more = [("Content-Disposition", "signal;handling=optional"), ("X-Private", "1")]
        answer = await asking.request("INFO", headers=typed(*more), body=BODY)
        assert answer.status == 200
        (info,) = got
        assert (info.body, info.header("Content-Type")) == (BODY, TYPE)
        assert info.header("Content-Disposition") == "signal;handling=optional"
        assert info.header("X-Private") is None
        event = house.events.only(CallSessionInfo)
        assert (event.call, event.channel) == (call, ChannelId.ZERO if by_caller else ChannelId.ONE)
        assert (event.body, event.content_type) == (BODY, TYPE)
        # it may hold digits that nobody else is to read
        assert "open" not in repr(event)

    on_the_network(scenario)


@pytest.mark.parametrize(("refusal", "told"), [(415, 415), (405, 415), (501, 415), (403, 500), (503, 500), (500, 500)])
def test_the_other_partys_refusal_comes_back(refusal: int, told: int) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        takes(at_bob, refusal, [("Accept", "text/plain")])
        answer = await at_alice.request("INFO", headers=typed(), body=BODY)
        assert answer.status == told
        if told == 415:
            assert answer.header("Accept") == ("text/plain" if refusal == 415 else "")
        assert call.closed_reason is None

    on_the_network(scenario)


def test_an_info_that_the_other_party_knows_no_dialog_for_ends_the_call() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        takes(at_bob, 481)
        assert (await at_alice.request("INFO", headers=typed(), body=BODY)).status == 500
        await house.settle()
        assert call.closed_reason is ClosedReason.SESSION_LOST
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ([("Content-Type", "a/b")], b"x" * 8_193, 413),
        ([], b"x", 400),
        ([("Info-Package", "door"), ("Content-Type", "a/b")], b"x", 469),
        ([], b"", 200),
    ],
    ids=["too long", "no type", "a package", "asks nothing"],
)
def test_what_cannot_be_passed_on_is_answered_here_and_not_told(
    headers: list[tuple[str, str]], body: bytes, status: int
) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        got = takes(at_bob)
        assert (await at_alice.request("INFO", headers=headers, body=body)).status == status
        assert got == []
        assert "Info" not in house.events.names()

    on_the_network(scenario)


def test_a_call_with_one_party_keeps_what_it_says() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")

        async def route(call: CallSession) -> None:
            await call.answer()

        house.route(route)
        at_alice = house.call(alice, "bob")
        await at_alice.wait_answered()
        assert (await at_alice.request("INFO", headers=typed(), body=BODY)).status == 200
        assert house.events.only(CallSessionInfo).body == BODY

    on_the_network(scenario)


def test_of_a_party_that_answers_no_info_only_so_many_wait() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_bob.agent.silent_inside.add("INFO")
        asked = []
        for _ in range(9):
            asked.append(asyncio.ensure_future(at_alice.request("INFO", headers=typed(), body=BODY, timeout_s=60)))
            await house.settle(0.1)
        done, _ = await asyncio.wait(asked, timeout=1)
        (refused,) = done
        assert refused.result().status == 500
        assert refused.result().header("Retry-After") == "1"
        await asyncio.gather(*asked, return_exceptions=True)
        assert at_alice.ended is None

    on_the_network(scenario)


@pytest.mark.parametrize("channel", list(ChannelId))
def test_an_application_sends_an_info_to_either_party(channel: ChannelId) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        got = {ChannelId.ZERO: takes(at_alice), ChannelId.ONE: takes(at_bob)}
        await call.send_info("offen", content_type="text/plain", channel=channel)
        (info,) = got.pop(channel)
        assert (info.body, info.header("Content-Type")) == (b"offen", "text/plain")
        assert list(got.values()) == [[]]

    on_the_network(scenario)


def test_what_becomes_of_an_info_of_the_application_is_told() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        with pytest.raises(CallFailed) as refused:
            await call.send_info(b"x", content_type="a/b")
        assert refused.value.status == 415
        for body, kind in ((b"", "a/b"), (b"x" * 8_193, "a/b"), (b"x", "ab"), (b"x", "a/b\r\nVia: x"), (b"x", "ä/b")):
            with pytest.raises(ValueError, match=r"^(body|content_type): "):
                await call.send_info(body, content_type=kind)
        at_alice.hangup()
        await at_bob.wait_ended()
        with pytest.raises(CallEnded):
            await call.send_info(b"x", content_type="a/b")

    on_the_network(scenario)


def test_nobody_is_told_before_the_answer() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        house.call(alice, "bob")
        await bob.next_call()
        for channel in ChannelId:
            with pytest.raises(CallStateError):
                await house.calls[0].send_info(b"x", content_type="a/b", channel=channel)

    on_the_network(scenario)
