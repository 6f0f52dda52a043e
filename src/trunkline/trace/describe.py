"""Events in one line each, for logs, ladders and reports. Generic over the event classes: the class name and its plain fields.

A new event needs nothing here.
"""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from trunkline.events import (
    CallEvent,
    CallRecorded,
    Event,
    RecordingEvent,
    TransferAccepted,
    TransferFailed,
    TransferRequested,
    TransferTimeout,
)
from trunkline.explanation import Explanation

if TYPE_CHECKING:
    from trunkline.storage.records import CallRecord

__all__ = ["describe", "event_name", "fields_of"]

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
MAX_TEXT = 200
"""Characters of one field's text; what a peer sent may be long."""


def event_name(event: Event | type[Event]) -> str:
    """The event's name as its handler has it, without `on_`: `CallSessionHangUp` is `call_session_hangup`."""
    kind = event if isinstance(event, type) else type(event)
    return _snake_case(kind.__name__)


@lru_cache
def _snake_case(name: str) -> str:
    return _WORD.sub("_", name).lower().replace("hang_up", "hangup")


def describe(event: Event) -> str:
    """The event in one line: its name, the call's number, and its fields.

    Example:
        >>> from trunkline.events import LineRegisterFailed
        >>> describe(LineRegisterFailed("itsp", 403, "Forbidden", 300.0))
        'line_register_failed line=itsp status=403 reason=Forbidden retry_in_s=300'
    """
    fields = fields_of(event)
    return " ".join([event_name(event), *(f"{name}={_quoted(value)}" for name, value in fields.items())])


def fields_of(event: Event) -> dict[str, str | int | float]:
    """The event's plain fields by name, those that say something; a call by its number."""
    fields: dict[str, str | int | float] = {}
    if isinstance(event, CallRecorded):
        return _recorded(event.record)
    if isinstance(event, CallEvent | RecordingEvent):
        fields["call"] = event.call.id
    for item in (each for each in dataclasses.fields(event) if each.repr):
        value = getattr(event, item.name)
        if isinstance(value, str | int | float | Enum) and value != "":
            fields[item.name] = _plain(value)
        elif isinstance(value, Explanation):
            fields["explanation"] = _plain(str(value))
    if isinstance(event, (TransferAccepted, TransferFailed, TransferTimeout)):
        fields |= {"status": event.outcome.status, "reason": _plain(event.outcome.reason)}
    elif isinstance(event, TransferRequested):
        fields["to"] = _plain(event.request.uri)
    return fields


def _recorded(record: CallRecord) -> dict[str, str | int | float]:
    fields: dict[str, str | int | float] = {"call": record.id, "reason": record.closed_reason, "talk_s": record.talk_s}
    if record.explanation:
        said = [str(record.explanation.get(part, "")) for part in ("problem", "advice")]
        fields |= {"status": record.status, "explanation": _plain("; ".join(filter(None, said)))}
    return fields


def _plain(value: str | int | float | Enum) -> str | int | float:
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, str):
        return "".join(each if each.isprintable() else "?" for each in value[:MAX_TEXT])
    return value


def _quoted(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f'"{value}"' if " " in str(value) else str(value)
