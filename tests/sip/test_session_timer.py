"""Session timers without I/O: what is asked for, agreed, refused, and what is due when (RFC 4028)."""

from __future__ import annotations

import pytest

from tests.sip.test_invite import parse
from trunkline.sip.endpoint import Message
from trunkline.sip.session_timer import Due, SessionTimer, SessionTimes

TIMES = SessionTimes(1_800, 90)


def message(*headers: str, status: int | None = None) -> Message:
    start = "INVITE sip:us@192.0.2.1 SIP/2.0" if status is None else f"SIP/2.0 {status} Whatever"
    return parse(
        start,
        "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK3",
        "From: <sip:b@x>;tag=b",
        "To: <sip:a@x>",
        "Call-ID: c",
        "CSeq: 1 INVITE",
        *headers,
    )


def test_a_request_asks_for_our_time_and_leaves_the_refresher_open() -> None:
    assert SessionTimer(TIMES).asking() == [("Session-Expires", "1800")]
    assert SessionTimer(SessionTimes(600, 300)).asking() == [("Session-Expires", "600"), ("Min-SE", "300")]


def test_switched_off_it_says_and_hears_nothing() -> None:
    timer = SessionTimer(SessionTimes(0))
    assert timer.asking() == []
    assert timer.answering(message("Session-Expires: 1800", "Supported: timer"), 0.0) == []
    timer.agreed(message("Session-Expires: 1800;refresher=uac", status=200), 0.0)
    assert timer.refusal(message("Session-Expires: 10", "Supported: timer")) is None
    assert timer.next() is None


@pytest.mark.parametrize(
    ("written", "due"),
    [
        ("1800;refresher=uac", (1_900.0, Due.REFRESH)),
        ("1800", (1_900.0, Due.REFRESH)),
        ("1800 ; x=y ; REFRESHER = UAC", (1_900.0, Due.REFRESH)),
        ("1800;refresher=uas", (2_768.0, Due.FAREWELL)),
        ("90;refresher=uas", (1_060.0, Due.FAREWELL)),
        ("nonsense", None),
        ("99999999999", (303_400.0, Due.REFRESH)),
        ("0;refresher=uas", (1_000 + 4 - 4 / 3, Due.FAREWELL)),
    ],
)
def test_the_2xx_says_who_refreshes_and_by_when(written: str, due: tuple[float, Due] | None) -> None:
    timer = SessionTimer(TIMES)
    timer.agreed(message(f"Session-Expires: {written}", status=200), 1_000.0)
    assert timer.next() == due


def test_a_2xx_without_session_expires_ends_the_timer_that_ran() -> None:
    timer = SessionTimer(TIMES)
    timer.agreed(message("Session-Expires: 1800;refresher=uas", status=200), 0.0)
    timer.agreed(message(status=200), 10.0)
    assert timer.next() is None


def test_who_refreshes_goes_on_doing_so() -> None:
    timer = SessionTimer(TIMES)
    timer.agreed(message("Session-Expires: 600;refresher=uas", status=200), 0.0)
    assert timer.asking() == [("Session-Expires", "600;refresher=uas")]
    timer.agreed(message("Session-Expires: 600;refresher=uac", status=200), 0.0)
    assert timer.asking() == [("Session-Expires", "600;refresher=uac")]


def test_a_refresh_may_ask_for_what_stands_however_brief() -> None:
    timer = SessionTimer(TIMES)
    timer.agreed(message("Session-Expires: 12;refresher=uas", status=200), 0.0)
    again = message("Session-Expires: 12;refresher=uac", "Supported: timer")
    assert timer.refusal(again) is None
    assert timer.answering(again, 6.0)[-1] == ("Session-Expires", "12;refresher=uac")
    assert timer.refusal(message("Session-Expires: 11", "Supported: timer")) == [("Min-SE", "90")]


def test_a_422_raises_what_is_asked_for_three_times_at_most() -> None:
    timer = SessionTimer(SessionTimes(100))
    for least_s in (200, 300, 400):
        assert timer.too_brief(message(f"Min-SE: {least_s}", status=422))
        assert timer.asking() == [("Session-Expires", str(least_s)), ("Min-SE", str(least_s))]
    assert not timer.too_brief(message("Min-SE: 500", status=422))


@pytest.mark.parametrize("headers", [(), ("Min-SE: 90",), ("Min-SE: x",)])
def test_a_422_that_asks_for_no_more_is_a_refusal(headers: tuple[str, ...]) -> None:
    timer = SessionTimer(SessionTimes(600))
    assert timer.too_brief(message("Min-SE: 100", status=422))
    assert not timer.too_brief(message(*headers, status=422))


def test_less_than_our_least_is_refused_to_those_who_understand() -> None:
    timer = SessionTimer(SessionTimes(1_800, 300))
    assert timer.refusal(message("Session-Expires: 299", "Supported: timer")) == [("Min-SE", "300")]
    assert timer.refusal(message("x: 299", "k: 100rel, timer")) == [("Min-SE", "300")]
    assert timer.refusal(message("Session-Expires: 299")) is None
    assert timer.refusal(message("Session-Expires: 300", "Supported: timer")) is None
    assert timer.refusal(message("Supported: timer")) is None


OURS = [("Session-Expires", "600;refresher=uas")]
THEIRS = [("Require", "timer"), ("Session-Expires", "600;refresher=uac")]


@pytest.mark.parametrize(
    ("headers", "answer", "due"),
    [
        (("Session-Expires: 600;refresher=uac", "Supported: timer"), THEIRS, (568.0, Due.FAREWELL)),
        (("Session-Expires: 600;refresher=uas", "Supported: timer"), OURS, (300.0, Due.REFRESH)),
        (("Session-Expires: 600", "Supported: timer"), OURS, (300.0, Due.REFRESH)),
        (("Session-Expires: 600;refresher=uac",), OURS, (300.0, Due.REFRESH)),
        (
            ("Session-Expires: 9999", "Supported: timer"),
            [("Session-Expires", "1800;refresher=uas")],
            (900.0, Due.REFRESH),
        ),
        (
            ("Session-Expires: 9999", "Min-SE: 3000", "Supported: timer"),
            [("Session-Expires", "3000;refresher=uas")],
            (1_500.0, Due.REFRESH),
        ),
        (("Supported: timer",), [("Session-Expires", "1800;refresher=uas")], (900.0, Due.REFRESH)),
        ((), [], None),
    ],
)
def test_our_2xx_follows_the_table_of_the_rfc(
    headers: tuple[str, ...], answer: list[tuple[str, str]], due: tuple[float, Due] | None
) -> None:
    timer = SessionTimer(TIMES)
    assert timer.answering(message(*headers), 0.0) == answer
    assert timer.next() == due


def test_a_refresh_that_fails_is_tried_again_until_little_time_is_left() -> None:
    timer = SessionTimer(TIMES)
    timer.agreed(message("Session-Expires: 96;refresher=uac", status=200), 0.0)
    assert timer.next() == (48.0, Due.REFRESH)
    timer.refreshing()
    assert timer.next() == (64.0, Due.FAREWELL)
    timer.not_refreshed(50.0)
    assert timer.next() == (57.0, Due.REFRESH)
    timer.not_refreshed(57.0)
    assert timer.next() == (64.0, Due.FAREWELL)
