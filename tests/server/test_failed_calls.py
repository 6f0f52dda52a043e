"""What a session that failed leaves in its record, whoever ended it: a status, words, and one explanation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.test_call_records import recorded
from tests.server.world import ACCOUNT, MOBILE, World, world
from trunkline import CallRecord, CallSession
from trunkline.events import CallRecorded, CallSessionLost, CallSessionTimeout
from trunkline.explanation import Explanation
from trunkline.testing import CallRefused, VirtualNetwork
from trunkline.trace.describe import describe

Run = Callable[[Any], Any]


async def a_failed_call(at: World, decide: Callable[[CallSession], object]) -> CallRecord:
    """A call from alice about which `decide` decides, and its record."""
    told: list[CallRecorded] = []
    at.server.on_call_recorded(told.append)

    @at.server.on_incoming_call
    async def decided(call: CallSession) -> None:
        decide(call)

    alice = await at.phone("alice")
    with pytest.raises(CallRefused):
        await alice.dial(MOBILE).wait_answered(300)
    await recorded(at)
    (event,) = told
    return event.record


def raise_one(call: CallSession) -> None:
    raise LookupError("the password is 1234")


@pytest.mark.parametrize(
    ("decide", "status", "reason", "problem"),
    [
        (
            lambda call: call.reject(486),
            486,
            "the application rejected the call with 486",
            "the application rejected the call with 486",
        ),
        (
            lambda call: call.respond(404, "No such desk"),
            404,
            "No such desk",
            "the application answered the call with 404 No such desk",
        ),
        (
            lambda call: call.redirect("sip:bob@other.example"),
            302,
            "the application sent the caller elsewhere with 302",
            "the application sent the caller elsewhere with 302",
        ),
        (
            raise_one,
            500,
            "a handler of the application raised LookupError",
            "a handler of the application raised LookupError",
        ),
        (
            lambda call: None,
            480,
            "nothing was decided about the call in time",
            "nothing was decided about the call in time",
        ),
        (
            lambda call: call.close(),
            480,
            "our side ended the call before it was answered",
            "our side ended the call before it was answered",
        ),
    ],
)
def test_a_call_that_the_application_ends_says_so(
    run_virtual: Run,
    virtual_network: VirtualNetwork,
    decide: Callable[[CallSession], object],
    status: int,
    reason: str,
    problem: str,
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            found = await a_failed_call(at, decide)
            assert (found.status, found.reason) == (status, reason)
            assert found.explanation["problem"] == problem
            assert str(found.explanation["sent"]).startswith(str(status))
            assert found.explanation["received"] == ("" if status == 500 else "INVITE")
            assert found.explanation["rule"]
            assert "1234" not in str(found)

    run_virtual(main())


def test_a_call_that_no_handler_decides_about_says_so(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told: list[CallRecorded] = []
            at.server.on_call_recorded(told.append)
            alice = await at.phone("alice")
            with pytest.raises(CallRefused):
                await alice.dial(MOBILE).wait_answered()
            await recorded(at)
            assert (told[0].record.status, told[0].record.reason) == (480, "nobody decided about the call")
            assert "on_incoming_call" in str(told[0].record.explanation["advice"])

    run_virtual(main())


def test_what_a_placing_failed_of_explains_the_call_that_is_rejected_for_it(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told: list[CallRecorded] = []
            at.server.on_call_recorded(told.append)

            @at.server.on_incoming_call
            async def tried(call: CallSession) -> None:
                try:
                    await call.accept(to_user="bob")
                except Exception:
                    call.reject(404)

            alice = await at.phone("alice")
            with pytest.raises(CallRefused):
                await alice.dial(MOBILE).wait_answered()
            await recorded(at)
            assert told[0].record.status == 404
            assert told[0].record.explanation["problem"] == "no phone of bob is registered"

    run_virtual(main())


def test_a_caller_who_gives_up_ends_the_attempts_then_and_with_487(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told: list[CallRecorded] = []
            at.server.on_call_recorded(told.append)

            @at.server.on_incoming_call
            async def tried(call: CallSession) -> None:
                await call.accept(to_user="bob")

            alice, bob = await at.phone("alice"), await at.phone("bob", 3)
            call = alice.dial("bob")
            (await bob.next_call()).ring()
            await asyncio.sleep(5)
            call.hangup()
            await recorded(at)
            (event,) = told
            assert (event.record.closed_reason, event.record.status) == ("cancelled", 487)
            assert event.record.explanation["problem"] == "the caller gave up before the call was answered"
            assert event.record.explanation["received"] == "CANCEL"
            (attempt,) = event.attempts
            assert (attempt.status, attempt.reason) == (487, "cancelled, for the call was over: cancelled")
            assert attempt.ended_at == event.record.closed_at

    run_virtual(main())


def test_a_timeout_says_who_rang(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told: list[CallRecorded] = []
            at.server.on_call_recorded(told.append)

            @at.server.on_incoming_call
            async def tried(call: CallSession) -> None:
                await call.accept(to_user="bob", timeout_s=10)

            alice, bob = await at.phone("alice"), await at.phone("bob", 3)
            call = alice.dial("bob")
            (await bob.next_call()).ring()
            with pytest.raises(CallRefused):
                await call.wait_answered(60)
            await recorded(at)
            (event,) = told
            (timeout,) = at.events_of(CallSessionTimeout)
            assert isinstance(timeout.explanation, Explanation)
            assert timeout.explanation.problem == "user bob: the phone at udp:10.0.0.3:5060 rang, and nobody answered"
            assert timeout.explanation.sent.startswith("INVITE sip:bob@10.0.0.3:5060")
            assert timeout.explanation.received == "ringing; not answered within 10 s"
            assert event.record.explanation == timeout.explanation.as_json()
            assert (event.record.status, event.record.reason) == (408, "nobody answered in time")
            line = describe(event)
            assert "reason=timeout" in line
            assert f'status=408 explanation="{timeout.explanation}"' in line
            (attempt,) = event.attempts
            assert (attempt.status, attempt.reason) == (408, "not answered within 10 s")
            assert attempt.ended_at == event.record.closed_at

    run_virtual(main())


def test_a_timeout_of_several_names_each(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:

            @at.server.on_incoming_call
            async def tried(call: CallSession) -> None:
                await call.accept(to_user="bob", timeout_s=10)

            alice = await at.phone("alice")
            first, second = await at.phone("bob", 3), await at.phone("bob", 4)
            call = alice.dial("bob")
            (await first.next_call()).ring()
            await second.next_call()
            with pytest.raises(CallRefused):
                await call.wait_answered(60)
            (timeout,) = at.events_of(CallSessionTimeout)
            assert "the phone at udp:10.0.0.3:5060 rang, and nobody answered" in timeout.explanation.problem
            assert "the phone at udp:10.0.0.4:5060 does not answer" in timeout.explanation.problem

    run_virtual(main())


def test_a_call_that_is_lost_after_the_answer_says_on_which_side(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told: list[CallRecorded] = []
            at.server.on_call_recorded(told.append)

            @at.server.on_incoming_call
            async def route(call: CallSession) -> None:
                await call.accept(to_user="alice")

            alice = await at.phone("alice")
            mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            (await alice.next_call()).answer()
            await mobile.wait_answered()
            media = at.network.hosts["10.0.0.1"].media
            media.fall_silent(min(media.legs))
            await mobile.wait_ended()
            await recorded(at)
            (event,) = told
            (lost,) = at.events_of(CallSessionLost)
            assert isinstance(lost.explanation, Explanation)
            assert lost.explanation.problem == "channel ZERO, line itsp: no audio arrived any more"
            assert "raise media_timeout_s" in lost.explanation.advice
            assert event.record.answered_at is not None
            assert (event.record.status, event.record.reason) == (408, "no audio arrives")
            assert event.record.explanation == lost.explanation.as_json()

    run_virtual(main())


def test_a_handler_that_raises_after_the_answer_is_in_the_record(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told: list[CallRecorded] = []
            at.server.on_call_recorded(told.append)

            @at.server.on_incoming_call
            async def route(call: CallSession) -> None:
                await call.answer()
                raise LookupError("the password is 1234")

            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            await call.wait_answered()
            await call.wait_ended()
            await recorded(at)
            (event,) = told
            assert (event.record.closed_reason, event.record.status) == ("closed", 500)
            assert event.record.explanation["problem"] == "a handler of the application raised LookupError"
            assert "1234" not in str(event.record)

    run_virtual(main())
