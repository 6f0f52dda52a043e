"""What is said of a line that is not registered: in words, with the rule behind it and with what to change, and no secret."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.server.provider import CHALLENGE, House, house
from tests.server.test_line_answers import said
from trunkline.events import LineRegisterFailed
from trunkline.explanation import Explanation
from trunkline.server.line_answers import Cause, classify
from trunkline.server.line_explanation import explain_line
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Flow
from trunkline.sip.request import Failure
from trunkline.trace.describe import describe

SETTINGS = LineSettings("itsp", username="1555", server="sip.itsp.example", password="s3cret", domain="itsp.example")
FLOW = Flow("udp", ("192.0.2.9", 5060))


def explained(failure: Failure, settings: LineSettings = SETTINGS) -> Explanation:
    return explain_line(settings, classify(failure, settings.expires_s), FLOW)


def answered(status: int, *headers: tuple[str, str]) -> Failure:
    return Failure(status, "Said", said(status, "Said", *headers))


@pytest.mark.parametrize("status", [302, *range(400, 424), 439, *range(480, 495), *range(500, 514), 600, 603, 699])
def test_every_answer_is_said_in_words_with_its_rule_and_with_what_to_change(status: int) -> None:
    found = explained(answered(status, CHALLENGE))
    assert found.problem.startswith("line itsp: ")
    assert found.rule.startswith("RFC 3261 §")
    assert found.advice
    assert found.sent == "REGISTER sip:itsp.example to udp:192.0.2.9:5060, for 1555@itsp.example"
    assert found.received == f"{status} Said"
    assert "{" not in repr(found)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("failure", "problem", "advice"),
    [
        (answered(401, CHALLENGE), "does not take the user name or password of 1555@itsp.example", "password"),
        (answered(407), "asks for an authentication that is not supported", "MD5 or SHA-256"),
        (answered(403), "refuses the account 1555@itsp.example", "auth_username"),
        (answered(404), "does not know the account 1555@itsp.example", "username and domain"),
        (answered(423, ("Min-Expires", "3600")), "longer registrations than 1800 s: 3600 s at least", "expires_s"),
        (Failure(408, "Request Timeout"), "no answer from the provider's server at udp:192.0.2.9:5060", "firewall"),
        (Failure(503, "refused"), "udp:192.0.2.9:5060 cannot be reached: refused", "port and transport"),
    ],
)
def test_the_usual_mistakes_are_named(failure: Failure, problem: str, advice: str) -> None:
    found = explained(failure)
    assert problem in found.problem
    assert advice in found.advice


def test_silence_came_back_as_nothing() -> None:
    assert explained(Failure(408, "Request Timeout")).received == "nothing"


def test_a_line_without_password_is_told_so() -> None:
    found = explained(answered(401, CHALLENGE), replace(SETTINGS, password=None))
    assert found.problem == "line itsp: the provider asks for a password, and the line has none"


def test_what_a_provider_says_is_cut_and_printable() -> None:
    found = explained(answered(500, ("Warning", "399 x " + "w" * 500)))
    assert len(found.received) < 200


def test_the_failure_the_event_and_its_line_in_the_log_have_the_explanation() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        await h.say(403, reason="Forbidden")
        assert line.last_failure is not None
        found = line.last_failure.explanation
        assert found is not None
        event = h.events[-1]
        assert isinstance(event, LineRegisterFailed)
        assert event.explanation == found
        assert "refuses the account 15551234@sip.itsp.example" in describe(event)
        assert "s3cret" not in describe(event) + repr(line.last_failure)

    house(scenario, House)


def test_a_name_that_leads_nowhere_is_explained_without_a_server() -> None:
    async def scenario(h: House) -> None:
        line = h.add(server="none.example")
        await h.settle()
        assert line.last_failure is not None
        assert line.last_failure.cause is Cause.NAME
        found = line.last_failure.explanation
        assert found is not None
        assert found.problem == "line itsp: the name none.example leads to no server: no such name"
        assert found.sent == ""

    house(scenario, House)
