from __future__ import annotations

import pytest

from tests.server.recording import Answer, endpoint, request
from trunkline.sip.uas import Refusal, answer_options, refusal, refuse

OFFER = b"v=0\r\n"
SDP = [("Content-Type", "application/sdp")]


def check(method: str, headers: list[tuple[str, str]] = [], body: bytes = b"") -> Refusal | None:  # noqa: B006
    return refusal(request(method, "sip:bob@pbx.example", headers, body=body).message)


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS", "PUBLISH", "REGISTER", "SUBSCRIBE"])
def test_what_is_served_passes(method: str) -> None:
    assert check(method, [("Max-Forwards", "70")]) is None


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("REFER", 403),
        ("NOTIFY", 481),
        ("BYE", 481),
        ("INFO", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("JUGGLE", 501),
    ],
)
def test_a_method_that_nothing_serves_has_its_named_answer(method: str, status: int) -> None:
    found = check(method)
    assert found is not None
    assert found.status == status


@pytest.mark.parametrize("method", ["JUGGLE", "FROB"])
def test_501_says_what_is_allowed(method: str) -> None:
    found = check(method)
    assert found is not None
    assert "INVITE" in dict(found.headers)["Allow"]


def test_420_names_what_is_not_supported_and_only_that() -> None:
    found = check("INVITE", [("Require", "path, precondition"), ("Require", "juggling")])
    assert found == Refusal(420, None, (("Unsupported", "precondition, juggling"),))


def test_required_extensions_that_are_supported_pass() -> None:
    assert check("REGISTER", [("Require", "Path")]) is None


def test_415_says_what_is_accepted() -> None:
    found = check("INVITE", [("Content-Type", "text/plain")], b"hello")
    assert found == Refusal(415, None, (("Accept", "application/sdp"),))


def test_415_for_a_body_without_a_type() -> None:
    found = check("INVITE", [], b"hello")
    assert found is not None
    assert found.status == 415


def test_415_says_which_encoding_is_accepted() -> None:
    found = check("INVITE", [*SDP, ("Content-Encoding", "gzip")], b"\x1f\x8b")
    assert found is not None
    assert (found.status, dict(found.headers)["Accept-Encoding"]) == (415, "identity")


def test_an_optional_body_is_not_refused() -> None:
    headers = [("Content-Type", "text/plain"), ("Content-Disposition", "icon; handling=optional")]
    assert check("INVITE", headers, b"hello") is None


def test_a_description_passes_whatever_its_type_is_written_like() -> None:
    assert check("INVITE", [("Content-Type", "Application/SDP;charset=utf-8")], OFFER) is None


def test_the_body_of_a_register_is_ignored() -> None:
    assert check("REGISTER", [("Content-Type", "application/x-phone+xml")], b"<phone/>") is None


def test_483_ends_a_call_that_may_go_no_further() -> None:
    for method in ("INVITE", "MESSAGE"):
        found = check(method, [("Max-Forwards", "0")])
        assert found is not None
        assert found.status == 483
        assert check(method, [("Max-Forwards", "1")]) is None


def test_options_with_no_hops_left_is_answered_by_whom_it_reached() -> None:
    assert check("OPTIONS", [("Max-Forwards", "0")]) is None


def test_the_method_is_judged_before_the_extensions() -> None:
    found = check("REFER", [("Require", "juggling")])
    assert found is not None
    assert found.status == 403


def test_refuse_answers_and_says_so() -> None:
    above, driver = endpoint()
    assert refuse(above, request("REFER", "sip:pbx.example")) is True
    assert refuse(above, request("INVITE", "sip:pbx.example")) is False
    assert [sent.status for sent in driver.answers] == [403]


def test_options_says_what_we_can() -> None:
    above, driver = endpoint()
    answer_options(above, request("OPTIONS", "sip:pbx.example"))
    (sent,) = driver.answers
    assert isinstance(sent, Answer)
    assert sent.status == 200
    assert "REGISTER" in sent.values("Allow")[0]
    assert sent.values("Accept") == ["application/sdp"]
    assert [*sent.values("Supported")] == ["path, timer, 100rel, replaces"]


def mixed(*parts: tuple[str, str]) -> tuple[list[tuple[str, str]], bytes]:
    """Header and body of a multipart/mixed of such (header lines, text)."""
    body = "".join(f"--b\r\n{head}\r\n\r\n{text}\r\n" for head, text in parts)
    return [("Content-Type", 'multipart/mixed; boundary="b"')], f"{body}--b--\r\n".encode()


DESCRIBED = ("Content-Type: application/sdp", "v=0")


@pytest.mark.parametrize(
    ("disposition", "status"),
    [("", 415), ("signal; handling=required", 415), ("signal; handling=optional", None)],
)
def test_415_for_a_part_that_is_required_and_not_understood(disposition: str, status: int | None) -> None:
    isup = "Content-Type: application/isup" + (f"\r\nContent-Disposition: {disposition}" if disposition else "")
    headers, body = mixed(DESCRIBED, (isup, "\x01\x10"))
    found = check("INVITE", headers, body)
    assert (found.status if found else None) == status


def test_400_for_a_multipart_that_cannot_be_read() -> None:
    found = check("INVITE", [("Content-Type", "multipart/mixed")], mixed(DESCRIBED)[1])
    assert found is not None
    assert found.status == 400


def test_the_description_is_found_among_the_parts() -> None:
    headers, body = mixed(("Content-Type: text/plain\r\nContent-Disposition: render", "hello"), DESCRIBED)
    message = request("INVITE", "sip:bob@pbx.example", headers, body=body).message
    assert message.sdp == b"v=0"
    assert [(part.content_type, part.disposition, part.body) for part in message.parts] == [
        ("text/plain", "render", b"hello"),
        ("application/sdp", "", b"v=0"),
    ]
    assert request("INVITE", "sip:bob@pbx.example", []).message.parts == []
