"""A real phone transfers its call with REFER: the mobile goes on with the other phone, and the provider sees no REFER."""

from __future__ import annotations

import pytest
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.pbx import REALM
from peers.scene import PHONE_HZ

from trunkline.events import TransferAccepted, TransferFailed

pytestmark = [pytest.mark.interop, pytest.mark.timeout(40)]


def test_linphone_transfers_the_mobile_to_baresip(site: StartSite) -> None:
    here = site()
    mobile = here.mobile()
    alice, bob = here.linphone("alice"), here.baresip("bob")
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    alice.transfer(f"sip:bob@{REALM}")
    bob.wait_incoming()
    bob.answer()
    here.pbx.wait_event(TransferAccepted)
    alice.wait_closed()
    assert mobile.wait_tone(0.4).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    bob.hangup()
    mobile.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"


def test_a_transfer_of_linphone_that_is_refused_leaves_the_call(site: StartSite) -> None:
    here = site()
    mobile = here.mobile()
    alice = here.linphone("alice")
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    alice.transfer(f"sip:nobody@{REALM}")
    here.pbx.wait_event(TransferFailed)
    mobile.hangup()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"
