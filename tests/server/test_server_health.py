"""The standing of one server: hysteresis, doubt and pause, by the time that is handed in."""

from __future__ import annotations

import pytest

from trunkline.server.server_health import DOUBT_S, PAUSE_LIMIT_S, SILENT_S, Hysteresis, ServerHealth, Standing

UP, DOUBTFUL, DOWN = Standing.UP, Standing.DOUBTFUL, Standing.DOWN


def health(*, proven: bool = True, down_after: int = 3, up_after: int = 2) -> ServerHealth:
    server = ServerHealth(Hysteresis(down_after, up_after), pings_count=proven)
    if proven:
        server.ping_answered(0.0)
    return server


def missed(server: ServerHealth, times: int = 1, now: float = 0.0) -> Standing:
    for _ in range(times):
        server.ping_failed(now, "no answer to OPTIONS", heard=False)
    return server.standing(now)


def answered(server: ServerHealth, times: int = 1, now: float = 0.0) -> Standing:
    for _ in range(times):
        server.ping_answered(now)
    return server.standing(now)


@pytest.mark.parametrize(("down_after", "up_after"), [(1, 1), (3, 2), (5, 4)])
def test_so_many_in_a_row_take_it_down_and_bring_it_up(down_after: int, up_after: int) -> None:
    server = health(down_after=down_after, up_after=up_after)
    assert missed(server, down_after - 1) is UP
    assert missed(server) is DOWN
    assert server.reason == "no answer to OPTIONS"
    if up_after > 1:
        assert answered(server, up_after - 1) is DOWN
    assert answered(server) is UP
    assert server.reason == ""


def test_a_server_that_answers_every_other_ping_changes_nothing() -> None:
    server = health()
    for _ in range(20):
        assert missed(server, 2) is UP
        assert answered(server) is UP
    assert missed(server, 3) is DOWN
    for _ in range(20):
        assert answered(server) is DOWN
        assert missed(server) is DOWN


def test_pings_that_were_never_answered_prove_nothing_until_one_is() -> None:
    server = health(proven=False)
    assert missed(server, 50) is UP
    answered(server)
    assert missed(server, 3) is DOWN


def test_a_server_that_ignores_pings_is_doubted_and_not_down() -> None:
    server = ServerHealth(Hysteresis(3, 2), pings_count=True)
    assert missed(server, 2) is UP
    assert missed(server, 50) is DOUBTFUL
    server.worked()
    assert missed(server, 2) is UP


def test_a_server_that_ignores_pings_and_a_call_is_left_alone_for_a_while() -> None:
    server = ServerHealth(Hysteresis(3, 2), pings_count=True)
    missed(server, 3)
    server.failed(100.0, "no answer to INVITE")
    assert server.standing(100.0 + SILENT_S - 1) is DOWN
    assert missed(server, 10, now=100.0 + SILENT_S) is DOUBTFUL
    server.worked()
    assert server.standing(100.0) is UP


def test_a_503_is_an_answer_that_proves_pings_and_counts_against_it() -> None:
    server = health(proven=False)
    for _ in range(3):
        server.ping_failed(0.0, "it answers OPTIONS with 503", heard=True)
    assert server.standing(0.0) is DOWN


def test_a_failed_request_makes_it_doubtful_until_pings_clear_it() -> None:
    server = health()
    server.failed(0.0, "no answer")
    assert server.standing(1e9) is DOUBTFUL
    assert answered(server) is DOUBTFUL
    assert answered(server) is UP


def test_doubt_that_no_ping_can_clear_ends_by_itself() -> None:
    server = health(proven=False)
    server.failed(100.0, "no answer")
    assert server.standing(100.0 + DOUBT_S - 1) is DOUBTFUL
    assert server.standing(100.0 + DOUBT_S) is UP


def test_a_further_failure_does_not_prolong_the_doubt() -> None:
    server = health(proven=False)
    server.failed(0.0, "no answer")
    server.failed(DOUBT_S - 1, "no answer")
    assert server.standing(DOUBT_S) is UP


def test_a_pause_that_was_asked_for_is_kept_whatever_pings_say_and_is_bounded() -> None:
    server = health()
    server.failed(0.0, "busy", 120.0)
    assert answered(server, 10, now=60.0) is DOWN
    assert server.standing(119.0) is DOWN
    assert server.standing(120.0) is UP
    server.failed(0.0, "busy", 1e9)
    assert server.standing(PAUSE_LIMIT_S) is UP


@pytest.mark.parametrize("failure", ["pause", "pings", "doubt"])
def test_a_request_that_got_through_clears_everything(failure: str) -> None:
    server = health()
    if failure == "pings":
        missed(server, 3)
    else:
        server.failed(0.0, "busy", 100.0 if failure == "pause" else None)
    before = server.standing(0.0)
    server.worked()
    assert (before, server.standing(0.0)) == (DOUBTFUL if failure == "doubt" else DOWN, UP)
    assert missed(server, 2) is UP


@pytest.mark.parametrize(
    ("pings", "in_doubt"), [("", False), ("m", True), ("mmm", False), ("mmma", True), ("mmmaa", False)]
)
def test_pings_hurry_while_they_speak_against_where_it_stands(pings: str, in_doubt: bool) -> None:
    server = health()
    for ping in pings:
        (missed if ping == "m" else answered)(server)
    assert server.between is in_doubt
