"""SRTP with baresip and linphonec, both directions.

Their keys are offered and insisted on, plain at the provider and the other way round, held and resumed.
"""

from __future__ import annotations

import re

import pytest
from peers import audio
from peers.baresip import Baresip
from peers.capture import Capture
from peers.fixtures import StartSite
from peers.linphone import Linphone
from peers.mobile import NUMBER as MOBILE
from peers.mobile import Mobile
from peers.pbx import ACCOUNT
from peers.scene import MOBILE_HZ, PHONE_HZ, Scene

from _trunkline import SrtpKeys
from trunkline.calls.session import CallSession
from trunkline.sip.capabilities import Srtp

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

LISTEN_S = 0.6
AGREED = "AES_256_CM_HMAC_SHA1_80"
"""The strongest suite that linphonec and we have."""
UNDECIPHERED = "failed to decrypt RTP packet"


def talk(here: Scene, alice: Baresip | Linphone, mobile: Mobile, *, inwards: bool) -> CallSession:
    """One calls the other through the line, and both hear each other."""
    if inwards:
        mobile.dial(ACCOUNT)
        alice.wait_incoming()
        alice.answer()
    else:
        alice.dial(MOBILE)
        mobile.wait_incoming()
        mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    hear_each_other(alice, mobile)
    call: CallSession = here.pbx.call(lambda: here.pbx.server.calls[0])
    return call


def hear_each_other(alice: Baresip | Linphone, mobile: Mobile) -> None:
    assert audio.measure(alice.wait_heard(LISTEN_S)).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    assert mobile.wait_tone(LISTEN_S).frequency_hz == pytest.approx(PHONE_HZ, abs=10)


def hear_more(here: Scene, alice: Baresip, mobile: Mobile) -> None:
    """Both still hear each other. After a re-INVITE baresip 1.0.0 records no more: it says what it cannot decrypt."""
    mobile.wait_tone(LISTEN_S)
    undeciphered, sent = alice.program.output().count(UNDECIPHERED), packets_sent(here)
    assert mobile.wait_tone(LISTEN_S).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    assert alice.program.output().count(UNDECIPHERED) == undeciphered
    assert packets_sent(here) > sent + 20


def packets_sent(here: Scene) -> int:
    """What has gone to alice's phone."""

    def count() -> int:
        leg = here.pbx.server.calls[0].zero.leg
        counts = leg.statistics if leg is not None else None
        return counts.packets_sent if counts is not None else 0

    sent: int = here.pbx.call(count)
    return sent


def is_noise(traffic: Capture, alice: Baresip | Linphone) -> bool:
    """Whether what goes to the phone is no tone to who reads it on the way."""
    heard = traffic.wait_heard(traffic.wait_target(alice.inside.address), LISTEN_S)
    return audio.measure(heard).purity < 0.5


def end(here: Scene, alice: Baresip | Linphone, mobile: Mobile) -> None:
    alice.hangup()
    mobile.wait_closed()
    alice.wait_closed()
    here.pbx.wait_idle()


@pytest.mark.parametrize("inwards", [False, True], ids=["dials", "is called"])
@pytest.mark.parametrize("far", ["never", "required"])
@pytest.mark.parametrize("mediaenc", ["srtp", "srtp-mand"])
def test_a_phone_with_srtp_talks_to_a_mobile_with_and_without(
    site: StartSite, mediaenc: str, far: Srtp, *, inwards: bool
) -> None:
    here = site(srtp="required", srtp_in_clear=True)
    mobile = here.mobile(srtp=far)
    mobile.agent.srtp = far
    alice = here.baresip(mediaenc=mediaenc)
    traffic = here.capture(alice.inside)
    call = talk(here, alice, mobile, inwards=inwards)
    phone, line = (call.one, call.zero) if inwards else (call.zero, call.one)
    assert phone is not None
    assert line is not None
    assert phone.encrypted
    assert line.encrypted is (far == "required")
    assert is_noise(traffic, alice)
    end(here, alice, mobile)


@pytest.mark.parametrize("inwards", [False, True], ids=["dials", "is called"])
def test_a_phone_without_srtp_talks_over_a_line_that_requires_it(site: StartSite, *, inwards: bool) -> None:
    here = site(srtp_in_clear=True)
    mobile = here.mobile(srtp="required")
    mobile.agent.srtp = "required"
    alice = here.baresip()
    call = talk(here, alice, mobile, inwards=inwards)
    assert sorted(side.encrypted for side in (call.zero, call.one) if side is not None) == [False, True]
    end(here, alice, mobile)


def test_what_is_offered_is_plain_to_a_phone_that_knows_no_srtp(site: StartSite) -> None:
    here = site(srtp="offered", srtp_in_clear=True)
    mobile = here.mobile(srtp="never")
    alice = here.baresip()
    call = talk(here, alice, mobile, inwards=True)
    assert call.one is not None
    assert not call.one.encrypted
    end(here, alice, mobile)


def test_hold_and_resume_go_on_with_the_keys(site: StartSite) -> None:
    here = site(srtp="required", srtp_in_clear=True)
    mobile = here.mobile(srtp="never")
    alice = here.baresip(mediaenc="srtp-mand")
    call = talk(here, alice, mobile, inwards=False)

    def keys() -> SrtpKeys | None:
        plan = call.zero.plan
        return plan.keys if plan is not None else None

    before = here.pbx.call(keys)
    alice.hold()
    alice.resume()
    hear_more(here, alice, mobile)
    assert here.pbx.call(keys) == before
    assert is_noise(here.capture(alice.inside), alice)
    end(here, alice, mobile)


@pytest.mark.parametrize("inwards", [False, True], ids=["dials", "is called"])
def test_linphone_with_srtp_talks_and_goes_on_with_its_keys_after_a_hold(site: StartSite, *, inwards: bool) -> None:
    here = site(srtp="required", srtp_in_clear=True)
    mobile = here.mobile(srtp="never")
    alice = here.linphone(sip={"media_encryption": "srtp", "media_encryption_mandatory": 1})
    traffic = here.capture(alice.inside)
    call = talk(here, alice, mobile, inwards=inwards)
    phone = call.one if inwards else call.zero
    assert phone is not None
    assert phone.encrypted
    assert is_noise(traffic, alice)
    alice.hold()
    alice.resume()
    mobile.wait_tone(LISTEN_S)
    assert mobile.wait_tone(LISTEN_S).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    heard_s = alice.heard().sounding().duration_s
    heard = alice.wait_heard(heard_s + LISTEN_S)
    last = heard.between(heard.duration_s - LISTEN_S, heard.duration_s)
    assert audio.measure(last).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    for to in (alice.inside.address, alice.inside.host_address):
        assert len(set(re.findall(rf"^a=crypto:\d {AGREED} (\S+)", traffic.sip(to), re.MULTILINE))) == 1
    end(here, alice, mobile)


def test_a_phone_that_insists_on_srtp_is_refused_where_keys_may_not_cross_in_the_clear(site: StartSite) -> None:
    here = site(srtp="required")
    alice = here.baresip(mediaenc="srtp-mand")
    alice.dial(MOBILE)
    assert "488" in alice.wait_closed().parameter
