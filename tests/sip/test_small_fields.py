"""Readers of numbers, dates and fragments through the extension; their rules are tested in `crates/sip`."""

from __future__ import annotations

from trunkline.sip.endpoint import read_date, read_number, read_q, read_sipfrag


def test_a_number_is_decimal_digits_alone() -> None:
    assert [read_number(text) for text in ("60", " 0060 ", "4294967296", "²", "1_0", "-1", "")] == [
        60,
        60,
        2**32 - 1,
        None,
        None,
        None,
        None,
    ]


def test_a_preference_is_between_0_and_1() -> None:
    assert [read_q(text) for text in ("0.25", "1", "0", "1.5", "nan", "")] == [0.25, 1.0, 0.0, None, None, None]


def test_a_date_is_seconds_since_1970() -> None:
    assert read_date("Tue, 14 Nov 2023 22:13:20 GMT") == 1_700_000_000
    assert read_date("Tue, 14 Nov 2023 22:13:20") is None


def test_a_fragment_tells_its_status_line() -> None:
    assert read_sipfrag(b"SIP/2.0 486 Busy Here\r\nTo: <sip:a@b>\r\n") == (486, "Busy Here")
    assert read_sipfrag(b"INVITE sip:a@b SIP/2.0\r\n") is None
