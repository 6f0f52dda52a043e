"""Messages that wait for users who are away: bounded in number, size and age, in the store where there is one.

`message` puts them in and takes them out when the user registers. Memory is the truth while the server runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from trunkline.messaging.courier import Letter
from trunkline.storage.records import MessageRecord

__all__ = ["Mailbox", "MessageStore"]

log = logging.getLogger("trunkline.messaging")

MAX_STORED = 100_000
"""Messages that wait in all."""

MAX_STORED_BYTES = 256 * 1024 * 1024
"""Their bodies together."""


class MessageStore(Protocol):
    """Where messages are written behind."""

    def put(self, record: MessageRecord) -> None:
        """Write it, soon."""

    def delete(self, record: MessageRecord) -> None:
        """Delete it, soon."""


class Mailbox:
    """All messages that wait.

    Args:
        wall_clock: Seconds since the epoch: a message's age counts over restarts.
        per_user: Messages that may wait for one user; 0 keeps none.
        max_age_s: Seconds that a message is kept.
        store: Keeps them over a restart; None for none.
    """

    def __init__(
        self,
        *,
        wall_clock: Callable[[], float],
        per_user: int,
        max_age_s: float,
        store: MessageStore | None = None,
    ) -> None:
        self._wall_clock = wall_clock
        self._per_user = per_user
        self._max_age_s = max_age_s
        self._store = store
        self._waiting: dict[str, dict[str, MessageRecord]] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def restore(self, records: Iterable[MessageRecord], known: Callable[[str], bool]) -> None:
        """Take back what was stored; what is too old, or of no user any more, is deleted."""
        for record in sorted(records, key=lambda record: record.received_at):
            if known(record.user) and record.expires_at > self._wall_clock():
                self._enter(record)
            elif self._store is not None:
                self._store.delete(record)

    def put(self, user: str, message_id: str, letter: Letter, expires_s: int | None) -> bool:
        """Keep a message. False where there is no room for it.

        Args:
            user: For whom.
            message_id: Its id.
            letter: It.
            expires_s: How long it is worth keeping, as its sender says, in seconds; None for nothing said.
        """
        self._drop_old(user)
        full = len(self._waiting.get(user, {})) >= self._per_user
        if full or self._count >= MAX_STORED or self._bytes + len(letter.body) > MAX_STORED_BYTES:
            return False
        now = self._wall_clock()
        record = MessageRecord(
            user=user,
            id=message_id,
            received_at=now,
            expires_at=now + min(self._max_age_s, self._max_age_s if expires_s is None else expires_s),
            sender_name=letter.sender_name,
            sender_id=letter.sender_id,
            headers=[list(header) for header in letter.headers],
            body=letter.body,
        )
        self._enter(record)
        if self._store is not None:
            self._store.put(record)
        return True

    def first(self, user: str) -> MessageRecord | None:
        """The oldest message that waits for a user."""
        self._drop_old(user)
        return next(iter(self._waiting.get(user, {}).values()), None)

    def remove(self, record: MessageRecord) -> None:
        """It was delivered, or is not wanted."""
        waiting = self._waiting.get(record.user, {})
        if waiting.pop(record.id, None) is None:
            return
        if not waiting:
            del self._waiting[record.user]
        self._count -= 1
        self._bytes -= len(record.body)
        if self._store is not None:
            self._store.delete(record)

    def drop_user(self, user: str) -> None:
        """The user is gone, and what waited for it."""
        for record in list(self._waiting.get(user, {}).values()):
            self.remove(record)

    def _enter(self, record: MessageRecord) -> None:
        self._waiting.setdefault(record.user, {})[record.id] = record
        self._count += 1
        self._bytes += len(record.body)

    def _drop_old(self, user: str) -> None:
        now = self._wall_clock()
        for record in list(self._waiting.get(user, {}).values()):
            if record.expires_at <= now:
                log.info("a message from %s to %s has waited too long", record.sender_id, user)
                self.remove(record)
