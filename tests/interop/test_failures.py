"""Calls that do not come about, and who ends those that do: busy, no answer, given up, crossed, refused, hung up, forked.

A line's refusals never reach a phone raw; each side's dialog ends; the application is told the reason once.
"""

from __future__ import annotations

import pytest
from peers.baresip import Baresip
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.party import Party, Talker
from peers.pbx import ACCOUNT

from trunkline.calls.session import CallSession
from trunkline.events import CallSessionClosed

pytestmark = [pytest.mark.interop, pytest.mark.timeout(20)]

BEGIN = ["created", "incoming_call", "connecting one 180"]
UP = [*BEGIN, "connected"]
CANCELLED = [*BEGIN, "cancelled", "closed cancelled"]
TALKERS = ["baresip", "linphone"]
CHALLENGE = 401
TRANSLATED = {403: 502, 407: 502, 503: 500, 404: 404, 486: 486, 603: 603}
"""What the line says, and what the phone is told."""


# -- given up


@pytest.mark.parametrize("near", TALKERS)
def test_a_phone_that_gives_up_while_the_mobile_rings_cancels_it(site: StartSite, near: str) -> None:
    here = site()
    mobile, alice = here.mobile(), here.phone(near)
    alice.dial(MOBILE)
    mobile.wait_incoming()
    here.pbx.wait_told(BEGIN[-1])
    alice.hangup()
    assert mobile.wait_closed().how == "cancel"
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story() == CANCELLED


@pytest.mark.parametrize("near", TALKERS)
def test_a_mobile_that_gives_up_while_the_phone_rings_cancels_it(site: StartSite, near: str) -> None:
    here = site()
    mobile, alice = here.mobile(), here.phone(near)
    mobile.dial(ACCOUNT)
    alice.wait_incoming()
    mobile.wait_ringing()
    mobile.hangup()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story() == CANCELLED


@pytest.mark.parametrize(
    ("caller", "callee", "story"),
    [
        ("caller_cancels", "callee_rings", CANCELLED),
        # CANCEL and 200 cross: the callee's call is acknowledged and ended, the caller gets his 487.
        ("caller_cancels", "callee_answers_cancel", CANCELLED),
        (
            "caller_early",
            "callee_early",
            ["created", "incoming_call", "connecting one 183", *UP[3:], "hangup zero", "closed hangup"],
        ),
        ("caller", "callee_late", ["created", "incoming_call", "connected", "hangup zero", "closed hangup"]),
    ],
)
def test_sipp_follows_the_scenario_to_the_letter_at_both_ends(
    site: StartSite, caller: str, callee: str, story: list[str]
) -> None:
    here = site()
    here.provider()
    alice, mobile = here.sipp(), here.handset()
    answering = mobile.start(callee, mobile.server, pause_ms=200)
    alice.start(caller, here.pbx.at(alice.inside), dials=MOBILE, pause_ms=200, challenge=CHALLENGE).wait_successful()
    answering.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.story() == story


def test_a_mobile_network_that_cancels_is_obeyed_by_a_phone_that_sipp_plays(site: StartSite) -> None:
    here = site()
    provider = here.provider()
    alice, mobile = here.sipp(), here.handset()
    alice.register(here.pbx.at(alice.inside))
    ringing = alice.start("callee_rings", here.pbx.at(alice.inside))
    mobile.run("mobile_caller_cancels", provider.mobile_server, dials=ACCOUNT, pause_ms=200)
    ringing.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.story() == CANCELLED


# -- refused


@pytest.mark.parametrize("near", TALKERS)
def test_a_busy_mobile_is_busy_for_the_phone(site: StartSite, near: str) -> None:
    here = site()
    mobile, alice = here.mobile(), here.phone(near)
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.reject(486)
    alice.wait_closed()
    assert last_status(alice) == 486
    here.pbx.wait_idle()
    assert here.pbx.story()[-2:] == ["failed one 486", "closed failed"]


def last_status(party: Party) -> int:
    """The final status that a phone was refused with, as it says."""
    assert isinstance(party, Talker)
    if isinstance(party.program, Baresip):
        return int(party.program.events("CALL_CLOSED")[-1].parameter[:3])
    return party.program.statuses()[-1]


@pytest.mark.parametrize(("near", "status"), [("baresip", 486), ("linphone", 603)])
def test_a_phone_that_refuses_is_told_to_the_mobile_as_what_it_said(site: StartSite, near: str, status: int) -> None:
    here = site()
    mobile, alice = here.mobile(), here.phone(near)
    mobile.dial(ACCOUNT)
    alice.wait_incoming()
    alice.hangup()
    ended = mobile.wait_closed()
    assert (ended.how, ended.status) == ("refused", status)
    here.pbx.wait_idle()
    assert here.pbx.story()[-2:] == [f"failed one {status}", "closed failed"]


def test_a_refusal_of_the_line_reaches_the_phone_translated(site: StartSite) -> None:
    here = site()
    alice, mobile = here.sipp(), here.handset()
    # A trunk straight to the mobile: Kamailio would turn the 503 into 500 itself (RFC 3261 §16.7).
    here.pbx.add_line(mobile.server, register=False)
    at = here.pbx.at(alice.inside)
    for said, heard in TRANSLATED.items():
        refusing = mobile.start("callee_refuses", mobile.server, status=said, reason="Said So")
        run = alice.start("caller_refused", at, dials=MOBILE, status=heard, challenge=CHALLENGE)
        run.wait_successful()
        refusing.wait_successful()
        assert "Said So" not in run.messages()
        here.pbx.wait_idle()
        assert here.pbx.story()[-2:] == [f"failed one {said}", "closed failed"]


# -- no answer


async def wait_a_second(call: CallSession) -> None:
    await call.accept(to_line="itsp", timeout_s=1.0)


@pytest.mark.parametrize("near", TALKERS)
def test_a_mobile_that_does_not_answer_in_time_is_cancelled(site: StartSite, near: str) -> None:
    here = site(wait_a_second)
    mobile, alice = here.mobile(), here.phone(near)
    alice.dial(MOBILE)
    mobile.wait_incoming()
    assert mobile.wait_closed().how == "cancel"
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story() == [*BEGIN, "timeout", "closed timeout"]


# -- hung up


@pytest.mark.parametrize("near", TALKERS)
@pytest.mark.parametrize("outwards", [True, False])
def test_a_mobile_that_hangs_up_ends_the_phones_call(site: StartSite, near: str, outwards: bool) -> None:
    here = site()
    mobile, alice = here.mobile(), here.phone(near)
    if outwards:
        alice.dial(MOBILE)
        mobile.wait_incoming()
        here.pbx.wait_told(BEGIN[-1])
        mobile.answer()
    else:
        mobile.dial(ACCOUNT)
        alice.wait_incoming()
        alice.answer()
    alice.wait_established()
    mobile.wait_established()
    mobile.hangup()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story() == [*UP, f"hangup {'one' if outwards else 'zero'}", "closed hangup"]


# -- two phones of one user


def test_all_phones_of_a_user_ring_and_the_slower_is_told_that_another_answered(site: StartSite) -> None:
    here = site()
    mobile, fast, slow = here.mobile(), here.baresip(), here.linphone()
    traffic = here.capture(slow.inside)
    mobile.dial(ACCOUNT)
    slow.wait_incoming()
    fast.wait_incoming()
    fast.answer()
    fast.wait_established()
    mobile.wait_established()
    cancel = traffic.wait_sip(r"^CANCEL sip:(?:.*\n)+?Reason: *(.*)$", to=slow.inside.address).group(1)
    assert cancel.replace(" ", "") == 'SIP;cause=200;text="Callcompletedelsewhere"'
    slow.wait_closed()
    assert here.pbx.server.calls, "the winner's call went with the loser's"
    fast.hangup()
    mobile.wait_closed()
    here.pbx.wait_event(CallSessionClosed)
    here.pbx.wait_idle()
    story = here.pbx.story()
    assert story.count("connecting one 180") == 2
    assert [told for told in story if told != "connecting one 180"] == [
        *UP[:2],
        "connected",
        "hangup one",
        "closed hangup",
    ]
