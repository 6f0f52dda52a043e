"""A line whose provider stands behind an edge proxy: Path, Service-Route, and outbound over the flow that is kept alive.

Kamailio plays both (`kamailio/edge.cfg`, `kamailio/provider.cfg`). The provider refuses a REGISTER that did not come by a Path or is
none of RFC 5626, and each of the two refuses a call that does not follow its routes.
"""

from __future__ import annotations

import re

import pytest
from peers import audio
from peers.baresip import Baresip
from peers.capture import Capture, Datagram
from peers.fixtures import StartEdge, StartSite
from peers.kamailio import Edge, Kamailio
from peers.mobile import NUMBER as MOBILE
from peers.mobile import Mobile
from peers.pbx import ACCOUNT
from peers.process import wait_until
from peers.scene import MOBILE_HZ, PHONE_HZ, Scene

from trunkline.events import AttemptFailed

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

EDGE_PORT = 5090
LISTEN_S = 0.4
PING = b"\r\n\r\n"


def behind_edge(here: Scene, edge: StartEdge, mobile: Mobile, *, outbound: bool) -> tuple[Kamailio, Edge]:
    """The provider, which takes customers from its edge alone; the mobile is its."""
    provider = here.kamailio(mobile.uri, edge_port=EDGE_PORT, outbound=outbound)
    mobile.network = provider.address, provider.mobile_port
    return provider, edge(provider)


def dial_out(here: Scene, alice: Baresip, mobile: Mobile) -> None:
    alice.dial(MOBILE)
    mobile.wait_incoming()
    mobile.answer()
    talk_and_hang_up(here, alice, mobile)


def call_in(here: Scene, alice: Baresip, mobile: Mobile) -> None:
    mobile.dial(ACCOUNT)
    alice.wait_incoming()
    alice.answer()
    talk_and_hang_up(here, alice, mobile)


def talk_and_hang_up(here: Scene, alice: Baresip, mobile: Mobile) -> None:
    """Both hear each other; the mobile hangs up, so that a request comes in by the Record-Route of the edge."""
    traffic = here.capture(alice.inside)
    alice.wait_established()
    mobile.wait_established()
    assert mobile.wait_tone(LISTEN_S).frequency_hz == pytest.approx(PHONE_HZ, abs=10)
    # baresip names its recordings by the second
    heard = traffic.wait_heard(traffic.wait_target(alice.inside.address), LISTEN_S)
    assert audio.measure(heard).frequency_hz == pytest.approx(MOBILE_HZ, abs=10)
    mobile.hangup()
    alice.wait_closed()
    here.pbx.wait_idle()
    assert here.pbx.story()[-1] == "closed hangup"


def pings(traffic: Capture, to: tuple[str, int]) -> list[Datagram]:
    return [datagram for datagram in traffic.datagrams(to) if datagram.payload == PING]


def ports(here: Scene, provider: Kamailio, *, sent: bool) -> set[int]:
    """Where at the provider's address the line's INVITEs went, or came from."""
    found = here.pbx.messages(provider.address, sent=sent)
    return {message.remote[1] for message in found if message.start_line.startswith("INVITE")}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_calls_follow_the_service_route_and_come_by_the_path(site: StartSite, edge: StartEdge, transport: str) -> None:
    here = site()
    mobile = here.unconnected_mobile()
    provider, proxy = behind_edge(here, edge, mobile, outbound=False)
    here.pbx.add_line(proxy.server, transport=transport)
    line = here.pbx.wait_line()
    assert line.service_route == (f"<sip:{proxy.server};lr>", f"<sip:orig@{provider.server};lr>")
    assert f"sip:{proxy.server}" in provider.wait_registered(ACCOUNT).path
    alice = here.baresip()
    dial_out(here, alice, mobile)
    call_in(here, alice, mobile)
    assert ports(here, provider, sent=True) == {EDGE_PORT}


def test_a_line_that_would_not_follow_the_service_route_is_refused(site: StartSite, edge: StartEdge) -> None:
    here = site()
    mobile = here.unconnected_mobile()
    _, proxy = behind_edge(here, edge, mobile, outbound=False)
    here.pbx.add_line(proxy.server)
    here.pbx.wait_line().service_route = ()
    alice = here.baresip()
    alice.dial(MOBILE)
    here.pbx.wait_event(AttemptFailed, status=403, reason="Follow the Route")
    alice.wait_closed()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_outbound_line_is_called_over_its_flow(site: StartSite, edge: StartEdge, transport: str) -> None:
    here = site()
    mobile = here.unconnected_mobile()
    provider, proxy = behind_edge(here, edge, mobile, outbound=True)
    here.pbx.add_line(proxy.server, transport=transport, outbound=True)
    here.pbx.wait_line()
    contact = provider.wait_registered(ACCOUNT)
    assert contact.instance.startswith("<urn:uuid:")
    assert re.fullmatch(rf"<sip:[\w+/=]{{28,}}@{proxy.server};lr;ob>", contact.path)
    alice = here.baresip()
    call_in(here, alice, mobile)
    # over TCP the edge's own port means that it opened no connection
    assert ports(here, provider, sent=False) == {EDGE_PORT}
    dial_out(here, alice, mobile)
    sent = here.pbx.messages(provider.address, sent=True)
    calls = [message.data for message in sent if message.start_line.startswith("INVITE")]
    assert calls
    assert all(re.search(rb"^Contact: <[^>]*;ob[;>]", call, re.MULTILINE) for call in calls)


def test_a_flow_is_kept_alive_ahead_of_the_time_that_its_registrar_grants(site: StartSite, edge: StartEdge) -> None:
    here = site()
    provider, proxy = behind_edge(here, edge, here.unconnected_mobile(), outbound=True)
    traffic = here.capture(here.far)
    here.pbx.add_line(proxy.server, outbound=True)
    here.pbx.wait_line()
    # a line whose registrar names no Flow-Timer would say nothing for 25 s
    port = here.pbx.server.local_address("udp")[1]
    ping = wait_until(lambda: pings(traffic, (proxy.address, proxy.port)), 15.0, "a keep-alive")[0]
    assert ping.source == (here.far.host_address, port)
    assert provider.contacts(ACCOUNT)


def test_a_line_without_outbound_is_refused_where_it_is_required(site: StartSite, edge: StartEdge) -> None:
    here = site()
    mobile = here.unconnected_mobile()
    _, proxy = behind_edge(here, edge, mobile, outbound=True)
    here.pbx.add_line(proxy.server)
    refused = wait_until(lambda: here.pbx.line.last_failure, 10.0, "a refusal")
    assert refused.status == 421
