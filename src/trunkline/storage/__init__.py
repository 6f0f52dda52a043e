"""What outlives the process: users and lines added at run time, bindings, the tokens of lines, messages that wait.

`records` are the values, `schema` the tables, `migrations` their history, `store` the write-behind store that the
server talks to. Memory is the truth while the server runs; code and TOML are configuration and are never written here.
"""

from __future__ import annotations

from trunkline.storage.records import (
    BindingRecord,
    LineRecord,
    MessageRecord,
    Record,
    Snapshot,
    TokenRecord,
    UserRecord,
)
from trunkline.storage.store import Store

__all__ = ["BindingRecord", "LineRecord", "MessageRecord", "Record", "Snapshot", "Store", "TokenRecord", "UserRecord"]
