"""The users, lines and line groups that outlive the process: put into the store, and taken back at the next start.

`Running` has it done before the listeners open. What code and files say goes before what was stored; what is stored and not valid any
more is left out and named in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from trunkline.errors import ConfigurationError
from trunkline.server.groups import LineGroup, LineGroups
from trunkline.server.line_settings import LineSettings
from trunkline.server.lines import Lines
from trunkline.server.users import User, Users
from trunkline.storage.records import GroupRecord, LineRecord, Snapshot, UserRecord
from trunkline.storage.store import Store

__all__ = ["StoredPeers"]

log = logging.getLogger("trunkline.server")


class StoredPeers:
    """Whom a server knows, as far as it is stored.

    Args:
        users: Its users.
        lines: Its lines.
        groups: Its line groups.
    """

    def __init__(self, users: Users, lines: Lines, groups: LineGroups) -> None:
        self._users = users
        self._lines = lines
        self._groups = groups

    def put(self, store: Store) -> None:
        """Store the users and groups that code has added with that wish; lines store themselves."""
        for added in (*self._users, *self._groups):
            if added.stored:
                store.put(added.record())

    def restore(self, snapshot: Snapshot) -> None:
        """Add whom the store has and nobody else has named."""
        for user in snapshot.users:
            if user.name not in self._users:
                _restored("user", user.name, partial(self._restore_user, user))
        for line in snapshot.lines:
            if line.name not in self._lines:
                _restored("line", line.name, partial(self._restore_line, line))
        for group in snapshot.groups:
            if group.name not in self._groups and group.name not in self._lines:
                _restored("line group", group.name, partial(self._restore_group, group))

    def _restore_user(self, record: UserRecord) -> None:
        self._users.add(User.of_record(record))

    def _restore_line(self, record: LineRecord) -> None:
        self._lines.add(LineSettings.of_record(record))

    def _restore_group(self, record: GroupRecord) -> None:
        self._groups.add(LineGroup.of_record(record))


def _restored(kind: str, name: str, restore: Callable[[], None]) -> None:
    """Take one stored peer back; one that is not valid any more is left out and named."""
    try:
        restore()
    except ConfigurationError as error:
        log.error("the stored %s %s is left out: %s", kind, name, error)
