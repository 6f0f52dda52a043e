from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any, cast

import pytest

from trunkline.calls.session import CallSession
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.errors import CallEnded
from trunkline.events import (
    CallSessionClosed,
    CallSessionConnected,
    CallSessionFailed,
    CallSessionHangUp,
    Event,
    IncomingCall,
)
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


def incoming(call: CallSession) -> IncomingCall:
    return IncomingCall(call, "", "alice", "bob", PeerType.USER, "alice", "", "127.0.0.1", 5060)


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
