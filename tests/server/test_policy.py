"""Whom Rust challenges, and lines as a whole: tokens, addresses, what is stored."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.provider import House, house
from trunkline.errors import ConfigurationError, UnknownPeer
from trunkline.server.line_settings import LineSettings
from trunkline.server.policy import ChallengePolicy, Trust, challenge_modes
from trunkline.storage.records import LineRecord, TokenRecord


def test_registrations_are_challenged_unless_the_application_is_asked_first() -> None:
    assert challenge_modes(asks_for_registrations=False)["REGISTER"] == "everybody"
    assert challenge_modes(asks_for_registrations=True)["REGISTER"] == "nobody"


def test_options_is_answered_to_everybody_and_strangers_prove_themselves_for_the_rest() -> None:
    modes = challenge_modes(asks_for_registrations=False)
    assert (modes["OPTIONS"], modes["*"]) == ("nobody", "strangers")
    assert "INVITE" not in modes


def test_a_network_as_wide_as_the_world_is_not_exempt_from_the_flood_guard() -> None:
    trust = Trust(("0.0.0.0/0", "198.51.100.0/24", "198.51.100.5/32", "2001:db8::/32", "2001:db8::5/128"))
    assert trust.flood_exempt == ("198.51.100.0/24", "198.51.100.5/32", "2001:db8::5/128")


def test_tokens_networks_and_resolved_addresses_are_trusted_as_they_come_and_go() -> None:
    async def scenario(h: House) -> None:
        exempt: list[list[str]] = []
        policy = ChallengePolicy(
            h.endpoint, h.lines, realm="pbx.example", set_flood_exempt=lambda networks: exempt.append(list(networks))
        )
        h.lines.on_change = policy.push
        policy.push()
        assert h.driver.trust == [("pbx.example", dict(challenge_modes(asks_for_registrations=False)), [], [], "MD5")]
        line = h.add(accept_from=("203.0.113.0/24",))
        assert h.driver.trust[-1][2:4] == (["203.0.113.0/24"], [line.token])
        await h.grant()
        assert h.driver.trust[-1][2] == ["198.51.100.5/32", "203.0.113.0/24"]
        assert exempt[-1] == ["198.51.100.5/32", "203.0.113.0/24"]
        h.dns["sip.itsp.example"] = ["198.51.100.6"]
        await h.grant()
        assert h.driver.trust[-1][2] == ["198.51.100.6/32", "203.0.113.0/24"]
        removing = asyncio.create_task(h.lines.remove("itsp"))
        await h.settle()
        await h.say(200)
        await removing
        assert h.driver.trust[-1][2:4] == ([], [])

    house(scenario, House)


def test_nothing_is_pushed_when_nothing_has_changed() -> None:
    async def scenario(h: House) -> None:
        policy = ChallengePolicy(h.endpoint, h.lines, realm="pbx.example", algorithm="SHA-256")
        policy.push()
        policy.push()
        assert [pushed[4] for pushed in h.driver.trust] == ["SHA-256"]
        policy.asks_for_registrations = True
        policy.push()
        assert h.driver.trust[-1][1]["REGISTER"] == "nobody"

    house(scenario, House)


def test_the_addresses_of_a_line_that_does_not_register_are_kept_known() -> None:
    async def scenario(h: House) -> None:
        line = h.add(register=False)
        await h.settle()
        assert list(line.server.addresses) == ["198.51.100.5"]
        h.dns["sip.itsp.example"] = ["198.51.100.9"]
        await asyncio.sleep(400)
        assert list(line.server.addresses) == ["198.51.100.9"]

    house(scenario, House)


def test_a_token_outlives_the_process() -> None:
    async def scenario(h: House) -> None:
        h.lines.restore_tokens([TokenRecord("itsp", "old-token")])
        line = h.add()
        assert line.token == "old-token"
        assert h.lines.by_token(None, "nobody's", "old-token") is line
        assert h.rows[TokenRecord, ("itsp",)] == TokenRecord("itsp", "old-token")

    house(scenario, House)


def test_only_lines_added_at_run_time_are_stored() -> None:
    async def scenario(h: House) -> None:
        h.add("code")
        h.add("added", stored=True)
        assert [key for key in h.rows if key[0] is LineRecord] == [(LineRecord, ("added",))]
        record = h.rows[LineRecord, ("added",)]
        assert isinstance(record, LineRecord)
        assert LineSettings.of_record(record) == h.lines["added"].settings

    house(scenario, House)


def test_a_removed_line_is_gone_from_everywhere() -> None:
    async def scenario(h: House) -> None:
        line = h.add(stored=True)
        await h.grant()
        removing = asyncio.create_task(h.lines.remove("itsp"))
        await h.settle()
        await h.say(200)
        assert await removing is line
        assert (h.rows, len(h.lines), h.lines.by_token(line.token)) == ({}, 0, None)
        with pytest.raises(UnknownPeer, match="no line itsp"):
            h.lines["itsp"]
        await asyncio.sleep(86_400)
        assert h.open == 0

    house(scenario, House)


def test_a_line_name_is_taken_once() -> None:
    async def scenario(h: House) -> None:
        h.add()
        with pytest.raises(ConfigurationError, match="already"):
            h.add()

    house(scenario, House)


def test_a_repr_of_a_line_shows_no_secret() -> None:
    async def scenario(h: House) -> None:
        line = h.add()
        assert line.token not in repr(line)
        assert "s3cret" not in repr(line)
        assert "s3cret" not in repr(line.party())

    house(scenario, House)
