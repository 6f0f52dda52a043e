"""The synchronous side of the store: one SQLite file, or memory, opened, migrated, read and written.

`store` owns the thread and calls in here; nothing in here knows asyncio. A file is created readable by its owner only,
since a provider's password must be kept as it is to be of use.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, Engine, and_, bindparam, create_engine, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from trunkline.errors import StorageError
from trunkline.storage.call_history import end_open_calls, forget_calls, read_attempts
from trunkline.storage.migrations import migrate
from trunkline.storage.records import (
    AttemptRecord,
    BindingRecord,
    CallRecord,
    DialogRecord,
    Json,
    Key,
    LineRecord,
    MessageRecord,
    Record,
    Snapshot,
    TokenRecord,
    UserRecord,
)
from trunkline.storage.schema import TABLES, record_of, row_of

__all__ = ["Batch", "Change", "Database", "EndedCall"]

Change = tuple[type[Record], Key]
"""Which row is written or deleted."""

Batch = Mapping[Change, Record | None]
"""Rows to write; None deletes."""

EndedCall = tuple[CallRecord, tuple[AttemptRecord, ...]]
"""A call whose record was closed, and its attempts."""

OWNER_ONLY = stat.S_IRUSR | stat.S_IWUSR


class Database:
    """An open database of the newest schema.

    Args:
        path: The SQLite file; None for memory, gone with the process.

    Raises:
        StorageError: It cannot be opened, is no database, or a newer trunkline has written it.
    """

    def __init__(self, path: Path | None) -> None:
        self._engine = _engine(path)
        try:
            with self._engine.begin() as connection:
                migrate(connection)
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise StorageError(f"{path or 'the database in memory'} cannot be opened: {_words(error)}") from error
        except BaseException:
            self._engine.dispose()
            raise

    def load(self) -> Snapshot:
        """Everything that is stored. StorageError where it cannot be read."""
        try:
            with self._engine.connect() as connection:
                return Snapshot(
                    _read(connection, UserRecord),
                    _read(connection, LineRecord),
                    _read(connection, TokenRecord),
                    _read(connection, BindingRecord),
                    _read(connection, MessageRecord),
                    _read(connection, DialogRecord),
                )
        except (SQLAlchemyError, TypeError, ValueError) as error:
            raise StorageError(f"the database cannot be read: {_words(error)}") from error

    def write(self, batch: Batch) -> None:
        """Write all rows of a batch, or none. StorageError where that fails."""
        keys: dict[type[Record], list[Key]] = defaultdict(list)
        rows: dict[type[Record], list[dict[str, object]]] = defaultdict(list)
        for (kind, key), record in batch.items():
            keys[kind].append(key)
            if record is not None:
                rows[kind].append(row_of(record))
        try:
            with self._engine.begin() as connection:
                for kind, of_kind in keys.items():
                    _replace(connection, kind, of_kind, rows[kind])
        except SQLAlchemyError as error:
            raise StorageError(f"the database cannot be written: {_words(error)}") from error

    def forget_calls(self, before: float) -> int:
        """Delete records of calls; see `Store.forget_calls`."""
        try:
            with self._engine.begin() as connection:
                return forget_calls(connection, before)
        except SQLAlchemyError as error:
            raise StorageError(f"old records of calls cannot be deleted: {_words(error)}") from error

    def end_open_calls(self, closed_at: float, reason: str, explanation: Json) -> list[EndedCall]:
        """Close the records of calls that were up; see `Store.end_open_calls`."""
        try:
            with self._engine.begin() as connection:
                ended = end_open_calls(connection, closed_at, reason, explanation)
                attempts = read_attempts(connection, ended)
        except (SQLAlchemyError, TypeError, ValueError) as error:
            raise StorageError(f"the records of calls cannot be closed: {_words(error)}") from error
        return [(call, tuple(each for each in attempts if each.call == call.id)) for call in ended]

    def close(self) -> None:
        """Close it."""
        self._engine.dispose()


def _engine(path: Path | None) -> Engine:
    if path is None:
        engine = create_engine("sqlite://", poolclass=StaticPool)
    else:
        _make_private(path)
        engine = create_engine(f"sqlite:///{path}", poolclass=StaticPool)
    event.listen(engine, "connect", _tune)
    return engine


def _make_private(path: Path) -> None:
    """Create the file, or take others' rights from the one that is there, before a password gets into it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        try:
            os.fchmod(descriptor, OWNER_ONLY)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}") from error


def _tune(connection: object, record: object) -> None:
    # A batch is one transaction; with a write-ahead log it costs no fsync of its own and a crash leaves whole batches.
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA busy_timeout = 2000")
    cursor.close()


def _read(connection: Connection, kind: type) -> list:  # type: ignore[type-arg]
    return [record_of(kind, row) for row in connection.execute(select(TABLES[kind]))]


def _replace(connection: Connection, kind: type[Record], keys: list[Key], rows: list[dict[str, object]]) -> None:
    table = TABLES[kind]
    columns = list(table.primary_key.columns)
    by_key = and_(*(column == bindparam(f"key_{column.name}") for column in columns))
    connection.execute(
        table.delete().where(by_key),
        [{f"key_{column.name}": part for column, part in zip(columns, key, strict=True)} for key in keys],
    )
    if rows:
        connection.execute(table.insert(), rows)


def _words(error: Exception) -> str:
    """What went wrong, without the statement and its values: those may hold a secret."""
    cause = getattr(error, "orig", None)
    return str(cause) if cause is not None else type(error).__name__
