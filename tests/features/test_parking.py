"""Parking: slots, music, picking up, going back, and nothing left of whoever hangs up; on the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.features.desk import Run, media_of, new_server, nothing_left, phones, press, until
from tests.server.test_sound import tone_wav

from trunkline import CallEnded, CallFailed, CallSession, ConfigurationError, SipServer
from trunkline.events import CallSessionClosed
from trunkline.features.parking import ParkEnd, Parking, ParkResult
from trunkline.testing import Phone, ScriptedCall, VirtualNetwork

USERS = ("caller", "alice", "bob")
MUSIC = tone_wav(400, 2.0)


class Lot:
    """Who calls is put through to alice; slots and "park" may be dialled."""

    def __init__(self, network: VirtualNetwork, **options: Any) -> None:
        self.network = network
        self.server = new_server(network, *USERS)
        self.told: list[int] = []
        given = {"key": "*7", "number": "700", "music": MUSIC, "announce": self._announce, **options}
        self.parking = Parking(self.server, **given)
        self.results: list[ParkResult | None] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.handlers: list[asyncio.Task[Any]] = []
        self.server.on_incoming_call(self._route)

    def _announce(self, slot: int) -> bytes:
        self.told.append(slot)
        return tone_wav(600, 1.0)

    async def _route(self, call: CallSession) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.handlers.append(task)
        if await self.parking.pick_up(call):
            call.close()
        elif call.dial_number.startswith("7"):
            call.reject(404)
        else:
            self.tasks.append(task)
            try:
                await self._put_through(call)
            finally:
                call.close()

    async def _put_through(self, call: CallSession) -> None:
        await call.answer()
        if call.dial_number == "park":
            self.results.append(await self.parking.park(call, by="bob" if call.from_peer_name != "bob" else ""))
            return
        try:
            self.results.append(await self.parking.bridge(call, await call.dial_user("alice")))
        except (CallEnded, CallFailed):
            self.results.append(None)

    def run(
        self, run_virtual: Run, script: Callable[[Phone, Phone, Phone], Awaitable[None]]
    ) -> list[ParkResult | None]:
        async def main() -> None:
            async with self.server, phones(self.network, *USERS) as (caller, alice, bob):
                await script(caller, alice, bob)
                await nothing_left(self.network, self.server)
                assert self.parking.parked == {}
                await until(lambda: all(task.done() for task in self.handlers))

        run_virtual(main())
        return self.results


async def talking(caller: Phone, alice: Phone) -> tuple[ScriptedCall, ScriptedCall]:
    call = caller.dial("sales")
    at_alice = await alice.next_call()
    at_alice.answer()
    await at_alice.wait_answered()
    await asyncio.sleep(0.3)
    return call, at_alice


async def dialled(phone: Phone, number: str) -> ScriptedCall:
    call = phone.dial(number)
    await call.wait_answered()
    await asyncio.sleep(0.3)
    return call


def test_a_key_parks_the_other_party_with_music_and_any_phone_picks_it_up(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    lot = Lot(virtual_network)

    async def script(caller: Phone, alice: Phone, bob: Phone) -> None:
        call, at_alice = await talking(caller, alice)
        await press(at_alice, "1*")
        await asyncio.sleep(4)  # too late: no key of two
        await press(at_alice, "7")
        await press(call, "*7")  # the other party's keys are his own
        await asyncio.sleep(4)
        assert lot.parking.parked == {}
        await press(at_alice, "*7")
        await at_alice.wait_ended()
        (parked,) = lot.parking.parked.values()
        assert (parked.slot, parked.by, parked.call.caller_id) == (701, "alice", "caller")
        await asyncio.sleep(60)
        (leg,) = media_of(virtual_network).legs
        assert media_of(virtual_network).playing(leg) == 1
        at_bob = await dialled(bob, "701")
        assert lot.parking.parked == {}
        assert media_of(virtual_network).playing(leg) == 0
        assert media_of(virtual_network).legs[leg].linked
        late = alice.dial("701")
        assert (await late.wait_ended()).status == 404
        call.hangup()
        assert (await at_bob.wait_ended()).how == "bye"

    assert lot.run(run_virtual, script) == [ParkResult(ParkEnd.PICKED_UP, 701, "bob")]
    assert lot.told == [701]


def test_a_transfer_to_the_number_parks_and_the_phone_hears_that_it_succeeded(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    lot = Lot(virtual_network, slots=[701])
    closed: list[CallSessionClosed] = []

    @lot.server.on_call_session_closed
    async def on_closed(event: CallSessionClosed) -> None:
        closed.append(event)

    async def script(caller: Phone, alice: Phone, bob: Phone) -> None:
        call, at_alice = await talking(caller, alice)
        assert await at_alice.refer("sip:700@pbx.example").outcome() == 200
        assert (await at_alice.wait_ended()).how == "bye"
        assert list(lot.parking.parked) == [701]
        assert call.ended is None
        # the only slot is taken
        second, at_alice = await talking(bob, alice)
        assert await at_alice.refer("sip:700@pbx.example").outcome() == 486
        await press(at_alice, "*7")
        assert at_alice.ended is None
        second.hangup()
        await at_alice.wait_ended()
        # a phone that hangs up at once
        at_bob = await dialled(bob, "701")
        at_bob.refer("sip:700@pbx.example")
        await asyncio.sleep(0.002)
        at_bob.hangup()
        await until(lambda: list(lot.parking.parked) == [701])
        assert call.ended is None
        call.hangup()

    results = lot.run(run_virtual, script)
    assert results == [None, ParkResult(ParkEnd.ABANDONED, 701)]
    assert "TRANSFERRED" in [event.reason.name for event in closed]
    assert lot.told == []


def test_what_nobody_picks_up_goes_back_and_may_be_parked_again(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    lot = Lot(virtual_network, timeout_s=60, return_timeout_s=20)

    async def script(caller: Phone, alice: Phone, bob: Phone) -> None:
        loop = asyncio.get_running_loop()
        call, at_alice = await talking(caller, alice)
        await press(at_alice, "*7")
        began_s = loop.time()
        at_alice = await alice.next_call(70)
        assert abs(loop.time() - began_s - 60) < 2
        assert at_alice.caller_id == "caller"
        at_alice.answer()
        await at_alice.wait_answered()
        await asyncio.sleep(0.3)
        await press(at_alice, "*7")
        await at_alice.wait_ended()
        at_alice = await alice.next_call(70)
        # picked up while it rings
        at_bob = await dialled(bob, "701")
        assert (await at_alice.wait_ended()).how == "cancel"
        await press(at_bob, "*7")
        await at_bob.wait_ended()
        at_bob = await bob.next_call(70)
        at_bob.reject(486)
        await call.wait_ended()

    assert lot.run(run_virtual, script) == [ParkResult(ParkEnd.UNANSWERED, 701)]
    assert lot.told == [701] * 3


@pytest.mark.parametrize("moment", ["parked", "ringing back", "picked up"])
def test_who_hangs_up_frees_his_slot(run_virtual: Run, virtual_network: VirtualNetwork, moment: str) -> None:
    lot = Lot(virtual_network, timeout_s=30)

    async def script(caller: Phone, alice: Phone, bob: Phone) -> None:
        call = await dialled(caller, "park")
        if moment == "ringing back":
            at_bob = await bob.next_call(40)
            call.hangup()
            assert (await at_bob.wait_ended()).how == "cancel"
        elif moment == "picked up":
            at_alice = alice.dial("701")
            call.hangup()
            await at_alice.wait_ended()
        else:
            call.hangup()
        await until(lambda: not lot.parking.parked)

    (result,) = lot.run(run_virtual, script)
    assert result is not None
    assert result.end in (ParkEnd.ABANDONED, ParkEnd.PICKED_UP)
    assert result.slot == 701


def test_the_lowest_free_slot_is_taken_and_with_none_left_the_application_is_told(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    lot = Lot(virtual_network, slots=[705, 703], timeout_s=30)

    async def script(caller: Phone, alice: Phone, bob: Phone) -> None:
        first, second = await dialled(caller, "park"), await dialled(alice, "park")
        assert list(lot.parking.parked) == [703, 705]
        third = await dialled(caller, "park")
        await third.wait_ended()
        first.hangup()
        await asyncio.sleep(0.5)
        last = await dialled(bob, "park")  # goes back to nobody
        assert list(lot.parking.parked) == [703, 705]
        second.hangup()
        await last.wait_ended(40)

    results = [result for result in lot.run(run_virtual, script) if result is not None]
    assert [result.slot for result in results] == [None, 703, 705, 703]
    assert [result.end for result in results] == [
        ParkEnd.FULL,
        ParkEnd.ABANDONED,
        ParkEnd.ABANDONED,
        ParkEnd.UNANSWERED,
    ]


@pytest.mark.parametrize("steps", range(8))
def test_a_task_that_is_cancelled_at_any_moment_leaves_nobody_waiting(
    run_virtual: Run, virtual_network: VirtualNetwork, steps: int
) -> None:
    lot = Lot(virtual_network)

    async def script(caller: Phone, alice: Phone, bob: Phone) -> None:
        await dialled(caller, "park")
        at_bob = bob.dial("701")
        if steps:
            await until(lambda: not lot.parking.parked)
        for _ in range(steps):
            await asyncio.sleep(0)
        lot.tasks[0].cancel()
        await at_bob.wait_ended()

    lot.run(run_virtual, script)


def test_a_request_of_two_who_are_not_bridged_cannot_be_taken(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    server = new_server(virtual_network, *USERS)
    raised: list[str] = []

    async def main() -> None:
        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.accept(to_user="alice")

        @server.on_transfer_requested
        async def asked(request: Any) -> None:
            try:
                request.take()
            except Exception as error:
                raised.append(str(error))
                request.reject(403)

        async with server, phones(virtual_network, *USERS) as (caller, alice, _):
            call, at_alice = await talking(caller, alice)
            assert await at_alice.refer("sip:700@pbx.example").outcome() == 403
            assert call.ended is None
            call.hangup()
            await nothing_left(virtual_network, server)

    run_virtual(main())
    assert raised == ["the two are not bridged, so that nobody could be kept alone"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"slots": []}, "slots: 1 to 1000 numbers"),
        ({"slots": [-1]}, "slots: 1 to 1000"),
        ({"slots": range(2000)}, "slots: 1 to 1000"),
        ({"key": "*a"}, "key: up to 8 of"),
        ({"key": "*" * 9}, "key: up to 8 of"),
        ({"timeout_s": 0}, "timeout_s: 1 to 3600"),
        ({"return_timeout_s": 301}, "return_timeout_s: 1 to 300"),
    ],
)
def test_parking_that_cannot_work_is_refused_by_its_key(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Parking(SipServer(realm="pbx.example"), **options)
    assert str(refused.value).startswith(words)
