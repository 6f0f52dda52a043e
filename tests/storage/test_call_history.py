"""The records of calls: written by a store, found again by what somebody wants to know, forgotten when they are old."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from pathlib import Path

import pytest

from trunkline.errors import StorageError
from trunkline.storage.call_history import CallQuery, open_history, read_attempts, read_calls
from trunkline.storage.records import AttemptRecord, CallRecord, Record
from trunkline.storage.store import Store

CALL = CallRecord(
    id="a",
    from_type="user",
    from_name="alice",
    from_address="10.0.0.2",
    caller_id="alice",
    caller_name="Alice",
    dial_number="+15550100",
    to_type="line",
    to_name="itsp",
    line="itsp",
    server="udp:10.0.0.9:5060",
    created_at=1_000.0,
    answered_at=1_004.0,
    closed_at=1_064.5,
    closed_reason="hangup",
    status=0,
    reason="",
    zero={"codec": "PCMU/8000", "packets_received": 3_000},
    one={"codec": "PCMU/8000", "packets_received": 2_999},
    explanation={},
    transfers=[
        {"at": 1_020.0, "by": "user alice", "whom": "line itsp", "to": "sip:bob@pbx.example", "outcome": "failed"}
    ],
)
FAILED = dataclasses.replace(
    CALL,
    id="b",
    transfers=[],
    from_type="line",
    from_name="itsp",
    caller_id="+15550199",
    dial_number="15551234567",
    to_type="user",
    to_name="bob",
    created_at=2_000.0,
    answered_at=None,
    closed_at=2_010.0,
    closed_reason="failed",
    status=486,
    reason="Busy Here",
)
ATTEMPTS: list[AttemptRecord] = [
    AttemptRecord(
        "b", 1, 1, "user", "bob", "sip:bob@10.0.0.3", "udp:10.0.0.3:5060", 2_001.0, 2_002.0, False, 486, "Busy"
    ),
    AttemptRecord("b", 2, 1, "user", "bob", "sip:bob@10.0.0.4", "udp:10.0.0.4:5060", 2_001.0, None, False, 0, ""),
    AttemptRecord("a", 1, 1, "line", "itsp", "sip:1@x", "udp:10.0.0.9:5060", 1_000.0, 1_004.0, True, 200, "OK"),
]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "pbx.db"

    async def write() -> None:
        store = await Store.open(path)
        records: list[Record] = [CALL, FAILED, *ATTEMPTS]
        for record in records:
            store.put(record)
        await store.close()

    asyncio.run(write())
    return path


def test_a_record_comes_back_as_it_was(written: Path) -> None:
    with open_history(written) as connection:
        assert read_calls(connection, CallQuery()) == [CALL, FAILED]
        assert read_attempts(connection, [FAILED, CALL]) == ATTEMPTS


def test_the_time_talked_counts_from_the_answer() -> None:
    assert CALL.talk_s == 60.5
    assert FAILED.talk_s == 0.0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (CallQuery(since=1_000.0), ["a", "b"]),
        (CallQuery(since=1_000.5), ["b"]),
        (CallQuery(until=2_000.0), ["a"]),
        (CallQuery(line="itsp"), ["a", "b"]),
        (CallQuery(line="other"), []),
        (CallQuery(user="alice"), ["a"]),
        (CallQuery(user="bob"), ["b"]),
        (CallQuery(user="itsp"), []),
        (CallQuery(number="+15550199"), ["b"]),
        (CallQuery(number="+15550100"), ["a"]),
        (CallQuery(closed_reason="failed"), ["b"]),
        (CallQuery(failed=True), ["b"]),
        (CallQuery(limit=1), ["b"]),
        (CallQuery(since=500.0, limit=1, user="alice"), ["a"]),
    ],
)
def test_a_query_finds_what_it_says(written: Path, query: CallQuery, found: list[str]) -> None:
    with open_history(written) as connection:
        assert [call.id for call in read_calls(connection, query)] == found


def test_a_call_that_is_up_is_no_history_until_it_is_ended(written: Path) -> None:
    up = dataclasses.replace(CALL, id="c", created_at=3_000.0, closed_reason="")
    attempt = dataclasses.replace(ATTEMPTS[2], call="c")

    async def end() -> list[tuple[CallRecord, tuple[AttemptRecord, ...]]]:
        store = await Store.open(written)
        store.put(up)
        store.put(attempt)
        await store.flush()
        with open_history(written) as connection:
            assert read_calls(connection, CallQuery()) == [CALL, FAILED]
        ended = await store.end_open_calls(4_000.0, "session_lost", {"problem": "killed"})
        assert await store.end_open_calls(5_000.0, "session_lost", {}) == []
        await store.close()
        return ended

    lost = dataclasses.replace(
        up,
        closed_at=4_000.0,
        closed_reason="session_lost",
        status=408,
        reason="killed",
        explanation={"problem": "killed"},
    )
    assert asyncio.run(end()) == [(lost, (attempt,))]
    with open_history(written) as connection:
        assert read_calls(connection, CallQuery()) == [CALL, FAILED, lost]


def test_old_calls_are_forgotten_with_their_attempts(written: Path) -> None:
    async def forget() -> int:
        store = await Store.open(written)
        count = await store.forget_calls(1_500.0)
        await store.close()
        return count

    assert asyncio.run(forget()) == 1
    with open_history(written) as connection:
        assert read_calls(connection, CallQuery()) == [FAILED]
        assert read_attempts(connection, [CALL, FAILED]) == ATTEMPTS[:2]


def test_the_attempts_of_many_calls_are_all_found(tmp_path: Path) -> None:
    calls = [dataclasses.replace(CALL, id=str(number), created_at=float(number)) for number in range(1_201)]
    attempts = [dataclasses.replace(ATTEMPTS[2], call=call.id) for call in calls]

    async def write() -> None:
        store = await Store.open(tmp_path / "many.db")
        records: list[Record] = [*calls, *attempts]
        for record in records:
            store.put(record)
        await store.close()

    asyncio.run(write())
    with open_history(tmp_path / "many.db") as connection:
        assert read_attempts(connection, read_calls(connection, CallQuery())) == attempts


def test_reading_never_writes(written: Path) -> None:
    with open_history(written) as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM calls")


def test_a_server_may_write_while_somebody_reads(written: Path) -> None:
    async def write() -> None:
        store = await Store.open(written)
        store.put(dataclasses.replace(CALL, id="c", created_at=3_000.0))
        await store.flush()
        with open_history(written) as connection:
            assert [call.id for call in read_calls(connection, CallQuery())] == ["a", "b", "c"]
            store.put(dataclasses.replace(CALL, id="d", created_at=4_000.0))
            await store.flush()
        await store.close()

    asyncio.run(write())


def test_what_holds_no_calls_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no such file"), open_history(tmp_path / "none.db"):
        pass
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at" * 100)
    with pytest.raises(StorageError, match="cannot be read"), open_history(tmp_path / "text.db"):
        pass
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE things (id)")
    other.close()
    with pytest.raises(StorageError, match="holds no records of calls"), open_history(tmp_path / "other.db"):
        pass
