"""Who sent an INVITE: by token, credentials, server, claim, source and number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.provider import House, at, house
from tests.server.recording import REALM, credentials, request
from trunkline.constants import PeerType
from trunkline.server.auth import Authenticator
from trunkline.server.identify import Caller, Identifier, Stranger, Unproven
from trunkline.server.inbound import same_number
from trunkline.server.numbers import NumberRule
from trunkline.server.users import User, Users
from trunkline.sip.endpoint import Flow

FROM_MOBILE = '"Bob" <sip:+491701234@itsp.example>;tag=b'
ELSEWHERE = at("203.0.113.50")


def identifying(scenario: Callable[[House, Identifier], None], *lines: dict[str, Any]) -> None:
    async def main(h: House) -> None:
        users = Users()
        numbers = ["+15551234567", "4930111"]
        users.add(User.with_password("alice", "secret", realm=REALM, display_name="Alice", numbers=numbers))
        for settings in lines:
            h.add(**settings)
        await h.settle()
        scenario(h, Identifier(users, h.lines, Authenticator(h.endpoint, users, realm=REALM), h.addresses))

    house(main, House)


def invite(
    identifier: Identifier,
    uri: str,
    *,
    flow: Flow = ELSEWHERE,
    from_: str = FROM_MOBILE,
    to: str | None = None,
    **more: object,
) -> Caller | Unproven | Stranger:
    return identifier.identify(
        request("INVITE", uri, flow=flow, from_=from_, to=to or f"<{uri}>", **more)  # type: ignore[arg-type]
    )


def line_of(found: object) -> str:
    assert isinstance(found, Caller), found
    assert found.party.peer_type is PeerType.LINE
    assert found.line is not None
    assert found.line.name == found.party.name
    return found.party.name


@pytest.mark.parametrize("place", ["user", "parameter"])
def test_the_token_names_the_line_wherever_the_call_comes_from(place: str) -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        token = h.lines["two"].token
        uris = [f"sip:{token}@192.0.2.1", f"sip:1555@192.0.2.1;tl={token}", f"sip:rewritten@192.0.2.1;tl={token}"]
        for uri in uris:
            assert line_of(invite(identifier, uri, to="<sip:+4930123@itsp.example>")) == "two"

    identifying(scenario, {"name": "one"}, {"name": "two", "token_in": place})


def test_the_number_called_is_what_is_not_our_own_contact() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        token = h.lines["itsp"].token

        def dialled(uri: str, to: str) -> str:
            found = invite(identifier, uri, to=to)
            assert isinstance(found, Caller)
            return found.dial_number

        assert dialled(f"sip:{token}@192.0.2.1", "<sip:+4930123@itsp.example>") == "+4930123"
        assert dialled(f"sip:{token}@192.0.2.1", "<sip:15551234@itsp.example>") == "15551234"
        assert dialled(f"sip:15551234@192.0.2.1;tl={token}", "<sip:+4930123@itsp.example>") == "+4930123"
        assert dialled(f"sip:+4930999@192.0.2.1;tl={token}", "<sip:+4930123@itsp.example>") == "+4930999"
        assert dialled(f"sip:{token}@192.0.2.1", "<sip:itsp.example>") == "15551234"

    identifying(scenario, {})


def test_the_caller_is_who_from_says() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        found = invite(identifier, f"sip:{h.lines['itsp'].token}@192.0.2.1")
        assert isinstance(found, Caller)
        assert (found.caller_name, found.caller_id) == ("Bob", "+491701234")
        assert h.lines["itsp"].statistics.calls_in == 1

    identifying(scenario, {})


def test_credentials_prove_a_user() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        proof = credentials("alice", "secret", "INVITE")
        found = invite(identifier, f"sip:00491@{REALM}", from_=f"<sip:alice@{REALM}>;tag=a", credentials=proof)
        assert isinstance(found, Caller)
        assert (found.party.peer_type, found.party.name, found.line) == (PeerType.USER, "alice", None)
        assert (found.caller_name, found.caller_id, found.dial_number) == ("Alice", "alice", "00491")
        assert found.party.nat  # its Via says another address than it came from

    identifying(scenario, {})


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("alice", "alice"),
        ("911", "alice"),
        ("ALICE", "alice"),
        ("bob", "alice"),
        ("+15551234567", "+15551234567"),
        ("1-555-123-4567", "+15551234567"),
        ("+4930111", "4930111"),
    ],
)
def test_a_user_shows_its_name_or_a_number_of_its_own_and_nothing_else(claimed: str, shown: str) -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        proof = credentials("alice", "secret", "INVITE")
        found = invite(identifier, f"sip:0049@{REALM}", from_=f'"Al" <sip:{claimed}@{REALM}>;tag=a', credentials=proof)
        assert isinstance(found, Caller)
        assert (found.caller_name, found.caller_id) == ("Alice", shown)

    identifying(scenario, {})


def test_a_wrong_password_is_to_be_challenged_even_from_a_lines_server() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        proof = credentials("alice", "wrong", "INVITE")
        assert invite(identifier, f"sip:1@{REALM}", flow=at("198.51.100.5"), credentials=proof) == Unproven()

    identifying(scenario, {})


def test_a_call_from_a_lines_server_is_the_lines() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        assert line_of(invite(identifier, "sip:+4930999@192.0.2.1", flow=at("198.51.100.5"))) == "itsp"

    identifying(scenario, {})


def test_a_phone_at_the_address_of_a_line_has_to_prove_itself() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        found = invite(identifier, f"sip:1@{REALM}", flow=at("198.51.100.5", 6060), from_=f"<sip:alice@{REALM}>;tag=a")
        assert found == Unproven()

    identifying(scenario, {})


def test_another_port_of_a_lines_server_is_the_line_unless_it_claims_to_be_a_user() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        assert line_of(invite(identifier, "sip:+4930@192.0.2.1", flow=at("198.51.100.5", 6060))) == "itsp"

    identifying(scenario, {})


def test_networks_that_a_line_accepts_from_are_its_own() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        assert line_of(invite(identifier, "sip:+4930@192.0.2.1", flow=at("203.0.113.50"))) == "itsp"
        assert isinstance(invite(identifier, "sip:+4930@192.0.2.1", flow=at("203.0.114.50")), Stranger)

    identifying(scenario, {"accept_from": ("203.0.113.0/24",)})


@pytest.mark.parametrize("accept_from", [("anywhere",), ("0.0.0.0/0",)])
def test_a_catch_all_line_takes_what_no_other_line_is_for(accept_from: tuple[str, ...]) -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        called = "sip:15550009@192.0.2.1"  # the number of the catch-all line
        assert line_of(invite(identifier, called, flow=at("192.0.2.200"))) == "all"
        assert line_of(invite(identifier, called, flow=at("198.51.100.5"))) == "exact"
        assert line_of(invite(identifier, called, flow=at("198.51.100.5", 6060))) == "exact"
        assert line_of(invite(identifier, called, flow=at("203.0.113.50"))) == "exact"
        assert line_of(invite(identifier, f"sip:{h.lines['exact'].token}@192.0.2.1", flow=at("192.0.2.200"))) == "exact"

    h = {"server": "other.example", "username": "15550009", "name": "all", "accept_from": accept_from}
    identifying(scenario, {"name": "exact", "accept_from": ("203.0.113.0/24",)}, h)


def test_a_phone_that_calls_itself_a_user_has_to_prove_it_before_a_catch_all_line_is_asked() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        stranger = at("192.0.2.200")
        assert invite(identifier, f"sip:1@{REALM}", flow=stranger, from_=f"<sip:alice@{REALM}>;tag=a") == Unproven()

    identifying(scenario, {"accept_from": ("anywhere",)})


def test_a_number_of_none_of_the_exact_lines_does_not_fall_through_to_the_catch_all() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        found = invite(identifier, "sip:+4930333@192.0.2.1", flow=at("198.51.100.5"))
        assert isinstance(found, Stranger)

    identifying(scenario, *TWO, {"name": "all", "server": "other.example", "accept_from": ("anywhere",)})


TWO: tuple[dict[str, Any], ...] = (
    {"name": "one", "username": "15550001", "numbers": ("+49 30 111",)},
    {"name": "two", "username": "15550002", "numbers": ("4930222",)},
)


@pytest.mark.parametrize(
    ("uri", "to", "line"),
    [
        ("sip:15550001@192.0.2.1", None, "one"),
        ("sip:15550002@192.0.2.1", None, "two"),
        ("sip:+4930111@192.0.2.1", None, "one"),
        ("sip:+4930222@192.0.2.1", None, "two"),
        ("sip:192.0.2.1", "<sip:15550002@itsp.example>", "two"),
        ("sip:something@192.0.2.1", "<sip:15550001@itsp.example>", "one"),
    ],
)
def test_of_several_lines_at_one_provider_the_number_tells(uri: str, to: str | None, line: str) -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        assert line_of(invite(identifier, uri, flow=at("198.51.100.5"), to=to)) == line

    identifying(scenario, *TWO)


def test_a_number_of_none_of_several_lines_is_404() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        found = invite(identifier, "sip:+4930333@192.0.2.1", flow=at("198.51.100.5"))
        assert isinstance(found, Stranger)
        assert found.status == 404

    identifying(scenario, *TWO)


def test_nobody_that_we_know_is_403() -> None:
    def scenario(h: House, identifier: Identifier) -> None:
        assert invite(identifier, "sip:alice@192.0.2.1") == Stranger(403, "Unknown source")

    identifying(scenario, {})


def test_a_token_that_was_removed_names_nobody() -> None:
    async def main(h: House) -> None:
        users = Users()
        token = h.add().token
        identifier = Identifier(users, h.lines, Authenticator(h.endpoint, users, realm=REALM), h.addresses)
        await h.settle()
        removing = asyncio.create_task(h.lines.remove("itsp"))
        await h.say(200)
        await h.say(200)
        await removing
        assert isinstance(invite(identifier, f"sip:{token}@192.0.2.1"), Stranger)

    house(main, House)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("+15551234", "15551234", True),
        ("+1 (555) 12-34", "15551234", True),
        ("Alice", "alice", True),
        ("15551234", "5551234", False),
    ],
)
def test_a_number_is_the_same_whatever_its_separators(one: str, other: str, same: bool) -> None:
    assert same_number(one, other) is same


def test_lines_at_one_source_are_told_apart_where_their_called_number_stands_and_after_their_rules() -> None:
    first = {"name": "first", "server": "shared.example", "register": False, "dialled_from": "p-called-party-id"}
    second = {
        "name": "second", "server": "shared.example", "register": False, "numbers": ("030222",),
        "dialled_in": (NumberRule(prefix="+49", strip=3, prepend="0"),),
    }  # fmt: skip

    def scenario(h: House, identifier: Identifier) -> None:
        flow = at("198.51.100.7")
        called = [("P-Called-Party-ID", "<sip:+4930111@shared.example>")]
        assert line_of(invite(identifier, "sip:pbx@192.0.2.1", flow=flow, headers=called)) == "first"
        assert line_of(invite(identifier, "sip:+4930222@192.0.2.1", flow=flow)) == "second"

    networks = {"accept_from": ("198.51.100.0/24",)}
    identifying(scenario, {**first, **networks, "numbers": ("+4930111",)}, {**second, **networks})
