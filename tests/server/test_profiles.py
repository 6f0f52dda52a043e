"""Provider profiles: each is needed for a call to get through at a provider that refuses what its pages forbid."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.world import ACCOUNT, PROVIDER, world
from trunkline import CallFailed, ConfigurationError, SipServer
from trunkline.server.config import ServerSettings, load_file
from trunkline.server.line_settings import LineSettings
from trunkline.server.profile import Profile, ProfileRule, profile, profile_names
from trunkline.testing import VirtualNetwork

Run = Callable[[Any], Any]

PROFILES = [profile(name) for name in profile_names()]
RULES = [pytest.param(each, rule, id=f"{each.name}-{n}") for each in PROFILES for n, rule in enumerate(each.rules)]
LOCAL: dict[str, Any] = {"country": "US", "caller_id": "(206) 641-8000"}
"""A caller and a country, as anybody would write them."""
DIALLED = ("2066418001", "011442071838750")
DEFAULTS = {field.name: field.default for field in dataclasses.fields(LineSettings)}


async def called(network: VirtualNetwork, preset: Profile, settings: dict[str, Any], *, anonymous: bool) -> list[int]:
    """Call both numbers as the account acme of a provider with the rules of a profile: the status of each."""
    statuses: list[int] = []
    async with world(network, line={"register": False}) as at:
        at.itsp.behave_as(preset.name)
        account = dataclasses.replace(at.itsp.accounts[ACCOUNT], username="acme")
        at.itsp.accounts["acme"] = account
        at.server.add_line(
            "tried", username="acme", password="line secret", server=f"{PROVIDER}:5060", domain=at.itsp.realm,
            register=False, **LOCAL, **settings,
        )  # fmt: skip
        for number in DIALLED:
            call = asyncio.create_task(at.server.dial(number, line="tried", privacy=anonymous))
            at_mobile = asyncio.create_task(at.itsp.next_call())
            await asyncio.wait([call, at_mobile], return_when=asyncio.FIRST_COMPLETED)
            if at_mobile.done():
                at_mobile.result().answer()
                await call
                statuses.append(200)
            else:
                at_mobile.cancel()
                with pytest.raises(CallFailed) as failed:
                    await call
                statuses.append(failed.value.status)
    return statuses


@pytest.mark.parametrize("preset", PROFILES, ids=lambda preset: preset.name)
def test_a_call_works_with_the_profile_and_fails_without(
    run_virtual: Run, virtual_network: VirtualNetwork, preset: Profile
) -> None:
    statuses = run_virtual(called(virtual_network, preset, {"profile": preset.name}, anonymous=False))
    assert statuses == [200, 200]
    without = run_virtual(called(VirtualNetwork(1), preset, {}, anonymous=False))
    assert 200 not in without


@pytest.mark.parametrize(("preset", "rule"), RULES)
def test_a_call_fails_without_the_settings_of_each_rule_that_refuses(
    run_virtual: Run, virtual_network: VirtualNetwork, preset: Profile, rule: ProfileRule
) -> None:
    anonymous = any(each.anonymous for each in rule.refuses)
    with_all = run_virtual(called(virtual_network, preset, {"profile": preset.name}, anonymous=anonymous))
    assert with_all == [200, 200]
    reset = {key: DEFAULTS[key] for key in rule.settings}
    without = run_virtual(called(VirtualNetwork(1), preset, {"profile": preset.name, **reset}, anonymous=anonymous))
    assert (without == [200, 200]) is not bool(rule.refuses)


@pytest.mark.parametrize(("preset", "rule"), RULES)
def test_each_rule_names_its_page_and_the_day_it_was_read(preset: Profile, rule: ProfileRule) -> None:
    assert rule.page.startswith("https://")
    assert rule.read_on.year >= 2026
    assert rule.says
    for refusal in rule.refuses:
        re.compile(refusal.matches)


def test_there_are_six_providers() -> None:
    assert len({preset.name.partition("@")[0] for preset in PROFILES}) >= 6


def test_given_settings_go_before_the_profile_in_code_and_file(tmp_path: Path) -> None:
    path = tmp_path / "pbx.toml"
    path.write_text(
        '[server]\nrealm = "pbx.example"\n[lines.itsp]\nprofile = "sipgate@1"\nusername = "1234567t0"\n'
        'server = "sipconnect.sipgate.de"\nforwarding_header = "none"\n'
    )
    options = load_file(path).lines["itsp"]
    in_file = LineSettings("itsp", **options.values("itsp", ServerSettings(realm="pbx.example")))
    server = SipServer(realm="pbx.example")
    given: dict[str, Any] = {"profile": "sipgate@1", "username": "1234567t0", "server": "sipconnect.sipgate.de"}
    server.add_line("itsp", **given, forwarding_header="none")
    assert server._configured_lines["itsp"] == in_file
    assert (in_file.preferred_identity, in_file.forwarding_header, in_file.profile) == (True, "none", "sipgate@1")


@pytest.mark.parametrize(
    ("name", "hint"), [("sipgate", "did you mean sipgate@1"), ("sipgate@2", "did you mean"), ("xyz", "known are cm@1")]
)
def test_an_unknown_profile_is_told(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"lines.itsp.profile: there is no profile {name}; {hint}"):
        SipServer(realm="pbx.example").add_line("itsp", username="u", server="s.example", profile=name)
