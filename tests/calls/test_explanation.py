"""What is said of each failure: in words, with the rule behind it, and with what to change where there is something."""

from __future__ import annotations

import re

import pytest

from trunkline.calls.explanation import explain_attempt, explain_unplaced
from trunkline.calls.peers import Party, Target
from trunkline.constants import PeerType
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Codec, Flow, Message, NameAddr, Uri
from trunkline.sip.request import Failure

PCMA = Codec("PCMA", 8_000, 1, 8)


def target(kind: PeerType, *, password: str | None = "secret") -> Target:
    name = {PeerType.LINE: "itsp", PeerType.USER: "bob"}[kind]
    credentials = ClientCredentials("15551234567", password) if password and kind is PeerType.LINE else None
    return Target(
        party=Party(kind, name, (PCMA,), credentials=credentials),
        uri=Uri("sip", "+15550100", "itsp.example"),
        flow=Flow("udp", ("2001:db8::9", 5060), None),
        local=NameAddr(Uri("sip", "15551234567", "itsp.example")),
        remote=NameAddr(Uri("sip", "+15550100", "itsp.example")),
    )


def answer(status: int, reason: str = "Whatever", headers: str = "") -> Failure:
    text = (
        f"SIP/2.0 {status} {reason}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
    )
    return Failure(status, reason, Message.parse(text.encode()))


@pytest.mark.parametrize("kind", list(PeerType))
@pytest.mark.parametrize(
    "status", [300, 302, 380, *range(400, 424), *range(480, 495), 499, *range(500, 514), 580, *range(600, 609), 699]
)
def test_every_answer_is_said_in_words_with_its_rule(kind: PeerType, status: int) -> None:
    explained = explain_attempt(target(kind), answer(status))
    assert explained.problem
    assert explained.rule.startswith(("RFC 3261 §", "RFC 3264 §", "RFC 4028 §", "RFC 8197", "RFC 8688"))
    assert explained.received == f"{status} Whatever"
    assert explained.sent.startswith(
        "INVITE sip:+15550100@itsp.example to udp:[2001:db8::9]:5060, from sip:15551234567@"
    )
    for text in (explained.problem, explained.advice):
        assert not re.search(r"[{}]", text)
        assert not text.endswith(".")


@pytest.mark.parametrize("status", [486, 600, 603])
def test_a_callee_who_is_busy_is_nothing_to_change(status: int) -> None:
    assert explain_attempt(target(PeerType.LINE), answer(status)).advice == ""


@pytest.mark.parametrize(
    ("failure", "problem", "advice"),
    [
        (answer(401), "line itsp: the provider does not take the user name or password", "username, auth_username"),
        (answer(403), "line itsp: the provider forbids this call to +15550100", "from_user"),
        (answer(404), "line itsp: the provider does not know the number +15550100", "numbers written"),
        (answer(488), "line itsp takes none of the codecs that it was offered: PCMA", "option codecs"),
        (Failure(488, "no codec in common"), "line itsp takes none of the codecs that it was offered: PCMA", "codecs"),
        (Failure(408, "Request Timeout"), "no answer from the provider's server at udp:[2001:db8::9]:5060", "firewall"),
        (Failure(503, "connection refused"), "line itsp: udp:[2001:db8::9]:5060 cannot be reached", "the port"),
    ],
)
def test_a_line_is_told_which_option_to_change(failure: Failure, problem: str, advice: str) -> None:
    explained = explain_attempt(target(PeerType.LINE), failure)
    assert problem in explained.problem
    assert advice in explained.advice


def test_a_line_without_password_is_told_so() -> None:
    explained = explain_attempt(target(PeerType.LINE, password=None), answer(407))
    assert explained.problem == "line itsp: the provider asks for a password, and the line has none"


def test_silence_is_nothing_and_a_broken_transport_is_its_words() -> None:
    assert explain_attempt(target(PeerType.USER), Failure(408, "Request Timeout")).received == "nothing"
    assert explain_attempt(target(PeerType.USER), Failure(503, "connection refused")).received == "connection refused"


def test_what_the_peer_says_besides_is_repeated_and_bounded() -> None:
    headers = (
        f'Warning: 399 itsp "number not allowed"\r\nRetry-After: 30\r\nReason: Q.850;cause=21;text="{"x" * 500}"\r\n'
    )
    received = explain_attempt(target(PeerType.LINE), answer(403, "Forbidden", headers)).received
    assert received.startswith('403 Forbidden; Warning: 399 itsp "number not allowed"; Reason: Q.850;cause=21')
    assert received.endswith("Retry-After: 30")
    assert len(received) < 400


def test_no_secret_is_in_it() -> None:
    for failure in (answer(401), answer(403), Failure(408, "")):
        assert "secret" not in repr(explain_attempt(target(PeerType.LINE), failure))


def test_who_could_not_be_called_at_all_is_the_directorys_word() -> None:
    explained = explain_unplaced(480, "no phone of bob is registered")
    assert str(explained) == "no phone of bob is registered"
    assert (explained.sent, explained.received) == ("", "nothing")
