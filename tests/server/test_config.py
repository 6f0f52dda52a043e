from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.constants import Transport
from trunkline.errors import ConfigurationError
from trunkline.server.config import ServerSettings, load_file, parse_listen, problems_in, validated
from trunkline.server.line_settings import LineSettings
from trunkline.server.numbers import NumberRule
from trunkline.server.server import SipServer

GOOD = """
[server]
realm = "pbx.example"

[users.alice]
password = "secret of alice"

[lines.itsp]
username = "15551234567"
password = "secret of the line"
server = "sip.itsp.example"

[[routes]]
from = "users"
to_line = "itsp"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pbx.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    return [str(problem) for problem in problems_in(write(tmp_path, text))]


def test_a_good_file_has_its_users_lines_and_routes(tmp_path: Path) -> None:
    settings = load_file(write(tmp_path, GOOD))
    assert settings.server.realm == "pbx.example"
    assert settings.users["alice"].arguments() == {"password": "secret of alice"}
    assert settings.lines["itsp"].arguments()["server"] == "sip.itsp.example"
    assert settings.routes[0].to_line == "itsp"


def test_what_keeps_a_line_alive_is_set_in_a_file_as_in_code(tmp_path: Path) -> None:
    options = (
        'ping_interval_s = 60\nping_down_after = 2\noutbound = true\ntransport = "tcp"\naccept_from = ["anywhere"]'
    )
    settings = load_file(write(tmp_path, GOOD.replace("[[routes]]", f"{options}\n[[routes]]")))
    values = settings.lines["itsp"].values("itsp", settings.server)
    line = LineSettings(name="itsp", **values)
    assert (line.ping_interval_s, line.ping_down_after, line.ping_up_after) == (60.0, 2, 2)
    assert (line.outbound, line.transport, line.catches_all) == (True, Transport.TCP, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[server]\nrealm = "x"\nlistn = []', "server.listn: unknown key; did you mean listen?"),
        ('[server]\nrealm = "x"\n[users.bob]\npasword = "x"', "users.bob.pasword: unknown key; did you mean password?"),
        ('[server]\nlisten = ["udp://127.0.0.1:5060"]', "server.realm: is missing"),
        (
            '[server]\nrealm = "x"\nlisten = ["127.0.0.1:5060"]',
            "server.listen.1: '127.0.0.1:5060' needs a transport in front",
        ),
        ('[server]\nrealm = "x"\ncodecs = ["mp3"]', "server.codecs: unknown codec 'mp3'; known are PCMU"),
        (
            '[server]\nrealm = "x"\nmedia_ports = [2000, 2001]',
            "server.media_ports: the last port must lie at least 3 above",
        ),
        (
            '[server]\nrealm = "x"\nregistration_expiry_s = [60, 30, 90]',
            "server.registration_expiry_s: the three values",
        ),
        ('[server]\nrealm = "x"\n[lines.a]\nusername = "1"', "lines.a.server: is missing"),
        (
            '[server]\nrealm = "x"\n[lines.a]\nusername = "1"\nserver = "x"\nping_interval_s = 1',
            "lines.a.ping_interval_s: 2 to 3600 seconds are sensible",
        ),
        ('[server]\nrealm = "x"\n[[routes]]\nto_user = "nobody"', "routes.1.to_user: there is no user nobody"),
        ('[server]\nrealm = "x"\n[[routes]]\nnumber = "1"', "routes.1: needs exactly one of to_user, to_line and to"),
        (
            '[server]\nrealm = "x"\n[users.a]\npassword="p"\n[[routes]]\nto_user = "a"\nnumber = "("',
            "routes.1.number: is no regular",
        ),
        (
            '[server]\nrealm = "x"\nadvertise = {"10.0.0.1" = "pbx.example"}',
            "server.advertise: 'pbx.example' is no address",
        ),
        (
            '[server]\nrealm = "x"\nadvertise = {"10.0.0.1" = "2001:db8::1"}',
            "server.advertise: 10.0.0.1 and 2001:db8::1",
        ),
        ('[server]\nrealm = "x"\n[users."a b"]\npassword = "p"', "users.a b: a name is printable text"),
        ('[server]\nrealm = "x"\n[lines.a]\nusername="1"\nserver="a b"', "lines.a.server: a name or address"),
        ('[server]\nrealm = "x"\nmedia_address = "0.0.0.0"', "server.media_address: '0.0.0.0' is no address of this"),
        ('[server]\nrealm = "x"\n[users.a]\npassword = "p"\nnumbers = ["1 2"]', "users.a.numbers.1: "),
        (
            '[server]\nrealm = "x"\nregistration_expiry_s = [0, 0, 90]',
            "server.registration_expiry_s: a registration lasts",
        ),
        ("[server", "is no valid TOML"),
    ],
)
def test_a_problem_names_its_key_and_what_would_be_right(tmp_path: Path, text: str, problem: str) -> None:
    found = problems(tmp_path, text)
    assert any(problem in each for each in found), found


def test_every_problem_is_told_and_none_shows_a_secret(tmp_path: Path) -> None:
    found = problems(tmp_path, '[server]\nrealm = 5\nfoo = 1\n[users.a]\npassword = ["hunter2"]')
    assert len(found) == 3
    assert "hunter2" not in " ".join(found)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (problem,) = problems_in(tmp_path / "none.toml")
    assert str(problem).endswith("cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("in_file", "variable", "name"),
    [
        ("Alice", "ALICE", "Alice"),
        ("Alice", "alice", "Alice"),
        ("alice", "ALICE", "alice"),
        ("other", "Alice", "Alice"),
        ("other", "ALICE", "alice"),
    ],
)
def test_a_name_in_the_environment_is_spelled_as_in_the_file_or_as_the_variable_has_it(
    in_file: str, variable: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"TRUNKLINE_USERS__{variable}__PASSWORD", "from outside")
    path = tmp_path / "names.toml"
    path.write_text(f'[server]\nrealm = "pbx.example"\n[users.{in_file}]\npassword = "x"\n')
    users = load_file(path).users
    assert set(users) == {in_file, name}
    assert users[name].password.get_secret_value() == "from outside"


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_USERS__ALICE__PASSWORD", "from outside")
    settings = load_file(write(tmp_path, GOOD))
    assert settings.users["alice"].arguments()["password"] == "from outside"


def test_options_in_code_are_checked_by_the_same_rules() -> None:
    with pytest.raises(ConfigurationError, match="media_prts: unknown key; did you mean media_ports"):
        SipServer(realm="pbx.example", media_prts=(1, 2))
    server = SipServer(realm="pbx.example")
    with pytest.raises(ConfigurationError, match=r"users\.alice\.max_contacts: "):
        server.add_user("alice", password="x", max_contacts=0)
    with pytest.raises(ConfigurationError, match=r"lines\.itsp\.server: is missing"):
        server.add_line("itsp", username="1")


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    shown = repr(load_file(write(tmp_path, GOOD)))
    assert "alice" in shown
    assert "secret of" not in shown


def test_settings_without_listen_listen_on_the_sip_port() -> None:
    settings = validated(ServerSettings, {"realm": "x"})
    assert [parse_listen(url) for url in settings.listen] == [("udp", "0.0.0.0", 5060)]


def test_a_listening_url_may_be_ipv6() -> None:
    assert parse_listen("tcp://[::1]:5070") == ("tcp", "::1", 5070)


RULES = """
dialled_out = [{ prefix = "0", strip = 1, prepend = "+49" }, { format = "plus" }]
country = "DE"
headers_passed = ["User-to-User"]
"""


def test_number_rules_are_read_from_a_file_as_from_code(tmp_path: Path) -> None:
    text = GOOD.replace("[[routes]]", RULES + "\n[[routes]]")
    options = load_file(write(tmp_path, text)).lines["itsp"]
    server = ServerSettings(realm="pbx.example")
    rules = (NumberRule(prefix="0", strip=1, prepend="+49"), NumberRule(format="plus"))
    assert LineSettings("itsp", **options.values("itsp", server)).dialled_out == rules
    in_code = SipServer(realm="pbx.example")
    in_code.add_line("itsp", **options.arguments())
    in_code.add_line("rules", username="u", server="s.example", dialled_out=rules)
    assert [line.dialled_out for line in in_code._configured_lines.values()] == [rules, rules]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{ strp = 1 }", "lines.itsp.dialled_out.1.strp: unknown key; did you mean strip?"),
        ('{ pattern = "(a+)+" }', "lines.itsp.dialled_out.1: pattern: only characters"),
        ('{ format = "german" }', "lines.itsp.dialled_out.1.format: "),
    ],
)
def test_a_wrong_number_rule_in_a_file_is_named(tmp_path: Path, rule: str, problem: str) -> None:
    (found,) = problems(tmp_path, GOOD.replace("[[routes]]", f"dialled_out = [{rule}]\n\n[[routes]]"))
    assert found.startswith(problem)
