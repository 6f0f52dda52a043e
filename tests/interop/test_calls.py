"""Both calls of the tutorial with real programs at each end: a phone dials a mobile through the line, a mobile rings a phone.

Each test checks what the application was told, in order, and what each end heard: frequency, level, purity and gaps.
"""

from __future__ import annotations

import pytest
from peers import audio
from peers.fixtures import MakeSipp, StartSite
from peers.mobile import NUMBER as MOBILE
from peers.party import Party, SippParty
from peers.pbx import ACCOUNT, ACCOUNT_PASSWORD
from peers.process import wait_until
from peers.scene import DOMAIN, MOBILE_HZ, Scene
from peers.sipp import Account, Sipp

from trunkline.constants import Transport
from trunkline.events import IncomingCall

pytestmark = [pytest.mark.interop, pytest.mark.timeout(20)]

LISTEN_S = 0.8

DIALLED_OUT = [
    "created",
    "incoming_call",
    "connecting one 180",
    "connected",
    "hangup zero",
    "closed hangup",
]
CALLED_IN = [*DIALLED_OUT[:4], "hangup one", "closed hangup"]
PAIRS = [
    ("baresip", "kit"),
    ("linphone", "kit"),
    ("sipp", "kit"),
    ("baresip", "linphone"),
    ("linphone", "sipp"),
    ("sipp", "baresip"),
]
SECOND = "15555678"
PHONES = ["baresip", "linphone", "sipp"]


def assert_heard(party: Party, other: Party) -> None:
    """A party hears the other's tone at -10 dB, and nothing is missing."""
    tone = party.wait_tone(LISTEN_S)
    assert tone.frequency_hz == pytest.approx(other.tone_hz, abs=10)
    assert -15 < tone.level_dbfs < -8.5
    assert tone.purity > 0.9
    assert sum(tone.gaps_ms) <= party.gap_ms


def dial_out(site: Scene, alice: Party, mobile: Party) -> None:
    """Alice dials the mobile, both hear each other, alice hangs up."""
    mobile.expect()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    site.pbx.wait_told("connecting one 180")
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    talk_and_end(site, alice, mobile)
    assert site.pbx.story() == DIALLED_OUT


def call_in(site: Scene, alice: Party, mobile: Party, dialled: str = ACCOUNT) -> None:
    """The mobile dials the line's number, alice answers, both hear each other, alice hangs up."""
    alice.expect()
    mobile.dial(dialled)
    alice.wait_incoming()
    alice.answer()
    mobile.wait_established()
    alice.wait_established()
    talk_and_end(site, alice, mobile)
    assert site.pbx.story() == CALLED_IN


def talk_and_end(site: Scene, alice: Party, mobile: Party) -> None:
    assert_heard(alice, mobile)
    assert_heard(mobile, alice)
    alice.hangup()
    mobile.wait_closed()
    alice.wait_closed()
    site.pbx.wait_idle()


@pytest.mark.parametrize(("near", "far"), PAIRS)
def test_a_phone_dials_a_mobile_through_the_line(site: StartSite, near: str, far: str) -> None:
    here = site()
    far_end = here.far_end(far)
    dial_out(here, here.phone(near), far_end)


@pytest.mark.parametrize(("near", "far"), PAIRS)
def test_a_mobile_calls_in_through_the_line_and_the_phone_rings(site: StartSite, near: str, far: str) -> None:
    here = site()
    far_end = here.far_end(far)
    call_in(here, here.phone(near), far_end)


@pytest.mark.parametrize("near", PHONES)
def test_a_phone_registered_over_tcp_calls_and_is_called(site: StartSite, near: str) -> None:
    here = site()
    mobile, alice = here.far_end("kit"), here.phone(near, transport="tcp")
    dial_out(here, alice, mobile)
    call_in(here, alice, mobile)


def test_a_line_over_tcp_carries_both_calls(site: StartSite) -> None:
    here = site()
    mobile, alice = here.far_end("kit", transport=Transport.TCP), here.phone("baresip")
    dial_out(here, alice, mobile)
    call_in(here, alice, mobile)


@pytest.mark.parametrize("token_in", ["user", "parameter"])
def test_two_lines_at_one_provider_get_their_own_calls(site: StartSite, token_in: str) -> None:
    here = site()
    mobile = here.mobile({SECOND: "second-secret"}, token_in=token_in)
    assert mobile.network is not None
    second = {"username": SECOND, "password": "second-secret", "token_in": token_in}
    line = here.pbx.add_line(f"{mobile.network[0]}:5060", "second", **second)
    wait_until(lambda: line.registered, 5.0, "the second line registers")
    for number in (ACCOUNT, SECOND, ACCOUNT):
        mobile.dial(number)
        # alice has no phone
        assert mobile.wait_closed().status == 480
    came = [event for event in here.pbx.events if isinstance(event, IncomingCall)]
    assert [event.from_peer_name for event in came] == ["itsp", "second", "itsp"]
    assert [event.dial_number for event in came] == [ACCOUNT, SECOND, ACCOUNT]


# -- SIPp as the provider of one account


@pytest.mark.parametrize("near", PHONES)
def test_both_calls_pass_a_provider_that_sipp_plays(site: StartSite, sipp: MakeSipp, near: str) -> None:
    here = site()
    itsp = sipp(Account(ACCOUNT, ACCOUNT_PASSWORD, domain=DOMAIN), here.far)
    token = register_line(here, itsp)
    alice = here.phone(near)
    dial_out(here, alice, provider_party(here, itsp))
    # The provider may call the Contact that was registered, or the account's number.
    call_in(here, alice, provider_party(here, itsp), dialled=token)
    call_in(here, alice, provider_party(here, itsp), dialled=ACCOUNT)
    leaving = itsp.start("registrar", itsp.server, expires_s=0)
    assert here.pbx.run(here.pbx.server.unregister_line("itsp"))
    leaving.wait_successful()


def register_line(site: Scene, itsp: Sipp) -> str:
    """Register the line at SIPp and return the user part of its Contact."""
    registrar = itsp.start("registrar", itsp.server, expires_s=1800)
    site.pbx.add_line(itsp.server)
    contact = registrar.wait_message(r"^Contact: <sip:([^@>]+)@")
    registrar.wait_successful()
    site.pbx.wait_line()
    return contact.group(1)


def provider_party(site: Scene, itsp: Sipp) -> SippParty:
    tone = audio.write_tone_mulaw(itsp.folder.parent / "itsp.ulaw", MOBILE_HZ, 1.0)
    pbx, traffic = site.pbx.at(site.far), site.capture(site.far)
    scenarios = {"dials": "mobile_caller_hung_up_on", "answers": "provider"}
    return SippParty(itsp, traffic, pbx, tone, MOBILE_HZ, **scenarios)
