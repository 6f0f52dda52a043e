from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from trunkline.events import LineRegisterFailed, RegisterUserSuccess
from trunkline.trace.log import JsonLines, log_to
from trunkline.trace.recorder import Happened, Recorder, TracedMessage

MESSAGE = TracedMessage(
    1.0,
    False,
    "udp",
    ("10.0.0.1", 5060),
    ("10.0.0.2", 5062),
    "INVITE sip:bob@pbx.example SIP/2.0",
    "abc@phone",
    b"INVITE sip:bob@pbx.example SIP/2.0\r\nAuthorization: Digest response=secret\r\n\r\n",
)


@pytest.fixture
def written() -> Iterator[StringIO]:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("trunkline")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(before)


def lines(stream: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_fields_apart(written: StringIO) -> None:
    recorder = Recorder()
    log_to(recorder)
    recorder.add(Happened(1.0, LineRegisterFailed("itsp", 403, 'For "bid"\nden', 300.0)))
    (line,) = lines(written)
    assert line["event"] == "line_register_failed"
    assert (line["line"], line["status"], line["reason"]) == ("itsp", 403, 'For "bid"?den')
    assert line["retry_in_s"] == 300.0
    assert (line["level"], line["logger"]) == ("INFO", "trunkline.events")


def test_a_boolean_stays_one(written: StringIO) -> None:
    recorder = Recorder()
    log_to(recorder)
    recorder.add(Happened(1.0, RegisterUserSuccess("alice", "sip:a@10.0.0.2", 60, "", "10.0.0.2", 5060, refresh=True)))
    (line,) = lines(written)
    assert line["refresh"] is True
    assert "user_agent" not in line


def test_a_message_shows_its_first_line_and_no_header(written: StringIO) -> None:
    recorder = Recorder()
    log_to(recorder)
    recorder.add(MESSAGE)
    (line,) = lines(written)
    assert line["start_line"] == "INVITE sip:bob@pbx.example SIP/2.0"
    assert (line["sent"], line["transport"], line["remote"]) == (False, "udp", "10.0.0.2 5062")
    assert line["sip_call_id"] == "abc@phone"
    assert "secret" not in written.getvalue()


def test_an_exception_has_its_traceback_in_one_line(written: StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("trunkline.server").exception("handler %s failed", "route")
    (line,) = lines(written)
    assert line["message"] == "handler route failed"
    assert "ValueError: two\nlines" in str(line["error"])


def test_the_time_is_utc_with_milliseconds() -> None:
    record = logging.LogRecord("trunkline", logging.INFO, "", 0, "up", (), None)
    record.created = 1_764_000_000.0625
    assert json.loads(JsonLines().format(record))["time"] == "2025-11-24T16:00:00.062Z"
