"""Values that the store keeps, one class a table, in plain types.

`server` makes them from its live objects and reads them back at start; `store` turns them into rows. All times are wall
time (seconds since the epoch), for a monotonic clock means nothing to the next process. A repr shows no secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["BindingRecord", "Key", "LineRecord", "MessageRecord", "Record", "Snapshot", "TokenRecord", "UserRecord"]

Key = tuple[str, ...]
"""The primary key of a record inside its table."""

Json = Mapping[str, object]
"""A value of plain types that JSON can hold."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user added at run time. The password is not kept, only what verifies it."""

    name: str
    realm: str
    ha1_md5: str = field(repr=False)
    ha1_sha256: str = field(repr=False)
    display_name: str
    codecs: Sequence[Json]
    max_contacts: int
    media_timeout_s: float
    """Silence after which its calls count as lost; 0 for never."""
    numbers: Sequence[str]
    """What it may show as its caller id besides its name."""

    @property
    def key(self) -> Key:
        """Its name."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class LineRecord:
    """A line added at run time. Its password must be shown to the provider, so it is kept as it is: see `Store`."""

    name: str
    password: str | None = field(repr=False)
    settings: Json
    """All other settings."""

    @property
    def key(self) -> Key:
        """Its name."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """The Contact token of a line, wherever that is configured: a provider that knows our last Contact finds us by it."""

    line: str
    token: str = field(repr=False)

    @property
    def key(self) -> Key:
        """The line's name."""
        return (self.line,)


@dataclass(frozen=True, slots=True)
class BindingRecord:
    """Where a user's phone is (RFC 3261 §10.3), and the flow it came over."""

    user: str
    contact: str
    instance: str
    """The +sip.instance, or "" for a phone that names none."""
    q: float
    call_id: str
    cseq: int
    expires_at: float
    updated_at: float
    path: Sequence[str]
    nat: bool
    user_agent: str
    transport: str
    remote_host: str
    remote_port: int
    local_host: str | None
    local_port: int | None

    @property
    def key(self) -> Key:
        """User, contact and instance."""
        return (self.user, self.contact, self.instance)


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message that waits for a user who is away. Its repr does not show what it says."""

    user: str
    id: str
    """Unique."""
    received_at: float
    expires_at: float
    sender_name: str
    sender_id: str
    headers: Sequence[Sequence[str]]
    """Name and value of what goes with the body: Content-Type and the like."""
    body: bytes = field(repr=False)

    @property
    def key(self) -> Key:
        """User and id."""
        return (self.user, self.id)


Record = UserRecord | LineRecord | TokenRecord | BindingRecord | MessageRecord


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was stored, as read at start."""

    users: Sequence[UserRecord] = ()
    lines: Sequence[LineRecord] = ()
    tokens: Sequence[TokenRecord] = ()
    bindings: Sequence[BindingRecord] = ()
    messages: Sequence[MessageRecord] = ()
