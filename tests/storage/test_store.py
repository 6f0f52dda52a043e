from __future__ import annotations

import asyncio
import dataclasses
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from blockbuster import blockbuster_ctx
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from trunkline.errors import StorageError
from trunkline.storage import BindingRecord, GroupRecord, LineRecord, Store, TokenRecord, UserRecord
from trunkline.storage.database import Batch
from trunkline.storage.migrations import migrate
from trunkline.storage.schema import METADATA
from trunkline.storage.store import BATCH_ROWS

USER = UserRecord(
    "alice", "pbx.example", "a" * 32, "b" * 64, "Alice", ({"name": "PCMU", "clock_rate": 8000},), 10, 5.0, ("1555",)
)
GROUP = GroupRecord("trunks", {"lines": ["itsp"], "rates": {"itsp": {"49": "0.01"}}})
LINE = LineRecord("itsp", "s3cret", {"username": "15551234", "numbers": ["+15551234"]})
BINDING = BindingRecord(
    "alice", "sip:alice@192.0.2.7", "", 1.0, "c1", 2**31, 2000.5, 1000.5, ("<sip:edge.example;lr>",), True, "phone/1",
    "udp", "192.0.2.7", 5060, None, None,
)  # fmt: skip


def test_what_is_put_is_there_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await Store.open(tmp_path / "pbx.db")
        for record in (USER, LINE, GROUP, TokenRecord("itsp", "tok"), BINDING):
            store.put(record)
        await store.close()
        again = await Store.open(tmp_path / "pbx.db")
        snapshot = await again.load()
        await again.close()
        assert [dataclasses.replace(u, codecs=tuple(u.codecs), numbers=tuple(u.numbers)) for u in snapshot.users] == [
            USER
        ]
        assert [(line.password, line.settings) for line in snapshot.lines] == [("s3cret", LINE.settings)]
        assert snapshot.groups == [GROUP]
        assert [token.token for token in snapshot.tokens] == ["tok"]
        assert [dataclasses.replace(b, path=tuple(b.path)) for b in snapshot.bindings] == [BINDING]

    asyncio.run(scenario())


def test_what_is_deleted_is_gone_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await Store.open(tmp_path / "pbx.db")
        store.put(USER)
        await store.flush()
        store.delete(USER)
        await store.close()
        again = await Store.open(tmp_path / "pbx.db")
        assert list((await again.load()).users) == []
        await again.close()

    asyncio.run(scenario())


def test_a_batch_is_written_without_being_asked() -> None:
    async def scenario() -> None:
        store = await Store.open()
        store.put(USER)
        assert store.pending == 1
        deadline = asyncio.get_running_loop().time() + 10
        while not (await store.load()).users:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        assert store.pending == 0
        await store.close()

    asyncio.run(scenario())


def test_a_full_batch_does_not_wait_for_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.storage.store.BATCH_DELAY_S", 3600.0)

    async def scenario() -> None:
        store = await Store.open()
        for number in range(BATCH_ROWS):
            store.put(TokenRecord(str(number), "t"))
        deadline = asyncio.get_running_loop().time() + 10
        while len((await store.load()).tokens) < BATCH_ROWS:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        await store.close()

    asyncio.run(scenario())


def test_changes_of_one_row_are_written_once() -> None:
    async def scenario() -> None:
        store = await Store.open()
        for number in range(50):
            store.put(TokenRecord("itsp", str(number)))
        assert store.pending == 1
        await store.flush()
        assert [token.token for token in (await store.load()).tokens] == ["49"]
        await store.close()

    asyncio.run(scenario())


def test_a_failed_write_is_tried_again_and_newer_changes_win(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        store = await Store.open()
        written = store._database.write

        def broken(batch: object) -> None:
            raise StorageError("disk full")

        monkeypatch.setattr(store._database, "write", broken)
        store.put(TokenRecord("itsp", "old"))
        with pytest.raises(StorageError):
            await store.flush()
        assert store.pending == 1
        store.put(TokenRecord("itsp", "new"))
        monkeypatch.setattr(store._database, "write", written)
        await store.flush()
        assert [token.token for token in (await store.load()).tokens] == ["new"]
        await store.close()

    asyncio.run(scenario())
    assert "disk full" in caplog.text


def test_a_database_that_cannot_be_written_for_long_is_one_error_and_then_told_to_be_well(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("trunkline.storage.store.RETRY_S", (0.01,))
    caplog.set_level("INFO", "trunkline.storage")

    async def scenario() -> None:
        store = await Store.open()
        written, failures = store._database.write, 3

        def broken(batch: Batch) -> None:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise StorageError("disk full")
            written(batch)

        monkeypatch.setattr(store._database, "write", broken)
        store.put(USER)
        deadline = asyncio.get_running_loop().time() + 10
        while store.pending or "written again" not in caplog.text:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        await store.close()

    asyncio.run(scenario())
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO", "INFO", "WARNING"]


def test_a_change_that_comes_while_a_write_fails_is_the_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        store = await Store.open()
        written, writing, go_on = store._database.write, threading.Event(), threading.Event()

        def failing(batch: object) -> None:
            writing.set()
            go_on.wait(10)
            raise StorageError("disk full")

        monkeypatch.setattr(store._database, "write", failing)
        store.put(TokenRecord("itsp", "old"))
        flushing = asyncio.create_task(store.flush())
        await asyncio.to_thread(writing.wait, 10)
        store.put(TokenRecord("itsp", "new"))
        go_on.set()
        with pytest.raises(StorageError):
            await flushing
        monkeypatch.setattr(store._database, "write", written)
        await store.flush()
        assert [token.token for token in (await store.load()).tokens] == ["new"]
        await store.close()

    asyncio.run(scenario())


def test_pending_changes_are_bounded_while_the_database_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.storage.store.MAX_PENDING", 10)

    async def scenario() -> None:
        store = await Store.open()
        for number in range(15):
            store.put(TokenRecord(str(number), "t"))
        assert (store.pending, store.lost) == (10, 5)
        await store.close()

    asyncio.run(scenario())


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pbx.db"

    async def scenario() -> None:
        await (await Store.open(path)).close()
        connection = sqlite3.connect(path)
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        connection.close()
        with pytest.raises(StorageError, match=r"9999.*newer"):
            await Store.open(path)

    asyncio.run(scenario())


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pbx.db"
    path.write_bytes(b"this is a letter to my mother, not a database" * 50)
    with pytest.raises(StorageError, match="not a database"):
        asyncio.run(Store.open(path))


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        asyncio.run(Store.open(tmp_path / "nowhere" / "pbx.db"))


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "pbx.db"
    path.touch(0o666)
    path.chmod(0o666)
    modes: list[int] = []

    async def scenario() -> None:
        store = await Store.open(path)
        store.put(LINE)
        await store.flush()
        modes.extend(stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path))
        await store.close()

    asyncio.run(scenario())
    assert set(modes) == {0o600}
    assert len(modes) > 1  # the write-ahead log beside it too


def test_a_file_of_the_first_revision_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "pbx.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection, "0001")
        row = ("old", "pbx.example", "a" * 32, "b" * 64, "Old", "[]", 3)
        connection.exec_driver_sql("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    engine.dispose()

    async def scenario() -> None:
        store = await Store.open(path)
        (user,) = (await store.load()).users
        assert (user.name, user.max_contacts, user.media_timeout_s, user.numbers) == ("old", 3, 60.0, [])
        store.put(dataclasses.replace(user, media_timeout_s=0.0))
        await store.flush()
        (user,) = (await store.load()).users
        assert user.media_timeout_s == 0.0
        await store.close()

    asyncio.run(scenario())


def test_migrations_end_at_the_schema_that_the_code_uses() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection)
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


@given(st.sampled_from([USER, LINE, TokenRecord("itsp", "tok-en")]))
def test_a_repr_shows_no_secret(record: UserRecord | LineRecord | TokenRecord) -> None:
    for secret in ("s3cret", "a" * 32, "b" * 64, "tok-en"):
        assert secret not in repr(record)


def test_neither_opening_nor_writing_blocks_the_loop(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await Store.open(tmp_path / "pbx.db")
        store.put(LINE)
        await store.flush()
        assert len((await store.load()).lines) == 1
        await store.close()

    with blockbuster_ctx():
        asyncio.run(scenario())
