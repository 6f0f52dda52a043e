"""Reliable provisionals on each leg for itself (RFC 3262): PRACK, early answers that count, UPDATE before the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.calls.house import ADDRESS, House, on_the_network
from tests.calls.test_accept import to_bob
from trunkline.constants import ClosedReason
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import ALLOW, Reliable
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Codec, Direction, Flow, Message
from trunkline.testing.call import CallRefused, ScriptedCall
from trunkline.testing.network import Packet, VirtualHost
from trunkline.testing.scripted import send_in, within

PCMA, G722 = Codec("PCMA", 8000), Codec("G722", 8000)


async def ringing(
    house: House,
    *,
    alice: Reliable = "never",
    bob: bool = False,
    early: bool = True,
    offerless: bool = False,
) -> tuple[ScriptedCall, ScriptedCall]:
    """Bob's phone gives early media, reliably or not, to a caller who supports that or not."""
    at = await house.phone("alice", reliable=alice)
    to = await house.phone("bob")
    house.route(to_bob)
    at_alice = house.call(at, "bob", offerless=offerless)
    at_bob = await to.next_call()
    at_bob.ring(183 if early else 180, early_media=early, reliable=bob)
    await house.settle()
    return at_alice, at_bob


def packets(house: House, start: str, to: str) -> list[bytes]:
    return [
        packet.data
        for packet in house.network.delivered
        if packet.data.startswith(start.encode()) and packet.destination[0] == to
    ]


@pytest.mark.parametrize("alice", ["never", "supported", "required"])
@pytest.mark.parametrize("bob", [False, True], ids=["unreliable", "reliable"])
def test_each_leg_is_reliable_for_itself(alice: Reliable, bob: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice=alice, bob=bob)
        assert len(at_bob.pracks) == bob
        assert len(packets(house, "PRACK ", ADDRESS)) == (alice != "never")
        (early,) = packets(house, "SIP/2.0 183", at_alice.agent.address)
        assert (b"\r\nRequire: 100rel\r\n" in early) is (alice != "never")
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        final = next(data for data in packets(house, "SIP/2.0 200", at_alice.agent.address) if b" INVITE\r\n" in data)
        # the answer that arrived for sure is not given again
        assert (b"\r\nm=audio" in final) is (alice == "never")
        assert house.events.names()[-1] == "Connected"
        call = house.calls[0]
        assert call.zero.plan is not None
        assert call.one is not None
        assert call.one.plan is not None
        at_alice.hangup()
        await at_bob.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_who_requires_it_gets_every_provisional_reliably() -> None:
    async def scenario(house: House) -> None:
        at_alice, _ = await ringing(house, alice="required", early=False)
        (rang,) = packets(house, "SIP/2.0 180", at_alice.agent.address)
        assert b"\r\nRequire: 100rel\r\n" in rang
        assert len(packets(house, "PRACK ", ADDRESS)) == 1

    on_the_network(scenario)


def test_a_ringing_that_says_nothing_else_is_not_sent_reliably_to_who_only_supports_it() -> None:
    async def scenario(house: House) -> None:
        at_alice, _ = await ringing(house, alice="supported", early=False)
        (rang,) = packets(house, "SIP/2.0 180", at_alice.agent.address)
        assert b"\r\nRequire:" not in rang

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("theirs", "ours", "status", "header"),
    [
        ("required", "never", 420, b"\r\nUnsupported: 100rel\r\n"),
        ("never", "required", 421, b"\r\nRequire: 100rel\r\n"),
    ],
)
def test_what_one_side_requires_and_the_other_cannot_is_refused(
    theirs: Reliable, ours: Reliable, status: int, header: bytes
) -> None:
    async def scenario(house: House) -> None:
        alice = await house.phone("alice", reliable=theirs, our_reliable=ours)
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == status
        assert header in packets(house, "SIP/2.0 4", alice.address)[0]
        assert house.calls == []

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ("never", b""),
        ("supported", b"\r\nSupported: timer, 100rel, replaces\r\n"),
        ("required", b"\r\nRequire: 100rel\r\n"),
    ],
)
def test_our_invite_says_what_is_set_for_its_target(ours: Reliable, said: bytes) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob", our_reliable=ours)
        house.route(to_bob)
        house.call(alice, "bob")
        at_bob = await bob.next_call()
        assert at_bob.invite is not None
        assert said in at_bob.invite.raw
        assert (b"100rel" in at_bob.invite.raw) is (ours != "never")

    on_the_network(scenario)


def test_an_early_answer_that_is_sure_stands_whatever_the_200_says() -> None:
    """RFC 3261 §13.2.1."""

    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, bob=True)
        local = at_bob._describer.local
        assert local is not None
        other = local.replace(b"m=audio %d " % at_bob.leg.port, b"m=audio 9 ")
        assert other != local
        assert at_bob._take_server().accept(at_bob.agent.contact, other)
        await at_alice.wait_answered()
        await house.settle()
        call = house.calls[0]
        assert call.one is not None
        assert call.one.plan is not None
        assert call.one.plan.remote_rtp == (at_bob.agent.address, at_bob.leg.port)

    on_the_network(scenario)


def test_a_caller_who_offers_nothing_hears_early_media_by_way_of_the_prack() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported", offerless=True)
        call = house.calls[0]
        (prack,) = packets(house, "PRACK ", ADDRESS)
        assert b"\r\nm=audio" in prack
        assert call.zero.leg is not None
        assert call.one is not None
        assert call.one.leg is not None
        assert house.host.media.legs[call.zero.leg.number].linked == call.one.leg.number
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert house.events.names()[-1] == "Connected"
        (ack,) = packets(house, "ACK ", ADDRESS)
        assert b"\r\nm=audio" not in ack

    on_the_network(scenario)


def test_a_callee_may_offer_something_else_by_update_before_it_answers() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, bob=True)
        assert (await at_bob.offer_early("sendonly")).status == 200
        call = house.calls[0]
        assert call.one is not None
        assert call.one.leg is not None
        configured = house.host.media.legs[call.one.leg.number].configured
        assert (configured["sends"], configured["receives"]) == (False, True)
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert call.one.plan is not None
        assert call.one.plan.direction == "recvonly"
        # one dialog, one sequence of numbers
        at_alice.hangup()
        assert (await at_bob.wait_ended()).how == "bye"

    on_the_network(scenario)


@pytest.mark.parametrize(
    ("method", "status"), [("UPDATE", 200), ("OPTIONS", 200), ("INFO", 200), ("INVITE", 491), ("MESSAGE", 405)]
)
@pytest.mark.parametrize("bob", [False, True], ids=["unreliable", "reliable"])
def test_requests_of_a_callee_who_has_not_answered_are_served(bob: bool, method: str, status: int) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, bob=bob)
        assert at_bob.invite is not None
        flow = Flow("udp", (ADDRESS, 5060), (at_bob.agent.address, 5060))
        dialog = at_bob._early or Dialog.as_callee(at_bob.invite, flow, at_bob._take_server().local_tag)
        fields = [("Contact", at_bob.agent.contact)]
        answer = await send_in(at_bob.agent, dialog, method, fields, b"", None)
        assert answer.status == status
        at_bob._early = dialog
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        at_bob.hangup()
        assert (await at_alice.wait_ended()).how == "bye"
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_an_update_before_the_early_answer_is_sure_waits() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, bob=True, early=False)
        assert (await at_bob.offer_early("sendrecv")).status == 491
        at_bob.answer()
        await at_alice.wait_answered()

    on_the_network(scenario)


def early_dialog(at_alice: ScriptedCall) -> Dialog:
    """The caller's early dialog."""
    early = at_alice.provisionals[0]
    flow = Flow("udp", (ADDRESS, 5060), (at_alice.agent.address, 5060))
    return Dialog.as_caller(
        early, flow, local=str(early.from_), local_tag=early.from_tag, cseq=7, target="sip:x@y", nat=False
    )


async def offered_by_caller(
    at_alice: ScriptedCall, direction: Direction, *, codecs: Sequence[Codec] | None = None, timeout_s: float = 5.0
) -> Message:
    """Let the caller offer something else by UPDATE before the answer."""
    agent = at_alice.agent
    describer = at_alice._describer
    body = describer.offer(
        address=agent.address, port=at_alice.leg.port, codecs=codecs or agent.codecs, direction=direction
    )
    fields = [("Contact", agent.contact), ("Allow", ALLOW), ("Content-Type", "application/sdp")]
    answer = await within(send_in(agent, early_dialog(at_alice), "UPDATE", fields, body, None), timeout_s)
    if answer.status == 200:
        describer.accept_answer(answer.body)
    else:
        describer.withdraw()
    return answer


@pytest.mark.parametrize(("alice", "status"), [("supported", 200), ("never", 500)])
def test_a_caller_may_offer_something_else_once_its_early_answer_is_sure(alice: Reliable, status: int) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice=alice)
        answer = await offered_by_caller(at_alice, "sendonly")
        assert answer.status == status
        call = house.calls[0]
        assert call.zero.plan is not None
        assert call.zero.plan.direction == ("recvonly" if status == 200 else "sendrecv")
        assert (b"a=recvonly" in answer.body) is (status == 200)
        assert at_bob.ended is None

    on_the_network(scenario)


@pytest.mark.parametrize("by_caller", [True, False], ids=["caller", "callee"])
def test_an_early_offer_crosses_where_both_sides_are_early_for_sure(by_caller: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported", bob=True)
        asking, told = (at_alice, at_bob) if by_caller else (at_bob, at_alice)
        offer = offered_by_caller(at_alice, "sendonly") if by_caller else at_bob.offer_early("sendonly")
        assert (await offer).status == 200
        assert told.remote_holds == ["sendonly"]
        assert [request.method for request in told.requests] == ["UPDATE"]
        call = house.calls[0]
        assert call.one is not None
        assert call.one.early is not None
        assert call.zero.plan is not None
        assert call.one.early.plan is not None
        plans = {"zero": call.zero.plan.direction, "one": call.one.early.plan.direction}
        assert plans == (
            {"zero": "recvonly", "one": "sendonly"} if by_caller else {"zero": "sendonly", "one": "recvonly"}
        )
        assert asking._describer.plan is not None
        assert asking._describer.plan.direction == "sendonly"
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        assert house.events.names()[-1] == "Connected"
        assert len(told.requests) == 1
        at_bob.hangup()
        await at_alice.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


@pytest.mark.parametrize("by_caller", [True, False], ids=["caller", "callee"])
def test_another_codec_early_crosses_too(by_caller: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported", bob=True)
        if by_caller:
            answer = await offered_by_caller(at_alice, "sendrecv", codecs=[PCMA])
        else:
            answer = await at_bob.offer_early("sendrecv", codecs=[PCMA])
        assert answer.status == 200
        call = house.calls[0]
        assert call.one is not None
        assert call.one.early is not None
        for plan in (call.zero.plan, call.one.early.plan):
            assert plan is not None
            assert [codec.name for codec in plan.send_codecs] == ["PCMA"]

    on_the_network(scenario)


@pytest.mark.parametrize("by_caller", [True, False], ids=["caller", "callee"])
def test_what_the_other_side_refuses_early_is_refused(by_caller: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported", bob=True)
        (at_bob if by_caller else at_alice).agent.codecs = (G722,)
        offer = offered_by_caller(at_alice, "sendonly") if by_caller else at_bob.offer_early("sendonly")
        answer = await offer
        assert answer.status == 488
        assert answer.header("Warning") is not None
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle()
        call = house.calls[0]
        assert call.one is not None
        assert call.zero.plan is not None
        assert call.one.plan is not None
        assert (call.zero.plan.direction, call.one.plan.direction) == ("sendrecv", "sendrecv")

    on_the_network(scenario)


def test_an_early_offer_that_nobody_answers_is_refused_in_time_and_the_answer_still_comes_through() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported", bob=True)
        at_alice.auto_reanswer = False
        assert (await at_bob.offer_early("sendonly", timeout_s=20)).status == 488
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle(40)
        call = house.calls[0]
        assert call.zero.plan is not None
        assert call.zero.plan.direction == "sendrecv"
        assert house.events.names()[-1] == "Connected"
        assert call.closed_reason is None

    on_the_network(scenario)


@pytest.mark.parametrize("late", [True, False], ids=["told late", "not told"])
def test_an_answer_that_overtakes_an_early_offer_ends_in_what_both_know(late: bool) -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported", bob=True)
        at_alice.auto_reanswer = late

        def delay(packet: Packet) -> int:
            if packet.source[0] == at_alice.agent.address and packet.data.startswith(b"SIP/2.0 200"):
                asyncio.get_running_loop().call_later(0.4, house.host.driver.receive_datagram, packet)
                return 0
            return 1

        house.network.filters.append(delay)
        offering = asyncio.ensure_future(at_bob.offer_early("sendonly"))
        await house.settle(0.2)
        assert len(at_alice.requests) == 1
        at_bob.answer()
        answer = await offering
        assert answer.status == 500
        assert answer.header("Retry-After") is not None
        await at_alice.wait_answered()
        await house.settle(10)
        call = house.calls[0]
        assert call.one is not None
        assert call.zero.plan is not None
        assert call.one.plan is not None
        assert (call.zero.plan.direction, call.one.plan.direction) == ("sendrecv", "sendrecv")
        assert at_alice.remote_holds == (["sendonly", "sendrecv"] if late else [])
        at_alice.hangup()
        await at_bob.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_two_early_offers_at_once_get_491_and_a_second_one_500() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported", bob=True)
        at_alice.auto_reanswer = False
        first = asyncio.ensure_future(at_bob.offer_early("sendonly", timeout_s=20))
        await house.settle(0.5)
        assert (await offered_by_caller(at_alice, "sendonly")).status == 491
        again = await within(
            send_in(
                at_bob.agent,
                at_bob._early,  # type: ignore[arg-type]
                "UPDATE",
                [("Contact", at_bob.agent.contact), ("Content-Type", "application/sdp")],
                at_bob._describer.local or b"",
                None,
            ),
            5,
        )
        assert (again.status, again.header("Retry-After") is not None) == (500, True)
        assert (await first).status == 488

    on_the_network(scenario)


@pytest.mark.parametrize("takes", [True, False], ids=["unsure", "no UPDATE"])
def test_where_the_caller_cannot_be_told_early_a_hold_is_told_when_both_are_up(takes: bool) -> None:
    async def scenario(house: House) -> None:
        if not takes:
            house.network.filters.append(without_update)
        at_alice, at_bob = await ringing(house, alice="never" if takes else "supported", bob=True)
        assert (await at_bob.offer_early("sendonly")).status == 200
        assert at_alice.requests == []
        at_bob.answer()
        await at_alice.wait_answered()
        await house.settle(3)
        assert at_alice.remote_holds == ["sendonly"]

    def without_update(packet: Packet) -> int:
        if packet.data.startswith(b"INVITE ") and packet.destination[0] == ADDRESS and b", UPDATE" in packet.data:
            shorter = packet.data.replace(b", UPDATE", b"", 1)
            hosts[0].driver.receive_datagram(replace(packet, data=shorter))
            return 0
        return 1

    hosts: list[VirtualHost] = []

    async def main(house: House) -> None:
        hosts.append(house.host)
        await scenario(house)

    on_the_network(main)


def test_another_codec_early_that_the_other_side_cannot_be_asked_for_is_refused() -> None:
    async def scenario(house: House) -> None:
        at_alice, at_bob = await ringing(house, alice="supported")
        answer = await offered_by_caller(at_alice, "sendrecv", codecs=[PCMA])
        assert answer.status == 488
        assert at_bob.requests == []

    on_the_network(scenario)


def test_a_provisional_that_is_never_acknowledged_ends_the_call_with_504() -> None:
    async def scenario(house: House) -> None:
        house.network.filters.append(lambda packet: 0 if packet.data.startswith(b"PRACK ") else 1)
        at_alice, at_bob = await ringing(house, alice="supported")
        await house.settle(40)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 504
        assert (await at_bob.wait_ended()).how == "cancel"
        assert house.calls[0].closed_reason is ClosedReason.SESSION_LOST
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_an_answer_that_waits_for_a_prack_in_vain_ends_the_call() -> None:
    async def scenario(house: House) -> None:
        house.network.filters.append(lambda packet: 0 if packet.data.startswith(b"PRACK ") else 1)
        at_alice, at_bob = await ringing(house, alice="supported")
        at_bob.answer()
        await house.settle(40)
        with pytest.raises(CallRefused) as refused:
            await at_alice.wait_answered()
        assert refused.value.status == 504
        assert (await at_bob.wait_ended()).how == "bye"
        await house.settle(80)
        house.check_over()

    on_the_network(scenario)


def test_a_challenged_prack_is_sent_again_with_credentials() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await house.phone("alice"), await house.phone("bob")
        house.parties["bob"] = replace(house.parties["bob"], credentials=ClientCredentials("bob", "secret"))
        house.route(to_bob)
        bob.endpoint.driver.set_challenge("bob.example", {"*": "nobody"}, (), ())
        once: list[Packet] = []

        def challenge(packet: Packet) -> int:
            if packet.data.startswith(b"SIP/2.0 200") and b" PRACK\r\n" in packet.data and not once:
                once.append(packet)
                refused = packet.data.replace(b"SIP/2.0 200 OK", b"SIP/2.0 407 Who", 1)
                field = b'\r\nProxy-Authenticate: Digest realm="p", nonce="n"\r\nContent-Length'
                host = house.network.hosts[packet.destination[0]]
                data = refused.replace(b"\r\nContent-Length", field, 1)
                host.driver.receive_datagram(replace(packet, data=data))
                return 0
            return 1

        house.network.filters.append(challenge)
        house.call(alice, "bob")
        at_bob = await bob.next_call()
        at_bob.ring(183, early_media=True, reliable=True)
        await house.settle()
        sent = packets(house, "PRACK ", bob.address)
        assert len(sent) == 2
        assert b"\r\nProxy-Authorization: Digest " in sent[1]

    on_the_network(scenario)


@pytest.mark.parametrize("seed", range(8))
def test_reliable_calls_survive_loss_and_duplicates(seed: int) -> None:
    async def scenario(house: House) -> None:
        link = house.network.default_link
        link.loss, link.duplicate, link.jitter_s = 0.15, 0.15, 0.03
        alice, bob = await house.phone("alice", reliable="supported"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob")
        at_bob = await bob.next_call(60)
        at_bob.ring(183, early_media=True, reliable=True)
        at_bob.ring(180, reliable=True)
        await house.settle(0.02 * seed)
        at_bob.answer()
        await at_alice.wait_answered(60)
        await house.settle(10)
        assert house.events.names()[-1] == "Connected"
        at_alice.hangup()
        await house.settle(120)
        house.check_over()
        assert alice.endpoint.live == bob.endpoint.live == {"clients": 0, "servers": 0, "dialogs": 0}

    on_the_network(scenario, seed=seed)


@pytest.mark.parametrize("seed", range(8))
def test_early_offers_of_ours_survive_loss_duplicates_and_an_answer_that_hurries(seed: int) -> None:
    async def scenario(house: House) -> None:
        link = house.network.default_link
        link.loss, link.duplicate, link.jitter_s = 0.15, 0.15, 0.03
        alice, bob = await house.phone("alice", reliable="supported"), await house.phone("bob")
        house.route(to_bob)
        at_alice = house.call(alice, "bob", offerless=True)
        at_bob = await bob.next_call(60)
        at_bob.ring(183, early_media=True)
        await house.settle(0.02 * seed)
        at_bob.answer()
        await at_alice.wait_answered(60)
        await house.settle(20)
        call = house.calls[0]
        assert house.events.names()[-1] == "Connected"
        assert call.one is not None
        assert call.zero.plan is not None
        assert call.one.plan is not None
        assert call.zero.plan.direction == call.one.plan.direction == "sendrecv"
        at_bob.hangup()
        await house.settle(120)
        house.check_over()

    on_the_network(scenario, seed=seed)
