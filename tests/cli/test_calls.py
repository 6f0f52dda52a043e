"""`trunkline calls`: the same records as a table, as CSV and as JSON."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import datetime
import io
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.storage.test_call_history import ATTEMPTS, CALL, FAILED

from trunkline.cli import commands
from trunkline.storage.records import CallRecord
from trunkline.storage.store import Store


def write(path: Path, *records: object) -> Path:
    async def scenario() -> None:
        store = await Store.open(path)
        for record in records:
            store.put(record)  # type: ignore[arg-type]
        await store.close()

    asyncio.run(scenario())
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return write(tmp_path / "pbx.db", CALL, FAILED, *ATTEMPTS)


def ask(database: Path, *arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(commands, ["calls", str(database), *arguments])
    assert result.exit_code == status, result.output
    return result.output


def local(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="milliseconds")


def test_a_table_has_one_line_a_call(database: Path) -> None:
    head, first, second = ask(database).splitlines()
    assert head.split() == "began from caller id dialled to line talked s ended status reason transfers".split()  # noqa: SIM905
    assert first.startswith(local(1_000.0))
    assert "user alice" in first
    assert first.split()[-7:] == ["60.500", "hangup", "user", "alice", "to", "sip:bob@pbx.example:", "failed"]
    assert second.endswith("failed  486     Busy Here")


def test_json_has_one_object_a_line_with_its_attempts(database: Path) -> None:
    first, second = map(json.loads, ask(database, "--format", "json").splitlines())
    assert first["talk_s"] == 60.5
    assert first["zero"] == {"codec": "PCMU/8000", "packets_received": 3_000}
    assert first["created_at"] == local(1_000.0)
    assert first["transfers"][0]["at"] == local(1_020.0)
    assert first["transfers"][0]["by"] == "user alice"
    assert [attempt["status"] for attempt in second["attempts"]] == [486, 0]
    assert second["answered_at"] is None
    assert second["attempts"][1]["ended_at"] is None


def test_csv_is_read_by_a_spreadsheet(database: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(ask(database, "--format", "csv"))))
    assert [row["ended"] for row in rows] == ["hangup", "failed"]
    assert rows[0]["dialled"] == "+15550100"


def test_csv_has_all_that_a_record_has(tmp_path: Path) -> None:
    one = {"codec": "opus/48000/2", "srtp": "AES_CM_128_HMAC_SHA1_80", "jitter_ms": 1.5, "round_trip_ms": None}
    explanation = {"problem": "busy", "sent": "INVITE", "received": "486", "rule": "RFC 3261", "advice": "wait"}
    call = dataclasses.replace(
        CALL, server="udp:192.0.2.9:5060", answered_at=1_005.0, closed_at=1_065.5, one=one, explanation=explanation
    )
    path = write(tmp_path / "pbx.db", call)
    (row,) = csv.DictReader(io.StringIO(ask(path, "--format", "csv")))
    assert row["server"] == "udp:192.0.2.9:5060"
    assert (row["answered"], row["closed"]) == (local(1_005.0), local(1_065.5))
    assert (row["zero codec"], row["zero packets received"]) == ("PCMU/8000", "3000")
    assert (row["one codec"], row["one srtp"]) == ("opus/48000/2", "AES_CM_128_HMAC_SHA1_80")
    assert (row["one jitter ms"], row["one round trip ms"]) == ("1.5", "")
    assert {name: row[name] for name in explanation} == explanation
    assert row["id"] == CALL.id


def test_a_table_has_these_columns_where_it_is_to_be_wide(database: Path) -> None:
    head, *lines = ask(database, "--wide").splitlines()
    assert "zero codec" in head
    assert "advice" in head
    assert "PCMU/8000" in lines[0]
    assert "zero codec" not in ask(database)


def test_each_column_of_the_csv_has_a_name_of_its_own(database: Path) -> None:
    for arguments in ((), ("--attempts",)):
        head = next(csv.reader(io.StringIO(ask(database, "--format", "csv", *arguments))))
        assert len(set(head)) == len(head)


@pytest.mark.parametrize("name", ["=HYPERLINK(0)", "@SUM(1)", "-1+2", "+1+cmd"])
def test_what_a_caller_wrote_is_no_formula(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "pbx.db", dataclasses.replace(CALL, caller_id=name))
    (row,) = csv.DictReader(io.StringIO(ask(path, "--format", "csv")))
    assert row["caller id"] == f"'{name}"


def test_what_a_caller_wrote_moves_no_cursor(tmp_path: Path) -> None:
    path = write(tmp_path / "pbx.db", dataclasses.replace(CALL, caller_id="\x1b[2J\n"))
    assert "?[2J?" in ask(path)
    assert "\x1b" not in ask(path)


def test_attempts_are_shown_in_each_form(database: Path) -> None:
    assert len(ask(database, "--attempts").splitlines()) == 4
    rows = list(csv.DictReader(io.StringIO(ask(database, "--attempts", "--format", "csv"))))
    assert [row["answered"] for row in rows] == ["yes", "no", "no"]
    lines = ask(database, "--attempts", "--format", "json", "--failed").splitlines()
    assert [json.loads(line)["status"] for line in lines] == [486, 0]


def test_each_option_narrows_what_is_shown(database: Path) -> None:
    for arguments in (
        ["--user", "alice"],
        ["--ended", "hangup"],
        ["--number", "+15550100"],
        ["--limit", "1", "--line", "itsp"],
    ):
        assert len(ask(database, *arguments).splitlines()) == 2
    assert len(ask(database, "--failed").splitlines()) == 2


def test_a_time_is_a_date_or_how_long_ago(tmp_path: Path) -> None:
    def at(call_id: str, created_at: float) -> CallRecord:
        return dataclasses.replace(CALL, id=call_id, created_at=created_at)

    now = time.time()
    path = write(tmp_path / "pbx.db", at("old", now - 7_200), at("new", now - 600))
    assert len(ask(path, "--since", "90m").splitlines()) == 2
    assert len(ask(path, "--since", "3h").splitlines()) == 3
    assert len(ask(path, "--since", "1d", "--until", "1h").splitlines()) == 2
    assert len(ask(path, "--until", "2001-01-01").splitlines()) == 1
    assert "is no time" in ask(path, "--since", "yesterday", status=2)


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(commands, ["calls", str(tmp_path / "none.db")])
    assert "there is no such file" in str(result.exception)
