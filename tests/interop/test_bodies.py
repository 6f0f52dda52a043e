"""Bodies of several parts (RFC 5621): SIPp behind Kamailio offers and answers with a description beside a part that nobody here knows."""

from __future__ import annotations

import pytest
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.party import Party, SippParty
from peers.pbx import ACCOUNT
from peers.scene import MOBILE_HZ, PHONE_HZ, Scene

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

LISTEN_S = 0.4


def mobile_with_notes(here: Scene) -> SippParty:
    mobile = here.far_end("sipp")
    assert isinstance(mobile, SippParty)
    mobile.calls_with("mobile_caller_multipart")
    mobile.answers_with("callee_multipart")
    return mobile


def talk_and_hang_up(here: Scene, alice: Party, mobile: SippParty) -> None:
    alice.wait_established()
    mobile.wait_established()
    assert alice.wait_tone(LISTEN_S).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    assert mobile.wait_tone(LISTEN_S).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    alice.hangup()
    mobile.wait_closed()
    here.pbx.wait_idle()


def test_an_offer_beside_another_part_is_taken(site: StartSite) -> None:
    here = site()
    mobile, alice = mobile_with_notes(here), here.phone("baresip")
    mobile.dial(ACCOUNT)
    alice.wait_incoming()
    alice.answer()
    talk_and_hang_up(here, alice, mobile)


def test_an_answer_beside_another_part_is_taken(site: StartSite) -> None:
    here = site()
    mobile, alice = mobile_with_notes(here), here.phone("baresip")
    mobile.expect()
    alice.dial(MOBILE)
    talk_and_hang_up(here, alice, mobile)


def test_a_part_that_has_to_be_understood_and_is_not_refuses_the_call(site: StartSite) -> None:
    here = site()
    provider, mobile = here.provider(), here.handset()
    mobile.run("mobile_caller_multipart_refused", provider.mobile_server, dials=ACCOUNT, handling="required")
    assert here.pbx.story() == []
