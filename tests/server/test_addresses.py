from __future__ import annotations

import asyncio

import pytest
from blockbuster import blockbuster_ctx

from tests.server.provider import Listening
from trunkline.calls.peers import Party
from trunkline.constants import PeerType
from trunkline.server.addresses import OwnAddresses, route_source
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Codec, Flow, Uri

USER = Party(PeerType.USER, "alice", (Codec("PCMU", 8000),))
LINE = Party(PeerType.LINE, "itsp", (Codec("PCMU", 8000),))
PHONE = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))


def own(*listeners: Listening, **options: object) -> OwnAddresses:
    values = {"domains": ["pbx.example"], "source": lambda remote: "2001:db8::1" if ":" in remote else "192.0.2.1"}
    addresses = OwnAddresses(**{**values, **options})  # type: ignore[arg-type]
    addresses.set_listeners(listeners or (Listening(),))
    return addresses


@pytest.mark.parametrize(
    ("listener", "flow", "contact"),
    [
        (Listening(), PHONE, "<sip:tok@192.0.2.1>"),
        (Listening(port=5070), Flow("udp", ("192.0.2.7", 1), ("192.0.2.1", 5070)), "<sip:tok@192.0.2.1:5070>"),
        (Listening(), Flow("udp", ("192.0.2.7", 5060)), "<sip:tok@192.0.2.1>"),
        (Listening(host="0.0.0.0", port=5070), Flow("udp", ("192.0.2.7", 5060)), "<sip:tok@192.0.2.1:5070>"),
        (Listening(host="0.0.0.0"), Flow("udp", ("192.0.2.7", 5060), ("0.0.0.0", 5060)), "<sip:tok@192.0.2.1>"),
        (Listening(host="0.0.0.0"), Flow("udp", ("10.0.0.7", 5060), ("10.0.0.1", 5060)), "<sip:tok@10.0.0.1>"),
        (Listening(host="2001:db8::1"), Flow("udp", ("2001:db8::7", 5060)), "<sip:tok@[2001:db8::1]>"),
        (Listening(host="::"), Flow("udp", ("2001:db8::7", 5060)), "<sip:tok@[2001:db8::1]>"),
        (
            Listening("tcp"),
            Flow("tcp", ("192.0.2.7", 5060), ("192.0.2.1", 40000), 3),
            "<sip:tok@192.0.2.1;transport=tcp>",
        ),
    ],
)
def test_a_peer_is_told_the_address_that_it_meets(listener: Listening, flow: Flow, contact: str) -> None:
    assert own(listener).contact(flow, USER, "tok") == contact


def test_the_listener_of_the_flow_is_told_where_there_are_several() -> None:
    addresses = own(Listening(port=5060), Listening(port=5080), Listening("tcp", port=5090))
    flow = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5080))
    assert addresses.contact(flow, USER, "tok") == "<sip:tok@192.0.2.1:5080>"


def test_behind_nat_the_advertised_address_is_told() -> None:
    by_bind = own(Listening(host="0.0.0.0"), advertise={"0.0.0.0": "203.0.113.1"})
    by_local = own(Listening(host="0.0.0.0"), advertise={"192.0.2.1": "203.0.113.1"})
    for addresses in (by_bind, by_local):
        assert addresses.contact(PHONE, USER, "tok") == "<sip:tok@203.0.113.1>"
        assert addresses.media(PHONE) == ("192.0.2.1", "203.0.113.1")


def test_a_machine_with_several_addresses_binds_media_on_the_one_configured() -> None:
    addresses = own(Listening(), media_address="198.51.100.9", advertise={"192.0.2.1": "203.0.113.1"})
    assert addresses.media(PHONE) == ("198.51.100.9", "198.51.100.9")
    assert addresses.contact(PHONE, USER, "tok") == "<sip:tok@203.0.113.1>"


@pytest.mark.parametrize("local", ["10.0.0.5", "0.0.0.0"])
def test_behind_nat_a_media_address_of_its_own_is_told_as_advertised(local: str) -> None:
    addresses = own(Listening(), media_address="10.0.0.5", advertise={local: "203.0.113.5"})
    assert addresses.media(PHONE) == ("10.0.0.5", "203.0.113.5")


def test_a_media_address_is_for_peers_of_its_family() -> None:
    addresses = own(Listening(), Listening(host="2001:db8::1"), media_address="198.51.100.9")
    assert addresses.media(Flow("udp", ("2001:db8::7", 5060))) == ("2001:db8::1", "2001:db8::1")


def test_media_is_bound_where_the_peer_meets_us() -> None:
    assert own(Listening(host="0.0.0.0")).media(Flow("udp", ("192.0.2.7", 1))) == ("192.0.2.1", "192.0.2.1")


@pytest.mark.parametrize(
    ("place", "contact"), [("user", "<sip:tok@192.0.2.1>"), ("parameter", "<sip:1555@192.0.2.1;tl=tok>")]
)
def test_a_lines_token_is_where_its_settings_say(place: str, contact: str) -> None:
    settings = LineSettings("itsp", "1555", "sip.itsp.example", token_in=place)  # type: ignore[arg-type]
    addresses = own(line=lambda name: settings if name == "itsp" else None)
    assert addresses.contact(PHONE, LINE, "tok") == contact
    assert addresses.contact(PHONE, USER, "tok") == "<sip:tok@192.0.2.1>"


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        ("sip:alice@pbx.example", True),
        ("sip:alice@PBX.Example:5099", True),
        ("sip:alice@192.0.2.1", True),
        ("sip:alice@203.0.113.1", True),
        ("sip:alice@localhost", False),
        ("sip:alice@192.0.2.2", False),
        ("sip:alice@itsp.example", False),
        ("tel:+15551234", False),
    ],
)
def test_domains_and_our_own_addresses_are_ours(uri: str, ours: bool) -> None:
    addresses = own(Listening(host="0.0.0.0"), advertise={"0.0.0.0": "203.0.113.1"})
    assert addresses.is_ours(Uri.parse(uri), PHONE) is ours


def test_localhost_is_ours_where_we_are_met_there() -> None:
    flow = Flow("udp", ("127.0.0.1", 5061), ("127.0.0.1", 5060))
    assert own(Listening(host="127.0.0.1")).is_ours(Uri.parse("sip:alice@localhost"), flow)


def test_every_form_of_our_address_is_ours() -> None:
    flow = Flow("udp", ("2001:db8::7", 5060), ("2001:db8::1", 5060))
    addresses = own(Listening(host="2001:db8::1"))
    assert addresses.is_ours(Uri.parse("sip:alice@[2001:DB8:0::1]"), flow)


def test_a_flow_is_reached_by_transport_and_family() -> None:
    addresses = own(Listening())
    assert addresses.reaches(Flow("udp", ("192.0.2.7", 1)))
    assert not addresses.reaches(Flow("tcp", ("192.0.2.7", 1)))
    assert not addresses.reaches(Flow("udp", ("2001:db8::7", 1)))


def test_a_stored_flow_is_served_while_its_listener_is_there() -> None:
    addresses = own(Listening(host="0.0.0.0", port=5070))
    assert addresses.listens(Flow("udp", ("192.0.2.7", 1), ("192.0.2.1", 5070)))
    assert not addresses.listens(Flow("udp", ("192.0.2.7", 1), ("192.0.2.1", 5060)))
    assert not own(Listening()).listens(Flow("udp", ("192.0.2.7", 1), ("192.0.2.2", 5060)))
    assert addresses.listens(Flow("udp", ("192.0.2.7", 1)))


def test_the_way_to_a_peer_is_asked_of_the_system() -> None:
    async def scenario() -> None:
        assert route_source("127.0.0.1") == "127.0.0.1"
        assert route_source("::1") in ("::1", None)

    with blockbuster_ctx():
        asyncio.run(scenario())
