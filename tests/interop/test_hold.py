"""Hold and resume from either side, by every phone, through a line: who hears whom, and how each offer is answered.

Also digits (RFC 4733) through the relay, in both directions.
"""

from __future__ import annotations

import re

import pytest
from peers import audio
from peers.baresip import Baresip
from peers.fixtures import StartSite
from peers.linphone import Linphone
from peers.mobile import NUMBER as MOBILE
from peers.mobile import Mobile
from peers.pbx import password
from peers.scene import MOBILE_HZ, PHONE_HZ, Scene
from peers.sipp import HOLDS

from trunkline.events import CallSessionInfo

pytestmark = [pytest.mark.interop, pytest.mark.timeout(20)]

TALKERS = ["baresip", "linphone"]


def talk(here: Scene, near: str) -> tuple[Baresip | Linphone, Mobile]:
    """Alice has dialled the mobile, and both hear each other."""
    mobile = here.mobile()
    alice: Baresip | Linphone = here.baresip() if near == "baresip" else here.linphone()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    here.pbx.wait_told("connecting one 180")
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    alice.wait_heard(0.3)
    hears(mobile)
    return alice, mobile


def hears(mobile: Mobile, frequency_hz: float = PHONE_HZ) -> None:
    assert mobile.wait_tone(0.4).frequency_hz == pytest.approx(frequency_hz, abs=10)


def end(here: Scene, alice: Baresip | Linphone, mobile: Mobile) -> None:
    alice.hangup()
    mobile.wait_closed()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-2:] == ["hangup zero", "closed hangup"]


@pytest.mark.parametrize("near", TALKERS)
def test_a_phone_that_holds_hears_nothing_until_it_resumes(site: StartSite, near: str) -> None:
    here = site()
    alice, mobile = talk(here, near)
    traffic = here.capture(alice.inside)
    alice.hold()
    traffic.wait_silent(alice.inside.address, 0.5)
    assert mobile.current.remote_holds == ["sendonly"]
    alice.resume()
    heard = traffic.wait_heard(traffic.wait_target(alice.inside.address), 0.5)
    assert audio.measure(heard).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    assert mobile.current.remote_holds == ["sendonly", "sendrecv"]
    hears(mobile)
    end(here, alice, mobile)


@pytest.mark.parametrize("near", TALKERS)
def test_a_mobile_that_holds_is_sent_nothing_until_it_resumes(site: StartSite, near: str) -> None:
    here = site()
    alice, mobile = talk(here, near)
    traffic = here.capture(alice.inside)
    mobile.hold()
    traffic.wait_sip(r"^INVITE (?:.*\n)+a=sendonly$", to=alice.inside.address)
    traffic.wait_sip(r"^SIP/2.0 200 (?:.*\n)+a=recvonly$", to=alice.inside.host_address)
    mobile.wait_silent()
    mobile.resume()
    traffic.wait_sip(r"a=sendonly(?:.*\n)+INVITE (?:.*\n)+a=sendrecv$", to=alice.inside.address)
    hears(mobile)
    end(here, alice, mobile)


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize(("caller", "callee"), [("caller_holds", "callee_held"), ("caller_held", "callee_holds")])
def test_sipp_holds_and_resumes_and_insists_on_the_directions(
    site: StartSite, caller: str, callee: str, hold: str
) -> None:
    here = site()
    here.provider()
    alice, mobile = here.sipp(), here.handset()
    answering = mobile.start(callee, mobile.server, pause_ms=200, hold=hold)
    calling = alice.start(caller, here.pbx.at(alice.inside), dials=MOBILE, pause_ms=200, challenge=401, hold=hold)
    calling.wait_successful()
    answering.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"


# -- digits


@pytest.mark.parametrize("near", TALKERS)
def test_digits_of_a_phone_reach_the_mobile_once_each(site: StartSite, near: str) -> None:
    here = site()
    alice, mobile = talk(here, near)
    alice.dtmf("159")
    assert mobile.wait_digits("159") == "159"
    end(here, alice, mobile)


def test_digits_of_the_mobile_reach_a_phone_once_each(site: StartSite) -> None:
    here = site()
    alice, mobile = talk(here, "linphone")
    assert isinstance(alice, Linphone)
    mobile.dtmf("70#")
    assert [alice.wait_digit() for _ in range(3)] == ["7", "0", "#"]
    end(here, alice, mobile)


@pytest.mark.parametrize("way", ["info", "rfc4733"])
def test_digits_of_linphone_by_info_are_told_and_reach_another_linphone(site: StartSite, way: str) -> None:
    here = site(lambda call: call.accept(to_user=call.dial_number))
    here.pbx.call(here.pbx.server.add_user, "carol", password=password("carol"), dtmf=way)
    alice = here.linphone(sip={"use_info": 1, "use_rfc2833": 0})
    carol = here.linphone("carol")
    alice.dial("carol")
    carol.wait_incoming()
    carol.answer()
    alice.wait_established()
    alice.dtmf("4")
    told = here.pbx.wait_event(CallSessionInfo)
    assert told.content_type == "application/dtmf-relay"
    assert re.search(rb"^Signal= ?4\r$", told.body, re.MULTILINE)
    assert carol.wait_digit() == "4"
    alice.hangup()
    carol.wait_closed()


def test_digits_of_a_phone_reach_another_phone(site: StartSite) -> None:
    here = site(lambda call: call.accept(to_user=call.dial_number))
    alice, bob = here.baresip(), here.linphone("bob")
    alice.dial("bob")
    bob.wait_incoming()
    bob.answer()
    alice.wait_established()
    alice.dtmf("4")
    assert bob.wait_digit() == "4"
    alice.hangup()
    bob.wait_closed()
