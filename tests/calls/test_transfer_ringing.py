"""Replaces that names an early dialog: a transfer while its target rings (semi-attended), and a call that is picked up."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.talking import connected, talk, three, to
from trunkline.calls.session import CallSession
from trunkline.calls.transfer_request import TransferResult
from trunkline.constants import ClosedReason, PeerType
from trunkline.errors import CallEnded
from trunkline.events import TransferAccepted, TransferFailed
from trunkline.sip.endpoint import Codec, Uri
from trunkline.sip.refer import Replaces
from trunkline.testing.call import CallRefused, ScriptedCall


def early(uri: str, call_id: str, to_tag: str, from_tag: str) -> str:
    """A Refer-To URI that names a dialog, as who gets the INVITE sees it."""
    return str(Uri.parse(uri).replace(headers=[("Replaces", str(Replaces(call_id, to_tag, from_tag)))]))


async def ringing(
    house: House, caller: str = "bob", callee: str = "carol", *, media: bool = False
) -> tuple[ScriptedCall, ScriptedCall, str]:
    """A second call of a phone, that rings; and what its REFER names it by."""
    consult = house.call(house.places[caller][0], callee)
    target = await house.places[callee][0].next_call()
    target.ring(183 if media else 180, early_media=media)
    message = await consult.wait_ringing()
    return consult, target, early(to(callee), message.call_id, message.to_tag, message.from_tag)


# --- semi-attended ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media", [False, True])
def test_a_transfer_while_its_target_rings_lets_it_ring_on_for_who_is_kept(media: bool) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        await bob.hold()
        consult, carol, refer_to = await ringing(house, media=media)
        refer = bob.refer(refer_to)
        with pytest.raises(CallRefused) as refused:
            await consult.wait_answered()
        assert refused.value.status == 487
        assert carol.ended is None
        assert house.calls[1].closed_reason is ClosedReason.TRANSFERRED
        carol.answer()
        assert await refer.outcome() == 200
        await bob.wait_ended()
        await talk(house, alice, carol)
        assert house.events.only(TransferAccepted).call is house.calls[0]
        assert len(house.sent("INVITE", to=house.places["carol"][0])) == 1
        record, _ = house.calls[0].course.ledger.records(house.calls[0], ClosedReason.HANGUP, 0.0)
        assert record.to_name == "carol"
        carol.hangup()
        await alice.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_handler_that_waits_for_the_target_hears_that_its_call_is_over() -> None:
    async def scenario(house: House) -> None:
        raised: list[Exception] = []
        _, bob = await three(house)

        @house.route
        async def route(call: CallSession) -> None:
            try:
                await call.accept(to_user=call.dial_number)
            except CallEnded as error:
                raised.append(error)

        _, _, refer_to = await ringing(house)
        bob.refer(refer_to)
        await house.settle()
        assert len(raised) == 1

    on_the_network(scenario)


@pytest.mark.parametrize(("status", "result"), [(486, TransferResult.FAILED), (0, TransferResult.TIMEOUT)])
def test_a_target_that_is_not_reached_gives_the_first_call_back(status: int, result: TransferResult) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)

        @house.route
        async def route(call: CallSession) -> None:
            await call.accept(to_user=call.dial_number, timeout_s=10)

        _, carol, refer_to = await ringing(house)
        refer = bob.refer(refer_to)
        await house.settle()
        if status:
            carol.reject(status)
        assert await refer.outcome() == (status or 408)
        await talk(house, alice, bob)
        told = [name for name in house.events.names() if name.startswith("Transfer")]
        assert told == [f"Transfer{result.value.title()}"]
        alice.hangup()
        await bob.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_caller_who_was_answered_before_may_transfer_while_the_target_rings() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)

        @house.route
        async def route(call: CallSession) -> None:
            await call.answer()
            await call.accept(to_user=call.dial_number)

        consult = house.call(house.places["bob"][0], "carol")
        carol = await house.places["carol"][0].next_call()
        await consult.wait_answered()
        carol.ring()
        await house.settle()
        refer = bob.refer(to("carol"), replaces=consult)
        assert (await consult.wait_ended()).how == "bye"
        carol.answer()
        assert await refer.outcome() == 200
        await talk(house, alice, carol)

    on_the_network(scenario)


def test_a_call_that_rings_at_who_asks_is_refused_in_words() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        house.call(house.places["carol"][0], "bob")
        at_bob = await house.places["bob"][0].next_call()
        at_bob.ring()
        await house.settle()
        assert at_bob.invite is not None
        assert at_bob._server is not None
        named = early(to("carol"), at_bob.invite.call_id, at_bob.invite.from_tag, at_bob._server.local_tag)
        refer = bob.refer(named)
        assert await refer.outcome() == 481
        assert refer.told[-1][1] == "the call to replace rings here: answer it first"
        assert house.events.only(TransferFailed).outcome.reason == refer.told[-1][1]
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_a_call_in_which_nobody_rings_is_refused_in_words() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)

        @house.route
        async def route(call: CallSession) -> None:
            call.respond(180)
            await asyncio.sleep(60)

        consult = house.call(house.places["bob"][0], "desk")
        message = await consult.wait_ringing()
        refer = bob.refer(early(to("desk"), message.call_id, message.to_tag, message.from_tag))
        assert await refer.outcome() == 481
        assert refer.told[-1][1] == "nobody is called or talks in the call to replace"
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_early_only_of_an_answered_call_is_refused_with_486() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        consult, _ = await connected(house, "bob", "carol")
        assert consult.session is not None
        dialog = consult.session.dialog
        named = Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag, early_only=True)
        refer = bob.refer(str(Uri.parse(to("carol")).replace(headers=[("Replaces", str(named))])))
        assert await refer.outcome() == 486
        await talk(house, alice, bob)

    on_the_network(scenario)


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("who", ["alice", "bob", "consult", "carol", "nobody"])
@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.011, 0.021, 0.05, 0.2, 2.0])
def test_whoever_hangs_up_during_a_transfer_to_who_rings_nothing_is_left(who: str, after_s: float, loss: float) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        consult, carol, refer_to = await ringing(house)
        for link in house.network.links.values():
            link.loss = loss
        parties = {"alice": alice, "bob": bob, "consult": consult, "carol": carol}
        bob.refer(refer_to)
        await asyncio.sleep(after_s)
        if who in parties:
            parties[who].hangup()
        await asyncio.sleep(0.05)
        if carol.ended is None:
            carol.answer()
        await house.settle(60)
        for call in parties.values():
            call.hangup()
        await house.settle(80)
        house.check_over()
        closed = [event.call.id for event in house.events.closed()]
        assert sorted(closed) == sorted(call.id for call in house.calls)

    on_the_network(scenario, seed=int(after_s * 1000) + len(who))


# --- picked up --------------------------------------------------------------------------------------------------------


def named_by(called: ScriptedCall, extra: str = "") -> list[tuple[str, str]]:
    """The Replaces of the house's early dialog with a phone that rings (RFC 3891 §3)."""
    assert called.invite is not None
    assert called._server is not None
    named = Replaces(called.invite.call_id, called.invite.from_tag, called._server.local_tag)
    return [("Replaces", f"{named}{extra}")]


async def rings(house: House, *, media: bool = False) -> tuple[ScriptedCall, ScriptedCall]:
    """Alice calls bob, whose phone rings; carol is there."""
    for name in ("alice", "bob", "carol"):
        await house.phone(name)

    @house.route
    async def route(call: CallSession) -> None:
        await call.accept(to_user=call.dial_number)

    alice = house.call(house.places["alice"][0], "bob")
    bob = await house.places["bob"][0].next_call()
    bob.ring(183 if media else 180, early_media=media)
    await alice.wait_ringing()
    return alice, bob


@pytest.mark.parametrize("media", [False, True])
@pytest.mark.parametrize("extra", ["", ";early-only"])
def test_an_invite_that_replaces_who_is_called_picks_the_call_up(extra: str, media: bool) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await rings(house, media=media)
        carol = house.call(house.places["carol"][0], "bob", named_by(bob, extra))
        await carol.wait_answered()
        await alice.wait_answered()
        assert (await bob.wait_ended()).how == "cancel"
        await talk(house, alice, carol)
        assert len(house.exchange.sessions) == 1
        assert house.events.names()[-1] == "Connected"
        record, _ = house.calls[0].course.ledger.records(house.calls[0], ClosedReason.HANGUP, 0.0)
        assert record.to_name == "carol"
        carol.hangup()
        await alice.wait_ended()
        await house.settle(40)
        house.check_over()

    on_the_network(scenario)


def test_a_call_that_the_application_dialled_is_picked_up() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        waiting = asyncio.ensure_future(house.calls[0].dial_user("carol"))
        at_carol = await house.places["carol"][0].next_call()
        at_carol.ring()
        await house.settle()
        dave = await house.phone("dave")
        at_dave = house.call(dave, "carol", named_by(at_carol))
        await at_dave.wait_answered()
        dialled = await waiting
        assert dialled.from_peer_name == "dave"
        assert (await at_carol.wait_ended()).how == "cancel"
        dialled.close()
        await at_dave.wait_ended()
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_who_a_call_is_transferred_to_is_picked_up_too() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await three(house)
        refer = bob.refer(to("carol"))
        at_carol = await house.places["carol"][0].next_call()
        at_carol.ring()
        await house.settle()
        dave = house.call(await house.phone("dave"), "carol", named_by(at_carol))
        await dave.wait_answered()
        assert await refer.outcome() == 200
        assert (await at_carol.wait_ended()).how == "cancel"
        await bob.wait_ended()
        await talk(house, alice, dave)

    on_the_network(scenario)


@pytest.mark.parametrize(("codecs", "status"), [("G729", 488), ("", 403)])
def test_who_may_not_or_cannot_answer_for_who_is_called_is_refused_and_it_rings_on(codecs: str, status: int) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await rings(house)
        wide = [Codec("G729", 8000)]
        if codecs:
            dave = await house.phone("dave", codecs=wide, allowed=wide)
        else:
            dave = await house.phone("dave", peer_type=PeerType.LINE)
        with pytest.raises(CallRefused) as refused:
            await house.call(dave, "bob", named_by(bob)).wait_answered()
        assert refused.value.status == status
        bob.answer()
        await alice.wait_answered()
        await talk(house, alice, bob)

    on_the_network(scenario)


def test_an_early_dialog_that_its_caller_has_begun_cannot_be_replaced() -> None:
    async def scenario(house: House) -> None:
        alice, bob = await rings(house)
        message = await alice.wait_ringing()
        named = Replaces(message.call_id, message.to_tag, message.from_tag)
        with pytest.raises(CallRefused) as refused:
            await house.call(house.places["carol"][0], "bob", [("Replaces", str(named))]).wait_answered()
        # RFC 3891 §3
        assert refused.value.status == 481
        bob.answer()
        await alice.wait_answered()

    on_the_network(scenario)


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("who", ["alice", "bob", "carol", "answers"])
@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.011, 0.021, 0.05, 0.5])
def test_whoever_acts_while_a_call_is_picked_up_nothing_is_left(who: str, after_s: float, loss: float) -> None:
    async def scenario(house: House) -> None:
        alice, bob = await rings(house)
        for link in house.network.links.values():
            link.loss = loss
        carol = house.call(house.places["carol"][0], "bob", named_by(bob))
        parties = {"alice": alice, "bob": bob, "carol": carol}
        await asyncio.sleep(after_s)
        if who in parties:
            parties[who].hangup()
        elif bob.ended is None:
            bob.answer()
        await house.settle(60)
        for call in parties.values():
            call.hangup()
        await house.settle(80)
        house.check_over()
        assert len(house.events.closed()) == len(house.calls)

    on_the_network(scenario, seed=int(after_s * 1000) + len(who))
