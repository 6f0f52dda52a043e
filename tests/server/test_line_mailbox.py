"""Message waiting of a line: the provider's mailbox is subscribed to, and what it tells becomes an event (RFC 3842)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.world import ACCOUNT, World, world
from tests.sip.test_invite import parse
from trunkline.events import LineMessagesWaiting
from trunkline.server.line_mailbox import waiting_of
from trunkline.testing import VirtualNetwork
from trunkline.testing.mailbox import Mailbox

Run = Callable[[Any], Any]

ON = {"message_waiting": True}


def told(at: World) -> list[tuple[bool, int, int]]:
    return [(event.waiting, event.new, event.old) for event in at.events_of(LineMessagesWaiting)]


def mailbox(at: World) -> Mailbox:
    return at.itsp.mailboxes[ACCOUNT]


def subscribes(at: World) -> int:
    """SUBSCRIBEs outside a dialog whose password was right."""
    return sum(message.method == "SUBSCRIBE" for message in at.itsp.seen)


def test_a_line_is_told_what_waits_at_its_provider_and_tells_each_change_once(
    virtual_network: VirtualNetwork, run_virtual: Run
) -> None:
    async def scenario() -> None:
        async with world(virtual_network, line=ON) as at:
            await asyncio.sleep(1)
            assert told(at) == [(False, 0, 0)]
            mailbox(at).leave(2, 8)
            await asyncio.sleep(1)
            mailbox(at).leave(2, 8)
            await asyncio.sleep(1)
            assert told(at) == [(False, 0, 0), (True, 2, 8)]
            event = at.events_of(LineMessagesWaiting)[-1]
            assert (event.line, event.account) == ("itsp", f"sip:{ACCOUNT}@itsp.example")
            # refreshed for hours
            await asyncio.sleep(3 * 3_600)
            mailbox(at).leave(0, 10)
            await asyncio.sleep(1)
            assert told(at)[-1] == (False, 0, 10)
            assert subscribes(at) == 1
            await at.server.unregister_line("itsp")
            await asyncio.sleep(1)
            assert mailbox(at).subscriptions == []
            at.server.register_line("itsp")
            await asyncio.sleep(1)
            assert len(mailbox(at).subscriptions) == 1

    run_virtual(scenario())


def test_a_line_asks_for_nothing_unless_it_is_told_to(virtual_network: VirtualNetwork, run_virtual: Run) -> None:
    async def scenario() -> None:
        async with world(virtual_network) as at:
            await asyncio.sleep(5)
            assert subscribes(at) == 0

    run_virtual(scenario())


@pytest.mark.parametrize("removed", [True, False])
def test_a_line_without_registration_subscribes_too_and_takes_its_leave(
    virtual_network: VirtualNetwork, run_virtual: Run, removed: bool
) -> None:
    async def scenario() -> None:
        async with world(virtual_network, line=ON | {"register": False}) as at:
            await asyncio.sleep(1)
            assert told(at) == [(False, 0, 0)]
            if removed:
                await at.server.remove_line("itsp")
            else:
                await at.server.stop()
            await asyncio.sleep(1)
            assert mailbox(at).subscriptions == []

    run_virtual(scenario())


def test_a_provider_that_refuses_is_asked_again_later_and_later(
    virtual_network: VirtualNetwork, run_virtual: Run
) -> None:
    async def scenario() -> None:
        async with world(virtual_network, line={**ON, "register": False}) as at:
            await asyncio.sleep(1)
            at.itsp.refuse_subscribe = 489
            mailbox(at).end("deactivated")
            await asyncio.sleep(3_600)
            tries = subscribes(at)
            assert 4 <= tries <= 6
            at.itsp.refuse_subscribe = 0
            mailbox(at).leave(1)
            await asyncio.sleep(3_700)
            assert told(at)[-1] == (True, 1, 0)
            assert at.server.line("itsp").usable

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("reason", "retry_after_s", "after_s"), [("deactivated", None, 3), ("probation", 60, 70), ("noresource", None, 3)]
)
def test_a_subscription_that_the_provider_ends_is_begun_again(
    virtual_network: VirtualNetwork, run_virtual: Run, reason: str, retry_after_s: int | None, after_s: float
) -> None:
    async def scenario() -> None:
        async with world(virtual_network, line=ON) as at:
            await asyncio.sleep(1)
            mailbox(at).end(reason, retry_after_s)
            await asyncio.sleep(1)
            assert mailbox(at).subscriptions == []
            await asyncio.sleep(after_s)
            assert len(mailbox(at).subscriptions) == 1
            assert told(at) == [(False, 0, 0)]

    run_virtual(scenario())


def summary(*lines: str, kind: str = "application/simple-message-summary") -> LineMessagesWaiting | None:
    body = "".join(f"{line}\r\n" for line in lines)
    fields = [
        "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK3",
        "From: <sip:b@x>;tag=b",
        "To: <sip:a@x>;tag=a",
        "Call-ID: c",
        "CSeq: 1 NOTIFY",
        f"Content-Type: {kind}",
    ]
    return waiting_of("itsp", parse("NOTIFY sip:us@192.0.2.1 SIP/2.0", *fields, body=body))


@pytest.mark.parametrize(
    ("lines", "event"),
    [
        (["Messages-Waiting: yes"], (True, 0, 0, 0, 0, "")),
        (["Messages-Waiting: Yes", "Voice-Message: 2/8"], (True, 2, 8, 0, 0, "")),
        (
            ["messages-waiting: no", "Message-Account: sip:a@x", "voice-message: 0/1 (0/1)"],
            (False, 0, 1, 0, 1, "sip:a@x"),
        ),
        (["Messages-Waiting: yes", "Fax-Message: 3/4", "Voice-Message: 1/2"], (True, 1, 2, 0, 0, "")),
        (["Messages-Waiting: yes", "Fax-Message: 3/4"], (True, 0, 0, 0, 0, "")),
        (["Messages-Waiting: yes", "", "Voice-Message: 1/2"], (True, 0, 0, 0, 0, "")),
        (["Messages-Waiting: yes", "Voice-Message: many"], (True, 0, 0, 0, 0, "")),
        (["Messages-Waiting: yes", "Voice-Message: 99999999999/1"], (True, 0, 0, 0, 0, "")),
        (["Messages-Waiting: perhaps"], None),
        (["no colon here"], None),
        ([], None),
    ],
)
def test_a_summary_is_read_as_it_is_written(lines: list[str], event: tuple[Any, ...] | None) -> None:
    assert summary(*lines) == (None if event is None else LineMessagesWaiting("itsp", *event))


def test_a_body_of_another_type_tells_nothing() -> None:
    assert summary("Messages-Waiting: yes", kind="text/plain") is None
