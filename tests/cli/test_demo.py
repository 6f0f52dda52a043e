from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from trunkline.calls.session import CallSession
from trunkline.cli import commands
from trunkline.cli.demo import Demo, Tones, wrong_order
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.events import (
    CallSessionClosed,
    CallSessionConnected,
    CallSessionConnecting,
    CallSessionCreated,
    CallSessionFailed,
    CallSessionHangUp,
    Event,
    IncomingCall,
    LineRegisterSuccess,
    LineRegisterTrying,
)
from trunkline.trace.recorder import Recorder


@pytest.mark.timeout(30)
def test_the_demo_passes_and_shows_events_ladder_and_what_was_heard() -> None:
    result = CliRunner().invoke(commands, ["demo"])
    assert result.exit_code == 0, result.output
    assert "call_session_connected" in result.output
    assert "alice heard 1000 Hz" in result.output
    assert "the mobile heard 440 Hz" in result.output
    assert "INVITE" in result.output
    assert "FAILED" not in result.output


@pytest.mark.timeout(30)
def test_the_demo_fails_without_a_callee() -> None:
    said: list[str] = []
    assert asyncio.run(Demo(said.append, callee=False).run()) is False
    assert any("the calls did not come about" in line for line in said)


@pytest.mark.timeout(30)
def test_the_demo_fails_when_a_tone_is_another() -> None:
    said: list[str] = []
    assert asyncio.run(Demo(said.append, played=Tones(alice=520.0)).run()) is False
    of_each_call = [line for line in said if line.startswith("FAILED: the mobile")]
    assert len(of_each_call) == 2, said
    assert all(re.fullmatch(r"FAILED: the mobile heard 5[12]\d Hz .*; 440 Hz was sent", line) for line in of_each_call)


@pytest.mark.timeout(30)
def test_a_demo_that_fails_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["trunkline.cli.demo"], "TOLERANCE_HZ", -1.0)
    assert CliRunner().invoke(commands, ["demo"]).exit_code == 1


def a_call(number: int, hangs_up: ChannelId) -> list[Event]:
    call = cast(CallSession, SimpleNamespace(id=number))
    return [
        CallSessionCreated(call),
        IncomingCall(call, "", "alice", "1", PeerType.USER, "alice", "", "127.0.0.1", 5060),
        CallSessionConnecting(call, ChannelId.ONE, 180, "Ringing"),
        CallSessionConnected(call),
        CallSessionHangUp(call, hangs_up),
        CallSessionClosed(call, ClosedReason.HANGUP),
    ]


LINE: Any = SimpleNamespace(name="itsp")
FIRST, SECOND = a_call(1, ChannelId.ZERO), a_call(2, ChannelId.ONE)
THEIR_CALL = cast(CallSessionCreated, SECOND[0]).call
RIGHT: list[Event] = [LineRegisterTrying(LINE), LineRegisterSuccess(LINE, 1800), *FIRST, *SECOND]
CONNECTING, CONNECTED, HANGUP, CLOSED = range(2, 6)

WRONG: dict[str, Callable[[], list[Event]]] = {
    "the line is never registered": lambda: [LineRegisterTrying(LINE), *FIRST, *SECOND],
    "the line is registered after the call": lambda: [*FIRST, LineRegisterSuccess(LINE, 1800), *SECOND],
    "no second call": lambda: RIGHT[:-6],
    "a third call": lambda: [*RIGHT, *a_call(3, ChannelId.ONE)],
    "a second closed": lambda: [*RIGHT, SECOND[CLOSED]],
    "something after closed": lambda: [*RIGHT, SECOND[HANGUP]],
    "connected twice": lambda: [*RIGHT[:-3], SECOND[CONNECTED], *RIGHT[-3:]],
    "connecting after connected": lambda: [*RIGHT[:-2], SECOND[CONNECTING], *RIGHT[-2:]],
    "connecting twice": lambda: [*RIGHT[:-3], SECOND[CONNECTING], *RIGHT[-3:]],
    "connecting on the caller's channel": lambda: [
        event if event is not SECOND[CONNECTING] else CallSessionConnecting(THEIR_CALL, ChannelId.ZERO, 180, "")
        for event in RIGHT
    ],
    "a failure between": lambda: [*RIGHT[:-2], CallSessionFailed(THEIR_CALL, ChannelId.ONE, 486, "", ""), *RIGHT[-2:]],
    "no hangup": lambda: [event for event in RIGHT if event is not FIRST[HANGUP]],
    "the first call's mobile hangs up": lambda: [*RIGHT[:2], *a_call(1, ChannelId.ONE), *SECOND],
    "the second call's mobile hangs up": lambda: [*RIGHT[:2], *FIRST, *a_call(2, ChannelId.ZERO)],
}


def test_the_seeds_order_is_right() -> None:
    assert wrong_order(RIGHT) == []


@pytest.mark.parametrize("wrong", WRONG)
def test_any_other_order_is_wrong(wrong: str) -> None:
    assert len(wrong_order(WRONG[wrong]())) == 1


@pytest.mark.timeout(30)
def test_a_demo_whose_events_come_in_another_order_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    events = cast(Any, Recorder.events).fget

    def closed_twice(recorder: Recorder) -> list[Event]:
        told: list[Event] = events(recorder)
        return [*told, *[event for event in told if isinstance(event, CallSessionClosed)][-1:]]

    monkeypatch.setattr(Recorder, "events", property(closed_twice))
    result = CliRunner().invoke(commands, ["demo"])
    assert result.exit_code == 1
    assert "FAILED: call 2: the events came as call_session_created" in result.output
