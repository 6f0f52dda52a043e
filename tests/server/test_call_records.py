"""The record of each session and of its attempts: as an event, in the store, with what was heard and why it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, PROVIDER, REALM, World, world
from trunkline import AttemptRecord, CallFailed, CallRecord, CallSession, PeerType, ToUser
from trunkline.events import CallRecorded, CallSessionClosed, CallSessionFailed
from trunkline.server.call_records import GATHER_S
from trunkline.server.server import SipServer
from trunkline.storage.call_history import CallQuery, open_history, read_attempts, read_calls
from trunkline.testing import CallRefused, Phone, VirtualNetwork

Run = Callable[[Any], Any]


def record(at: World) -> list[CallRecorded]:
    """What `on_call_recorded` is told from now on; and calls of lines ring alice, users dial out."""
    told: list[CallRecorded] = []

    @at.server.on_call_recorded
    async def recorded(event: CallRecorded) -> None:
        told.append(event)

    @at.server.on_incoming_call
    async def route(call: CallSession) -> None:
        if call.from_peer_type is PeerType.USER:
            await call.accept(to_line="itsp", timeout_s=30)
        else:
            await call.accept(to_user="alice", timeout_s=30)

    return told


async def recorded(at: World) -> None:
    """Wait until all that is over is recorded."""
    for call in at.server.calls:
        await call.wait_closed()
    await asyncio.sleep(GATHER_S * 2)


def test_a_call_over_a_line_is_recorded_with_its_times(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told = record(at)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            mobile = await at.itsp.next_call()
            mobile.ring()
            await asyncio.sleep(4)
            mobile.answer()
            await call.wait_answered()
            await asyncio.sleep(60)
            call.hangup()
            await recorded(at)
            ((found, attempts),) = [(event.record, event.attempts) for event in told]
            assert isinstance(found, CallRecord)
            assert (found.from_type, found.from_name, found.from_address) == ("user", "alice", "10.0.0.2")
            assert (found.to_type, found.to_name, found.line) == ("line", "itsp", "itsp")
            assert (found.dial_number, found.caller_id) == (MOBILE, "alice")
            assert found.server == f"udp:{PROVIDER}:5060"
            assert (found.closed_reason, found.status, found.reason, found.explanation) == ("hangup", 0, "", {})
            assert found.answered_at is not None
            assert found.answered_at - found.created_at == pytest.approx(4, abs=0.5)
            assert found.talk_s == pytest.approx(60, abs=0.5)
            assert found.zero["codec"] == found.one["codec"] == "PCMU/8000"
            (attempt,) = attempts
            assert isinstance(attempt, AttemptRecord)
            assert (attempt.call, attempt.number, attempt.channel) == (found.id, 1, 1)
            assert (attempt.answered, attempt.status) == (True, 200)
            assert attempt.target.startswith(f"sip:{MOBILE}@")
            assert attempt.ended_at is not None
            assert attempt.ended_at - attempt.started_at == pytest.approx(4, abs=0.5)

    run_virtual(main())


def test_the_record_comes_once_and_after_closed(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            record(at)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            (await at.itsp.next_call()).reject(486)
            with pytest.raises(CallRefused):
                await call.wait_answered()
            await recorded(at)
            kinds = [type(event) for event in at.server.recorder.events]
            assert kinds.count(CallRecorded) == 1
            assert kinds.index(CallRecorded) > kinds.index(CallSessionClosed)

    run_virtual(main())


def test_a_call_that_failed_is_recorded_with_its_explanation(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told = record(at)
            alice = await at.phone("alice")
            call = alice.dial(MOBILE)
            (await at.itsp.next_call()).reject(403, "No international calls")
            with pytest.raises(CallRefused):
                await call.wait_answered()
            await recorded(at)
            (event,) = told
            assert (event.record.status, event.record.reason) == (403, "No international calls")
            assert event.record.answered_at is None
            assert event.record.closed_reason == "failed"
            assert event.record.explanation["problem"] == f"line itsp: the provider forbids this call to {MOBILE}"
            assert str(event.record.explanation["advice"]).startswith("check that the account may call there")
            assert event.record.explanation["received"] == "403 No international calls"
            (attempt,) = event.attempts
            assert (attempt.answered, attempt.status) == (False, 403)

    run_virtual(main())


def test_each_phone_that_rang_is_an_attempt(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told = record(at)
            first, second = await at.phone("alice", 2), await at.phone("alice", 3)
            mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            ringing = await first.next_call()
            ringing.ring()
            answered = await second.next_call()
            answered.answer()
            await mobile.wait_answered()
            mobile.hangup()
            await recorded(at)
            (event,) = told
            assert (event.record.to_type, event.record.to_name) == ("user", "alice")
            assert (event.record.line, event.record.server) == ("itsp", "")
            assert sorted((each.server, each.answered, each.status) for each in event.attempts) == [
                ("udp:10.0.0.2:5060", False, 487),
                ("udp:10.0.0.3:5060", True, 200),
            ]
            given_up = next(each for each in event.attempts if not each.answered)
            assert given_up.reason == "completed elsewhere"
            won = next(each for each in event.attempts if each.answered)
            assert given_up.ended_at == won.ended_at

    run_virtual(main())


def test_each_transfer_is_recorded_with_who_asked_and_what_came_of_it(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told = record(at)
            alice = await at.phone("alice")
            mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            hers = await alice.next_call()
            hers.answer()
            await mobile.wait_answered()
            assert await hers.refer(f"sip:1900@{REALM}").outcome() == 603
            second = alice.dial("15550001")
            third = await at.itsp.next_call()
            third.answer()
            await second.wait_answered()
            assert await hers.refer(f"sip:15550001@{REALM}", replaces=second).outcome() == 200
            (call,) = at.server.calls
            outcome = await call.transfer(ToUser("nobody"))
            assert outcome.status == 404
            mobile.hangup()
            await recorded(at)
            merged, whole = (event.record for event in told)
            keys = ("how", "by", "whom", "to", "outcome", "status")
            assert [tuple(each[key] for key in keys) for each in whole.transfers] == [
                ("blind", "user alice", "line itsp", f"sip:1900@{REALM}", "failed", 603),
                ("attended", "user alice", "line itsp", f"sip:15550001@{REALM}", "accepted", 200),
                ("application", "", "line itsp", "user nobody", "failed", 404),
            ]
            assert merged.closed_reason == "transferred"
            assert list(merged.transfers) == [whole.transfers[1]]

    run_virtual(main())


def test_a_call_that_was_up_when_the_server_was_killed_is_recorded_by_the_next(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    async def main() -> None:
        async with world(virtual_network, storage=tmp_path / "killed.db") as at:
            record(at)
            alice = await at.phone("alice")
            near = alice.dial(MOBILE)
            (await at.itsp.next_call()).answer()
            await near.wait_answered()
            await asyncio.sleep(1)
            for suffix in ("", "-wal"):
                left = tmp_path / f"left.db{suffix}"
                left.write_bytes((tmp_path / f"killed.db{suffix}").read_bytes())
            near.hangup()
        virtual_network.hosts.clear()
        async with world(virtual_network, storage=tmp_path / "left.db") as at:
            (event,) = at.events_of(CallRecorded)
            assert (event.record.from_name, event.record.closed_reason) == ("alice", "session_lost")
            assert event.record.explanation["problem"] == "the server was killed while the call was up"
            assert (event.record.status, event.record.reason) == (408, "the server was killed while the call was up")
            assert [(each.peer_name, each.answered) for each in event.attempts] == [("itsp", True)]

    run_virtual(main())


def test_a_user_without_phone_is_said_in_words(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            told = record(at)
            failed: list[CallSessionFailed] = []
            at.server.on_call_session_failed(failed.append)
            mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            with pytest.raises(CallRefused):
                await mobile.wait_answered()
            await recorded(at)
            (event,) = told
            assert event.record.explanation["problem"] == "no phone of alice is registered"
            assert event.record.status == 480
            assert failed[0].explanation is not None
            assert failed[0].explanation.problem == "no phone of alice is registered"

    run_virtual(main())


def test_the_exception_of_a_dialled_call_explains_itself(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            await asyncio.sleep(1)  # our side has heard that the line is registered
            dialled = asyncio.ensure_future(at.server.dial(MOBILE, line="itsp"))
            (await at.itsp.next_call()).reject(404)
            with pytest.raises(CallFailed) as caught:
                await dialled
            assert caught.value.explanation is not None
            assert "numbers written" in caught.value.explanation.advice

    run_virtual(main())


def test_records_are_in_the_store_also_of_calls_that_the_stop_ended(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "pbx.db"

    async def main() -> None:
        async with world(virtual_network, storage=path) as at:
            record(at)
            alice = await at.phone("alice")
            for status in (486, 200):
                call = alice.dial(MOBILE)
                mobile = await at.itsp.next_call()
                if status == 200:
                    mobile.answer()
                    await call.wait_answered()
                else:
                    mobile.reject(status)
                    with pytest.raises(CallRefused):
                        await call.wait_answered()
        await asyncio.sleep(1)

    run_virtual(main())
    with open_history(path) as connection:
        calls = read_calls(connection, CallQuery())
        assert [call.closed_reason for call in calls] == ["failed", "closed"]
        assert [attempt.status for attempt in read_attempts(connection, calls)] == [486, 200]


def test_no_records_are_kept_where_none_are_wanted(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "pbx.db"

    async def main() -> None:
        async with world(virtual_network, storage=path, call_records_days=0) as at:
            alice = await at.phone("alice")
            at.server.on_incoming_call(lambda call: call.reject())
            call = alice.dial(MOBILE)
            with pytest.raises(CallRefused):
                await call.wait_answered()
            await recorded(at)
            assert CallRecorded not in [type(event) for event in at.server.recorder.events]

    run_virtual(main())
    with open_history(path) as connection:
        assert read_calls(connection, CallQuery()) == []


def test_old_records_are_deleted_while_the_server_runs(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "pbx.db"

    async def main() -> None:
        async with world(virtual_network, storage=path, call_records_days=1, line={"register": False}) as at:
            at.server.on_incoming_call(lambda call: call.reject())
            alice = await at.phone("alice", register=True)
            call = alice.dial(MOBILE)
            with pytest.raises(CallRefused):
                await call.wait_answered()
            await recorded(at)
            await asyncio.sleep(1)
            wall = at.server._wall_clock
            at.server._running._call_records._wall_clock = lambda: wall() + 2 * 86_400.0  # type: ignore[union-attr]
            await asyncio.sleep(6 * 3_600 + 1)

    run_virtual(main())
    with open_history(path) as connection:
        assert read_calls(connection, CallQuery()) == []


def test_what_was_heard_is_in_the_record() -> None:
    async def main() -> CallRecord:
        told: asyncio.Queue[CallRecorded] = asyncio.Queue()
        server = SipServer(realm="real.example", listen=["udp://127.0.0.1:0"])
        for name in ("alice", "bob"):
            server.add_user(name, password=f"secret of {name}")

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.accept(to_user=call.dial_number)

        server.on_call_recorded(told.put)

        def phone(name: str) -> Phone:
            return Phone(name, f"secret of {name}", server.local_address(), realm="real.example")

        async with server, phone("alice") as alice, phone("bob") as bob:
            await alice.register()
            await bob.register()
            call = alice.dial("bob")
            answered = await bob.next_call()
            answered.answer()
            await call.wait_answered()
            call.play_tone(440.0)
            await answered.hear_sound(0.5)
            call.hangup()
            return (await asyncio.wait_for(told.get(), 10)).record

    found = asyncio.run(main())
    assert int(str(found.zero["packets_received"])) >= 20  # half a second of 20 ms each
    assert int(str(found.one["packets_sent"])) >= 20
    assert found.one["packets_received"] == 0
    assert found.zero["packets_lost"] == 0
    assert 0 <= float(str(found.zero["jitter_ms"])) < 1_000
