"""`trunkline calls`: the records of calls that a server keeps in its file, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from trunkline.calls.ending import REFUSED_REASON
from trunkline.constants import ClosedReason
from trunkline.explanation import Explanation
from trunkline.storage.call_history import CallQuery, open_history, read_attempts, read_calls
from trunkline.storage.records import AttemptRecord, CallRecord, Json

__all__ = ["calls"]

TIMES = ("created_at", "answered_at", "closed_at", "started_at", "ended_at")
AGO_S = {"m": 60, "h": 3_600, "d": 86_400}
DIGITS = 3
"""Of a second, in times that are shown."""


def _moment(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Seconds since the epoch of a local time in ISO 8601, or of how long ago: 2026-11-24, 2026-11-24T08:30, 12h."""
    if value is None:
        return None
    unit_s = AGO_S.get(value[-1:])
    if unit_s is not None and value[:-1].isdecimal():
        return time.time() - int(value[:-1]) * unit_s
    try:
        return datetime.datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no time; give 2026-11-24, 2026-11-24T08:30, 90m, 12h or 7d") from None


@click.command()
@click.argument("database", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--since", callback=_moment, help="Calls that began then or later: a date, a time, or 12h, 7d.")
@click.option("--until", callback=_moment, help="Calls that began before.")
@click.option("--line", help="Calls through this line.")
@click.option("--user", help="Calls from or to this user.")
@click.option("--number", help="Calls with this caller id or dialled number.")
@click.option(
    "--ended",
    "closed_reason",
    type=click.Choice([*(reason.name.lower() for reason in ClosedReason), REFUSED_REASON]),
    help="Why it ended.",
)
@click.option("--failed", is_flag=True, help="Calls that were never answered.")
@click.option("--limit", type=click.IntRange(min=1), help="The newest so many.")
@click.option("--attempts", is_flag=True, help="Each attempt of these calls, instead of the calls.")
@click.option("--wide", is_flag=True, help="Every column in the table too; CSV always has them.")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True, help="As what."
)
def calls(database: Path, attempts: bool, wide: bool, form: str, **wanted: Any) -> None:
    """Show the calls in DATABASE, the file of a server's option `storage`; the server may run meanwhile."""
    with open_history(database) as connection:
        found = read_calls(connection, CallQuery(**wanted))
        tried = read_attempts(connection, found) if attempts or form == "json" else []
    if form == "json":
        click.echo(_json_lines(tried if attempts else found, [] if attempts else tried), nl=False)
    else:
        write = _csv if form == "csv" else _table
        if attempts:
            click.echo(write(tried, _ATTEMPT_COLUMNS), nl=False)
        else:
            whole = wide or form == "csv"
            click.echo(write(found, (*_CALL_COLUMNS, *_WIDE_COLUMNS) if whole else _CALL_COLUMNS), nl=False)


Column = tuple[str, Callable[[Any], str]]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="milliseconds")


def _seconds(value: float) -> str:
    return f"{value:.{DIGITS}f}"


_CALL_COLUMNS: Sequence[Column] = (
    ("began", lambda call: _time(call.created_at)),
    ("from", lambda call: f"{call.from_type} {call.from_name}"),
    ("caller id", lambda call: call.caller_id),
    ("dialled", lambda call: call.dial_number),
    ("to", lambda call: f"{call.to_type} {call.to_name}".strip()),
    ("line", lambda call: call.line),
    ("talked s", lambda call: _seconds(call.talk_s)),
    ("ended", lambda call: call.closed_reason),
    ("status", lambda call: str(call.status or "")),
    ("reason", lambda call: call.reason),
    ("transfers", lambda call: "; ".join(map(_transfer, call.transfers))),
)

_QUALITY = (
    "codec",
    "srtp",
    "packets_received",
    "packets_sent",
    "packets_lost",
    "packets_refused",
    "jitter_ms",
    "remote_packets_lost",
    "round_trip_ms",
)
"""What is known of each channel, as `calls.record` names it."""

_EXPLANATION = tuple(field.name for field in dataclasses.fields(Explanation))


def _part_of(part: str, key: str) -> Callable[[CallRecord], str]:
    """One value of a field that is a table itself; "" where it has none."""

    def read(call: CallRecord) -> str:
        value = getattr(call, part).get(key)
        return "" if value is None else str(value)

    return read


_WIDE_COLUMNS: Sequence[Column] = (
    ("server", lambda call: call.server),
    ("answered", lambda call: _time(call.answered_at)),
    ("closed", lambda call: _time(call.closed_at)),
    ("caller name", lambda call: call.caller_name),
    ("address", lambda call: call.from_address),
    ("id", lambda call: call.id),
    *((f"{part} {key.replace('_', ' ')}", _part_of(part, key)) for part in ("zero", "one") for key in _QUALITY),
    *((key, _part_of("explanation", key)) for key in _EXPLANATION),
)
"""What a CSV and a wide table have besides."""

_ATTEMPT_COLUMNS: Sequence[Column] = (
    ("call", lambda attempt: attempt.call),
    ("number", lambda attempt: str(attempt.number)),
    ("channel", lambda attempt: str(attempt.channel)),
    ("began", lambda attempt: _time(attempt.started_at)),
    ("ended", lambda attempt: _time(attempt.ended_at)),
    ("to", lambda attempt: f"{attempt.peer_type} {attempt.peer_name}"),
    ("target", lambda attempt: attempt.target),
    ("server", lambda attempt: attempt.server),
    ("answered", lambda attempt: "yes" if attempt.answered else "no"),
    ("status", lambda attempt: str(attempt.status or "")),
    ("reason", lambda attempt: attempt.reason),
)


def _transfer(transfer: Json) -> str:
    """Who asked, for whom, and what came of it, as `user alice to sip:bob@pbx.example: accepted`."""
    return f"{transfer.get('by') or 'application'} to {transfer.get('to')}: {transfer.get('outcome')}"


def _table(rows: Iterable[object], columns: Sequence[Column]) -> str:
    lines = [[title for title, _ in columns], *([_printable(read(row)) for _, read in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def _csv(rows: Iterable[object], columns: Sequence[Column]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([title for title, _ in columns])
    writer.writerows([_cell(read(row)) for _, read in columns] for row in rows)
    return file.getvalue()


def _cell(text: str) -> str:
    """What a caller wrote must not become a formula in a spreadsheet: +1555 and *97 stay, =, @ and tabs are quoted."""
    return (
        f"'{text}"
        if text.startswith(("=", "@", "\t", "\r")) or (text.startswith(("+", "-")) and not _number(text))
        else text
    )


def _number(text: str) -> bool:
    return text[1:].replace(".", "", 1).isdigit()


def _json_lines(rows: Sequence[CallRecord | AttemptRecord], tried: Sequence[AttemptRecord]) -> str:
    attempts: dict[str, list[dict[str, object]]] = {}
    for attempt in tried:
        attempts.setdefault(attempt.call, []).append(_plain(attempt))
    lines = []
    for row in rows:
        line = _plain(row)
        if isinstance(row, CallRecord):
            line["talk_s"] = round(row.talk_s, DIGITS)
            line["transfers"] = [{**each, "at": _time(_seconds_of(each))} for each in row.transfers]
            line["attempts"] = attempts.get(row.id, [])
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)


def _seconds_of(transfer: Json) -> float | None:
    at = transfer.get("at")
    return at if isinstance(at, float) else None


def _plain(row: CallRecord | AttemptRecord) -> dict[str, object]:
    """Its fields; times as people and programs read them."""
    fields = dataclasses.asdict(row)
    return {name: _time(value) if name in TIMES and value is not None else value for name, value in fields.items()}
