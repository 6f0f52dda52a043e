"""The table that says after which failure the next one is tried, by itself."""

from __future__ import annotations

import itertools

import pytest

from trunkline.calls.destinations import AtOnce, Destination, ToLine, ToUser, placings, wanted
from trunkline.calls.peers import Placing
from trunkline.calls.plan import TABLE, Ending, Failed, Step, Turning, Turns, goes_on, plan_of
from trunkline.constants import PeerType
from trunkline.sip.request import Failure


def failed(status: int, ending: Ending = Ending.REFUSED, *, rang: bool = False) -> Failed:
    return Failed(PeerType.LINE, "itsp", Failure(status, ""), ending, rang)


FAILURES = range(300, 700)
REFUSED: dict[Turning, set[int]] = {
    # RFC 3263 §4.3: of all answers 503 alone says that another server may do it
    Turning.SERVERS: {503},
    Turning.LINES: {408, *range(500, 600)},
    Turning.EMERGENCY: {*range(400, 600)} - {486},
    Turning.DESTINATIONS: set(range(300, 700)),
}


@pytest.mark.parametrize("turning", Turning)
def test_after_an_answer_the_next_is_tried_as_the_rfcs_have_it(turning: Turning) -> None:
    assert {status for status in range(300, 700) if goes_on(turning, [failed(status)])} == REFUSED[turning]


@pytest.mark.parametrize(
    ("ending", "next_of"),
    [
        (Ending.UNSENT, set(Turning)),
        (Ending.BROKEN, set(Turning)),
        (Ending.SILENT, set(Turning)),
        (Ending.LATE, {Turning.DESTINATIONS}),
        (Ending.UNUSABLE, set()),
    ],
)
def test_without_an_answer_it_is_how_it_ended_that_decides(ending: Ending, next_of: set[Turning]) -> None:
    for status in (404, 408, 480, 484, 488, 500, 503):
        assert {turning for turning in Turning if goes_on(turning, [failed(status, ending)])} == next_of


def test_who_rang_in_vain_is_not_rung_again_except_in_an_emergency() -> None:
    next_of = {turning for turning in Turning if goes_on(turning, [failed(408, rang=True)])}
    assert next_of == {Turning.EMERGENCY, Turning.DESTINATIONS}


def test_every_failure_has_a_row_and_every_row_a_failure() -> None:
    used = set()
    for ending, status, rang in itertools.product(Ending, FAILURES, (False, True)):
        rows = [
            row for row in TABLE if row.ending is ending and row.first <= status <= row.last and (rang or not row.rang)
        ]
        assert rows, (ending, status)
        used.add(id(rows[0]))
    assert used == {id(row) for row in TABLE}


def test_an_answer_is_reasoned_by_its_section() -> None:
    assert [row for row in TABLE if row.ending is Ending.REFUSED and "RFC 3261 §21." not in row.why] == []


@pytest.mark.parametrize(
    ("statuses", "next_line"), [((503, 486), False), ((503, 500), True), ((408, 603), False), ((408, 404), False)]
)
def test_of_several_failures_of_a_step_the_best_decides(statuses: tuple[int, ...], next_line: bool) -> None:
    assert goes_on(Turning.LINES, [failed(status) for status in statuses]) is next_line


def test_whoever_answered_ends_it_whatever_the_others_said() -> None:
    both = [failed(486), failed(488, Ending.UNUSABLE)]
    assert not goes_on(Turning.DESTINATIONS, both)


SAID = Placing(PeerType.USER, "", "9", "", "")


def one(placing: Placing) -> Turns:
    return Turns([Step(list, placing.peer_type, placing.peer_name)], Turning.LINES)


def found(step: Step) -> list[Turns]:
    parts = step.find()
    assert isinstance(parts, list)
    return parts


def test_a_plan_has_the_shape_of_what_is_wanted() -> None:
    to: Destination = [ToUser("a", 5), AtOnce(ToUser("b"), [ToLine("c", "1"), ToLine("d")], timeout_s=7), ToUser("e")]
    whole = wanted(to, SAID)
    assert [(each.peer_name, each.dial_number) for each in placings(whole)] == [
        ("a", "9"), ("b", "9"), ("c", "1"), ("d", "9"), ("e", "9"),
    ]  # fmt: skip
    plan = plan_of(whole, one)
    assert plan.turning is Turning.DESTINATIONS
    assert [step.timeout_s for step in plan.steps] == [5, 7, None]
    beside, in_turn = found(plan.steps[1])
    assert [step.peer_name for step in beside.steps] == ["b"]
    assert (in_turn.turning, [step.peer_name for step in in_turn.steps]) == (Turning.DESTINATIONS, ["c", "d"])


def test_a_single_destination_is_the_plan_of_its_own() -> None:
    plan = plan_of(wanted(ToUser("a"), SAID), one)
    assert (plan.turning, [step.peer_name for step in plan.steps]) == (Turning.LINES, ["a"])
