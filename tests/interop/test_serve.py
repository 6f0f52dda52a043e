"""`trunkline serve` with a TOML file, as a person runs it: a phone registers and calls; SIGTERM ends all of it properly."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from peers import baresip
from peers.fixtures import MakeNamespace, StartBaresip, StartMobile, StartProvider
from peers.kamailio import ProviderSettings
from peers.mobile import NUMBER as MOBILE
from peers.pbx import ACCOUNT, ACCOUNT_PASSWORD, REALM
from peers.process import Program
from peers.scene import MOBILE_HZ, PHONE_HZ

pytestmark = [pytest.mark.interop, pytest.mark.timeout(20)]

FILE = """
[server]
realm = "{realm}"
listen = ["udp://{near}:5060", "udp://{far}:5060"]
storage = "{folder}/trunkline.db"

[users.alice]
password = "alice-secret"

[lines.itsp]
username = "{account}"
password = "{password}"
server = "{provider}"
domain = "itsp.example"

[[routes]]
from = "users"
number = '[+0-9]{{5,}}'
to_line = "itsp"

[[routes]]
from = "lines"
to_user = "alice"
"""
TRUNKLINE = Path(sys.executable).parent / "trunkline"


def test_serve_registers_calls_and_says_goodbye(
    netns: MakeNamespace, kamailio: StartProvider, mobile: StartMobile, baresip: StartBaresip, tmp_path: Path
) -> None:
    near, far = netns(), netns(forwards=True)
    handset = mobile(far, MOBILE_HZ)
    provider = kamailio(ProviderSettings({ACCOUNT: ACCOUNT_PASSWORD}, next_hop=handset.uri), far)
    path = tmp_path / "pbx.toml"
    path.write_text(
        FILE.format(
            realm=REALM,
            near=near.host_address,
            far=far.host_address,
            folder=tmp_path,
            account=ACCOUNT,
            password=ACCOUNT_PASSWORD,
            provider=provider.server,
        )
    )
    serve = Program([str(TRUNKLINE), "serve", str(path)], tmp_path / "serve.log", name="trunkline serve")
    try:
        provider.wait_registered(ACCOUNT)
        phone = baresip(account(f"{near.host_address}:5060"), PHONE_HZ, near)
        phone.wait_registered()
        phone.dial(MOBILE)
        handset.wait_incoming()
        handset.answer()
        phone.wait_established()
        handset.wait_established()
        phone.wait_heard(0.3)
        assert handset.wait_tone(0.4).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
        assert serve.stop() == 0
        assert handset.wait_closed().how == "bye"
        phone.wait_closed()
        phone.program.stop(with_signal=signal.SIGKILL)  # it would wait for an answer to its farewell
        assert provider.contacts(ACCOUNT) == []
        assert "ERROR" not in serve.output()
        assert "Traceback" not in serve.output()
    finally:
        serve.stop()


def account(at: str) -> baresip.Account:
    return baresip.Account("alice", "alice-secret", at, domain=REALM)
