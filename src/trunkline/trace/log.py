"""The record as log lines by the standard library: `trunkline.events` at INFO, `trunkline.messages` at DEBUG.

A message is logged by its start line, addresses and Call-ID alone: header fields carry digests and identities, which belong into a trace
that somebody asked for, not into a log.
"""

from __future__ import annotations

import logging

from trunkline.trace.recorder import Entry, Recorder, TracedMessage

__all__ = ["log_to"]

events_log = logging.getLogger("trunkline.events")
messages_log = logging.getLogger("trunkline.messages")


def log_to(recorder: Recorder) -> None:
    """Log each further entry of the record."""
    recorder.listen(_log)


def _log(entry: Entry) -> None:
    if isinstance(entry, TracedMessage):
        arrow = "→" if entry.sent else "←"
        host, port = entry.remote
        messages_log.debug("%s %s:%d/%s %s [%s]", arrow, host, port, entry.transport, entry.start_line, entry.call_id)
    elif events_log.isEnabledFor(logging.INFO):
        events_log.info("%s", entry.text)
