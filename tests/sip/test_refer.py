"""What a REFER and a Replaces say, and which status a NOTIFY tells."""

from __future__ import annotations

import pytest

from trunkline.sip.endpoint import Message
from trunkline.sip.refer import Refer, ReferRefused, Replaces, fragment, replaces_of, told_status

HEAD = (
    "{method} sip:x@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
    "To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 2 {method}\r\nMax-Forwards: 70\r\n"
)


def message(method: str, *fields: str, body: bytes = b"") -> Message:
    lines = "".join(f"{field}\r\n" for field in (*fields, f"Content-Length: {len(body)}"))
    return Message.parse((HEAD.format(method=method) + lines + "\r\n").encode() + body)


def test_a_refer_names_whom_to_call_which_dialog_to_replace_and_who_refers() -> None:
    refer = Refer.of(
        message(
            "REFER",
            "Refer-To: <sip:c@x?Replaces=abc%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>",
            "Referred-By: <sip:a@x>",
            "Refer-Sub: false",
        )
    )
    assert str(refer.uri) == "sip:c@x"
    assert refer.replaces == Replaces("abc@h", "1", "2")
    assert refer.referred_by == "<sip:a@x>"
    assert not refer.subscribes


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), 400),
        (("Refer-To: <sip:a@x>, <sip:b@x>",), 400),
        (("Refer-To: <sip:a@x",), 400),
        (("Refer-To: <mailto:a@x>",), 416),
        (("Refer-To: <sip:a@x;method=SUBSCRIBE>",), 603),
        (("Refer-To: <sip:a@x?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=b%3Bto-tag%3D1%3Bfrom-tag%3D2>",), 400),
    ],
)
def test_what_cannot_be_referred_to_is_refused(fields: tuple[str, ...], status: int) -> None:
    with pytest.raises(ReferRefused) as refused:
        Refer.of(message("REFER", *fields))
    assert refused.value.status == status


@pytest.mark.parametrize(
    "text",
    ["", ";to-tag=1;from-tag=2", "a;to-tag=1", "a;from-tag=1", "a;to-tag=1;to-tag=2;from-tag=3", "a;to-tag=<>"],
)
def test_a_replaces_that_names_no_dialog_is_malformed(text: str) -> None:
    with pytest.raises(ReferRefused) as refused:
        replaces_of(message("INVITE", f"Replaces: {text}"))
    assert refused.value.status == 400


def test_a_replaces_is_written_as_it_is_read() -> None:
    text = "a@b;to-tag=1;from-tag=2;early-only"
    assert Replaces.parse(text).early_only
    assert str(Replaces.parse(text)) == text


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"SIP/2.0 200 OK\r\n", (200, "OK")),
        (b"SIP/2.0 486 Busy Here\r\nVia: nonsense\r\n", (486, "Busy Here")),
        (b"SIP/2.0 180 Ringing", (180, "Ringing")),
        (b"INVITE sip:x@y SIP/2.0\r\n", None),
        (b"", None),
        (b"\r\n\r\n", None),
        (b"SIP/2.0 abc\r\n", None),
        (b"\xff" * 5_000, None),
    ],
)
def test_of_a_fragment_the_status_line_counts(body: bytes, told: tuple[int, str] | None) -> None:
    notify = message("NOTIFY", "Content-Type: message/sipfrag;version=2.0", body=body)
    assert told_status(notify) == told


def test_a_body_of_another_type_tells_nothing() -> None:
    assert told_status(message("NOTIFY", "Content-Type: text/plain", body=b"SIP/2.0 200 OK\r\n")) is None


def test_a_reason_with_line_breaks_stays_one_line() -> None:
    body = fragment(603, "no\r\nVia: x")
    assert body.data.count(b"\r\n") == 1
    assert body.data.startswith(b"SIP/2.0 603 no  Via")
