"""Transfers that a line's provider is asked for by REFER, attended: it ties two of its own calls (RFC 5589 §7)."""

from __future__ import annotations

import asyncio

import pytest

from tests.calls.house import House, on_the_network
from tests.calls.talking import connected, talk, to
from trunkline.constants import ClosedReason, PeerType
from trunkline.events import TransferAccepted, TransferFailed
from trunkline.sip.endpoint import RequestReceived
from trunkline.sip.refer import Refer, Referral, Replaces
from trunkline.testing.call import ScriptedCall


class Provider:
    """Takes REFERs in a call, and finishes them when the test says so."""

    def __init__(self, call: ScriptedCall) -> None:
        assert call.session is not None
        self.asked: list[Refer] = []
        self._referrals: list[Referral] = []
        self._session = call.session
        call.session.refers.on_refer = self._take

    def _take(self, request: RequestReceived, refer: Refer) -> None:
        self.asked.append(refer)
        self._referrals.append(self._session.refers.accept(request, refer))

    def tell(self, status: int, reason: str = "OK") -> None:
        self._referrals[-1].finish(status, reason)


async def two_calls(
    house: House, *, far: str = "itsp", transfer: str = "refer"
) -> tuple[ScriptedCall, ScriptedCall, ScriptedCall, ScriptedCall]:
    """Bob talks to one who called in over a line, and to another whom he called over `far`."""
    for name in {"itsp", far}:
        await house.phone(name, peer_type=PeerType.LINE, transfer="refer" if transfer == "refer" else "inside")
    await house.phone("bob")
    mobile, bob = await connected(house, "itsp", "bob")
    await bob.hold()
    consult, other = await connected(house, "bob", far)
    return mobile, bob, consult, other


@pytest.mark.parametrize("replaced_first", [False, True])
@pytest.mark.parametrize("by_phone", [True, False])
def test_two_calls_of_one_provider_are_tied_by_it_and_both_sessions_close(by_phone: bool, replaced_first: bool) -> None:
    async def scenario(house: House) -> None:
        mobile, bob, consult, other = await two_calls(house)
        provider = Provider(mobile)
        first, second = house.calls
        if by_phone:
            refer = bob.refer(to("itsp"), replaces=consult)
            waiting = asyncio.ensure_future(refer.outcome())
        else:

            async def transfer() -> int:
                return (await first.transfer_to_session(second)).status

            waiting = asyncio.ensure_future(transfer())
        await house.settle()
        assert other.session is not None
        dialog = other.session.dialog
        # as the provider's end of the other call sees its dialog
        assert provider.asked[0].replaces == Replaces(dialog.call_id, dialog.local_tag, dialog.remote_tag)
        assert f"<{provider.asked[0].uri}>" == other.agent.contact
        if replaced_first:
            other.hangup()
            await house.settle()
            assert consult.ended is None
        provider.tell(200)
        assert await waiting == 200
        for call in (mobile, bob, consult, other):
            await call.wait_ended()
        assert first.closed_reason is second.closed_reason is ClosedReason.TRANSFERRED
        assert house.events.only(TransferAccepted).call is first
        await house.settle(60)
        house.check_over()

    on_the_network(scenario)


def test_a_provider_that_cannot_tie_its_calls_leaves_both() -> None:
    async def scenario(house: House) -> None:
        mobile, bob, consult, other = await two_calls(house)
        provider = Provider(mobile)
        refer = bob.refer(to("itsp"), replaces=consult)
        await house.settle()
        provider.tell(481, "no such call")
        assert await refer.outcome() == 481
        await bob.resume()
        await talk(house, mobile, bob)
        await talk(house, consult, other)
        assert house.events.only(TransferFailed).outcome.reason == "no such call"
        other.hangup()
        await consult.wait_ended()
        assert house.calls[1].closed_reason is ClosedReason.HANGUP

    on_the_network(scenario)


def test_a_provider_that_hangs_up_the_other_call_and_then_fails_has_hung_it_up() -> None:
    async def scenario(house: House) -> None:
        mobile, bob, consult, other = await two_calls(house)
        provider = Provider(mobile)
        refer = bob.refer(to("itsp"), replaces=consult)
        await house.settle()
        other.hangup()
        await house.settle()
        provider.tell(500, "no luck")
        assert await refer.outcome() == 500
        await consult.wait_ended()
        assert house.calls[1].closed_reason is ClosedReason.HANGUP
        await bob.resume()
        await talk(house, mobile, bob)

    on_the_network(scenario)


@pytest.mark.parametrize("event", ["refer", "refer;id=1"])
def test_a_notify_may_go_without_the_id_of_the_only_refer_but_not_with_another(event: str) -> None:
    async def scenario(house: House) -> None:
        mobile, bob, _, _ = await two_calls(house)
        Provider(mobile)
        transferring = asyncio.ensure_future(house.calls[0].transfer("+1555"))
        await house.settle()
        fields = [("Event", event), ("Subscription-State", "terminated"), ("Content-Type", "message/sipfrag")]
        answer = await mobile.request("NOTIFY", headers=fields, body=b"SIP/2.0 200 OK\r\n")
        # RFC 3515 §2.4.6
        assert answer.status == (200 if event == "refer" else 489)
        if event == "refer":
            assert (await transferring).accepted
            await bob.wait_ended()
        else:
            transferring.cancel()

    on_the_network(scenario)


@pytest.mark.parametrize(("far", "transfer"), [("other", "refer"), ("itsp", "inside")])
def test_calls_of_two_lines_or_of_one_that_passes_nothing_on_are_tied_inside(far: str, transfer: str) -> None:
    async def scenario(house: House) -> None:
        mobile, bob, consult, other = await two_calls(house, far=far, transfer=transfer)
        assert await bob.refer(to(far), replaces=consult).outcome() == 200
        await bob.wait_ended()
        await talk(house, mobile, other)
        assert house.sent("REFER", to=mobile.agent) == []

    on_the_network(scenario)


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("status", [200, 486, 0])
@pytest.mark.parametrize("who", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("after_s", [0.0, 0.011, 0.031, 0.2, 2.0])
def test_whoever_hangs_up_while_the_provider_ties_nothing_is_left(
    who: int, after_s: float, status: int, loss: float
) -> None:
    async def scenario(house: House) -> None:
        calls = await two_calls(house)
        mobile, bob, consult, _ = calls
        provider = Provider(mobile)
        for link in house.network.links.values():
            link.loss = loss
        bob.refer(to("itsp"), replaces=consult)
        await asyncio.sleep(after_s)
        if who < 4:
            calls[who].hangup()
        await asyncio.sleep(0.1)
        if status and provider.asked:
            provider.tell(status)
        await house.settle(90)
        for call in calls:
            call.hangup()
        await house.settle(80)
        house.check_over()
        closed = [event.call.id for event in house.events.closed()]
        assert sorted(closed) == sorted(call.id for call in house.calls)

    on_the_network(scenario, seed=int(after_s * 1000) + who)
