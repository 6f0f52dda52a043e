"""Real phones send and receive messages through the server, and find what waited for them."""

from __future__ import annotations

import pytest
from peers.fixtures import StartSite
from peers.mobile import NUMBER as MOBILE
from peers.pbx import ACCOUNT, LINE, REALM
from peers.scene import Scene

from trunkline import ChatMessage, PeerType
from trunkline.events import ChatMessageSuccess

pytestmark = [pytest.mark.interop, pytest.mark.timeout(40)]


def test_linphone_sends_a_message_and_another_linphone_shows_it(site: StartSite) -> None:
    here = site()
    alice, bob = here.linphone("alice"), here.linphone("bob")
    alice.command(f"chat sip:bob@{REALM} hello")
    here.pbx.wait_event(ChatMessageSuccess, to_peer_name="bob", stored=False)
    bob.wait_output(r"Message received from .*alice.*: hello")


def test_a_message_waits_for_linphone_until_it_registers(site: StartSite) -> None:
    here = site()
    here.pbx.run(here.pbx.server.send_message("later", to_user="bob", from_id="office"))
    here.pbx.wait_event(ChatMessageSuccess, to_peer_name="bob", stored=True)
    bob = here.linphone("bob")
    bob.wait_output(r"Message received from .*office.*: later")
    here.pbx.wait_event(ChatMessageSuccess, to_peer_name="bob", stored=False)


def test_sipp_watches_a_lamp_from_subscribe_to_the_last_notify(site: StartSite) -> None:
    here = site()
    alice = here.sipp("alice")
    alice.run("caller_watches", here.pbx.at(alice.inside), dials="bob")
    assert here.pbx.call(lambda: here.pbx.server._now.endpoint.live["dialogs"]) == 0


def test_baresip_takes_a_message_of_linphone(site: StartSite) -> None:
    here = site()
    alice = here.linphone("alice")
    here.baresip("bob")
    alice.command(f"chat sip:bob@{REALM} hello")
    here.pbx.wait_event(ChatMessageSuccess, to_peer_name="bob", status=200)


def test_linphone_shows_a_message_of_sipp(site: StartSite) -> None:
    here = site()
    alice, bob = here.sipp("alice"), here.linphone("bob")
    alice.run("caller_messages", here.pbx.at(alice.inside), dials="bob")
    bob.wait_output(r"Message received from .*alice.*: hello from SIPp")


def test_sipp_takes_a_message_of_linphone(site: StartSite) -> None:
    here = site()
    alice, bob = here.linphone("alice"), here.sipp("bob")
    bob.register(here.pbx.at(bob.inside))
    taking = bob.start("callee_messages", here.pbx.at(bob.inside))
    alice.command(f"chat sip:bob@{REALM} hello")
    taking.wait_successful()
    here.pbx.wait_event(ChatMessageSuccess, to_peer_name="bob", status=200)


def relayed(here: Scene) -> None:
    """Messages of users go out through the line, those of the line to alice."""

    def relay(message: ChatMessage) -> None:
        if message.from_peer_type is PeerType.USER:
            message.relay(to_line=LINE)
        else:
            message.relay(to_user="alice")

    here.pbx.call(here.pbx.server.on_chat_message, relay)


def test_a_message_goes_out_through_a_line_at_kamailio_that_challenges_it(site: StartSite) -> None:
    here = site()
    relayed(here)
    provider, mobile, alice = here.provider(), here.handset(), here.linphone("alice")
    taking = mobile.start("callee_messages", provider.mobile_server)
    alice.command(f"chat sip:{MOBILE}@{REALM} hello")
    taking.wait_successful()
    here.pbx.wait_event(ChatMessageSuccess, to_peer_name=LINE, status=200)


def test_a_message_comes_in_through_a_line_at_kamailio(site: StartSite) -> None:
    here = site()
    relayed(here)
    provider, mobile, alice = here.provider(), here.handset(), here.linphone("alice")
    mobile.run("mobile_messages", provider.mobile_server, dials=ACCOUNT)
    alice.wait_output(rf"Message received from .*{MOBILE}.*: hello from SIPp")
