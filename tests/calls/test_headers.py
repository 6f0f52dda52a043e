"""Which header fields the application may set, and that nothing else gets into a message with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.recording import request
from trunkline.calls.forwarding import Diverted, diversions
from trunkline.calls.headers import checked_headers, passed


def test_names_and_values_go_through_in_their_order() -> None:
    pairs = (("User-to-User", "01;encoding=hex"), ("X-A", "b"), ("User-to-User", "02"))
    assert checked_headers(pairs) == pairs
    assert checked_headers({"X-A": "b"}) == (("X-A", "b"),)
    assert checked_headers(None) == ()


NOT_TO_SET = "Via via v CONTACT Content-Length l Authorization Route Privacy P-Asserted-Identity Diversion Max-Forwards Call-ID Require"


@pytest.mark.parametrize("name", [*NOT_TO_SET.split(" "), "", "X A", "X:A", "X\r\nVia", "Ü"])
def test_what_is_sips_own_or_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^headers: "):
        checked_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nVia: x", "a\nb", "a\rb", "a\x00b", "x" * 4097, "\ud800", "a\x7f"])
def test_a_value_is_one_line(value: str) -> None:
    with pytest.raises(ValueError, match=r"^headers: X-A: "):
        checked_headers({"X-A": value})


def test_headers_are_not_without_number() -> None:
    with pytest.raises(ValueError, match="at most 50"):
        checked_headers([("X-A", "b")] * 51)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_let_through_is_one_header_of_a_message(name: str, value: str) -> None:
    try:
        checked = checked_headers({name: value})
    except ValueError:
        return
    message = request("INVITE", "sip:a@b", checked).message
    assert message.lines(name) == [value.strip(" \t")]
    assert len(message.headers()) == 7


def test_what_could_not_be_sent_again_does_not_cross() -> None:
    message = request("INVITE", "sip:a@b", [("X-A", "x" * 5000), ("X-B", "1"), *[("X-C", "2")] * 60]).message
    assert list(passed(message, ["X-A", "x-b"])) == [("x-b", "1")]
    assert len(list(passed(message, ["X-C"]))) == 50


def test_diversions_are_read_from_either_header() -> None:
    diversion = (
        "Diversion",
        '"Office" <sip:+4930@a>;reason=user-busy;privacy=full, junk junk, <tel:+4931>;reason="no answer"',
    )
    history = ("History-Info", "<sip:+4931@a?Reason=SIP%3Bcause%3D408>;index=1, <sip:+4930@a;cause=302>;index=1.1")
    assert diversions(request("INVITE", "sip:a@b", [diversion, history]).message) == (
        Diverted("+4930", "user-busy", "Office", private=True),
        Diverted("+4931", "unknown"),
    )
    assert diversions(request("INVITE", "sip:a@b", [history]).message) == (Diverted("+4931", "unconditional"),)
    old = ("History-Info", "<sip:+4931@a?Reason=SIP%3Bcause%3D486&Privacy=history>;index=1, <sip:x@a>;index=1.1")
    assert diversions(request("INVITE", "sip:a@b", [old]).message) == (Diverted("+4931", "user-busy", private=True),)
    assert diversions(request("INVITE", "sip:a@b").message) == ()


@pytest.mark.parametrize("cause", ["%C2%B2%C2%B2%C2%B2", "99999999999", "-302"])
def test_a_cause_that_is_no_number_says_nothing(cause: str) -> None:
    in_reason = f"<sip:+4931@a?Reason=SIP%3Bcause%3D{cause}>;index=1, <sip:+4930@a>;index=1.1"
    for value in (f"<sip:+4931@a>;index=1, <sip:+4930@a;cause={cause}>;index=1.1", in_reason):
        message = request("INVITE", "sip:a@b", [("History-Info", value)]).message
        assert diversions(message) == (Diverted("+4931", "unknown"),)
