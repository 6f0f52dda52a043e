from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from trunkline.calls.session import CallSession
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import CallEnded
from trunkline.events import (
    CallRecorded,
    CallSessionClosed,
    CallSessionConnected,
    CallSessionFailed,
    CallSessionHangUp,
    ChatMessageTimeout,
    Event,
    IncomingCall,
    LineUp,
    UnregisterUser,
)
from trunkline.server import dispatch
from trunkline.server.dispatch import Dispatcher
from trunkline.testing.clock import run
from trunkline.trace.recorder import Recorder


class StandIn:
    def __init__(self, number: int) -> None:
        self.id = number


class Owner:
    def __init__(self) -> None:
        self.failed: list[tuple[str, Exception, str]] = []
        self.done: list[Event] = []
        self.load: list[bool] = []

    def handler_failed(self, event: Event, error: Exception, handler: str) -> None:
        self.failed.append((type(event).__name__, error, handler))

    def handlers_done(self, event: Event) -> None:
        self.done.append(event)

    def overloaded(self, overloaded: bool) -> None:
        self.load.append(overloaded)


def a_call(number: int = 1) -> CallSession:
    return cast(CallSession, StandIn(number))


def closed(call: CallSession) -> CallSessionClosed:
    return CallSessionClosed(call, ClosedReason.HANGUP)


def incoming(call: CallSession) -> IncomingCall:
    return IncomingCall(call, "", "alice", "bob", PeerType.USER, "alice", "", "127.0.0.1", 5060)


ONE_CALL = a_call()
ONE_LINE = cast(Any, StandIn(1))


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def test_an_incoming_calls_handler_is_given_the_call_and_others_the_event() -> None:
    async def main() -> None:
        dispatcher, owner, got = Dispatcher(Recorder()), Owner(), list[object]()

        async def handler(argument: object) -> None:
            got.append(argument)

        dispatcher.add(IncomingCall, handler)
        dispatcher.add(CallSessionConnected, handler)
        dispatcher.start(owner)
        call = a_call()
        connected = CallSessionConnected(call)
        dispatcher.emit(incoming(call))
        dispatcher.emit(connected)
        await until(lambda: len(got) == 2)
        await dispatcher.stop()
        assert got == [call, connected]

    run(main())


def test_every_event_is_recorded_though_nobody_handles_it() -> None:
    async def main() -> None:
        recorder = Recorder()
        dispatcher = Dispatcher(recorder)
        dispatcher.start(Owner())
        dispatcher.emit(CallSessionClosed(a_call(), ClosedReason.HANGUP))
        await dispatcher.stop()
        assert [type(event) for event in recorder.events] == [CallSessionClosed]

    run(main())


def test_plain_functions_that_decide_for_long_hold_up_no_notification() -> None:
    async def main() -> None:
        dispatcher, order = Dispatcher(Recorder(), threads=1), list[str]()
        answered = threading.Event()

        def decide(call: CallSession) -> None:
            order.append("connected in time" if answered.wait(5) else "starved")

        def connected(event: CallSessionConnected) -> None:
            answered.set()

        dispatcher.add(IncomingCall, decide)
        dispatcher.add(CallSessionConnected, connected)
        dispatcher.start(Owner())
        for number in range(3):
            dispatcher.emit(incoming(a_call(number)))
        dispatcher.emit(CallSessionConnected(a_call(9)))
        await until(lambda: len(order) == 3)
        await dispatcher.stop()
        assert order == ["connected in time"] * 3

    run(main())


def test_plain_functions_get_a_calls_notifications_one_after_another() -> None:
    async def main() -> None:
        dispatcher, order = Dispatcher(Recorder()), list[str]()
        first_is_in = threading.Event()

        def connected(event: CallSessionConnected) -> None:
            first_is_in.set()
            time.sleep(0.05)
            order.append("connected")

        def hangup(event: CallSessionHangUp) -> None:
            order.append("hangup")

        dispatcher.add(CallSessionConnected, connected)
        dispatcher.add(CallSessionHangUp, hangup)
        dispatcher.start(Owner())
        call = a_call()
        dispatcher.emit(CallSessionConnected(call))
        dispatcher.emit(CallSessionHangUp(call, ChannelId.ONE))
        await until(lambda: len(order) == 2)
        await dispatcher.stop()
        assert first_is_in.is_set()
        assert order == ["connected", "hangup"]

    run(main())


def test_a_deciding_function_that_takes_long_holds_no_notification_up() -> None:
    async def main() -> None:
        dispatcher, release, closed = Dispatcher(Recorder()), threading.Event(), threading.Event()

        def decide(call: CallSession) -> None:
            release.wait(5)

        def note(event: CallSessionClosed) -> None:
            closed.set()

        dispatcher.add(IncomingCall, decide)
        dispatcher.add(CallSessionClosed, note)
        dispatcher.start(Owner())
        call = a_call()
        dispatcher.emit(incoming(call))
        dispatcher.emit(CallSessionClosed(call, ClosedReason.CANCELLED))
        await until(closed.is_set)
        assert dispatcher.decision_pending(call)
        release.set()
        await until(lambda: not dispatcher.decision_pending(call))
        await dispatcher.stop()

    asyncio.run(main())  # in virtual time nothing would happen while the thread works


def test_the_owner_hears_when_the_last_deciding_handler_is_done() -> None:
    async def main() -> None:
        dispatcher, owner, go = Dispatcher(Recorder()), Owner(), asyncio.Event()

        async def decide(argument: object) -> None:
            await go.wait()

        dispatcher.add(IncomingCall, decide)
        dispatcher.add(CallSessionFailed, decide)
        dispatcher.start(owner)
        call = a_call()
        dispatcher.emit(incoming(call))
        dispatcher.emit(CallSessionFailed(call, ChannelId.ONE, 486, "Busy Here", ""))
        await asyncio.sleep(0)
        assert owner.done == []
        go.set()
        await until(lambda: owner.done)
        await dispatcher.stop()
        assert len(owner.done) == 1

    run(main())


def test_without_a_handler_an_incoming_call_is_undecided_at_once() -> None:
    async def main() -> None:
        dispatcher, owner = Dispatcher(Recorder()), Owner()
        dispatcher.start(owner)
        event = incoming(a_call())
        dispatcher.emit(event)
        assert owner.done == []
        await asyncio.sleep(0)
        await dispatcher.stop()
        assert owner.done == [event]

    run(main())


def test_what_a_handler_raises_is_told_with_its_name_and_touches_nothing_else() -> None:
    async def main() -> None:
        dispatcher, owner, reached = Dispatcher(Recorder()), Owner(), list[object]()

        async def broken(event: CallSessionConnected) -> None:
            raise ValueError("mine")

        async def sound(event: CallSessionConnected) -> None:
            reached.append(event)

        dispatcher.add(CallSessionConnected, broken)
        dispatcher.add(CallSessionConnected, sound)
        dispatcher.start(owner)
        dispatcher.emit(CallSessionConnected(a_call()))
        await until(lambda: reached and owner.failed)
        await dispatcher.stop()
        ((event, error, handler),) = owner.failed
        assert event == "CallSessionConnected"
        assert isinstance(error, ValueError)
        assert handler.endswith("broken")

    run(main())


def test_a_handler_that_lets_call_ended_pass_has_done_nothing_wrong() -> None:
    async def main() -> None:
        dispatcher, owner = Dispatcher(Recorder()), Owner()

        async def waits(call: CallSession) -> None:
            raise CallEnded("the caller hung up")

        dispatcher.add(IncomingCall, waits)
        dispatcher.start(owner)
        dispatcher.emit(incoming(a_call()))
        await until(lambda: owner.done)
        await dispatcher.stop()
        assert owner.failed == []

    run(main())


def test_a_handler_that_still_runs_at_the_stop_is_cancelled() -> None:
    async def main() -> None:
        dispatcher, cancelled = Dispatcher(Recorder()), list[bool]()

        async def waits(call: CallSession) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        dispatcher.add(IncomingCall, waits)
        dispatcher.start(Owner())
        dispatcher.emit(incoming(a_call()))
        await asyncio.sleep(0)
        await dispatcher.stop(grace_s=1.0)
        assert cancelled == [True]
        assert dispatcher.running == 0

    run(main())


def test_a_handler_that_holds_the_loop_is_named_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        dispatcher, done = Dispatcher(Recorder()), asyncio.Event()

        async def holds_the_loop(call: CallSession) -> None:
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline:
                pass
            done.set()

        dispatcher.add(IncomingCall, holds_the_loop)
        dispatcher.start(Owner())
        dispatcher.emit(incoming(a_call()))
        await done.wait()
        await dispatcher.stop()

    with caplog.at_level(logging.WARNING, "trunkline.server"):
        asyncio.run(main())
    assert "holds_the_loop" in caplog.text
    assert f'File "{__file__}", line' in caplog.text
    assert "in holds_the_loop" in caplog.text


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test reaches: 10 and 40."""
    monkeypatch.setattr(dispatch, "OVERLOAD_BEHIND", 10)
    monkeypatch.setattr(dispatch, "OVERLOAD_ON_LOOP", 10)


SUBJECTS: dict[str, Callable[[int], Event]] = {
    "a call": lambda number: CallSessionHangUp(ONE_CALL, ChannelId.ONE),
    "many calls": lambda number: CallSessionHangUp(a_call(number), ChannelId.ONE),
    "a line": lambda number: LineUp(ONE_LINE, ""),
    "records": lambda number: CallRecorded(cast(Any, number), ()),
    "registrations": lambda number: UnregisterUser("alice", "sip:alice@10.0.0.2", lapsed=True),
    "messages": lambda number: ChatMessageTimeout(str(number), PeerType.USER, "alice"),
    "decisions": lambda number: incoming(a_call(number)),
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_plain_functions_that_pile_up_are_told_and_that_they_have_caught_up(subject: str, small: None) -> None:
    async def main() -> None:
        dispatcher, owner, release = Dispatcher(Recorder(), threads=1), Owner(), threading.Event()

        def stuck(argument: object) -> None:
            release.wait(5)

        dispatcher.add(type(SUBJECTS[subject](0)), stuck)
        dispatcher.start(owner)
        for number in range(10):
            dispatcher.emit(SUBJECTS[subject](number))
        assert owner.load == []
        dispatcher.emit(SUBJECTS[subject](10))
        assert owner.load == [True]
        release.set()
        await until(lambda: dispatcher.behind == 0)
        assert owner.load == [True, False]
        await dispatcher.stop()
        assert dispatcher.dropped == 0

    asyncio.run(main())


def test_coroutines_that_do_not_return_are_told_and_that_they_have_caught_up(small: None) -> None:
    async def main() -> None:
        dispatcher, owner, release = Dispatcher(Recorder()), Owner(), asyncio.Event()

        async def waits(call: CallSession) -> None:
            await release.wait()

        dispatcher.add(IncomingCall, waits)
        dispatcher.start(owner)
        for number in range(10):
            dispatcher.emit(incoming(a_call(number)))
        assert owner.load == []
        dispatcher.emit(incoming(a_call(10)))
        assert owner.load == [True]
        release.set()
        await until(lambda: dispatcher.running == 0)
        assert owner.load == [True, False]
        await dispatcher.stop()

    run(main())


def test_far_beyond_overload_the_oldest_notifications_go_and_the_end_of_a_call_last(
    small: None, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        dispatcher, release, heard = Dispatcher(Recorder()), threading.Event(), list[Event]()

        def stuck(event: LineUp) -> None:
            release.wait(5)

        dispatcher.add(LineUp, stuck)
        for kind in (CallSessionConnected, CallSessionHangUp, CallSessionClosed):
            dispatcher.add(kind, heard.append)
        dispatcher.start(Owner())
        call = a_call()
        told = CallSessionConnected(call), CallSessionHangUp(call, ChannelId.ONE), closed(call)
        for event in told:
            dispatcher.emit(event)
        for _ in range(100):
            dispatcher.emit(LineUp(ONE_LINE, ""))
            assert dispatcher.behind <= 40
        assert dispatcher.dropped == 63
        release.set()
        await until(lambda: dispatcher.behind == 0)
        await dispatcher.stop()
        assert heard == [told[0], told[2]]

    with caplog.at_level(logging.ERROR, "trunkline.server"):
        asyncio.run(main())
    first, last = (record.getMessage() for record in caplog.records)
    assert "the oldest notifications are dropped" in first
    assert last == "63 notifications were dropped while handlers were behind"


def test_where_only_ends_of_calls_wait_the_oldest_goes(small: None) -> None:
    async def main() -> None:
        dispatcher, release, heard = Dispatcher(Recorder()), threading.Event(), list[Event]()

        def stuck(event: CallSessionClosed) -> None:
            release.wait(5)
            heard.append(event)

        dispatcher.add(CallSessionClosed, stuck)
        dispatcher.start(Owner())
        events = [closed(ONE_CALL) for _ in range(60)]
        for event in events:
            dispatcher.emit(event)
        release.set()
        await until(lambda: dispatcher.behind == 0)
        await dispatcher.stop()
        assert [id(event) for event in heard] == [id(event) for event in events[20:]]

    asyncio.run(main())


def test_far_beyond_overload_no_coroutine_is_started_for_a_notification_but_for_every_decision(small: None) -> None:
    async def main() -> None:
        dispatcher, release = Dispatcher(Recorder()), asyncio.Event()

        async def waits(argument: object) -> None:
            await release.wait()

        dispatcher.add(LineUp, waits)
        dispatcher.add(IncomingCall, waits)
        dispatcher.start(Owner())
        for _ in range(100):
            dispatcher.emit(LineUp(ONE_LINE, ""))
        dispatcher.emit(incoming(a_call()))
        assert dispatcher.running == 41
        assert dispatcher.dropped == 60
        release.set()
        await until(lambda: dispatcher.running == 0)
        await dispatcher.stop()

    run(main())
