"""Real phones transfer their calls with REFER, blind, attended and while the target rings; a provider's phone is asked to."""

from __future__ import annotations

import re

import pytest
from peers import audio
from peers.baresip import Baresip
from peers.fixtures import StartSite
from peers.linphone import Linphone
from peers.mobile import NUMBER as MOBILE
from peers.mobile import Mobile
from peers.pbx import ACCOUNT, LINE, REALM, password
from peers.scene import BOB_HZ, MOBILE_HZ, PHONE_HZ, Scene

from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.events import TransferAccepted, TransferFailed
from trunkline.sip.endpoint import Message

pytestmark = [pytest.mark.interop, pytest.mark.timeout(40)]


async def decide(call: CallSession) -> None:
    """Users call each other and out through the line; the line's calls ring bob."""
    if call.dial_number in ("alice", "bob"):
        await call.accept(to_user=call.dial_number)
    elif call.from_peer_type is PeerType.USER:
        await call.accept(to_line=LINE)
    else:
        await call.accept(to_user="bob")


async def bridge(call: CallSession) -> None:
    """Users call out over a bridge."""
    await call.answer()
    await call.bridge(await call.dial_user("bob"))


def with_the_mobile(here: Scene, alice: Baresip | Linphone) -> Mobile:
    mobile = here.mobile()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    return mobile


def check_talks_to_bob(here: Scene, mobile: Mobile, bob: Baresip | Linphone, tone_hz: float = PHONE_HZ) -> None:
    """The mobile hears bob, bob the mobile, and the call ends as any."""
    assert mobile.wait_tone(0.4).frequency_hz == pytest.approx(tone_hz, abs=10)
    assert audio.measure(bob.wait_heard(0.4)).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    bob.hangup()
    mobile.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story(0)[-1] == "closed hangup"


def test_linphone_transfers_the_mobile_to_baresip(site: StartSite) -> None:
    here = site()
    alice, bob = here.linphone("alice"), here.baresip("bob")
    mobile = with_the_mobile(here, alice)
    alice.transfer(f"sip:bob@{REALM}")
    bob.wait_incoming()
    bob.answer()
    here.pbx.wait_event(TransferAccepted)
    alice.wait_closed()
    check_talks_to_bob(here, mobile, bob)


def test_baresip_transfers_the_mobile_to_linphone(site: StartSite) -> None:
    here = site()
    alice, bob = here.baresip("alice"), here.linphone("bob")
    mobile = with_the_mobile(here, alice)
    alice.transfer(f"sip:bob@{REALM}")
    bob.wait_incoming()
    bob.answer()
    here.pbx.wait_event(TransferAccepted)
    assert alice.wait_closed().parameter == "Call transfered"
    check_talks_to_bob(here, mobile, bob)


def test_a_transfer_of_linphone_that_is_refused_leaves_the_call(site: StartSite) -> None:
    here = site()
    alice = here.linphone("alice")
    mobile = with_the_mobile(here, alice)
    alice.transfer(f"sip:nobody@{REALM}")
    here.pbx.wait_event(TransferFailed)
    mobile.hangup()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"


def test_baresip_hears_that_its_transfer_is_refused_and_hangs_up_by_itself(site: StartSite) -> None:
    here = site()
    alice = here.baresip("alice")
    mobile = with_the_mobile(here, alice)
    alice.transfer(f"sip:nobody@{REALM}")
    here.pbx.wait_event(TransferFailed)
    alice.program.wait_for_line("transfer failure: 603 nothing is known")
    mobile.wait_closed()
    here.pbx.wait_idle()


@pytest.mark.parametrize("answered", [True, False])
def test_linphone_transfers_the_mobile_to_its_other_call(site: StartSite, answered: bool) -> None:
    here = site(decide)
    alice, bob = here.linphone("alice"), here.baresip("bob", tone_hz=BOB_HZ)
    mobile = with_the_mobile(here, alice)
    alice.hold()
    alice.dial(f"sip:bob@{REALM}")
    bob.wait_incoming()
    alice.wait_ringing()
    if answered:
        bob.answer()
        alice.wait_established()
    alice.transfer_to_call(1, 2)
    alice.wait_closed()
    assert here.pbx.story(1)[-1] == "closed transferred"
    if not answered:
        bob.answer()
    here.pbx.wait_event(TransferAccepted)
    alice.wait_closed()
    check_talks_to_bob(here, mobile, bob, BOB_HZ)


def test_baresip_transfers_a_call_that_the_application_bridged(site: StartSite) -> None:
    here = site(bridge)
    here.pbx.call(here.pbx.server.add_user, "carol", password=password("carol"))
    alice, bob = here.linphone("alice", tone_hz=BOB_HZ), here.baresip("bob")
    alice.dial("desk")
    bob.wait_incoming()
    bob.answer()
    bob.wait_established()
    mobile = here.linphone("carol")
    bob.transfer(f"sip:carol@{REALM}")
    mobile.wait_incoming()
    mobile.answer()
    here.pbx.wait_event(TransferAccepted)
    bob.wait_closed()
    assert audio.measure(mobile.wait_heard(0.4)).frequency_hz == pytest.approx(BOB_HZ, abs=10)
    mobile.hangup()
    alice.hangup()
    here.pbx.wait_idle()


@pytest.mark.parametrize("program", ["linphone", "baresip"])
def test_a_phone_behind_kamailio_is_asked_by_refer_and_calls_whom_it_is_told_to(site: StartSite, program: str) -> None:
    here = site(decide)
    mobile = here.far_end(program, transfer="refer")
    alice, bob = here.baresip("alice"), here.baresip("bob", tone_hz=BOB_HZ)
    mobile.expect()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    alice.transfer(f"sip:{ACCOUNT}@{REALM}")
    # the mobile calls the line's own number, which rings bob
    bob.wait_incoming()
    bob.answer()
    here.pbx.wait_event(TransferAccepted)
    alice.wait_closed()
    assert here.pbx.story(0)[-1] == "closed transferred"
    assert audio.measure(bob.wait_heard(0.4)).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    bob.hangup()
    here.pbx.wait_idle()


def test_linphone_has_the_provider_tie_its_two_calls(site: StartSite) -> None:
    here = site()
    mobile = here.mobile(transfer="refer")
    alice = here.linphone("alice")
    for _ in range(2):
        alice.dial(MOBILE)
        mobile.wait_incoming()
        mobile.answer()
        alice.wait_established()
        mobile.wait_established()
        asked = mobile.take_refers()
        alice.hold()
    # the last call's other party is asked to replace the first
    alice.transfer_to_call(2, 1)
    here.pbx.wait_event(TransferAccepted)
    for _ in range(2):
        alice.wait_closed()
    here.pbx.wait_idle()
    assert len(asked) == 1
    assert [here.pbx.story(number)[-1] for number in (0, 1)] == ["closed transferred"] * 2
    sent = [one.data.decode() for one in here.pbx.messages(here.far.address, sent=True)]
    refer = next(text for text in sent if text.startswith("REFER "))
    assert re.search(rf"^Refer-To: <sip:[^>]*:{mobile.agent.port}\?Replaces=", refer, re.MULTILINE)


def test_sipp_transfers_the_mobile_and_insists_on_each_notify(site: StartSite) -> None:
    here = site()
    mobile = here.mobile()
    alice, bob = here.sipp("alice"), here.baresip("bob")
    calling = alice.start(
        "caller_refers", here.pbx.at(alice.inside), dials=MOBILE, challenge=401, pause_ms=200, refers_to="bob"
    )
    mobile.wait_incoming()
    mobile.answer()
    mobile.wait_established()
    bob.wait_incoming()
    bob.answer()
    here.pbx.wait_event(TransferAccepted)
    calling.wait_successful()
    check_talks_to_bob(here, mobile, bob)


def test_sipp_is_told_that_its_transfer_is_refused_and_keeps_its_call(site: StartSite) -> None:
    here = site()
    mobile = here.mobile()
    alice = here.sipp("alice")
    calling = alice.start(
        "caller_refers_in_vain", here.pbx.at(alice.inside), dials=MOBILE, challenge=401, pause_ms=200, refers_to="zoe"
    )
    mobile.wait_incoming()
    mobile.answer()
    calling.wait_successful()
    assert mobile.wait_closed().how == "bye"
    assert here.pbx.story()[-1] == "closed hangup"


def test_sipp_behind_kamailio_is_asked_by_refer_and_tells_the_outcome(site: StartSite) -> None:
    here = site()
    here.provider(transfer="refer")
    alice, mobile = here.baresip("alice"), here.handset()
    answering = mobile.start("callee_referred", mobile.server)
    alice.dial(MOBILE)
    alice.wait_established()
    alice.transfer(f"sip:15550100@{REALM}")
    here.pbx.wait_event(TransferAccepted)
    answering.wait_successful()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed transferred"


@pytest.mark.parametrize("answered", [True, False])
def test_sipp_calls_with_replaces_and_takes_the_place_of_linphone(site: StartSite, answered: bool) -> None:
    here = site(decide)
    here.pbx.call(here.pbx.server.add_user, "carol", password=password("carol"))
    alice, bob, carol = here.baresip("alice"), here.linphone("bob"), here.sipp("carol")
    alice.dial(f"sip:bob@{REALM}")
    bob.wait_incoming()
    if answered:
        bob.answer()
        alice.wait_established()
    replaces = dialog_with(here, bob)
    calling = carol.start("caller", here.pbx.at(carol.inside), dials="bob", challenge=401, header=replaces)
    if not answered:
        alice.wait_established()
    bob.wait_closed()
    calling.wait_successful()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story(0)[-1] == "closed hangup"
    assert len(here.pbx.story()) == len(here.pbx.story(0))


def dialog_with(here: Scene, phone: Linphone) -> str:
    """The Replaces that names the server's dialog with a phone that it calls."""
    ringing = [
        Message.parse(one.data)
        for one in here.pbx.messages(phone.inside.address, sent=False)
        if one.data.startswith(b"SIP/2.0 180")
    ]
    return f"Replaces: {ringing[-1].call_id};to-tag={ringing[-1].from_tag};from-tag={ringing[-1].to_tag}"
