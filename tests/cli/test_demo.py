from __future__ import annotations

import asyncio
import sys

import pytest
from click.testing import CliRunner

from trunkline.cli import commands
from trunkline.cli.demo import Demo, Tones


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
    assert any("FAILED: the mobile heard 520 Hz" in line for line in said)


@pytest.mark.timeout(30)
def test_a_demo_that_fails_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["trunkline.cli.demo"], "TOLERANCE_HZ", -1.0)
    assert CliRunner().invoke(commands, ["demo"]).exit_code == 1
