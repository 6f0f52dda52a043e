"""`trunkline check --live` at a real registrar: the password is proven, and the registration that stands is left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from peers.fixtures import StartSite
from peers.pbx import ACCOUNT, ACCOUNT_PASSWORD
from peers.scene import Scene

from trunkline.cli import commands

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

FILE = """
[server]
realm = "pbx.example"
listen = ["udp://{host}:0", "tcp://{host}:0"]
media_ports = [2000, 2003]

[lines.itsp]
username = "{account}"
password = "{password}"
server = "{provider}"
domain = "itsp.example"
transport = "{transport}"
"""


def check_live(here: Scene, folder: Path, provider: str, **line: str) -> Result:
    values = {"account": ACCOUNT, "password": ACCOUNT_PASSWORD, "transport": "udp", **line}
    path = folder / "pbx.toml"
    path.write_text(FILE.format(host=here.far.host_address, provider=provider, **values))
    return CliRunner().invoke(commands, ["check", "--live", str(path)])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_kamailio_proves_the_password_and_keeps_its_contacts(site: StartSite, tmp_path: Path, transport: str) -> None:
    here = site()
    provider = here.provider()
    before = provider.wait_registered(ACCOUNT)
    result = check_live(here, tmp_path, provider.server, transport=transport)
    assert f"takes the password of {ACCOUNT}@itsp.example" in result.output
    assert "✗" not in result.output
    assert [contact.uri for contact in provider.contacts(ACCOUNT)] == [before.uri]


@pytest.mark.parametrize("wrong", [{"password": "guess"}, {"account": "nobody"}])
def test_kamailio_refuses_what_is_wrong(site: StartSite, tmp_path: Path, wrong: dict[str, str]) -> None:
    here = site()
    result = check_live(here, tmp_path, here.provider().server, **wrong)
    assert result.exit_code == 2
    problem = "the provider does not take the user name or password of"
    assert f"✗ line itsp: {problem} {wrong.get('account', ACCOUNT)}@itsp.example" in result.output
