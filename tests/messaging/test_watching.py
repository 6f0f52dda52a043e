"""SUBSCRIBE to a server: busy lamps, message waiting, presence; who may, how many, and how it ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.world import MOBILE, REALM, World, world
from trunkline import CallSession, UnknownPeer
from trunkline.messaging import presence as presence_module
from trunkline.messaging import watching as watching_module
from trunkline.sip.subscription import State
from trunkline.testing import RequestRefused, VirtualNetwork, Watch

Run = Callable[[Any], Any]

DOCUMENT = """<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf"
 xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@x">
<tuple id="a"><status><basic>{basic}</basic></status><contact>sip:alice@10.9.9.9</contact><note>{note}</note></tuple>
<dm:person id="p"><rpid:activities><rpid:away/><rpid:script/></rpid:activities></dm:person></presence>"""


def document(basic: str = "open", note: str = "here") -> str:
    return DOCUMENT.format(basic=basic, note=note)


def play(run_virtual: Run, network: VirtualNetwork, scenario: Callable[[World], Any], **options: Any) -> None:
    async def main() -> None:
        async with world(network, **options) as at:
            await scenario(at)

    run_virtual(main())


def states(watch: Watch) -> list[str]:
    """The states of the dialogs in each document so far."""
    return [" ".join(re.findall(r"<state>(\w+)</state>", body)) for body in watch.bodies]


def refused_with(watch: Watch) -> int:
    assert watch.failure is not None
    return watch.failure.status


# --- who may --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "user", "headers", "status"),
    [
        ("conference", "bob", (), 489),
        ("dialog", "nobody", (), 404),
        ("dialog", "bob", [("Accept", "text/plain")], 406),
        ("message-summary", "bob", (), 403),
        ("dialog", "bob", [("Require", "magic")], 420),
    ],
)
def test_what_cannot_be_watched_is_refused(
    run_virtual: Run, virtual_network: VirtualNetwork, package: str, user: str, headers: Any, status: int
) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        watch = alice.subscribe(package, user, headers=headers)
        await asyncio.sleep(1)
        assert refused_with(watch) == status
        if status == 489:
            assert watch.failure is not None
            assert watch.failure.message is not None
            assert watch.failure.message.header("Allow-Events") == "dialog, message-summary, presence"
        assert len(at.server._now.messaging.watching) == 0

    play(run_virtual, virtual_network, scenario)


def test_a_watcher_proves_who_it_is(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        alice._credentials = type(alice._credentials)("alice", "guess")
        watch = alice.subscribe("dialog", "bob")
        await asyncio.sleep(1)
        assert refused_with(watch) == 401

    play(run_virtual, virtual_network, scenario)


def test_subscriptions_are_bounded_a_user_and_in_all(
    run_virtual: Run, virtual_network: VirtualNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(at: World) -> None:
        monkeypatch.setattr(watching_module, "MAX_PER_USER", 1)
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        first, second = alice.subscribe("dialog", "bob"), alice.subscribe("presence", "bob")
        await asyncio.sleep(1)
        assert refused_with(second) == 403
        monkeypatch.setattr(watching_module, "MAX_SUBSCRIPTIONS", 1)
        third = bob.subscribe("dialog", "alice")
        await asyncio.sleep(1)
        assert refused_with(third) == 503
        first.unsubscribe()
        await asyncio.sleep(1)
        fourth = bob.subscribe("dialog", "alice")
        await asyncio.sleep(1)
        assert fourth.failure is None
        assert fourth.bodies

    play(run_virtual, virtual_network, scenario)


def test_a_removed_user_is_watched_no_more_and_watches_no_more(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        of_bob, by_bob = alice.subscribe("presence", "bob"), bob.subscribe("presence", "alice")
        await asyncio.sleep(1)
        at.server.remove_user("bob")
        await asyncio.sleep(10)
        assert (of_bob.states[-1].state, of_bob.states[-1].reason) == (State.TERMINATED, "noresource")
        assert by_bob.states[-1].reason == "rejected"
        assert len(at.server._now.messaging.watching) == 0

    play(run_virtual, virtual_network, scenario)


def test_a_server_that_stops_says_so(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        watch = alice.subscribe("dialog", "bob")
        await asyncio.sleep(1)
        await at.server.stop()
        await asyncio.sleep(1)
        assert watch.states[-1].reason == "deactivated"

    play(run_virtual, virtual_network, scenario)


# --- lamps ----------------------------------------------------------------------------------------------------------------


def route_to_bob(at: World) -> None:
    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user="bob")


def test_a_lamp_follows_a_call_on_both_sides(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        route_to_bob(at)
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        of_alice, of_bob = bob.subscribe("dialog", "alice"), alice.subscribe("dialog", "bob")
        await asyncio.sleep(2)
        call = alice.dial("bob")
        ringing = await bob.next_call()
        ringing.ring()
        await asyncio.sleep(3)
        assert states(of_bob)[-1] == states(of_alice)[-1] == "early"
        ringing.answer()
        await call.wait_answered()
        await asyncio.sleep(3)
        assert states(of_bob)[-1] == states(of_alice)[-1] == "confirmed"
        assert 'direction="recipient"' in of_bob.bodies[-1]
        assert 'direction="initiator"' in of_alice.bodies[-1]
        call.hangup()
        await asyncio.sleep(3)
        assert states(of_bob)[-1] == states(of_alice)[-1] == "terminated"
        for watch in (of_alice, of_bob):
            assert re.findall(r'state="(\w+)"', watch.bodies[0]) == ["full"]
            assert set(re.findall(r' state="(\w+)"', "".join(watch.bodies[1:]))) == {"partial"}
            versions = [int(number) for number in re.findall(r' version="(\d+)"', "".join(watch.bodies))]
            assert versions == list(range(len(versions)))
        assert "remote" not in "".join(of_bob.bodies)
        assert "alice" not in "".join(of_bob.bodies)

    play(run_virtual, virtual_network, scenario)


def test_a_lamp_tells_the_other_party_only_where_that_is_allowed(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        route_to_bob(at)
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        watch = alice.subscribe("dialog", "bob")
        await asyncio.sleep(2)
        call = alice.dial("bob", display_name='A "<&>')
        (await bob.next_call()).answer()
        await call.wait_answered()
        await asyncio.sleep(3)
        shown = re.findall(r"<identity display=(.+?)>(.+?)</identity>", watch.bodies[-1])
        assert shown == [("'A \"&lt;&amp;&gt;'", f"sip:alice@{REALM}")]

    play(run_virtual, virtual_network, scenario, lamps_show_party=True)


def test_a_call_that_is_given_up_puts_the_lamp_out(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        route_to_bob(at)
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        watch = alice.subscribe("dialog", "bob")
        call = alice.dial("bob")
        (await bob.next_call()).ring()
        await asyncio.sleep(3)
        assert states(watch)[-1] == "early"
        call.hangup()
        await asyncio.sleep(3)
        assert states(watch)[-1] == "terminated"
        lamps = at.server._now.messaging.lamps
        assert not lamps._by_call
        assert not lamps._by_user

    play(run_virtual, virtual_network, scenario)


def test_a_late_watcher_and_a_refresh_get_the_full_state(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        bob = await at.phone("bob", 3)
        dialling = asyncio.create_task(at.server.dial_user("bob", caller_id=MOBILE))
        (await bob.next_call()).answer()
        await dialling
        alice = await at.phone("alice", 2)
        watch = alice.subscribe("dialog", "bob", expires_s=100)
        await asyncio.sleep(1)
        assert states(watch) == ["confirmed"]
        await asyncio.sleep(100)
        assert states(watch)[-1] == "confirmed"
        assert 'state="full"' in watch.bodies[-1]
        assert 'direction="recipient"' in watch.bodies[-1]

    play(run_virtual, virtual_network, scenario)


# --- message waiting ------------------------------------------------------------------------------------------------------


def test_message_waiting_is_told_when_it_changes(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        watch = alice.subscribe("message-summary", "alice")
        await asyncio.sleep(2)
        at.server.set_message_waiting("alice", new=2, old=8, urgent_old=1)
        await asyncio.sleep(2)
        at.server.set_message_waiting("alice", new=2, old=8, urgent_old=1)
        await asyncio.sleep(2)
        head = f"Message-Account: sip:alice@{REALM}\r\nVoice-Message: "
        assert watch.bodies == [
            f"Messages-Waiting: no\r\n{head}0/0 (0/0)\r\n",
            f"Messages-Waiting: yes\r\n{head}2/8 (0/1)\r\n",
        ]
        with pytest.raises(ValueError, match="0 or more"):
            at.server.set_message_waiting("alice", new=-1)
        with pytest.raises(ValueError, match="urgent"):
            at.server.set_message_waiting("alice", new=1, urgent_new=2)
        with pytest.raises(UnknownPeer):
            at.server.set_message_waiting("nobody", new=1)

    play(run_virtual, virtual_network, scenario)


# --- presence -------------------------------------------------------------------------------------------------------------


def basics(body: str) -> list[str]:
    return re.findall(r"<basic>(\w+)</basic>", body)


def test_without_publication_presence_is_registration(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def scenario(at: World) -> None:
        bob = await at.phone("bob", 3)
        watch = bob.subscribe("presence", "alice")
        await asyncio.sleep(6)
        alice = await at.phone("alice", 2)
        await asyncio.sleep(6)
        await alice.unregister()
        await asyncio.sleep(6)
        assert [basics(body) for body in watch.bodies] == [["closed"], ["open"], ["closed"]]
        assert "10.0.0" not in "".join(watch.bodies)

    play(run_virtual, virtual_network, scenario)


def test_what_is_published_is_told_refreshed_changed_removed_and_lapses(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def scenario(at: World) -> None:
        alice, bob = await at.phone("alice", 2), await at.phone("bob", 3)
        watch = bob.subscribe("presence", "alice")
        await asyncio.sleep(6)
        tag = await alice.publish(document(note="a &lt;&amp;&gt; b"), expires_s=100)
        await asyncio.sleep(6)
        assert "<note>a &lt;&amp;&gt; b</note>" in watch.bodies[-1]
        assert "<rpid:activities><rpid:away/></rpid:activities>" in watch.bodies[-1]
        assert "10.9.9.9" not in watch.bodies[-1]
        told = len(watch.bodies)
        refreshed = await alice.publish(tag=tag, expires_s=100)
        assert refreshed != tag
        await asyncio.sleep(6)
        assert len(watch.bodies) == told
        changed = await alice.publish(document("closed"), tag=refreshed, expires_s=100)
        await asyncio.sleep(6)
        assert basics(watch.bodies[-1]) == ["closed"]
        second = await alice.publish(document("open", "second"), expires_s=1_000)
        await asyncio.sleep(6)
        assert basics(watch.bodies[-1]) == ["closed", "open"]
        assert re.findall(r'<tuple id="(\w+)"', watch.bodies[-1]) == ["t1", "t2"]
        await asyncio.sleep(100)
        assert basics(watch.bodies[-1]) == ["open"]
        with pytest.raises(RequestRefused) as refused:
            await alice.publish(tag=changed)
        assert refused.value.status == 412
        await alice.publish(tag=second, expires_s=0)
        await asyncio.sleep(6)
        assert '<tuple id="registration">' in watch.bodies[-1]
        assert not at.server._now.messaging.presence._published

    play(run_virtual, virtual_network, scenario)


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        ("", {}, 400),
        ("<presence/>", {}, 400),
        ('<!DOCTYPE p [<!ENTITY a "b">]><presence xmlns="urn:ietf:params:xml:ns:pidf"/>', {}, 400),
        (document(), {"tag": "unknown"}, 412),
        (document(), {"expires_s": 10}, 423),
        (document(), {"headers": [("SIP-If-Match", "a"), ("SIP-If-Match", "b")]}, 400),
    ],
    ids=["no document", "no presence", "entities", "unknown tag", "too brief", "two tags"],
)
def test_a_publication_that_cannot_stand_is_refused(
    run_virtual: Run, virtual_network: VirtualNetwork, body: str, options: dict[str, Any], status: int
) -> None:
    async def scenario(at: World) -> None:
        alice = await at.phone("alice", 2)
        with pytest.raises(RequestRefused) as refused:
            await alice.publish(body, **options)
        assert refused.value.status == status
        assert not at.server._now.messaging.presence._published

    play(run_virtual, virtual_network, scenario)


def test_publications_are_bounded_and_their_users_own(
    run_virtual: Run, virtual_network: VirtualNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(at: World) -> None:
        monkeypatch.setattr(presence_module, "MAX_PUBLICATIONS", 1)
        alice = await at.phone("alice", 2)
        await alice.publish(document())
        with pytest.raises(RequestRefused) as full:
            await alice.publish(document())
        assert full.value.status == 503
        alice.name = "bob"
        with pytest.raises(RequestRefused) as foreign:
            await alice.publish(document())
        assert foreign.value.status == 403

    play(run_virtual, virtual_network, scenario)
