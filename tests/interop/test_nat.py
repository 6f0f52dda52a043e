"""A phone behind a NAT that rewrites source ports: it is called over the flow that it opened, which is kept open."""

from __future__ import annotations

import pytest
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.party import SippParty
from peers.pbx import ACCOUNT
from peers.process import wait_until
from peers.scene import MOBILE_HZ, PHONE_HZ

from trunkline.server import registrar

pytestmark = [pytest.mark.interop, pytest.mark.timeout(20)]

IDLE_S = 2
KEEP_ALIVE_S = 0.5
KEEP_ALIVES = 8
"""Together they last twice as long as the NAT remembers."""


@pytest.mark.parametrize("near", ["baresip", "linphone", "sipp"])
def test_a_phone_behind_a_nat_is_called_after_a_silence_and_heard(
    site: StartSite, monkeypatch: pytest.MonkeyPatch, near: str
) -> None:
    monkeypatch.setattr(registrar, "KEEP_ALIVE_S", KEEP_ALIVE_S)
    here = site()
    inside = here.namespace(nat=True, nat_idle_s=IDLE_S)
    traffic = here.capture(inside)
    mobile, alice = here.mobile(), here.phone(near, inside=inside)
    (binding,) = here.pbx.server.registrations("alice")
    assert binding.nat
    assert binding.flow.remote[0] == inside.public_address
    assert binding.flow.remote[1] != 5060, "the NAT did not rewrite the port"

    def kept_open() -> bool:
        small = [one for one in traffic.datagrams() if one.target == (inside.address, 5060) and len(one.payload) <= 4]
        return len(small) >= KEEP_ALIVES

    wait_until(kept_open, 10.0, "keep-alives to the phone")
    alice.expect()
    mobile.dial(ACCOUNT)
    alice.wait_incoming()
    alice.answer()
    mobile.wait_established()
    alice.wait_established()
    assert alice.wait_tone(0.5).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    assert mobile.wait_tone(0.5).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    alice.hangup()
    mobile.wait_closed()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-2:] == ["hangup one", "closed hangup"]


@pytest.mark.parametrize("near", ["baresip", "linphone", "sipp"])
def test_a_phone_behind_a_nat_calls_and_is_hung_up_on(site: StartSite, near: str) -> None:
    here = site()
    inside = here.namespace(nat=True)
    mobile, alice = here.mobile(), here.phone(near, inside=inside)
    if isinstance(alice, SippParty):
        alice.calls_with("caller_hung_up_on")
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    assert alice.wait_tone(0.5).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    assert mobile.wait_tone(0.5).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    mobile.hangup()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-2:] == ["hangup one", "closed hangup"]
