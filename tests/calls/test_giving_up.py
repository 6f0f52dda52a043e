"""Ends before the answer: CANCEL, reject, respond, redirect, close, no decision, handlers that raise; and ends after it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.test_accept import connected, to_bob
from trunkline.calls.exchange import CallOptions
from trunkline.calls.session import CallSession, CallState
from trunkline.constants import ChannelId, ClosedReason
from trunkline.errors import CallEnded, CallStateError
from trunkline.events import CallSessionClosed, CallSessionLost
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Flow
from trunkline.sip.invite import end_unwanted
from trunkline.testing.call import CallRefused


async def refused(house: House, number: str = "bob") -> CallRefused:
    """Alice's call fails, and with what."""
    alice = house.agents[0]
    at_alice = house.call(alice, number)
    with pytest.raises(CallRefused) as caught:
        await at_alice.wait_answered(300)
    return caught.value


def test_a_caller_who_gives_up_cancels_the_callee() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        await at_alice.wait_ringing()
        at_alice.hangup([("Reason", 'SIP;cause=487;text="ORIGINATOR_CANCEL"')])
        ended = await at_bob.wait_ended()
        assert ended.how == "cancel"
        assert ended.message is not None
        assert ended.message.header("Reason") == 'SIP ;cause=487 ;text="ORIGINATOR_CANCEL"'
        await house.settle()
        assert house.events.names() == ["Created", "IncomingCall", "Connecting", "Cancelled", "Closed"]
        assert house.events.only(CallSessionClosed).reason is ClosedReason.CANCELLED
        assert isinstance(house.events.raised[0], CallEnded)
        house.check_over()

    on_the_network(scenario)


def test_a_bye_in_the_early_dialog_gives_up_too() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        ringing = await at_alice.wait_ringing()
        early = Dialog.as_caller(
            ringing,
            Flow("udp", ("10.0.0.1", 5060), (alice.address, 5060)),
            local=str(ringing.from_),
            local_tag=ringing.from_tag,
            cseq=ringing.cseq,
            target="sip:bob@10.0.0.1",
            nat=False,
        )
        end_unwanted(alice.endpoint, early)
        with pytest.raises(CallRefused) as caught:
            await at_alice.wait_answered()
        assert caught.value.status == 487
        assert (await at_bob.wait_ended()).how == "cancel"
        assert len(house.sent("SIP/2.0 200", to=alice)) == 1
        assert house.events.only(CallSessionClosed).reason is ClosedReason.CANCELLED
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.network.link("10.0.0.1", bob.address).delay_s = 0.2
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        await at_alice.wait_ringing()
        at_alice.hangup()
        await asyncio.sleep(0.05)
        assert at_bob.answer()
        ended = await at_bob.wait_ended()
        assert ended.how == "bye"
        assert len(house.sent("ACK ", to=bob)) >= 1
        assert house.events.only(CallSessionClosed).reason is ClosedReason.CANCELLED
        await house.settle(40)
        assert house.events.names().count("Closed") == 1
        house.check_over()

    on_the_network(scenario)


def test_a_callee_that_hangs_up_before_the_callers_ack_makes_no_early_bye() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.network.link(alice.address, "10.0.0.1").delay_s = 0.5
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_bob.wait_answered()
        at_bob.hangup()
        ended = await at_alice.wait_ended(10)
        assert ended.how == "bye"
        arrived = [packet.data.split(b" ")[0] for packet in house.network.delivered]
        to_alice = house.sent("BYE ", to=alice)
        acks = [p for p in house.sent("ACK ") if p.source[0] == alice.address]
        assert house.network.delivered.index(acks[0]) < house.network.delivered.index(to_alice[0]), arrived
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_200_that_nobody_acknowledges_loses_the_session() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        house.network.filters.append(
            lambda packet: 0 if packet.source[0] == alice.address and packet.data.startswith(b"ACK") else 1
        )
        house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        ended = await at_bob.wait_ended(60)
        assert ended.how == "bye"
        assert house.events.only(CallSessionLost).channel is ChannelId.ZERO
        assert house.events.only(CallSessionClosed).reason is ClosedReason.SESSION_LOST
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("status", "reason", "phrase"),
    [(603, None, "Decline"), (486, None, "Busy Here"), (404, "Never heard", "Never heard")],
)
def test_reject_answers_with_its_own_words(status: int, reason: str | None, phrase: str) -> None:
    async def scenario(house: House) -> None:
        await house.phone("alice")

        async def route(call: CallSession) -> None:
            call.reject(status, reason)

        house.route(route)
        failure = await refused(house)
        assert (failure.status, failure.reason) == (status, phrase)
        assert house.events.names() == ["Created", "IncomingCall", "Closed"]
        assert house.events.only(CallSessionClosed).reason is ClosedReason.REJECTED
        house.check_over()

    on_the_network(scenario)


def test_redirect_sends_the_contact() -> None:
    async def scenario(house: House) -> None:
        await house.phone("alice")

        async def route(call: CallSession) -> None:
            call.redirect("sip:bob@192.0.2.9")

        house.route(route)
        failure = await refused(house)
        assert failure.status == 302
        assert failure.message is not None
        assert str(failure.message.contacts[0].uri) == "sip:bob@192.0.2.9"
        assert house.events.only(CallSessionClosed).reason is ClosedReason.REDIRECT_SENT

    on_the_network(scenario)


def test_own_responses_of_the_application() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")

        async def route(call: CallSession) -> None:
            call.respond(182, "Queued, position 3")
            with pytest.raises(ValueError, match="status"):
                call.respond(200)
            with pytest.raises(ValueError, match="contact"):
                call.respond(302)
            with pytest.raises(ValueError, match="status"):
                call.reject(183)
            await asyncio.sleep(1)
            call.respond(500, "Later")
            with pytest.raises(CallEnded):
                call.respond(500)

        house.route(route)
        at_alice = house.call(alice, "bob")
        ringing = await at_alice.wait_ringing()
        assert (ringing.status, ringing.reason) == (182, "Queued, position 3")
        with pytest.raises(CallRefused):
            await at_alice.wait_answered()
        assert house.events.only(CallSessionClosed).reason is ClosedReason.FAILURE_SENT
        assert house.events.raised == []

    on_the_network(scenario)


def test_reject_while_the_callee_rings_cancels_him() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        await at_alice.wait_ringing()
        house.calls[0].reject(486)
        assert (await at_bob.wait_ended()).how == "cancel"
        with pytest.raises(CallRefused) as caught:
            await at_alice.wait_answered()
        assert caught.value.status == 486

    on_the_network(scenario)


def test_close_before_the_answer_refuses_the_caller_and_cancels_the_callee() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring()
        await at_alice.wait_ringing()
        house.calls[0].close()
        house.calls[0].close()
        assert (await at_bob.wait_ended()).how == "cancel"
        with pytest.raises(CallRefused) as caught:
            await at_alice.wait_answered()
        assert caught.value.status == 480
        assert house.events.only(CallSessionClosed).reason is ClosedReason.CLOSED
        house.check_over()

    on_the_network(scenario)


def test_close_after_the_answer_hangs_up_both() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        call.close()
        assert (await at_alice.wait_ended()).how == "bye"
        assert (await at_bob.wait_ended()).how == "bye"
        assert "HangUp" not in house.events.names()
        assert house.events.only(CallSessionClosed).reason is ClosedReason.CLOSED
        with pytest.raises(CallEnded):
            call.reject()
        house.check_over()

    on_the_network(scenario)


def test_an_answered_call_cannot_be_rejected() -> None:
    async def scenario(house: House) -> None:
        _, _, call = await connected(house)
        with pytest.raises(CallStateError):
            call.reject()

    on_the_network(scenario)


def test_without_a_handler_the_caller_gets_480_at_once() -> None:
    async def scenario(house: House) -> None:
        await house.phone("alice")
        failure = await refused(house)
        assert failure.status == 480
        assert house.events.only(CallSessionClosed).reason is ClosedReason.FAILED

    on_the_network(scenario)


def test_a_call_whose_handler_decided_nothing_waits_for_a_decision() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            return

        house.route(route)
        at_alice = house.call(alice, "bob")
        await house.settle(60)
        house.calls[0].accept(to_user="bob")
        (await bob.next_call()).answer()
        await at_alice.wait_answered()

    on_the_network(scenario)


def test_a_decision_that_never_comes_is_a_timeout() -> None:
    async def scenario(house: House) -> None:
        await house.phone("alice")

        async def route(call: CallSession) -> None:
            return

        house.route(route)
        failure = await refused(house)
        assert failure.status == 480
        assert house.events.only(CallSessionClosed).reason is ClosedReason.TIMEOUT
        house.check_over()

    on_the_network(scenario, options=CallOptions(decision_timeout_s=20))


def test_a_handler_that_raises_before_the_answer_costs_its_call_500() -> None:
    async def scenario(house: House) -> None:
        await house.phone("alice")

        async def route(call: CallSession) -> None:
            raise KeyError("oops")

        house.route(route)
        failure = await refused(house)
        assert failure.status == 500
        assert house.events.only(CallSessionClosed).reason is ClosedReason.FAILURE_SENT

    on_the_network(scenario)


def test_a_handler_that_raises_after_the_answer_hangs_up_with_a_reason() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            await call.accept(to_user="bob")
            raise KeyError("oops")

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        ended = await at_alice.wait_ended()
        assert ended.message is not None
        assert (ended.message.header("Reason") or "").startswith("SIP ;cause=500")
        assert house.events.only(CallSessionClosed).reason is ClosedReason.CLOSED
        assert (await at_bob.wait_ended()).how == "bye"

    on_the_network(scenario)


def test_silence_loses_the_session_and_says_bye_to_both() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)
        assert call.one is not None
        assert call.one.leg is not None
        assert call.one.leg.handler is not None
        call.one.leg.handler.on_leg_silent()
        assert (await at_alice.wait_ended()).how == "bye"
        assert (await at_bob.wait_ended()).how == "bye"
        assert house.events.names()[-2:] == ["Lost", "Closed"]
        assert house.events.only(CallSessionLost).channel is ChannelId.ONE
        assert house.events.only(CallSessionClosed).reason is ClosedReason.SESSION_LOST

    on_the_network(scenario)


def test_silence_is_watched_only_while_connected() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice", media_timeout_s=30), await house.phone("bob", media_timeout_s=20)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring(183, early_media=True)
        await at_alice.wait_ringing()
        call = house.calls[0]
        assert call.one is not None

        def watched() -> list[float]:
            legs = [call.zero.leg, call.one.leg if call.one is not None else None]
            return [
                house.host.media.legs[leg.number].configured["silence_timeout_s"] for leg in legs if leg is not None
            ]

        assert watched() == [0, 0]
        at_bob.answer()
        await at_alice.wait_answered()
        assert watched() == [30, 20]
        await at_alice.hold()
        assert watched() == [30, 0]
        await at_alice.resume()
        assert watched() == [30, 20]

    on_the_network(scenario)


def test_stopping_ends_every_call_and_refuses_new_ones() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        carol = await house.phone("carol")
        at_carol = house.call(carol, "bob")
        second = await house.agents[1].next_call()
        second.ring()
        await at_carol.wait_ringing()
        await house.exchange.close_all()
        for call in (at_alice, at_bob):
            assert (await call.wait_ended()).how == "bye"
        assert (await second.wait_ended()).how == "cancel"
        with pytest.raises(CallRefused) as caught:
            await at_carol.wait_answered()
        assert caught.value.status == 503
        assert house.endpoint.open_transactions == 0
        late = house.call(carol, "bob")
        with pytest.raises(CallRefused) as caught:
            await late.wait_answered()
        assert caught.value.status == 503
        assert [event.reason for event in house.events.closed()] == [ClosedReason.CLOSED] * 2
        house.check_over()

    on_the_network(scenario)


def test_stopping_does_not_wait_for_ever() -> None:
    async def scenario(house: House) -> None:
        await connected(house)
        house.agents[1].vanish()
        started = asyncio.get_running_loop().time()
        await house.exchange.close_all()
        assert asyncio.get_running_loop().time() - started == pytest.approx(5, abs=0.5)

    on_the_network(scenario)


def test_stopping_ends_the_others_when_one_cannot_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        _, at_bob, first = await connected(house)
        at_carol = house.call(await house.phone("carol"), "bob")
        (await at_bob.agent.next_call()).ring()
        await at_carol.wait_ringing()

        def fail(status: int) -> None:
            raise RuntimeError("no end")

        monkeypatch.setattr(first.course, "close", fail)
        await house.exchange.close_all()
        with pytest.raises(CallRefused) as caught:
            await at_carol.wait_answered()
        assert caught.value.status == 503
        assert house.exchange.sessions == (first,)

    on_the_network(scenario)


def test_stopping_that_is_cancelled_leaves_no_task() -> None:
    async def scenario(house: House) -> None:
        at_alice, _, _ = await connected(house)
        at_alice.agent.vanish()
        task = house.exchange._env.spawn(asyncio.sleep(1000), "endless")
        stopping = asyncio.ensure_future(house.exchange.close_all())
        await house.settle()
        assert house.endpoint._quiet
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        assert task.cancelled()
        assert not house.endpoint._quiet

    on_the_network(scenario)


def test_bye_from_both_sides_at_once_is_one_end() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, _ = await connected(house)
        at_alice.hangup()
        at_bob.hangup()
        await house.settle(40)
        assert house.events.names().count("HangUp") == 1
        assert house.events.names().count("Closed") == 1
        house.check_over()

    on_the_network(scenario)


def test_nothing_of_a_closed_session_is_left() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        kept: list[weakref.ref[object]] = []

        async def route(call: CallSession) -> None:
            kept.append(weakref.ref(call))
            kept.append(weakref.ref(call.course))
            kept.append(weakref.ref(call.zero))
            await call.accept(to_user="bob")
            kept.append(weakref.ref(call.one) if call.one is not None else weakref.ref(call))

        house.route(route)
        for index in range(4):
            at_alice = house.call(alice, "bob")
            at_bob = await bob.next_call()
            if index == 0:
                at_bob.reject(486)
            elif index == 1:
                at_bob.ring()
                await at_alice.wait_ringing()
                at_alice.hangup()
            else:
                at_bob.answer()
                await at_alice.wait_answered()
                (at_alice if index == 2 else at_bob).hangup()
            await at_alice.wait_ended()
        assert len(kept) >= 12
        await house.settle(120)
        house.events.events.clear()
        house.events.raised.clear()
        house.calls.clear()
        assert house.endpoint.live == {"clients": 0, "servers": 0, "dialogs": 0}
        gc.collect()
        assert [reference() for reference in kept if reference() is not None] == []

    on_the_network(scenario)


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\ud800"])
def test_a_text_that_no_message_can_carry_is_refused_before_anything_is_done(text: str) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        attempts: list[tuple[str, Callable[[CallSession], object]]] = [
            ("reason", lambda call: call.reject(486, text)),
            ("reason", lambda call: call.respond(183, text)),
            ("contact", lambda call: call.redirect(f"sip:x@y{text}")),
            ("contact", lambda call: call.respond(302, None, f"<sip:x@y>{text}")),
            ("caller_name", lambda call: call.accept(to_user="bob", caller_name=text)),
            ("caller_id", lambda call: call.accept(to_user="bob", caller_id=text)),
            ("dial_number", lambda call: call.accept(to_user="bob", dial_number=text)),
        ]

        async def route(call: CallSession) -> None:
            for argument, attempt in attempts:
                with pytest.raises(ValueError, match=f"^{argument}: "):
                    attempt(call)
                assert call.state is CallState.WAITING
            call.reject(486, "Later")

        house.route(route)
        at_alice = house.call(alice, "bob")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert (refused.value.status, refused.value.reason) == (486, "Later")
        assert house.events.raised == []
        house.check_over()

    on_the_network(scenario)


def test_an_end_whose_words_cannot_be_said_is_said_without_them() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")

        async def route(call: CallSession) -> None:
            placement = call.accept(to_user="bob")
            await house.settle()
            call.course.respond(486, "a\r\nb", [], ClosedReason.REJECTED)
            with pytest.raises(CallEnded):
                await placement

        house.route(route)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 486
        assert (await at_bob.wait_ended()).how == "cancel"
        await house.settle()
        assert house.events.raised == []
        assert [event.reason for event in house.events.closed()] == [ClosedReason.REJECTED]
        house.check_over()

    on_the_network(scenario)


def test_closed_is_said_whatever_fails_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob, call = await connected(house)

        def fail(*args: object) -> None:
            raise RuntimeError("no end")

        monkeypatch.setattr(call.zero, "hang_up", fail)
        watched = asyncio.ensure_future(call.wait_closed())
        at_bob.hangup()
        assert await asyncio.wait_for(watched, 1) is ClosedReason.HANGUP
        assert len(house.events.closed()) == 1
        assert house.exchange.sessions == ()
        assert house.media.open_legs == 0
        at_alice.hangup()

    on_the_network(scenario)
