"""What is believed of an INVITE: a line's word on its caller, and of a user the choice among his numbers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.recording import REALM, request
from trunkline.server.inbound import Caller, caller_of_line, caller_of_user, dialled_over
from trunkline.server.line_settings import LineSettings
from trunkline.server.numbers import NumberRule
from trunkline.server.users import User
from trunkline.sip.endpoint import Message

PAI = ("P-Asserted-Identity", '"Mum" <sip:+4917011@itsp.example>')
RPID = ("Remote-Party-ID", '"Dad" <sip:+4917022@itsp.example>;party=calling')
FROM = '"Bob" <sip:+4917033@itsp.example>;tag=b'
ALICE = User.with_password("alice", "secret", realm=REALM, display_name="Alice", numbers=["+4930111", "+4930222"])


def line(**settings: Any) -> LineSettings:
    return LineSettings("itsp", **{"username": "acme", "server": "sip.itsp.example", **settings})


def invite(*headers: tuple[str, str], from_: str = FROM, uri: str = "sip:token@192.0.2.1", to: str = "") -> Message:
    return request("INVITE", uri, headers, from_=from_, to=to or f"<{uri}>").message


@pytest.mark.parametrize(
    ("order", "headers", "caller"),
    [
        (None, (PAI, RPID), Caller("Mum", "+4917011", asserted="+4917011")),
        (None, (RPID,), Caller("Dad", "+4917022")),
        (None, (), Caller("Bob", "+4917033")),
        (("remote-party-id", "p-asserted-identity"), (PAI, RPID), Caller("Dad", "+4917022", asserted="+4917011")),
        (("from",), (PAI, RPID), Caller("Bob", "+4917033")),
        (("remote-party-id",), (), Caller("Bob", "+4917033")),
        (
            None,
            (("P-Asserted-Identity", "<tel:+4917011;cpc=x>, <sip:x>"),),
            Caller("Bob", "+4917011", asserted="+4917011"),
        ),
        (None, (("P-Asserted-Identity", ">broken<"),), Caller("Bob", "+4917033")),
        (None, (("Remote-Party-ID", "<sip:9@x>;party=called"),), Caller("Bob", "+4917033")),
    ],
)
def test_the_first_source_that_is_there_names_the_caller(
    order: tuple[str, ...] | None, headers: tuple[tuple[str, str], ...], caller: Caller
) -> None:
    settings = line(**({"caller_id_from": order} if order else {}))
    assert caller_of_line(settings, invite(*headers)) == caller


@pytest.mark.parametrize(
    ("headers", "from_"),
    [
        ((PAI, ("Privacy", "id")), FROM),
        ((PAI, ("Privacy", "none"), ("Privacy", "critical;ID")), FROM),
        ((PAI, ("Privacy", "user")), FROM),
        ((PAI,), '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=b'),
        ((PAI,), "<sip:Anonymous@itsp.example>;tag=b"),
        ((PAI, ("Remote-Party-ID", "<sip:+4917022@itsp.example>;party=calling;privacy=full")), FROM),
    ],
)
def test_an_anonymous_caller_has_no_number_but_the_asserted_one(
    headers: tuple[tuple[str, str], ...], from_: str
) -> None:
    assert caller_of_line(line(), invite(*headers, from_=from_)) == Caller("", "", anonymous=True, asserted="+4917011")


def test_privacy_none_hides_nobody() -> None:
    assert not caller_of_line(line(), invite(PAI, ("Privacy", "none"))).anonymous


def test_number_rules_apply_to_what_comes_in() -> None:
    national = (NumberRule(format="national"),)
    settings = line(caller_ids_in=national, dialled_in=national, country="DE")
    caller = caller_of_line(settings, invite(("P-Asserted-Identity", "<sip:+49301234567@x>")))
    assert (caller.number, caller.asserted) == ("0301234567", "0301234567")
    assert dialled_over(settings, "token", invite(uri="sip:+49307654321@192.0.2.1")) == "0307654321"


@pytest.mark.parametrize(
    ("where", "number"), [("auto", "+491"), ("request-uri", "+491"), ("to", "+492"), ("p-called-party-id", "+493")]
)
def test_the_called_number_stands_where_the_line_says(where: Any, number: str) -> None:
    called = ("P-Called-Party-ID", "<sip:+493@itsp.example>")
    message = invite(called, uri="sip:+491@192.0.2.1", to="<sip:+492@itsp.example>")
    assert dialled_over(line(dialled_from=where), "token", message) == number


@pytest.mark.parametrize(
    ("where", "number"), [("auto", "+492"), ("request-uri", "acme"), ("p-called-party-id", "+492")]
)
def test_a_token_and_an_account_are_no_called_numbers(where: Any, number: str) -> None:
    for user in ("token", "acme"):
        message = invite(uri=f"sip:{user}@192.0.2.1", to="<sip:+492@itsp.example>")
        assert dialled_over(line(dialled_from=where), "token", message) == number


@pytest.mark.parametrize("header", ["P-Preferred-Identity", "P-Asserted-Identity", "Remote-Party-ID", "From"])
@pytest.mark.parametrize(("claim", "shown"), [("+4930222", "+4930222"), ("+1555000", "alice"), ("bob", "alice")])
def test_whatever_a_user_claims_is_one_of_his_numbers_or_his_name(header: str, claim: str, shown: str) -> None:
    address = f"<sip:{claim}@{REALM}>"
    message = (
        invite(from_=f"{address};tag=a") if header == "From" else invite((header, address), from_="<sip:x@y>;tag=a")
    )
    caller = caller_of_user(ALICE, message)
    assert (caller.number, caller.asserted, caller.anonymous) == (shown, "", False)


@pytest.mark.parametrize(("configured", "shown"), [("Alice", "Alice"), ("", "The Bank")])
def test_a_phone_names_its_user_only_where_no_name_is_configured(configured: str, shown: str) -> None:
    user = User.with_password("alice", "secret", realm=REALM, display_name=configured)
    assert caller_of_user(user, invite(from_=f'"The Bank" <sip:alice@{REALM}>;tag=a')).name == shown


def test_a_user_may_stay_anonymous() -> None:
    caller = caller_of_user(
        ALICE, invite(("Privacy", "id"), from_='"Anonymous" <sip:anonymous@anonymous.invalid>;tag=a')
    )
    assert caller == Caller("Alice", "alice", anonymous=True)
