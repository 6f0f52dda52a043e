"""What trunks do besides calling: reliable provisionals, UPDATE, session timers with either refresher, no description at all.

SIPp plays the phone and the mobile behind Kamailio, and insists on every message; two Linphones do what they can of it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.pbx import REALM
from peers.process import wait_until
from peers.scene import Scene

from trunkline.calls.session import CallSession

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

TIMER = "Supported: timer\nRequire: timer\nSession-Expires: 4;refresher={}\nAllow: INVITE, ACK, CANCEL, BYE{}"
PLAIN = "User-Agent: SIPp"


@pytest.mark.parametrize(
    ("caller", "says", "callee", "answers"),
    [
        ("caller_reliable", "Supported: 100rel", "callee_early", PLAIN),
        ("caller_reliable", "Require: 100rel", "callee_reliable", PLAIN),
        ("caller_early", PLAIN, "callee_reliable", PLAIN),
        ("caller_offerless", PLAIN, "callee", PLAIN),
        ("caller_refreshes", "Supported: timer\nSession-Expires: 90;refresher=uac", "callee", PLAIN),
        ("caller_hung_up_on", PLAIN, "callee_refreshed", TIMER.format("uac", ", UPDATE")),
        ("caller_hung_up_on", PLAIN, "callee_refreshed_by_invite", TIMER.format("uac", "")),
        ("caller_hung_up_on", PLAIN, "callee_forgets_refresh", TIMER.format("uas", ", UPDATE")),
        ("caller_held", PLAIN, "callee_updates", PLAIN),
    ],
)
def test_sipp_insists_on_what_trunks_do(site: StartSite, caller: str, says: str, callee: str, answers: str) -> None:
    here = site()
    here.provider()
    alice, mobile = here.sipp(), here.handset()
    answering = mobile.start(callee, mobile.server, pause_ms=200, header=answers)
    calling = alice.start(caller, here.pbx.at(alice.inside), dials=MOBILE, pause_ms=300, challenge=401, header=says)
    calling.wait_successful()
    answering.wait_successful()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1].startswith("closed ")


def test_sipp_is_told_how_long_a_session_has_to_be(site: StartSite) -> None:
    here = site()
    alice = here.sipp()
    says = "Supported: timer\nSession-Expires: 30"
    alice.run("caller_refused", here.pbx.at(alice.inside), dials=MOBILE, challenge=401, status=422, header=says)


# --- two Linphones ----------------------------------------------------------------------------------------------------

TIMES = {"session_expires_enabled": 1, "session_expires_value": 6, "session_expires_min_value": 6}


async def decide(call: CallSession) -> None:
    """Users call each other."""
    await call.accept(to_user=call.dial_number)


def wait_message(here: Scene, start: str, cseq: str, *, sent: bool, has: str = "") -> None:
    """Wait until the server has sent or received a message."""

    def found() -> bool:
        texts = [one.data.decode() for one in here.pbx.messages(sent=sent)]
        return any(text.startswith(start) and f" {cseq}\r\n" in text and has in text for text in texts)

    wait_until(found, 10.0, f"{start} of {cseq} with {has!r}")


def linphones_talk(
    here: Scene, alice_has: dict[str, int], bob_has: dict[str, int], ringing: Callable[[], None] = lambda: None
) -> None:
    """Alice's Linphone calls bob's, and they talk; `ringing` waits for what is due before he answers."""
    alice, bob = here.linphone("alice", sip=alice_has), here.linphone("bob", sip=bob_has)
    alice.dial(f"sip:bob@{REALM}")
    bob.wait_incoming()
    alice.wait_ringing()
    ringing()
    bob.answer()
    alice.wait_established()
    bob.wait_established()


def test_linphone_sends_180_reliably_and_takes_the_prack(site: StartSite) -> None:
    here = site(decide)

    def ringing() -> None:
        # one that answers before the PRACK has come refuses it with 501
        wait_message(here, "SIP/2.0 180", "INVITE", sent=False, has="RSeq: 1")
        wait_message(here, "SIP/2.0 200", "PRACK", sent=False)

    linphones_talk(here, {}, {"100rel_support_level": 2}, ringing)


def test_linphone_acknowledges_a_180_that_the_server_sends_reliably(site: StartSite) -> None:
    here = site(decide, reliable="required")
    linphones_talk(here, {"100rel_support_level": 1}, {"100rel_support_level": 1})
    wait_message(here, "SIP/2.0 180", "INVITE", sent=True, has="RSeq: ")
    wait_message(here, "PRACK ", "PRACK", sent=False)
    wait_message(here, "SIP/2.0 200", "PRACK", sent=True)


def test_linphone_asks_again_after_422_with_the_time_that_it_is_told(site: StartSite) -> None:
    here = site(decide)
    linphones_talk(here, TIMES, {})
    wait_message(here, "SIP/2.0 422", "INVITE", sent=True, has="Min-SE: 90")
    wait_message(here, "SIP/2.0 200", "INVITE", sent=True, has="Session-Expires: 90;refresher=")


def test_linphone_takes_the_update_that_refreshes_its_session(site: StartSite) -> None:
    here = site(decide)
    linphones_talk(here, {}, TIMES | {"session_expires_refresher_value": 2})
    wait_message(here, "UPDATE ", "UPDATE", sent=True, has="Session-Expires: ")
    wait_message(here, "SIP/2.0 200", "UPDATE", sent=False, has="Session-Expires: ")


def test_linphone_refreshes_its_session_by_update_and_the_call_outlasts_its_time(site: StartSite) -> None:
    here = site(decide)
    linphones_talk(here, {}, TIMES | {"session_expires_refresher_value": 1})
    for number in (111, 112):
        wait_message(here, "UPDATE ", "UPDATE", sent=False, has=f"CSeq: {number} ")
        wait_message(here, "SIP/2.0 200", "UPDATE", sent=True, has=f"CSeq: {number} ")
    assert here.pbx.story()[-1] == "connected"
