"""What else trunks and their parties do: 3xx, 488, T.38, INFO, identity and privacy, several servers. SIPp insists on every message."""

from __future__ import annotations

import pytest
from peers import audio
from peers import sipp as sipp_driver
from peers.fixtures import MakeSipp, StartSite
from peers.mobile import NUMBER as MOBILE
from peers.pbx import ACCOUNT, REALM, password
from peers.scene import BOB_HZ, DOMAIN

from trunkline.events import AttemptFailed, CallSessionInfo
from trunkline.testing import Zone

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

OTHER = "15550002222"


@pytest.mark.parametrize(
    ("caller", "callee"), [("caller_faxes", "callee_faxed"), ("caller_informs", "callee_informed")]
)
def test_sipp_asks_inside_a_call_and_its_other_end_insists_on_it(site: StartSite, caller: str, callee: str) -> None:
    here = site()
    here.provider()
    alice, mobile = here.sipp(), here.handset()
    answering = mobile.start(callee, mobile.server, pause_ms=200)
    calling = alice.start(caller, here.pbx.at(alice.inside), dials=MOBILE, pause_ms=300, challenge=401)
    calling.wait_successful()
    answering.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"
    if callee == "callee_informed":
        told = here.pbx.wait_event(CallSessionInfo)
        assert (told.content_type, told.body.strip()) == ("application/x-lights", b"lamp=green")


def test_a_redirection_of_sipp_behind_kamailio_is_followed(site: StartSite) -> None:
    here = site()
    here.provider(follow_redirects=1)
    alice, mobile = here.sipp(), here.handset()
    answering = mobile.start("callee_redirects", mobile.server, calls=2, refers_to=OTHER)
    calling = alice.start("caller", here.pbx.at(alice.inside), dials=MOBILE, pause_ms=300, challenge=401)
    calling.wait_successful()
    answering.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"


def test_an_offer_that_sipp_refuses_with_488_is_met_with_g711_alone(site: StartSite) -> None:
    here = site()
    here.provider(codecs=["G722", "PCMU", "PCMA"])
    alice, mobile = here.sipp(), here.handset()
    answering = mobile.start("callee_picky", mobile.server, calls=2)
    calling = alice.start("caller", here.pbx.at(alice.inside), dials=MOBILE, pause_ms=300, challenge=401)
    calling.wait_successful()
    answering.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"


def test_sipp_as_the_provider_is_told_who_an_anonymous_caller_is(site: StartSite) -> None:
    here = site()
    alice, provider = here.sipp(), here.handset()
    here.pbx.add_line(
        provider.server, register=False, ping_interval_s=0, privacy=True, asserted_identity=True, caller_id=OTHER
    )
    answering = provider.start("callee_anonymous", provider.server, refers_to=f"({OTHER}|{ACCOUNT}|alice)")
    calling = alice.start("caller", here.pbx.at(alice.inside), dials=MOBILE, pause_ms=300, challenge=401)
    calling.wait_successful()
    invite = answering.wait_message("^INVITE (?:.*\n)+").group()
    answering.wait_successful()
    here.pbx.wait_idle()
    # only what is for the provider alone names anybody
    others = [line for line in invite.splitlines() if not line.startswith("P-Asserted-Identity")]
    assert not [line for line in others if "alice" in line or OTHER in line or ACCOUNT in line]


def test_of_two_servers_that_sipp_plays_the_second_is_called_when_the_first_is_overloaded(
    site: StartSite, sipp: MakeSipp
) -> None:
    zone = Zone()
    here = site(resolver=zone.resolver())
    first = here.handset()
    second = sipp(sipp_driver.Account(MOBILE, "unused", domain=DOMAIN), here.far, port=first.port + 1)
    second.media_port = first.media_port + 10  # SIPp takes four from there
    for priority, name, at in ((10, "first", first), (20, "second", second)):
        zone.add(f"_sip._udp.{DOMAIN}", "SRV", f"{priority} 0 {at.port} {name}.{DOMAIN}.")
        zone.add(f"{name}.{DOMAIN}", "A", at.address)
    here.pbx.add_line(DOMAIN, register=False, ping_interval_s=0)
    alice = here.sipp()
    refusing = first.start("callee_refuses", first.server, status=503, reason="Service Unavailable")
    answering = second.start("callee", second.server)
    calling = alice.start("caller", here.pbx.at(alice.inside), dials=MOBILE, pause_ms=300, challenge=401)
    calling.wait_successful()
    refusing.wait_successful()
    answering.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.wait_event(AttemptFailed, status=503).server.endswith(f"{first.address}:{first.port}")


def test_a_redirection_of_linphone_is_followed(site: StartSite) -> None:
    here = site(lambda call: call.accept(to_user="carol"))
    here.pbx.call(here.pbx.server.add_user, "carol", password=password("carol"), follow_redirects=1)
    alice, carol, bob = here.baresip(), here.linphone("carol"), here.baresip("bob", tone_hz=BOB_HZ)
    alice.dial("carol")
    carol.wait_incoming()
    carol.command(f"redirect 1 sip:bob@{REALM}")
    bob.wait_incoming()
    bob.answer()
    alice.wait_established()
    assert audio.measure(alice.wait_heard(0.4)).frequency_hz == pytest.approx(BOB_HZ, abs=10)
    alice.hangup()
    bob.wait_closed()
