from __future__ import annotations

import itertools

import pytest

from trunkline.server.line_states import TABLE, Action, Happening, LineState

SENDING = (LineState.TRYING, LineState.REFRESHING, LineState.LEAVING)
OUTCOMES = (Happening.GRANTED, Happening.TOO_BRIEF, Happening.REFUSED, Happening.FAILED)
ENDS_WITH_A_NEXT_STEP = {
    Action.SEND, Action.SEND_REMOVAL, Action.WAIT_FOR_REFRESH, Action.WAIT_AFTER_FAILURE, Action.WAIT_AFTER_REFUSAL,
}  # fmt: skip


@pytest.mark.parametrize(("state", "what"), list(itertools.product(SENDING, OUTCOMES)))
def test_whatever_becomes_of_a_request_has_a_step(state: LineState, what: Happening) -> None:
    assert (state, what) in TABLE


@pytest.mark.parametrize("state", list(LineState))
def test_it_can_be_started_from_every_state(state: LineState) -> None:
    assert Action.SEND in TABLE[state, Happening.START].actions


@pytest.mark.parametrize("state", [state for state in LineState if state not in (LineState.OFF, LineState.LEAVING)])
def test_it_can_be_stopped_from_every_state(state: LineState) -> None:
    assert TABLE[state, Happening.STOP].state is LineState.LEAVING


def test_it_never_gives_up_by_itself() -> None:
    for (state, what), step in TABLE.items():
        if step.state is not LineState.OFF:
            assert ENDS_WITH_A_NEXT_STEP & set(step.actions), (state, what)
        else:
            assert state is LineState.LEAVING


@pytest.mark.parametrize("state", [LineState.REGISTERED, LineState.WAITING, LineState.REFUSED])
def test_where_a_timer_runs_its_end_has_a_step(state: LineState) -> None:
    assert Action.SEND in TABLE[state, Happening.DUE].actions


def test_a_refusal_never_leads_to_the_short_wait() -> None:
    for (_, what), step in TABLE.items():
        if what is Happening.REFUSED:
            assert Action.WAIT_AFTER_FAILURE not in step.actions
            assert Action.SEND not in step.actions


def test_the_removal_is_the_last_action_of_its_step() -> None:
    # it may end the step at once, where nothing is to be removed
    for step in TABLE.values():
        assert Action.SEND_REMOVAL not in step.actions[:-1]
