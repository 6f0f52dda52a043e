"""What a failure on one side becomes on the other."""

from __future__ import annotations

import itertools

import pytest

from trunkline.calls.failure import NO_MEDIA_PORT, best, closed_by, contact_of, crossing, reason, reasons_of, warning
from trunkline.constants import ClosedReason, PeerType
from trunkline.sip.endpoint import Message
from trunkline.sip.request import Failure


def response(status: int, *headers: str) -> Message:
    lines = [
        f"SIP/2.0 {status} Whatever it says",
        "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1",
        "From: <sip:a@x>;tag=1",
        "To: <sip:b@x>;tag=2",
        "Call-ID: c",
        "CSeq: 1 INVITE",
        *headers,
        "Content-Length: 0",
    ]
    return Message.parse(("\r\n".join(lines) + "\r\n\r\n").encode())


def heard(status: int, *headers: str) -> Failure:
    return Failure(status, "Whatever it says", response(status, *headers))


@pytest.mark.parametrize("status", [401, 403, 407, 408, 503])
def test_what_concerns_our_account_at_a_provider_never_reaches_a_phone_raw(status: int) -> None:
    news = crossing(PeerType.LINE, heard(status))
    assert news.status not in (401, 403, 407, 408, 503)
    assert 500 <= news.status <= 599


@pytest.mark.parametrize("status", [401, 407, 408, 503])
def test_a_phone_that_cannot_be_reached_is_a_callee_who_is_not_there(status: int) -> None:
    assert crossing(PeerType.USER, heard(status)).status == 480


@pytest.mark.parametrize("peer_type", list(PeerType))
@pytest.mark.parametrize("status", [404, 410, 480, 484, 486, 600, 603, 604])
def test_what_concerns_the_callee_crosses_as_it_is(peer_type: PeerType, status: int) -> None:
    assert crossing(peer_type, heard(status)).status == status


@pytest.mark.parametrize("peer_type", list(PeerType))
def test_no_status_crosses_as_a_challenge_a_redirection_or_a_success(peer_type: PeerType) -> None:
    for status in range(300, 700):
        assert crossing(peer_type, heard(status)).status not in (*range(400), 401, 407, 408, 487), status


def test_a_codec_failure_crosses_with_a_warning_in_words() -> None:
    news = crossing(PeerType.USER, Failure(488, "the two parties have no codec in common"))
    assert news.status == 488
    assert ("Warning", '305 trunkline "the two parties have no codec in common"') in news.headers


def test_the_other_servers_words_do_not_cross() -> None:
    news = crossing(PeerType.LINE, Failure(488, "host 10.1.2.3 says no", response(488)))
    assert "10.1.2.3" not in str(news)


def test_a_reason_crosses_rebuilt() -> None:
    message = response(
        486, 'Reason: Q.850;cause=17;text="User busy"', "Reason: SIP;cause=486", "Reason: X-Own;cause=1", "Reason: SIP"
    )
    assert reasons_of(message) == [
        ("Reason", 'Q.850 ;cause=17 ;text="User busy"'),
        ("Reason", "SIP ;cause=486"),
    ]


def test_a_reason_cannot_smuggle_another_header() -> None:
    name, value = reason(500, 'a"b\r\nX: y\\')
    assert name == "Reason"
    assert "\r" not in value
    assert "\n" not in value
    assert value.count('"') == 2
    assert warning('x"\r\n')[1].count('"') == 2


@pytest.mark.parametrize(
    ("statuses", "chosen"),
    [
        ([480, 486], 486),
        ([408, 486], 486),
        ([408, 480], 480),
        ([486, 603], 603),
        ([503, 404], 404),
        ([500, 503, 486], 486),
        ([401, 480], 480),
        ([407, 408], 407),
        ([302, 486], 302),
        ([404, 484], 484),
    ],
)
def test_the_best_of_several_failures_stands_for_all(statuses: list[int], chosen: int) -> None:
    for order in itertools.permutations(statuses):
        assert best([heard(status) for status in order]).status == chosen


def test_an_answer_says_more_than_a_silence() -> None:
    silence = Failure(500, "x")
    assert best([silence, heard(500)]).heard


def test_a_redirection_that_was_not_followed_closes_as_moved() -> None:
    failure = heard(302, "Contact: <sip:b@10.0.0.9>")
    assert closed_by(failure) is ClosedReason.MOVED
    assert contact_of(failure) == "sip:b@10.0.0.9"
    assert closed_by(heard(486)) is ClosedReason.FAILED
    assert contact_of(heard(486, "Contact: <sip:b@10.0.0.9>")) == ""
    assert contact_of(Failure(302, "")) == ""


@pytest.mark.parametrize("peer_type", list(PeerType))
def test_a_want_of_our_own_is_503_and_one_of_the_peers_is_not(peer_type: PeerType) -> None:
    ours = crossing(peer_type, NO_MEDIA_PORT)
    assert (ours.status, dict(ours.headers)) == (503, {"Retry-After": "5"})
    assert crossing(peer_type, Failure(503, "no media port is free")).status != 503
