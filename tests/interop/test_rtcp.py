"""RTP and RTCP on one port (RFC 5761) with baresip: offered by it, offered by us, and what really comes and goes there."""

from __future__ import annotations

import pytest
from peers import audio
from peers.baresip import Baresip
from peers.capture import Capture, Datagram
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.mobile import Mobile
from peers.pbx import ACCOUNT, LINE, password
from peers.process import wait_until
from peers.scene import MOBILE_HZ, PHONE_HZ, Scene

from trunkline.calls.session import CallSession
from trunkline.constants import PeerType

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

LISTEN_S = 0.4
USER = "carol"


async def route(call: CallSession) -> None:
    if call.from_peer_type is PeerType.USER:
        await call.accept(to_line=LINE)
    else:
        await call.accept(to_user=USER)


def phone(here: Scene, *, offered: bool) -> Baresip:
    """A phone that can do it, of a user whose phones are offered it, or not."""
    here.pbx.call(here.pbx.server.add_user, USER, password=password(USER), rtcp_mux=offered)
    return here.baresip(USER, rtcp_mux=True)


def hear_each_other(alice: Baresip, mobile: Mobile) -> None:
    alice.wait_established()
    mobile.wait_established()
    assert audio.measure(alice.wait_heard(LISTEN_S)).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    assert mobile.wait_tone(LISTEN_S).frequency_hz == pytest.approx(PHONE_HZ, abs=10)


def reports(traffic: Capture, to: tuple[str, int]) -> list[Datagram]:
    """Sender and receiver reports alone (RFC 3550 §6.4); baresip first knocks with a packet of its own."""
    return [packet for packet in traffic.rtcp(to) if packet.payload[1] in (200, 201)]


def wait_for_reports(traffic: Capture, alice: Baresip) -> None:
    """Each sends the other reports from and to the port of its RTP, and nothing to another."""
    there = traffic.wait_target(alice.inside.address)
    here = traffic.wait_target(alice.inside.host_address)
    wait_until(lambda: reports(traffic, there) and reports(traffic, here), 15.0, "reports both ways")
    found = {(report.source, report.target) for report in traffic.rtcp()}
    assert found == {(there, here), (here, there)}


def wait_until_read(here: Scene) -> None:
    """The server knows from the phone's report how the phone hears it."""

    def read() -> bool:
        call = here.pbx.server.calls[0]
        side = call.zero if call.from_peer_type is PeerType.USER else call.one
        counts = side.leg.statistics if side is not None and side.leg is not None else None
        return counts is not None and counts.remote_packets_lost == 0

    wait_until(lambda: here.pbx.call(read), 5.0, "what the phone reports")


def test_a_phone_that_offers_one_port_for_rtp_and_rtcp_gets_it(site: StartSite) -> None:
    here = site(route)
    mobile, alice = here.mobile(), phone(here, offered=False)
    traffic = here.capture(alice.inside)
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    hear_each_other(alice, mobile)
    traffic.wait_sip(r"^SIP/2.0 200 (?:.*\n)+a=rtcp-mux$", to=alice.inside.address)
    wait_for_reports(traffic, alice)
    wait_until_read(here)
    alice.hangup()
    mobile.wait_closed()


def test_a_phone_is_offered_one_port_for_rtp_and_rtcp_where_its_user_is_set_so(site: StartSite) -> None:
    here = site(route)
    mobile, alice = here.mobile(), phone(here, offered=True)
    traffic = here.capture(alice.inside)
    mobile.dial(ACCOUNT)
    alice.wait_incoming()
    alice.answer()
    hear_each_other(alice, mobile)
    traffic.wait_sip(r"^INVITE (?:.*\n)+a=rtcp-mux$", to=alice.inside.address)
    wait_for_reports(traffic, alice)
    wait_until_read(here)
    alice.hangup()
    mobile.wait_closed()
