"""Message waiting: the event package `message-summary` (RFC 3842), with counts that the application sets.

A user is told of its own messages alone. Counts are kept while the server runs; whoever owns the mailbox sets them
again after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.messaging.peers import Directory
from trunkline.messaging.watching import Watching
from trunkline.sip.endpoint import Uri
from trunkline.sip.notifier import Body
from trunkline.sip.subscription import Expiry, SubscriptionRefused

__all__ = ["CONTENT_TYPE", "MessageSummary", "Waiting"]

CONTENT_TYPE = "application/simple-message-summary"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many voice messages wait."""

    new: int = 0
    old: int = 0
    urgent_new: int = 0
    urgent_old: int = 0

    def __post_init__(self) -> None:
        counts = (self.new, self.old, self.urgent_new, self.urgent_old)
        if not all(0 <= count < 2**31 for count in counts):
            raise ValueError("a count of messages is 0 or more")
        if self.urgent_new > self.new or self.urgent_old > self.old:
            raise ValueError("urgent messages are among the others: no more of them than of all")


class MessageSummary:
    """The package `message-summary`."""

    name = "message-summary"
    content_type = CONTENT_TYPE
    expiry = Expiry(60, 3_600, 86_400)  # RFC 3842 §3.4 asks for hours
    min_interval_s = 1.0  # RFC 3842 §3.9

    def __init__(self, watching: Watching, directory: Directory) -> None:
        self._watching = watching
        self._directory = directory
        self._waiting: dict[str, Waiting] = {}
        watching.add(self)

    def set(self, user: str, waiting: Waiting) -> None:
        """Say how many messages wait for a user; its phones are told when that has changed."""
        if waiting != self.of(user):
            self._waiting[user] = waiting
            self._watching.changed(self.name, user)

    def of(self, user: str) -> Waiting:
        """How many wait."""
        return self._waiting.get(user, Waiting())

    def drop_user(self, user: str) -> None:
        """The user is gone."""
        self._waiting.pop(user, None)

    def source(self, watcher: str, resource: str) -> _SummarySource:
        """What `watcher` is told; SubscriptionRefused (403) of anybody but itself."""
        if watcher != resource:
            raise SubscriptionRefused(403, "A mailbox is its user's alone")
        return _SummarySource(self, resource, self._directory.address_of(resource))


class _SummarySource:
    def __init__(self, summary: MessageSummary, user: str, address: Uri) -> None:
        self._summary = summary
        self._user = user
        self._address = address

    def body(self, *, full: bool) -> Body:
        # RFC 3842 §5.2
        waiting = self._summary.of(self._user)
        lines = [
            f"Messages-Waiting: {'yes' if waiting.new else 'no'}",
            f"Message-Account: {self._address}",
            f"Voice-Message: {waiting.new}/{waiting.old} ({waiting.urgent_new}/{waiting.urgent_old})",
        ]
        return Body(CONTENT_TYPE, ("\r\n".join(lines) + "\r\n").encode())
