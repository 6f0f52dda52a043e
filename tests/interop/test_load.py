"""Many calls at once with sound, and phones that vanish without a word."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from peers import audio
from peers.capture import Capture
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.process import wait_until
from peers.scene import MOBILE_HZ, PHONE_HZ

from trunkline.events import CallSessionClosed, CallSessionConnected

pytestmark = [pytest.mark.interop, pytest.mark.timeout(20)]

CALLS = 50
RATE = 25
TALK_MS = 4000
UP = ["created", "incoming_call", "connecting one 180", "connected"]


def test_fifty_calls_at_once_lose_no_packet(site: StartSite, tmp_path: Path) -> None:
    here = site()
    here.provider()
    alice, mobile = here.sipp(), here.handset()
    near, far = here.capture(alice.inside), here.capture(here.far)
    tones = [
        audio.write_tone_mulaw(tmp_path / f"{frequency_hz:g}.ulaw", frequency_hz, 1.0)
        for frequency_hz in (PHONE_HZ, MOBILE_HZ)
    ]
    answering = mobile.start("callee", mobile.server, calls=CALLS, tone=tones[1])
    at = here.pbx.at(alice.inside)
    calling = alice.start(
        "caller", at, dials=MOBILE, calls=CALLS, rate=RATE, pause_ms=TALK_MS, tone=tones[0], challenge=401
    )
    wait_until(lambda: len(here.pbx.server.calls) == CALLS, 15.0, f"{CALLS} calls at once")
    assert calling.wait_successful().successful == answering.wait_successful().successful == CALLS
    here.pbx.wait_idle()
    for kind in (CallSessionConnected, CallSessionClosed):
        assert sum(isinstance(event, kind) for event in here.pbx.events) == CALLS
    for traffic, address, frequency_hz in (
        (near, alice.address, MOBILE_HZ),
        (far, mobile.address, PHONE_HZ),
    ):
        assert_all_heard(traffic, address, frequency_hz)


def assert_all_heard(traffic: Capture, address: str, frequency_hz: float) -> None:
    """Every call's stream arrived whole, and each holds the other side's tone."""
    streams = [stream for stream in traffic.streams() if stream.target[0] == address]
    assert len(streams) == CALLS
    assert len({stream.ssrc for stream in streams}) == CALLS
    assert sum(stream.lost for stream in streams) == 0
    assert min(stream.received for stream in streams) > TALK_MS / 20 * 0.8
    for stream in streams[::10]:
        heard = traffic.heard(stream.target, stream.ssrc).between(0.5, 1.0)
        assert audio.measure(heard).frequency_hz == pytest.approx(frequency_hz, abs=10)


def test_a_phone_that_vanishes_is_missed_and_the_mobile_hung_up_on(site: StartSite) -> None:
    here = site(media_timeout_s=1.5)
    mobile, alice = here.mobile(), here.baresip()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    here.pbx.wait_told("connecting one 180")
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    alice.wait_heard(0.3)
    mobile.wait_tone(0.3)
    alice.program.stop(with_signal=signal.SIGKILL)
    assert mobile.wait_closed().how == "bye"
    here.pbx.wait_told("closed session_lost")
    assert [told for told in here.pbx.story() if not told.startswith("lost zero")] == [*UP, "closed session_lost"]
    assert sum(told.startswith("lost zero") for told in here.pbx.story()) == 1


def test_a_mobile_that_vanishes_is_missed_and_the_phone_hung_up_on(site: StartSite) -> None:
    here = site(media_timeout_s=1.5)
    mobile, alice = here.mobile(), here.linphone()
    alice.dial(MOBILE)
    mobile.wait_incoming()
    here.pbx.wait_told("connecting one 180")
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    alice.wait_heard(0.3)
    mobile.call(mobile.agent.vanish)
    alice.wait_closed()
    here.pbx.wait_told("closed session_lost")
    assert sum(told.startswith("lost one") for told in here.pbx.story()) == 1


def test_a_phone_on_hold_is_not_missed(site: StartSite) -> None:
    here = site(media_timeout_s=1.0)
    mobile, alice = here.mobile(), here.baresip()
    traffic = here.capture(alice.inside)
    alice.dial(MOBILE)
    mobile.wait_incoming()
    here.pbx.wait_told("connecting one 180")
    mobile.answer()
    alice.wait_established()
    mobile.wait_established()
    alice.wait_heard(0.3)
    mobile.hold()
    # For longer than the timeout nothing comes from the phone, which is what was agreed.
    traffic.wait_silent(alice.inside.host_address, 2.0)
    assert here.pbx.story() == UP
    mobile.resume()
    assert mobile.wait_tone(0.3).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    alice.hangup()
    mobile.wait_closed()
