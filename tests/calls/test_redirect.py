"""3xx followed or given to the application, the fall-back after 488, several early dialogs and what comes late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.calls.house import REALM, House, on_the_network
from tests.calls.test_accept import to_bob
from trunkline.calls.peers import Target
from trunkline.calls.plan import Failed
from trunkline.calls.redirect import Redirections
from trunkline.calls.session import CallSession
from trunkline.constants import ClosedReason
from trunkline.events import CallSessionFailed
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Codec, Message, Uri
from trunkline.testing.agent import Agent
from trunkline.testing.call import CallRefused, ScriptedCall

PCMU, PCMA, G722 = Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("G722", 8000)


def moved(*contacts: str) -> Message:
    lines = [
        "SIP/2.0 302 Moved",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2",
        "From: <sip:a@x>;tag=ours",
        "To: <sip:b@x>;tag=b",
        "Call-ID: c",
        "CSeq: 1 INVITE",
        *(f"Contact: {contact}" for contact in contacts),
        "Content-Length: 0",
    ]
    return Message.parse(("\r\n".join(lines) + "\r\n\r\n").encode())


def tried(redirections: Redirections) -> list[str]:
    found = []
    while (uri := redirections.next()) is not None:
        found.append(str(uri))
    return found


def test_contacts_are_tried_by_their_q() -> None:
    redirections = Redirections(Uri.parse("sip:b@x"), 5)
    redirections.take(moved("<sip:1@x>;q=0.1", "<sip:2@x>;q=0.7, <sip:3@x>", "<sip:4@x>;q=x", "<sip:5@x>;q=nan"))
    assert tried(redirections) == ["sip:3@x", "sip:4@x", "sip:5@x", "sip:2@x", "sip:1@x"]


def test_nobody_is_tried_twice_and_few_at_all() -> None:
    redirections = Redirections(Uri.parse("sip:b@x"), 3)
    redirections.take(moved("<sip:b@x>", "<sip:1@x>", "<sip:1@x>;q=0.5", "<tel:+1555>", "<sips:2@x>", "<sip:3@x>"))
    assert str(redirections.next()) == "sip:1@x"
    redirections.take(moved("<sip:1@x>", "<sip:4@x>"))
    assert tried(redirections) == ["sip:4@x", "sip:3@x"]


@pytest.mark.parametrize("contacts", [(), ("*",), ("<nonsense",)])
def test_a_3xx_that_names_nobody_leads_nowhere(contacts: tuple[str, ...]) -> None:
    redirections = Redirections(Uri.parse("sip:b@x"), 3)
    redirections.take(moved(*contacts))
    assert redirections.next() is None


async def redirected(house: House, *, follow: int, headers: list[tuple[str, str]]) -> tuple[ScriptedCall, Agent]:
    """Bob's phone answers 302; carol is somewhere else."""
    alice, bob = await house.phone("alice"), await house.phone("bob")
    carol = await house.phone("carol")
    credentials = ClientCredentials("bob", "secret")
    house.parties["bob"] = replace(house.parties["bob"], follow_redirects=follow, credentials=credentials)
    house.route(to_bob)
    at_alice = house.call(alice, "bob")
    (await bob.next_call()).reject(302, headers=headers)
    return at_alice, carol


def test_a_3xx_is_given_to_the_application_unless_it_is_to_be_followed() -> None:
    async def scenario(house: House) -> None:
        at_alice, carol = await redirected(house, follow=0, headers=[("Contact", "<sip:carol@10.0.0.4:5060>")])
        with pytest.raises(CallRefused):
            await at_alice.wait_answered()
        failed = house.events.only(CallSessionFailed)
        assert (failed.status, failed.contact) == (302, "sip:carol@10.0.0.4:5060")
        assert house.calls[0].closed_reason is ClosedReason.MOVED
        assert carol.calls == []

    on_the_network(scenario)


def test_a_3xx_is_followed_and_the_password_stays_here() -> None:
    async def scenario(house: House) -> None:
        at_alice, carol = await redirected(house, follow=3, headers=[("Contact", "<sip:carol@10.0.0.4:5060>")])
        at_carol = await carol.next_call()
        assert at_carol.dialled == "carol"
        at_carol.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert house.events.names()[-1] == "Connected"
        (won,) = house.fared
        assert isinstance(won, Target)
        at_alice.hangup()
        await at_carol.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_phone_that_forwards_to_a_user_of_ours_has_all_phones_of_that_user_called() -> None:
    async def scenario(house: House) -> None:
        at_alice, first = await redirected(house, follow=3, headers=[("Contact", f"<sip:carol@{REALM}>")])
        second = await house.phone("carol")
        at_first = await first.next_call()
        at_first.answer()
        await at_alice.wait_answered()
        await house.settle()
        call = house.calls[0]
        assert call.one is not None
        assert call.one.party is not None
        assert call.one.party.name == "carol"
        assert house.events.names()[-1] == "Connected"
        assert "AttemptFailed" not in house.events.names()
        assert second.calls == []
        at_alice.hangup()
        await at_first.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_what_becomes_of_a_forwarded_call_is_told_of_whom_it_went_to() -> None:
    async def scenario(house: House) -> None:
        at_alice, carol = await redirected(house, follow=1, headers=[("Contact", f"<sip:carol@{REALM}>")])
        (await carol.next_call()).reject(486)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 486
        assert house.calls[0].closed_reason is ClosedReason.FAILED

    on_the_network(scenario)


def test_two_phones_that_forward_to_each_other_are_left_after_as_many_times_as_is_set() -> None:
    async def scenario(house: House) -> None:
        at_alice, carol = await redirected(house, follow=2, headers=[("Contact", f"<sip:carol@{REALM}>")])
        (await carol.next_call()).reject(302, headers=[("Contact", f"<sip:bob@{REALM}>")])
        bob = house.places["bob"][0]
        (await bob.next_call()).reject(302, headers=[("Contact", f"<sip:carol@{REALM}>")])
        with pytest.raises(CallRefused):
            await at_alice.wait_answered()
        assert house.calls[0].closed_reason is ClosedReason.MOVED
        assert house.events.only(CallSessionFailed).contact == f"sip:carol@{REALM}"
        assert carol.incoming.empty()

    on_the_network(scenario)


def test_a_phone_is_not_asked_for_an_address_that_it_only_names() -> None:
    """Its 302 to a number of ours is for the application: a phone is no proxy."""

    async def scenario(house: House) -> None:
        at_alice, _ = await redirected(house, follow=3, headers=[("Contact", f"<sip:0170123@{REALM}>")])
        with pytest.raises(CallRefused):
            await at_alice.wait_answered()
        assert house.events.only(CallSessionFailed).contact == f"sip:0170123@{REALM}"
        assert house.calls[0].closed_reason is ClosedReason.MOVED
        assert house.places["bob"][0].incoming.empty()

    on_the_network(scenario)


@pytest.mark.parametrize(("of_user", "of_call", "followed"), [(0, 2, True), (2, 0, False), (2, None, True)])
def test_a_call_may_say_otherwise_whether_redirections_are_followed(
    of_user: int, of_call: int | None, followed: bool
) -> None:
    async def scenario(house: House) -> None:
        async def route(call: CallSession) -> None:
            with pytest.raises(ValueError, match="follow_redirects: 0 to 10"):
                call.accept(to_user="bob", follow_redirects=11)
            await call.accept(to_user="bob", follow_redirects=of_call)

        alice, bob = await house.phone("alice"), await house.phone("bob")
        carol = await house.phone("carol")
        house.parties["bob"] = replace(house.parties["bob"], follow_redirects=of_user)
        house.route(route)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(302, headers=[("Contact", f"<sip:carol@{REALM}>")])
        if followed:
            (await carol.next_call()).answer()
            await at_alice.wait_answered()
        else:
            with pytest.raises(CallRefused):
                await at_alice.wait_answered()
        assert carol.incoming.empty()

    on_the_network(scenario)


def test_a_redirected_target_that_challenges_gets_no_credentials() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        carol = await house.phone("carol")
        carol.endpoint.driver.set_challenge("evil.example", {"INVITE": "everybody"}, (), ())
        credentials = ClientCredentials("bob", "secret")
        house.parties["bob"] = replace(house.parties["bob"], follow_redirects=3, credentials=credentials)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(302, headers=[("Contact", "<sip:carol@10.0.0.4:5060>")])
        with pytest.raises(CallRefused):
            await at_alice.wait_answered()
        assert all(b"Authorization" not in packet.data for packet in house.sent("INVITE ", to=carol))
        (failed,) = house.fared
        assert isinstance(failed, Failed)
        assert failed.abroad  # it says nothing against bob's phone

    on_the_network(scenario)


def test_a_loop_of_redirections_ends_as_moved() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.parties["bob"] = replace(house.parties["bob"], follow_redirects=5)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        for target in ("here", "there", "here"):
            contact = f"<sip:{target}@{bob.address}:5060>"
            try:
                (await bob.next_call(2)).reject(302, headers=[("Contact", contact)])
            except TimeoutError:
                break
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 480
        assert house.calls[0].closed_reason is ClosedReason.MOVED

    on_the_network(scenario)


def test_a_488_with_a_description_is_offered_what_that_says_once() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(G722, PCMU, PCMA), allowed=(G722, PCMU, PCMA))
        bob = await house.phone("bob", allowed=(G722, PCMU, PCMA))
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        first = await bob.next_call()
        # RFC 3264 §9: what they can, with port 0 and without an address
        sdp = b"v=0\r\no=- 1 1 IN IP4 10.0.0.3\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n"
        request = first._take_server().request
        fields = [("Content-Type", "application/sdp")]
        bob.endpoint.respond(request.tx, 488, None, fields, sdp)
        second = await bob.next_call()
        assert second.invite is not None
        assert b"m=audio" in second.invite.body
        assert b" RTP/AVP 8\r\n" in second.invite.body
        second.reject(488)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 488
        assert refused.value.message is not None
        assert refused.value.message.header("Warning") is not None

    on_the_network(scenario)


def test_a_bare_488_is_offered_g711_alone_once() -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", codecs=(G722, PCMU), allowed=(G722, PCMU))
        bob = await house.phone("bob", allowed=(G722, PCMU))
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        (await bob.next_call()).reject(488)
        second = await bob.next_call()
        assert second.invite is not None
        assert b"G722" not in second.invite.body
        second.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert house.events.names()[-1] == "Connected"
        assert "AttemptFailed" not in house.events.names()

    on_the_network(scenario)


def test_a_180_after_a_183_reaches_the_caller_and_early_media_goes_on() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring(183, early_media=True)
        await house.settle()
        at_bob.ring(180)
        await house.settle()
        assert [message.status for message in at_alice.provisionals] == [183, 180]
        call = house.calls[0]
        assert call.zero.leg is not None
        assert call.one is not None
        assert call.one.leg is not None
        assert house.host.media.legs[call.zero.leg.number].linked == call.one.leg.number
        at_bob.answer()
        await at_alice.wait_answered()

    on_the_network(scenario)
