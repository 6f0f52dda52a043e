"""What outlives the process: what was added at run time, bindings, tokens of lines, records of calls, dialogs that are up.

`records` are the values, `schema` the tables, `migrations` their history, `store` the write-behind store that the
server talks to. Memory is the truth while the server runs; code and TOML are configuration and are never written here.
"""

from __future__ import annotations

from trunkline.storage.records import (
    AttemptRecord,
    BindingRecord,
    CallRecord,
    DialogRecord,
    GroupRecord,
    LineRecord,
    MessageRecord,
    Record,
    Snapshot,
    TokenRecord,
    UserRecord,
)
from trunkline.storage.store import Store

__all__ = [
    "AttemptRecord",
    "BindingRecord",
    "CallRecord",
    "DialogRecord",
    "GroupRecord",
    "LineRecord",
    "MessageRecord",
    "Record",
    "Snapshot",
    "Store",
    "TokenRecord",
    "UserRecord",
]
