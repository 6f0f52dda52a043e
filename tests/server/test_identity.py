"""What a call of ours says of its caller, towards lines and phones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.recording import request
from trunkline.calls.peers import Origin, Placing
from trunkline.constants import PeerType
from trunkline.server.identity import Said, over_line, to_phone
from trunkline.server.line_settings import LineSettings
from trunkline.server.numbers import NumberRule
from trunkline.sip.endpoint import NameAddr

ACCOUNT = "acme"
CALLER = "+4917012345"
SECRETS = (ACCOUNT, CALLER, CALLER[1:], "Alice")
EVERYTHING: dict[str, Any] = {
    "asserted_identity": True,
    "preferred_identity": True,
    "remote_party_id": True,
    "forwarding_header": "diversion",
    "from_user": "caller",
    "display_name": "Alice",
}


def line(**settings: Any) -> LineSettings:
    return LineSettings("itsp", **{"username": ACCOUNT, "server": "sip.itsp.example", **settings})


def placing(**values: Any) -> Placing:
    usual = {"dial_number": "+15550100", "caller_name": "Alice", "caller_id": CALLER}
    return Placing(PeerType.LINE, "itsp", **{**usual, **values})


def said(settings: dict[str, Any] | None = None, **values: Any) -> Said:
    return over_line(line(**settings or {}), placing(**values))


def named(told: Said, name: str) -> list[str]:
    return [value for key, value in told.headers if key == name]


def came_in(*headers: tuple[str, str], peer_type: PeerType = PeerType.LINE, failed_status: int = 0) -> Origin:
    message = request("INVITE", "sip:+4930777@pbx.example", headers).message
    return Origin(peer_type, "other", "+4930777", message, failed_status)


@pytest.mark.parametrize(
    ("setting", "name", "ends"),
    [
        ("asserted_identity", "P-Asserted-Identity", ""),
        ("preferred_identity", "P-Preferred-Identity", ""),
        ("remote_party_id", "Remote-Party-ID", ";party=calling;privacy=off;screen=yes"),
    ],
)
def test_each_identity_header_is_there_where_the_line_has_it(setting: str, name: str, ends: str) -> None:
    assert said().headers == ()
    assert said({setting: True}).headers == ((name, f"Alice <sip:{CALLER}@sip.itsp.example>{ends}"),)


@pytest.mark.parametrize(
    ("number", "caller", "marks"),
    [
        ("+15550100", CALLER, (True, True)),
        ("030-1234567", "(030)111", (True, True)),
        ("*43#", "alice", (True, False)),
        ("bob", "15550199", (False, True)),
        ("+", "+4930x", (False, False)),
    ],
)
@pytest.mark.parametrize("wanted", [True, False])
def test_numbers_and_nothing_else_are_marked_as_numbers_wherever_they_stand(
    number: str, caller: str, marks: tuple[bool, bool], wanted: bool
) -> None:
    settings = {"asserted_identity": True, "preferred_identity": True, "remote_party_id": True, "from_user": "caller"}
    told = said({**settings, "user_phone": wanted}, dial_number=number, caller_id=caller)
    called, calling = (wanted and mark for mark in marks)
    assert (told.uri.param("user") == "phone") is called
    assert (told.remote.uri.param("user") == "phone") is called
    assert (told.local.uri.param("user") == "phone") is calling
    values = [value for _, value in told.headers]
    assert len(values) == 3
    for value in values:
        assert (NameAddr.parse(value).uri.param("user") == "phone") is calling


def test_an_account_that_is_a_name_is_not_marked_as_a_number() -> None:
    assert said({"user_phone": True}).local.uri.param("user") is None
    assert said({"user_phone": True, "username": "15551234567"}).local.uri.param("user") == "phone"


def test_a_call_without_caller_shows_what_the_line_has() -> None:
    told = said(
        {"asserted_identity": True, "caller_id": "+4930111", "from_user": "caller"}, caller_id="", caller_name=""
    )
    assert str(told.local) == "<sip:+4930111@sip.itsp.example>"
    assert named(told, "P-Asserted-Identity") == ["<sip:+4930111@sip.itsp.example>"]


def test_number_rules_reach_every_place_of_a_number() -> None:
    digits = (NumberRule(format="e164"),)
    settings = {**EVERYTHING, "dialled_out": digits, "caller_ids_out": digits, "country": "DE"}
    told = said(settings, dial_number="030 1234567", origin=came_in())
    everything = " ".join([str(told.uri), str(told.remote), str(told.local), *(value for _, value in told.headers)])
    assert str(told.uri) == "sip:49301234567@sip.itsp.example"
    assert "+" not in everything
    assert everything.count("4917012345") == 4
    assert "4930777" in named(told, "Diversion")[0]


@pytest.mark.parametrize("by", ["line", "call"])
@pytest.mark.parametrize("kept", ["asserted", "none"])
def test_an_anonymous_call_leaks_nothing_outside_what_is_asserted(by: str, kept: str) -> None:
    settings = {**EVERYTHING, "anonymous_identity": kept, "privacy": by == "line", "headers_added": ("Subject: Alice",)}
    told = said(
        settings,
        privacy=True if by == "call" else None,
        headers=(("Organization", "Alice Ltd"), ("Call-Info", "<http://alice.example>")),
        origin=came_in(),
    )
    assert told.anonymous
    assert str(told.local) == '"Anonymous" <sip:anonymous@anonymous.invalid>' or (
        NameAddr.parse(str(told.local)).display_name == "Anonymous"
    )
    open_ = [value for name, value in told.headers if name != "P-Asserted-Identity"]
    assert not [(secret, value) for secret in SECRETS for value in [str(told.local), *open_] if secret in value]
    assert named(told, "Privacy") == ["id"]
    assert bool(named(told, "P-Asserted-Identity")) is (kept == "asserted")
    assert all("Alice" not in value for value in named(told, "P-Asserted-Identity"))
    assert all("privacy=full" in value for value in named(told, "Diversion"))


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        **{
            name: st.booleans() for name in ("asserted_identity", "preferred_identity", "remote_party_id", "user_phone")
        },
        "from_user": st.sampled_from(["account", "caller"]),
        "from_domain": st.sampled_from(["pbx.example", None]),
        "caller_id": st.just("+4930111"),
        "display_name": st.just("Alice"),
        "anonymous_identity": st.sampled_from(["asserted", "none"]),
        "forwarding_header": st.sampled_from(["none", "diversion", "history-info"]),
        "caller_ids_out": st.sampled_from([(), (NumberRule(format="e164"),), (NumberRule(format="national"),)]),
        "headers_added": st.just(("Subject: Alice",)),
    },
)


@given(SETTINGS, st.booleans(), st.booleans())
def test_no_combination_of_settings_shows_who_an_anonymous_caller_is(
    settings: dict[str, Any], by_line: bool, forwarded: bool
) -> None:
    values = {"privacy": None if by_line else True, "origin": came_in() if forwarded else None}
    told = said({**settings, "country": "DE", "privacy": by_line}, **values)
    shown = [str(told.local), *(value for name, value in told.headers if name != "P-Asserted-Identity")]
    secrets = (*SECRETS, "017012345", "4930111")
    assert [(secret, value) for secret in secrets for value in shown if secret in value] == []
    assert "Alice" not in str(told.headers)


def test_an_anonymous_call_keeps_what_the_provider_needs_where_the_line_says_so() -> None:
    told = said({**EVERYTHING, "anonymous_identity": "all", "anonymous_from": "account"}, privacy=True)
    assert str(told.local) == f"<sip:{ACCOUNT}@sip.itsp.example>"
    assert named(told, "P-Preferred-Identity") == [f"<sip:{CALLER}@sip.itsp.example>"]
    assert named(told, "Remote-Party-ID")[0].endswith(";privacy=full;screen=yes")


def test_a_call_may_show_its_caller_on_a_line_that_hides_them() -> None:
    told = said({"privacy": True}, privacy=False)
    assert (told.anonymous, named(told, "Privacy")) == (False, ["none"])
    assert NameAddr.parse(str(told.local)).display_name == "Alice"


def test_a_phone_learns_of_an_anonymous_call_that_it_is_one_and_nothing_else() -> None:
    told, headers = to_phone(placing(privacy=True), "pbx.example")
    assert (told.uri.user, told.uri.host, told.display_name) == ("anonymous", "anonymous.invalid", "Anonymous")
    assert headers == (("Privacy", "id"),)
    told, headers = to_phone(placing(), "pbx.example")
    assert (told.uri.user, told.display_name, headers) == (CALLER, "Alice", ())


# --- forwarding ---------------------------------------------------------------------------------------------------------


def test_no_forwarding_is_told_of_a_call_that_no_line_brought() -> None:
    for forwarding in ("diversion", "history-info"):
        assert said({"forwarding_header": forwarding}).headers == ()
        assert said({"forwarding_header": forwarding}, origin=came_in(peer_type=PeerType.USER)).headers == ()
    assert said(origin=came_in()).headers == ()


@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [
        (0, "unconditional", 302),
        (486, "user-busy", 486),
        (408, "no-answer", 408),
        (302, "unconditional", 302),
        (301, "unconditional", 302),
        (300, "deflection", 480),
        (380, "deflection", 480),
        (500, "unavailable", 503),
    ],
)
def test_a_forwarded_call_says_whom_it_was_for_and_why_it_goes_on(status: int, reason: str, cause: int) -> None:
    origin = came_in(failed_status=status)
    told = said({"forwarding_header": "diversion"}, origin=origin)
    assert told.headers == (("Diversion", f"<sip:+4930777@sip.itsp.example>;reason={reason};counter=1;privacy=off"),)
    told = said({"forwarding_header": "history-info"}, origin=origin)
    assert named(told, "History-Info") == [
        "<sip:+4930777@sip.itsp.example>;index=1",
        f"<sip:+15550100@sip.itsp.example;cause={cause}>;index=1.1;mp=1",
    ]


EARLIER = (
    ("Diversion", "<sip:+4930666@a.example>;reason=user-busy;privacy=full, <sip:+4930555@a.example>;reason=no-answer"),
)


def test_a_history_that_came_in_goes_on_in_the_form_of_the_next_line() -> None:
    told = said({"forwarding_header": "diversion"}, origin=came_in(*EARLIER))
    numbers = [NameAddr.parse(value) for value in named(told, "Diversion")]
    assert [(n.uri.user, n.param("reason"), n.param("privacy")) for n in numbers] == [
        ("+4930777", "unconditional", "off"),
        ("+4930666", "user-busy", "full"),
        ("+4930555", "no-answer", "off"),
    ]
    told = said({"forwarding_header": "history-info"}, origin=came_in(*EARLIER))
    assert named(told, "History-Info") == [
        "<sip:+4930555@sip.itsp.example>;index=1",
        "<sip:+4930666@sip.itsp.example;cause=408?Privacy=history>;index=1.1;mp=1",
        "<sip:+4930777@sip.itsp.example;cause=486>;index=1.1.1;mp=1.1",
        "<sip:+15550100@sip.itsp.example;cause=302>;index=1.1.1.1;mp=1.1.1",
    ]


def test_a_history_without_end_is_cut() -> None:
    loop = [("Diversion", f"<sip:{n}@a.example>;reason=unconditional") for n in range(60)]
    for forwarding, most in (("diversion", 10), ("history-info", 11)):
        assert len(said({"forwarding_header": forwarding}, origin=came_in(*loop)).headers) == most


# --- header rules -------------------------------------------------------------------------------------------------------

INCOMING = (("X-Ticket", "7"), ("X-Secret", "no"), ("User-to-User", "01;encoding=hex"), ("User-to-User", "02"))


def test_only_listed_headers_cross_from_one_leg_to_the_other() -> None:
    settings = {"headers_passed": ("x-ticket", "User-to-User")}
    told = said(settings, origin=came_in(*INCOMING, peer_type=PeerType.USER))
    assert told.headers == (("x-ticket", "7"), ("User-to-User", "01;encoding=hex"), ("User-to-User", "02"))
    assert said(origin=came_in(*INCOMING)).headers == ()
    _, headers = to_phone(placing(origin=came_in(*INCOMING)), "pbx.example", from_line=line(**settings))
    assert headers == told.headers


def test_between_two_lines_both_must_list_a_header() -> None:
    settings = line(headers_passed=("X-Ticket", "User-to-User"))
    other = line(headers_passed=("X-TICKET", "X-Secret"))
    told = over_line(settings, placing(origin=came_in(*INCOMING)), from_line=other)
    assert told.headers == (("X-Ticket", "7"),)


def test_the_application_goes_before_the_line_and_that_before_the_other_leg() -> None:
    settings = {"headers_passed": ("X-Ticket", "X-Other"), "headers_added": ("X-Ticket: 8", "X-Mine: 1")}
    origin = came_in(("X-Ticket", "7"), ("X-Other", "o"))
    assert set(said(settings, origin=origin).headers) == {("X-Ticket", "8"), ("X-Mine", "1"), ("X-Other", "o")}
    told = said(settings, origin=origin, headers=(("x-ticket", "9"),))
    assert set(told.headers) == {("x-ticket", "9"), ("X-Mine", "1"), ("X-Other", "o")}


def test_a_removed_header_is_never_sent_whoever_sets_it() -> None:
    settings = {**EVERYTHING, "headers_removed": ("diversion", "X-Mine"), "headers_added": ("X-Mine: 1",)}
    told = said(settings, origin=came_in(), headers=(("x-mine", "2"),))
    assert {name for name, _ in told.headers} == {"P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"}


def test_no_rule_changes_the_number_of_an_emergency_call() -> None:
    rules = {"dialled_out": (NumberRule(prepend="9"),)}
    assert said(rules, dial_number="112").uri.user == "9112"
    assert said(rules, dial_number="112", emergency=True).uri.user == "112"
