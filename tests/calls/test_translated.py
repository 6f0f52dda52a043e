"""NAT that shows in the session description alone: whose media may be learned from where its signalling comes from."""

from __future__ import annotations

import pytest

from tests.calls.house import ADDRESS, House, on_the_network
from tests.calls.test_accept import connected, to_bob
from trunkline.calls.translated import translated
from trunkline.constants import PeerType
from trunkline.sip.endpoint import Flow, NameAddr, Uri
from trunkline.testing.call import ScriptedCall

PUBLIC, ELSEWHERE = "198.51.100.7", "203.0.113.9"

CASES = [
    (PeerType.LINE, PUBLIC, "192.168.1.5", True),
    (PeerType.LINE, PUBLIC, "100.64.3.4", True),
    (PeerType.LINE, PUBLIC, ELSEWHERE, False),
    (PeerType.LINE, PUBLIC, PUBLIC, False),
    (PeerType.LINE, "10.0.1.9", "192.168.1.5", False),
    (PeerType.USER, PUBLIC, "172.16.0.5", True),
    (PeerType.USER, PUBLIC, ELSEWHERE, True),
    (PeerType.USER, "10.0.1.9", "192.168.1.5", True),
    (PeerType.USER, PUBLIC, PUBLIC, False),
]


@pytest.mark.parametrize(("peer_type", "source", "described", "learned"), CASES)
def test_a_caller_whose_description_does_not_fit_is_learned_from_its_source(
    peer_type: PeerType, source: str, described: str, learned: bool
) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", peer_type=peer_type, address=source)
        bob = await house.phone("bob")
        house.route(to_bob)
        alice.address = described
        at_alice = alice.place(
            Uri("sip", "bob", "pbx.example"),
            Flow("udp", (ADDRESS, 5060), (source, 5060)),
            local=NameAddr(Uri("sip", "alice", "pbx.example")),
            remote=NameAddr(Uri("sip", "bob", "pbx.example")),
        )
        (await bob.next_call()).answer()
        await at_alice.wait_answered()
        leg = house.calls[0].zero.leg
        assert leg is not None
        configured = house.host.media.legs[leg.number].configured
        assert configured["remote_rtp"][0] == described
        assert configured["learn_from"] == (source if learned else None)

    on_the_network(scenario)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(("peer_type", "source", "described", "learned"), CASES)
def test_a_callee_whose_description_does_not_fit_is_learned_from_its_source(
    peer_type: PeerType, source: str, described: str, learned: bool, early: bool
) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice")
        bob = await house.phone("bob", peer_type=peer_type, address=source)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        bob.address = described
        if early:
            at_bob.ring(183, early_media=True)
            await at_alice.wait_ringing()
        else:
            at_bob.answer()
            await at_alice.wait_answered()
        one = house.calls[0].one
        assert one is not None
        assert one.leg is not None
        configured = house.host.media.legs[one.leg.number].configured
        assert configured["remote_rtp"][0] == described
        assert configured["learn_from"] == (source if learned else None)

    on_the_network(scenario)


async def hold_without_address(house: House, call: ScriptedCall) -> None:
    """The old way to hold (RFC 3264 §8.4): c=0.0.0.0, and the direction as it was."""
    session, agent = call.session, call.agent
    assert session is not None
    body = call._describer.offer(address=agent.address, port=call.leg.port, codecs=agent.codecs)
    session.reinvite(body.replace(b"c=IN IP4 " + agent.address.encode(), b"c=IN IP4 0.0.0.0"), call)
    await house.settle()


def test_what_is_learned_follows_the_description_and_outlasts_a_hold_without_address() -> None:
    async def scenario(house: House) -> None:
        house.media_timeout_s = 30.0
        at_alice, _, call = await connected(house)
        source = at_alice.agent.address

        def configured() -> tuple[object, object, object]:
            assert call.zero.leg is not None
            plan = house.host.media.legs[call.zero.leg.number].configured
            return plan["remote_rtp"] and plan["remote_rtp"][0], plan["learn_from"], plan["silence_timeout_s"]

        assert configured() == (source, None, 30.0)
        at_alice.agent.address = "192.168.1.5"
        await at_alice.reoffer("sendrecv")
        assert configured() == ("192.168.1.5", source, 30.0)
        await hold_without_address(house, at_alice)
        assert configured() == (None, source, 0.0)
        at_alice.agent.address = source
        await at_alice.reoffer("sendrecv")
        assert configured() == (source, None, 30.0)

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("described", "source", "is_translated"),
    [
        ("fd00::5", "2001:db8::7", True),
        ("2001:db8::5", "2001:db8::7", False),
        ("fd00::5", "fd00::7", False),
        ("192.168.1.5", "::ffff:198.51.100.7", True),
        ("198.51.100.7", "::ffff:198.51.100.7", False),
        ("192.168.1.5", "127.0.0.1", False),
        ("192.168.1.5", "169.254.1.1", False),
        ("172.32.0.1", "198.51.100.7", False),
        ("100.128.0.1", "198.51.100.7", False),
        ("media.example", "198.51.100.7", False),
    ],
)
def test_private_is_what_the_rfcs_reserve(described: str, source: str, is_translated: bool) -> None:
    assert translated(described, source, registered=False) is is_translated
