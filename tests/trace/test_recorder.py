from __future__ import annotations

import logging

import pytest

from trunkline.events import LineRegisterFailed, LineRegisterSuccess
from trunkline.trace.describe import describe, event_name
from trunkline.trace.log import log_to
from trunkline.trace.recorder import Entry, Happened, Recorder, TracedMessage
from trunkline.trace.report import write_report


def happened(line: str) -> Happened:
    event = LineRegisterSuccess(line, 60)
    return Happened(1.0, event)


def test_the_oldest_entry_goes_when_the_record_is_full() -> None:
    recorder = Recorder(capacity=2)
    for name in ("a", "b", "c"):
        recorder.add(happened(name))
    assert [event.line for event in recorder.events if isinstance(event, LineRegisterSuccess)] == ["b", "c"]


def test_a_listener_hears_each_entry_until_it_stops() -> None:
    recorder, heard = Recorder(), list[Entry]()
    stop = recorder.listen(heard.append)
    recorder.add(happened("a"))
    stop()
    recorder.add(happened("b"))
    assert [entry.text for entry in heard if isinstance(entry, Happened)] == [
        "line_register_success line=a expires_s=60"
    ]


def test_what_a_peer_sent_cannot_break_a_line_of_text() -> None:
    event = LineRegisterFailed("itsp", 500, "two\r\nlines " + "x" * 1000, 1.0)
    text = describe(event)
    assert "\n" not in text
    assert "\r" not in text
    assert len(text) < 400


def test_an_event_has_the_name_of_its_handler() -> None:
    assert event_name(LineRegisterFailed) == "line_register_failed"


def test_messages_are_logged_by_their_first_line_alone(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    log_to(recorder)
    secret = b'REGISTER sip:x SIP/2.0\r\nAuthorization: Digest response="0123"\r\n\r\n'
    with caplog.at_level(logging.DEBUG, "trunkline.messages"):
        recorder.add(
            TracedMessage(
                1.0, True, "udp", ("10.0.0.1", 5060), ("10.0.0.2", 5060), "REGISTER sip:x SIP/2.0", "id", secret
            )
        )
    assert "REGISTER sip:x" in caplog.text
    assert "0123" not in caplog.text


def test_a_report_shows_the_end_and_counts_what_it_left_out() -> None:
    recorder = Recorder()
    for number in range(500):
        recorder.add(happened(f"line{number}"))
    report = write_report(recorder, counts={"dialogs": 2})
    assert report.splitlines()[0] == "(100 earlier entries left out)"
    assert "line=line499" in report
    assert report.splitlines()[-1] == "alive: dialogs 2"
