"""The tables as SQLAlchemy Core knows them, and how a record becomes a row and back.

`store` reads and writes by them; `migrations` bring a file from any earlier state to this one (a test compares the
two). The same definitions serve SQLite and PostgreSQL.
"""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    text,
)

from trunkline.storage.records import (
    AttemptRecord,
    BindingRecord,
    CallRecord,
    DialogRecord,
    LineRecord,
    MessageRecord,
    Record,
    TokenRecord,
    UserRecord,
)

__all__ = ["METADATA", "OPEN", "TABLES", "record_of", "row_of"]

METADATA = MetaData()

OPEN = text("closed_reason = ''")
"""Calls that are up; an index holds them alone, so that a year of others is not read at start."""

R = TypeVar(
    "R",
    UserRecord,
    LineRecord,
    TokenRecord,
    BindingRecord,
    CallRecord,
    AttemptRecord,
    MessageRecord,
    DialogRecord,
)

USERS = Table(
    "users",
    METADATA,
    Column("name", String, primary_key=True),
    Column("realm", String, nullable=False),
    Column("ha1_md5", String, nullable=False),
    Column("ha1_sha256", String, nullable=False),
    Column("display_name", String, nullable=False),
    Column("codecs", JSON, nullable=False),
    Column("max_contacts", Integer, nullable=False),
    Column("media_timeout_s", Float, nullable=False, server_default="60.0"),
    Column("numbers", JSON, nullable=False, server_default="[]"),
    Column("reliable", String, nullable=False, server_default="supported"),
    Column("srtp", String, nullable=False, server_default="never"),
    Column("srtp_in_clear", Boolean, nullable=False, server_default="0"),
)

LINES = Table(
    "lines",
    METADATA,
    Column("name", String, primary_key=True),
    Column("password", String),
    Column("settings", JSON, nullable=False),
)

LINE_TOKENS = Table(
    "line_tokens",
    METADATA,
    Column("line", String, primary_key=True),
    Column("token", String, nullable=False),
)

BINDINGS = Table(
    "bindings",
    METADATA,
    Column("user", String, primary_key=True),
    Column("contact", String, primary_key=True),
    Column("instance", String, primary_key=True),
    Column("q", Float, nullable=False),
    Column("call_id", String, nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("path", JSON, nullable=False),
    Column("nat", Boolean, nullable=False),
    Column("user_agent", String, nullable=False),
    Column("transport", String, nullable=False),
    Column("remote_host", String, nullable=False),
    Column("remote_port", Integer, nullable=False),
    Column("local_host", String),
    Column("local_port", Integer),
)

CALLS = Table(
    "calls",
    METADATA,
    Column("id", String, primary_key=True),
    Column("from_type", String, nullable=False),
    Column("from_name", String, nullable=False),
    Column("from_address", String, nullable=False),
    Column("caller_id", String, nullable=False),
    Column("caller_name", String, nullable=False),
    Column("dial_number", String, nullable=False),
    Column("to_type", String, nullable=False),
    Column("to_name", String, nullable=False),
    Column("line", String, nullable=False),
    Column("server", String, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("answered_at", Float),
    Column("closed_at", Float, nullable=False),
    Column("closed_reason", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("zero", JSON, nullable=False),
    Column("one", JSON, nullable=False),
    Column("explanation", JSON, nullable=False),
    Column("transfers", JSON, nullable=False, server_default="[]"),
    Index("calls_open", "id", sqlite_where=OPEN, postgresql_where=OPEN),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("call", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("channel", Integer, nullable=False),
    Column("peer_type", String, nullable=False),
    Column("peer_name", String, nullable=False),
    Column("target", String, nullable=False),
    Column("server", String, nullable=False),
    Column("started_at", Float, nullable=False, index=True),
    Column("ended_at", Float),
    Column("answered", Boolean, nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", String, nullable=False),
)

MESSAGES = Table(
    "messages",
    METADATA,
    Column("user", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("received_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("sender_name", String, nullable=False),
    Column("sender_id", String, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

DIALOGS = Table(
    "dialogs",
    METADATA,
    Column("call_id", String, primary_key=True),
    Column("local_tag", String, primary_key=True),
    Column("remote_tag", String, primary_key=True),
    Column("local", String, nullable=False),
    Column("remote", String, nullable=False),
    Column("remote_target", String, nullable=False),
    Column("routes", JSON, nullable=False),
    Column("local_cseq", BigInteger, nullable=False),
    Column("remote_cseq", BigInteger, nullable=False),
    Column("nat", Boolean, nullable=False),
    Column("transport", String, nullable=False),
    Column("remote_host", String, nullable=False),
    Column("remote_port", Integer, nullable=False),
    Column("local_host", String),
    Column("local_port", Integer),
    Column("peer_type", String, nullable=False),
    Column("peer_name", String, nullable=False),
    Column("connected_at", Float, nullable=False),
)

TABLES: dict[type[Record], Table] = {
    UserRecord: USERS,
    LineRecord: LINES,
    TokenRecord: LINE_TOKENS,
    BindingRecord: BINDINGS,
    CallRecord: CALLS,
    AttemptRecord: ATTEMPTS,
    MessageRecord: MESSAGES,
    DialogRecord: DIALOGS,
}


def row_of(record: Record) -> dict[str, object]:
    """The columns of a record."""
    return {column.name: getattr(record, column.name) for column in dataclasses.fields(record)}


def record_of(kind: type[R], row: Row[tuple[object, ...]]) -> R:
    """The record of a row."""
    return kind(**row._mapping)
