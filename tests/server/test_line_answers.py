from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.recording import Sent, response
from trunkline.server.line_answers import classify, granted_s, refresh_in_s
from trunkline.server.line_states import Happening
from trunkline.sip.endpoint import Flow, Message, NameAddr
from trunkline.sip.request import Failure

SENT = Sent(
    1, "REGISTER", "sip:itsp.example",
    {"From": "<sip:1555@itsp.example>;tag=a", "To": "<sip:1555@itsp.example>", "Call-ID": "c", "CSeq": "1 REGISTER"},
    Flow("udp", ("192.0.2.9", 5060)), None,
)  # fmt: skip
OWN = NameAddr.parse("<sip:tok@198.51.100.1>")


def said(status: int, reason: str = "Said", *headers: tuple[str, str]) -> Message:
    return response(SENT, status, reason, headers)


def granted(*headers: tuple[str, str]) -> int:
    return granted_s(said(200, "OK", *headers), token="tok", contact=OWN, asked_s=1800)


def test_the_grant_is_read_from_our_own_contact_among_several() -> None:
    contacts = "<sip:other@192.0.2.3>;expires=20, <sip:tok@198.51.100.1>;expires=300, <sip:x@192.0.2.4>;expires=7"
    assert granted(("Contact", contacts), ("Expires", "99")) == 300


def test_our_contact_is_known_by_its_token_wherever_the_provider_put_it() -> None:
    assert granted(("Contact", "<sip:tok@203.0.113.5:40000;nat=yes>;expires=120")) == 120
    assert granted(("Contact", "<sip:1555@203.0.113.5;tl=tok>;expires=140")) == 140


def test_our_contact_is_known_by_its_address_where_the_token_is_gone() -> None:
    own = NameAddr.parse("<sip:1555@198.51.100.1;tl=tok>")
    message = said(200, "OK", ("Contact", "<sip:9@192.0.2.3>;expires=20, <sip:1555@198.51.100.1>;expires=300"))
    assert granted_s(message, token="tok", contact=own, asked_s=1) == 300


def test_without_an_expiry_at_our_contact_the_header_counts_then_what_was_asked() -> None:
    assert granted(("Contact", "<sip:tok@198.51.100.1>"), ("Expires", "240")) == 240
    assert granted(("Contact", "<sip:other@192.0.2.3>;expires=20"), ("Expires", "240")) == 240
    assert granted(("Contact", "<sip:other@192.0.2.3>;expires=20")) == 1800
    assert granted() == 1800


@pytest.mark.parametrize(
    ("granted", "refresh"), [(3600, 3240), (1800, 1620), (300, 270), (200, 170), (60, 30), (40, 20), (10, 5)]
)
def test_the_refresh_is_ahead_of_the_expiry_even_of_short_ones(granted: int, refresh: float) -> None:
    assert refresh_in_s(granted) == pytest.approx(refresh)


@given(st.integers(1, 10**6))
def test_the_refresh_is_always_within_the_second_half(granted: int) -> None:
    assert granted / 2 <= refresh_in_s(granted) < granted


def test_423_asks_for_the_minimum() -> None:
    found = classify(Failure(423, "Interval Too Brief", said(423, "X", ("Min-Expires", "3600"))), 1800)
    assert (found.kind, found.min_expires_s) == (Happening.TOO_BRIEF, 3600)


@pytest.mark.parametrize("minimum", ["60", "1800", "999999", "soon"])
def test_423_that_leads_nowhere_is_a_failure(minimum: str) -> None:
    found = classify(Failure(423, "Interval Too Brief", said(423, "X", ("Min-Expires", minimum))), 1800)
    assert found.kind is Happening.FAILED


CHALLENGE = 'Digest realm="itsp.example", nonce="n"'


@pytest.mark.parametrize(
    ("status", "header", "words"),
    [
        (401, ("WWW-Authenticate", CHALLENGE), "does not take the user name or password"),
        (407, ("Proxy-Authenticate", CHALLENGE), "does not take the user name or password"),
        (401, ("WWW-Authenticate", 'Digest realm="x", nonce="n", algorithm=JUGGLE'), "not supported"),
        (401, ("WWW-Authenticate", "Bearer x"), "not supported"),
        (403, ("X", "y"), "refuses this account"),
    ],
)
def test_bad_credentials_are_told_in_words(status: int, header: tuple[str, str], words: str) -> None:
    found = classify(Failure(status, "No", said(status, "No", header)), 1800)
    assert (found.kind, found.status) == (Happening.REFUSED, status)
    assert words in found.reason


@pytest.mark.parametrize("status", [302, 400, 404, 408, 480, 500, 503, 603])
def test_every_other_answer_is_a_failure_that_passes(status: int) -> None:
    found = classify(Failure(status, "Phrase", said(status, "Phrase")), 1800)
    assert (found.kind, found.status) == (Happening.FAILED, status)
    assert found.reason.startswith("Phrase")


def test_silence_and_broken_transport_have_words_and_no_status() -> None:
    silent, broken = classify(Failure(408, "Request Timeout"), 1), classify(Failure(503, "connection refused"), 1)
    assert (silent.status, silent.reason) == (0, "no answer from the provider")
    assert (broken.status, broken.reason) == (0, "the provider cannot be reached: connection refused")
    assert silent.elsewhere
    assert broken.elsewhere


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120), ("18000;duration=3600", 18000), ("5 (busy)", 5), ("soon", None), ("", None)]
)
def test_retry_after_is_read_without_comment_and_parameters(value: str, seconds: float | None) -> None:
    assert said(503, "X", ("Retry-After", value)).retry_after_s == seconds
    assert classify(Failure(503, "X", said(503, "X", ("Retry-After", value))), 1).retry_after_s == seconds
