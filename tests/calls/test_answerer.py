"""Who has answered, judged by when there was voice, silence or a tone: patterns of humans, machines and faxes, each with its moment."""

from __future__ import annotations

import pytest

from trunkline.calls.answerer import AnsweredBy, Answerer, AnswererRules, Judge
from trunkline.media.sound import Sound

Pattern = list[tuple[Sound, float, float]]
"""Kinds of sound with when they begin and a tone's frequency."""


def judged(pattern: Pattern, *, timeout_s: float = 30.0, wait_for_beep: bool = False, **rules: float) -> Answerer:
    """Play a pattern to a judge; each change is told when it is, and looks are taken when the judge says."""
    judge = Judge(AnswererRules(**rules), timeout_s=timeout_s, wait_for_beep=wait_for_beep)  # type: ignore[arg-type]
    now_s = 0.0
    for sound, at_s, frequency_hz in pattern:
        while (look_s := judge.next_look_s(now_s)) < at_s:
            now_s = look_s
            if (found := judge.verdict(now_s)) is not None:
                return found
        now_s = at_s
        judge.change(sound, at_s, frequency_hz)
        if (found := judge.verdict(now_s)) is not None:
            return found
    while now_s <= timeout_s:
        now_s = judge.next_look_s(now_s)
        if (found := judge.verdict(now_s)) is not None:
            return found
    raise AssertionError("no verdict")


def voice(*spans: tuple[float, float]) -> Pattern:
    return [each for began, ended in spans for each in (("voice", began, 0.0), ("silence", ended, 0.0))]


def tone(frequency_hz: float, began_s: float, ended_s: float) -> Pattern:
    return [("tone", began_s, frequency_hz), ("silence", ended_s, 0.0)]


GREETING = voice((0.6, 5.2))


@pytest.mark.parametrize(
    ("pattern", "kind", "decided_s"),
    [
        pytest.param(voice((0.5, 1.0)), AnsweredBy.HUMAN, 1.8, id="hello"),
        pytest.param(voice((0.5, 0.9), (1.3, 2.1)), AnsweredBy.HUMAN, 2.9, id="hello, jones speaking"),
        pytest.param(GREETING, AnsweredBy.MACHINE, 2.8, id="a long greeting"),
        pytest.param(
            voice((0.2, 0.9), (1.2, 1.9), (2.2, 3.2)), AnsweredBy.MACHINE, 3.0, id="a long greeting with pauses"
        ),
        pytest.param(
            voice((0.2, 0.5), (0.8, 1.1), (1.4, 1.7), (2.0, 2.3)), AnsweredBy.MACHINE, 2.0, id="many short things"
        ),
        pytest.param([], AnsweredBy.SILENCE, 5.0, id="nothing"),
        pytest.param([("noise", 1.0, 0.0)], AnsweredBy.SILENCE, 5.0, id="a street"),
        pytest.param(tone(2100, 0.4, 3.4), AnsweredBy.FAX, 1.4, id="answer tone"),
        pytest.param(tone(1102, 0.4, 0.9), AnsweredBy.FAX, 0.9, id="calling tone"),
        pytest.param(tone(1000, 0.4, 0.9), AnsweredBy.BEEP, 0.9, id="a beep without greeting"),
        pytest.param(
            [*voice((0.4, 1.4)), *tone(1400, 1.7, 2.0)], AnsweredBy.BEEP, 2.0, id="a short greeting and a beep"
        ),
        pytest.param([*voice((0.4, 1.4)), *tone(1100, 1.7, 2.2)], AnsweredBy.BEEP, 2.2, id="a beep as a calling tone"),
        pytest.param([("tone", 0.4, 440.0)], AnsweredBy.MACHINE, 4.4, id="a tone that does not end"),
    ],
)
def test_a_pattern_is_told_at_its_moment(pattern: Pattern, kind: AnsweredBy, decided_s: float) -> None:
    found = judged(pattern)
    assert found.kind is kind
    assert found.decided_s == pytest.approx(decided_s, abs=0.01)


def test_a_beep_is_waited_for_where_that_is_asked() -> None:
    found = judged([*GREETING, *tone(1000, 6.0, 6.4)], wait_for_beep=True)
    assert (found.kind, found.frequency_hz) == (AnsweredBy.BEEP, 1000)
    assert found.decided_s == pytest.approx(6.4)
    assert found.reason == "a beep of 1000 Hz for 0.40 s has ended"


def test_a_machine_without_beep_is_a_machine_when_the_time_is_over() -> None:
    found = judged(GREETING, wait_for_beep=True, timeout_s=9.0)
    assert found.kind is AnsweredBy.MACHINE
    assert found.decided_s == pytest.approx(9.0, abs=0.01)
    assert found.reason.startswith("has spoken for")


def test_who_still_speaks_when_the_time_is_over_is_human() -> None:
    found = judged([("voice", 0.5, 0.0)], timeout_s=1.5)
    assert found.kind is AnsweredBy.HUMAN
    assert found.decided_s == pytest.approx(1.5, abs=0.01)


def test_the_evidence_is_what_was_heard() -> None:
    found = judged(voice((0.5, 1.0)))
    assert [(each.sound, each.began_s, each.ended_s) for each in found.segments] == [
        ("silence", 0.0, 0.5),
        ("voice", 0.5, 1.0),
        ("silence", 1.0, pytest.approx(1.8, abs=0.01)),
    ]
    assert [each.lasted_s for each in found.utterances] == [0.5]
    assert found.reason == "spoke for 0.50 s and has waited for 0.80 s"


def test_thresholds_are_data() -> None:
    assert judged(GREETING, greeting_s=5.0).kind is AnsweredBy.HUMAN
    assert judged(voice((0.5, 1.0)), greeting_s=0.3).kind is AnsweredBy.MACHINE
    assert judged([], silence_s=2.0).decided_s == pytest.approx(2.0, abs=0.01)


def test_two_changes_at_once_hide_nothing() -> None:
    judge = Judge(AnswererRules(), timeout_s=30, wait_for_beep=False)
    judge.change("voice", 0.4)
    judge.change("silence", 1.0)
    judge.change("tone", 1.2, 1000.0)
    judge.change("silence", 1.5)
    judge.change("voice", 1.6)
    found = judge.verdict(1.6)
    assert found is not None
    assert found.kind is AnsweredBy.BEEP
