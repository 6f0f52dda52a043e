"""Records of calls, read back: by the command line from a server's file, and by a server from its own.

`CallQuery` says which; `read_calls` and `read_attempts` find them; `forget_calls` deletes what is old, and `end_open_calls` closes what a
killed process left open. All of it is
synchronous and runs on the storage thread, or in a program of its own.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, create_engine, delete, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from trunkline.errors import StorageError
from trunkline.storage.records import LOST_STATUS, AttemptRecord, CallRecord, Json
from trunkline.storage.schema import ATTEMPTS, CALLS, OPEN, record_of

__all__ = ["CallQuery", "end_open_calls", "forget_calls", "open_history", "read_attempts", "read_calls"]

MAX_KEYS = 500
"""Calls whose attempts are asked for in one statement; SQLite takes some thousand values."""


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls are wanted; what is None does not matter."""

    since: float | None = None
    """Begun at this time or later, in seconds since the epoch."""
    until: float | None = None
    """Begun before this time."""
    line: str | None = None
    """Came or went through this line."""
    user: str | None = None
    """From or to this user."""
    number: str | None = None
    """Caller id or dialled number, exactly."""
    closed_reason: str | None = None
    """As `ClosedReason`, in small letters."""
    failed: bool = False
    """Only those that were never answered."""
    limit: int | None = None
    """The newest so many."""


def read_calls(connection: Connection, query: CallQuery) -> list[CallRecord]:
    """The calls that are wanted, oldest first."""
    statement = select(CALLS).where(*_conditions(query)).order_by(CALLS.c.created_at.desc(), CALLS.c.id)
    if query.limit is not None:
        statement = statement.limit(query.limit)
    return [record_of(CallRecord, row) for row in connection.execute(statement)][::-1]


def read_attempts(connection: Connection, calls: Sequence[CallRecord]) -> list[AttemptRecord]:
    """The attempts of some calls, call by call in the order of the calls, each in its own order."""
    found: dict[str, list[AttemptRecord]] = {call.id: [] for call in calls}
    keys = list(found)
    for start in range(0, len(keys), MAX_KEYS):
        some = keys[start : start + MAX_KEYS]
        statement = select(ATTEMPTS).where(ATTEMPTS.c.call.in_(some)).order_by(ATTEMPTS.c.number)
        for row in connection.execute(statement):
            attempt = record_of(AttemptRecord, row)
            found[attempt.call].append(attempt)
    return [attempt for attempts in found.values() for attempt in attempts]


def end_open_calls(connection: Connection, closed_at: float, reason: str, explanation: Json) -> list[CallRecord]:
    """Close the records of calls that were up when a process was killed.

    Args:
        connection: For writing.
        closed_at: When they end, in seconds since the epoch.
        reason: As `ClosedReason`, in small letters.
        explanation: Why.

    Returns:
        The records as they stand now.
    """
    left = [record_of(CallRecord, row) for row in connection.execute(select(CALLS).where(OPEN))]
    words = str(explanation.get("problem", ""))
    connection.execute(
        update(CALLS)
        .where(OPEN)
        .values(closed_at=closed_at, closed_reason=reason, status=LOST_STATUS, reason=words, explanation=explanation)
    )
    return [
        replace(
            record,
            closed_at=closed_at,
            closed_reason=reason,
            status=LOST_STATUS,
            reason=words,
            explanation=explanation,
        )
        for record in left
    ]


def forget_calls(connection: Connection, before: float) -> int:
    """Delete what began before a time, in seconds since the epoch; returns how many calls that were."""
    old = select(CALLS.c.id).where(CALLS.c.created_at < before)
    connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.call.in_(old)))
    return connection.execute(delete(CALLS).where(CALLS.c.created_at < before)).rowcount


@contextlib.contextmanager
def open_history(path: Path) -> Iterator[Connection]:
    """A connection that only reads, also while a server writes to the file.

    Args:
        path: The SQLite file of a server.

    Raises:
        StorageError: There is none, or it holds no records of calls.
    """
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    engine = create_engine("sqlite://", creator=lambda: _read_only(path))
    try:
        with engine.connect() as connection:
            _check(connection, path)
            yield connection
    except SQLAlchemyError as error:
        raise StorageError(f"{path} cannot be read: {getattr(error, 'orig', None) or type(error).__name__}") from error
    finally:
        engine.dispose()


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _check(connection: Connection, path: Path) -> None:
    named = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('calls', 'attempts')"
    if connection.execute(text(named)).scalar_one() != 2:
        raise StorageError(f"{path} holds no records of calls: the server that wrote it is older, or was none")


def _conditions(query: CallQuery) -> Iterator[ColumnElement[bool]]:
    calls = CALLS.c
    yield calls.closed_reason != ""
    if query.since is not None:
        yield calls.created_at >= query.since
    if query.until is not None:
        yield calls.created_at < query.until
    if query.line is not None:
        yield calls.line == query.line
    if query.user is not None:
        yield or_(
            (calls.from_type == "user") & (calls.from_name == query.user),
            (calls.to_type == "user") & (calls.to_name == query.user),
        )
    if query.number is not None:
        yield or_(calls.caller_id == query.number, calls.dial_number == query.number)
    if query.closed_reason is not None:
        yield calls.closed_reason == query.closed_reason
    if query.failed:
        yield calls.answered_at.is_(None)
