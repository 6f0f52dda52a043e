"""The record as log lines by the standard library: `trunkline.events` at INFO, `trunkline.messages` at DEBUG.

A message is logged by its start line, addresses and Call-ID alone: header fields carry digests and identities, which
belong into a trace that somebody asked for, not into a log. Each line carries its entry, so that `JsonLines` writes its
fields apart.
"""

from __future__ import annotations

import json
import logging
import time

from trunkline.trace.describe import event_name, fields_of
from trunkline.trace.recorder import Entry, Happened, Recorder, TracedMessage

__all__ = ["JsonLines", "log_to"]

events_log = logging.getLogger("trunkline.events")
messages_log = logging.getLogger("trunkline.messages")


def log_to(recorder: Recorder) -> None:
    """Log each further entry of the record."""
    recorder.listen(_log)


def _log(entry: Entry) -> None:
    if isinstance(entry, TracedMessage):
        if messages_log.isEnabledFor(logging.DEBUG):
            arrow = "→" if entry.sent else "←"
            shown = (arrow, *entry.remote, entry.transport, entry.start_line, entry.call_id)
            messages_log.debug("%s %s:%d/%s %s [%s]", *shown, extra={"entry": entry})
    elif events_log.isEnabledFor(logging.INFO):
        events_log.info("%s", entry.text, extra={"entry": entry})


class JsonLines(logging.Formatter):
    """Formats each log record as one line of JSON, for log collectors.

    The keys are `time` (UTC, RFC 3339), `level`, `logger` and `message`; `error` with the traceback of an exception; of
    an event `event` and its fields, of a message `sent`, `transport`, `remote`, `start_line` and `sip_call_id`.

    Example:
        >>> import logging
        >>> from trunkline.trace.log import JsonLines
        >>> record = logging.LogRecord("trunkline", logging.INFO, "", 0, "listening on %s", ("udp://[::]:5060",), None)
        >>> record.created = 0.25
        >>> JsonLines().format(record)
        '{"time": "1970-01-01T00:00:00.250Z", "level": "INFO", "logger": "trunkline", "message": "listening on udp://[::]:5060"}'
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(_fields(getattr(record, "entry", None)))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _rfc3339(seconds: float) -> str:
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03d}Z"


def _fields(entry: object) -> dict[str, object]:
    if isinstance(entry, Happened):
        return {"event": event_name(entry.event), **fields_of(entry.event)}
    if isinstance(entry, TracedMessage):
        return {
            "sent": entry.sent,
            "transport": entry.transport,
            "remote": f"{entry.remote[0]} {entry.remote[1]}",
            "start_line": entry.start_line,
            "sip_call_id": entry.call_id,
        }
    return {}
