"""What trunks do besides calling: reliable provisionals, UPDATE, session timers with either refresher, no description at all.

SIPp plays the phone and the mobile behind Kamailio, and insists on every message.
"""

from __future__ import annotations

import pytest
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE

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
