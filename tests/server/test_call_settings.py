"""Session timers, reliable provisionals and redirections as they are configured: server, line and user, and what is wrong in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from trunkline.errors import ConfigurationError
from trunkline.server.config import FileSettings, ServerSettings, UserOptions, load_file, validated
from trunkline.server.line import Line
from trunkline.server.line_server import LineServer
from trunkline.server.line_settings import LineSettings
from trunkline.server.users import User
from trunkline.sip.session_timer import SessionTimes

TOML = """
[server]
realm = "pbx.example"
session_expires_s = 600
min_se_s = 120
reliable = "never"

[users.alice]
password = "secret"
reliable = "required"
session_expires_s = 0
follow_redirects = 2
rtcp_mux = true
large_over_tcp = false
dtmf = "info"

[users.bob]
password = "secret"

[lines.plain]
username = "1"
server = "192.0.2.1"

[lines.own]
username = "1"
server = "192.0.2.1"
session_expires_s = 0
reliable = "supported"
follow_redirects = 3
rtcp_mux = true
large_over_tcp = false
dtmf = "info"
"""


@pytest.fixture
def settings(tmp_path: Path) -> FileSettings:
    path = tmp_path / "pbx.toml"
    path.write_text(TOML)
    return load_file(path)


def line(settings: FileSettings, name: str) -> Line:
    made = LineSettings(name=name, **settings.lines[name].values(name, settings.server))
    return Line(made, "token", LineServer.__new__(LineServer), lambda: 0.0)


def test_a_line_has_its_own_or_the_servers(settings: FileSettings) -> None:
    plain, own = line(settings, "plain").party(), line(settings, "own").party()
    assert (plain.timers, plain.reliable, plain.follow_redirects) == (SessionTimes(600, 120), "never", 0)
    assert (own.timers, own.reliable, own.follow_redirects) == (SessionTimes(0, 120), "supported", 3)
    assert (plain.rtcp_mux, plain.large_over_tcp) == (False, True)
    assert (own.rtcp_mux, own.large_over_tcp, own.dtmf, plain.dtmf) == (True, False, "info", "auto")


def test_a_user_has_its_own_or_the_servers(settings: FileSettings) -> None:
    parties = {name: user.user(name, settings.server).party() for name, user in settings.users.items()}
    alice, bob = parties["alice"], parties["bob"]
    assert (alice.timers, alice.reliable, alice.follow_redirects) == (SessionTimes(0, 120), "required", 2)
    assert (alice.rtcp_mux, alice.large_over_tcp, alice.dtmf, bob.dtmf) == (True, False, "info", "auto")
    assert (bob.timers, bob.reliable, bob.follow_redirects) == (SessionTimes(600, 120), "never", 0)
    assert (bob.rtcp_mux, bob.large_over_tcp) == (False, True)


def test_a_user_that_an_older_server_stored_has_the_servers_times() -> None:
    user = User.with_password("bob", "secret", realm="x", stored=True)
    old = User.of_record(dataclasses.replace(user.record(), settings={}))
    assert old == user
    assert old.party().timers is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"session_expires_s": 89}, "session_expires_s: 90 to 86400 seconds, or 0 for no session timers"),
        ({"min_se_s": 89}, "min_se_s: Input should be greater than or equal to 90"),
        ({"srtp": "always"}, "srtp: Input should be 'never', 'offered' or 'required'"),
        ({"reliable": "always"}, "reliable: Input should be 'never', 'supported' or 'required'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(values: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        validated(ServerSettings, {"realm": "x", **values})
    assert str(error.value) == problem


@pytest.mark.parametrize(
    "values",
    [
        {"reliable": "perhaps"},
        {"session_expires_s": 89},
        {"min_se_s": 1},
        {"follow_redirects": 11},
        {"rtcp_mux": "x"},
        {"dtmf": "x"},
    ],
)
def test_a_users_setting_is_checked_too(values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as error:
        validated(UserOptions, {"password": "x", **values}, key="users.bob")
    assert error.value.key == f"users.bob.{next(iter(values))}"


def test_a_line_follows_a_few_targets_at_most() -> None:
    with pytest.raises(ConfigurationError, match="follow_redirects: 0 to 10 targets"):
        LineSettings(name="itsp", username="1", server="192.0.2.1", follow_redirects=11)
