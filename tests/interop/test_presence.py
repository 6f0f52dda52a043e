"""Real phones subscribe and publish: lamps, presence and message waiting, from the first request to the last."""

from __future__ import annotations

import pytest
from peers.baresip import Baresip
from peers.fixtures import StartSite
from peers.linphone import Linphone
from peers.pbx import REALM
from peers.process import wait_until
from peers.scene import Scene

from trunkline.calls.session import CallSession
from trunkline.events import LineMessagesWaiting

pytestmark = [pytest.mark.interop, pytest.mark.timeout(40)]

BOB = f"sip:bob@{REALM}"


async def decide(call: CallSession) -> None:
    """Users call each other."""
    await call.accept(to_user=call.dial_number)


def dialogs(here: Scene) -> int:
    """Subscriptions and calls that the server has."""
    count: int = here.pbx.call(lambda: here.pbx.server._now.endpoint.live["dialogs"])
    return count


def phone(here: Scene, program: str, user: str) -> Baresip | Linphone:
    return here.linphone(user) if program == "linphone" else here.baresip(user)


def test_sipp_watches_a_lamp_while_a_call_comes_and_goes(site: StartSite) -> None:
    here = site(decide)
    alice, bob, watcher = here.linphone("alice"), here.baresip("bob"), here.sipp("alice")
    watching = watcher.start("caller_watches_calls", here.pbx.at(watcher.inside), dials="bob")
    watching.wait_message(r'state="full"')
    alice.dial(BOB)
    bob.wait_incoming()
    watching.wait_message(r"<state>(trying|early)</state>")
    bob.answer()
    watching.wait_message(r"<state>confirmed</state>")
    bob.hangup()
    watching.wait_successful()
    here.pbx.wait_idle()


def test_sipp_publishes_refreshes_and_removes_and_is_refused_what_it_may_not(site: StartSite) -> None:
    here = site()
    bob, alice = here.linphone("bob"), here.sipp("alice")
    bob.watch(f"sip:alice@{REALM}")
    bob.wait_friend("Offline")
    publishing = alice.start("caller_publishes", here.pbx.at(alice.inside), dials="alice", pause_ms=6_000)
    # no more often than every five seconds (RFC 3856 §6.10)
    bob.wait_friend("Online")
    publishing.wait_successful()
    bob.wait_friend("Offline")


@pytest.mark.parametrize("program", ["linphone", "baresip"])
def test_linphone_is_told_when_a_phone_comes_and_goes(site: StartSite, program: str) -> None:
    here = site()
    alice = here.linphone("alice")
    alice.watch(BOB)
    bob = phone(here, program, "bob")
    alice.wait_friend("Online")
    bob.unregister()
    alice.wait_friend("Offline")
    alice.stop()
    # it takes its subscription back
    wait_until(lambda: dialogs(here) == 0, 5.0, "no subscription left")


def test_baresip_is_told_of_what_linphone_publishes(site: StartSite) -> None:
    here = site()
    alice = here.baresip("alice", watches=[BOB])
    wait_until(lambda: dialogs(here) == 1, 10.0, "alice's subscription")
    bob = here.linphone("bob", publishes=True)
    alice.program.wait_for_line(rf"{BOB}> changed status from \S*Offline\S* to \S*Online")
    published = [one for one in here.pbx.messages(bob.inside.address, sent=False) if one.data.startswith(b"PUBLISH")]
    assert published
    bob.stop()
    alice.program.wait_for_line(rf"{BOB}> changed status from \S*Online\S* to \S*Offline")


def test_linphone_is_told_of_what_baresip_publishes(site: StartSite) -> None:
    here = site()
    alice = here.linphone("alice")
    alice.watch(BOB)
    bob = here.baresip("bob", publishes_s=60)
    alice.wait_friend("Online")
    wait_until(
        lambda: any(one.data.startswith(b"PUBLISH") for one in here.pbx.messages(bob.inside.address, sent=False)),
        5.0,
        "a PUBLISH of baresip",
    )


def test_baresip_is_told_of_the_messages_that_wait(site: StartSite) -> None:
    here = site()
    alice = here.baresip("alice", mailbox=True)
    assert "Messages-Waiting: no" in alice.wait_event("MWI_NOTIFY").parameter
    here.pbx.call(here.pbx.server.set_message_waiting, "alice", new=2, old=1)
    told = alice.wait_event("MWI_NOTIFY").parameter
    assert "Messages-Waiting: yes" in told
    assert "Voice-Message: 2/1 (0/0)" in told
    alice.stop()
    wait_until(lambda: dialogs(here) == 0, 5.0, "no subscription left")


def test_a_line_is_told_of_the_messages_that_wait_at_a_provider_that_sipp_plays(site: StartSite) -> None:
    here = site()
    provider = here.handset()
    telling = provider.start("mailbox", provider.server)
    here.pbx.add_line(provider.server, register=False, ping_interval_s=0, message_waiting=True)
    here.pbx.wait_event(LineMessagesWaiting, waiting=True, new=2, old=8)
    here.pbx.wait_event(LineMessagesWaiting, waiting=False, new=0, old=10)
    telling.wait_successful()
