"""The provider dies and comes back in the middle of a call, and the network between the two is cut for half a minute.

Kamailio is the provider; it keeps nothing over a restart. The network is a namespace of the test's own, and cut by taking its link down.
"""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from peers import audio
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.pbx import ACCOUNT
from peers.process import wait_until
from peers.scene import PHONE_HZ, Scene

pytestmark = [pytest.mark.interop]

CUT_S = 30.0
PINGS_S = 2.0
PATIENCE_S = 40.0


def wait_pinged(here: Scene) -> None:
    """Until the provider has answered a ping: one that never does is not missed."""

    def answered() -> bool:
        pings = {message.call_id for message in here.pbx.messages() if message.start_line.startswith("OPTIONS")}
        answers = [message for message in here.pbx.messages(sent=False) if message.start_line.startswith("SIP/2.0 200")]
        return any(message.call_id in pings for message in answers)

    wait_until(answered, PATIENCE_S, "an answer to OPTIONS")


@pytest.mark.timeout(60)
def test_a_provider_that_dies_in_a_call_and_comes_back_costs_the_call_nothing(site: StartSite) -> None:
    here = site()
    mobile, alice = here.mobile(ping_interval_s=PINGS_S), here.baresip()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    wait_pinged(here)
    here.kamailios[0].program.stop(with_signal=signal.SIGKILL)
    line = here.pbx.line
    wait_until(lambda: not line.usable, PATIENCE_S, "the line is known to be down")
    # audio does not go through the provider's proxy
    assert mobile.wait_tone(0.3).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    alice.wait_heard(0.3)
    again = here.kamailio(mobile.uri)
    again.wait_registered(ACCOUNT, PATIENCE_S)
    wait_until(lambda: line.usable, PATIENCE_S, "the line is up again")
    alice.hangup()
    alice.wait_closed()
    assert mobile.wait_closed().how == "bye"
    here.pbx.wait_idle()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.hangup()
    alice.wait_closed()


@pytest.mark.soak
@pytest.mark.timeout(150)
def test_a_network_that_is_cut_for_thirty_seconds_costs_silence_and_no_call(site: StartSite, tmp_path: Path) -> None:
    # baresip hangs up at the end of its file, which conftest.py would make shorter than this takes
    audio.write_tone(tmp_path / f"tone-{PHONE_HZ:g}.wav", PHONE_HZ, 120.0)
    here = site()
    mobile, alice = here.mobile(ping_interval_s=PINGS_S), here.baresip()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    assert mobile.wait_tone(0.3).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    line = here.pbx.line
    outside = f"{here.far.name}h"
    wait_pinged(here)
    subprocess.run(["ip", "link", "set", outside, "down"], check=True)
    try:
        wait_until(lambda: not line.usable, CUT_S, "the line is known to be down")
        time.sleep(CUT_S)
    finally:
        subprocess.run(["ip", "link", "set", outside, "up"], check=True)
    wait_until(lambda: line.usable and line.registered, PATIENCE_S, "the line is up again")
    # shorter than media_timeout_s: it goes on where it was
    assert here.pbx.server.calls
    assert mobile.wait_tone(0.3).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    alice.wait_heard(0.3)
    alice.hangup()
    assert mobile.wait_closed().how == "bye"
    here.pbx.wait_idle()
