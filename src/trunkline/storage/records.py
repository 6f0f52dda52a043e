"""Values that the store keeps, one class a table, in plain types.

`server` makes them from its live objects and reads them back at start; `store` turns them into rows. All times are wall
time (seconds since the epoch), for a monotonic clock means nothing to the next process. A repr shows no secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "AttemptRecord",
    "BindingRecord",
    "CallRecord",
    "DialogRecord",
    "GroupRecord",
    "Json",
    "Key",
    "LineRecord",
    "MessageRecord",
    "Record",
    "Snapshot",
    "TokenRecord",
    "UserRecord",
]

Key = tuple[str | int, ...]
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
    reliable: str = "supported"
    """Whether provisional responses of its calls are acknowledged: never, supported or required."""
    settings: Json = field(default_factory=dict)
    """Further settings, by name."""
    srtp: str = "never"
    """Whether audio of its calls is SRTP: never, offered or required."""
    srtp_in_clear: bool = False
    """Whether SRTP keys may cross signalling that is not encrypted."""

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
class GroupRecord:
    """A line group added at run time."""

    name: str
    settings: Json
    """All other settings; prices as text."""

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
class AttemptRecord:
    """One INVITE that was sent for a call, and what became of it."""

    call: str
    """The `id` of the call's record."""
    number: int
    """Counted from 1 within the call."""
    channel: int
    """0 or 1: `ChannelId`."""
    peer_type: str
    """`user` or `line`."""
    peer_name: str
    """Whom it called, or through which line."""
    target: str
    """The Request-URI."""
    server: str
    """Where it was sent: address, port and transport."""
    started_at: float
    ended_at: float | None
    """When its answer or failure came, or it was cancelled; None while it goes on."""
    answered: bool
    status: int
    """The SIP status that ended it, 487 where it was cancelled; 0 while it goes on."""
    reason: str
    """In words."""

    @property
    def key(self) -> Key:
        """The call and its number."""
        return (self.call, self.number)


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One session, from its beginning to its end: who, whom, how long, why it ended, how it sounded."""

    id: str
    """The session's token, unique beyond this server."""
    from_type: str
    """`user` or `line`: who called, or what was dialled first."""
    from_name: str
    """That user's or line's name."""
    from_address: str
    """Where the INVITE came from; "" for a dialled call."""
    caller_id: str
    caller_name: str
    dial_number: str
    to_type: str
    """`user` or `line`: who was placed last; "" where nobody was."""
    to_name: str
    line: str
    """The line that it went through or came from; "" between users."""
    server: str
    """The provider's server, as address, port and transport; "" between users."""
    created_at: float
    answered_at: float | None
    """When the caller was answered (or the callee of a dialled call); None where that never was."""
    closed_at: float
    closed_reason: str
    """As `ClosedReason`, in small letters; `refused` for an INVITE that made no session; in the file "" while the call is up."""
    status: int
    """The SIP status of what it failed of: of a placing, else what the caller was told; 487 where it was given up, 408 where an
    answered session was lost, 500 where a handler raised; 0 where it did not fail."""
    reason: str
    """That failure in words."""
    zero: Json
    """Codec and quality of channel ZERO as numbers: see `calls.record`."""
    one: Json
    """The same of channel ONE; empty where there was none."""
    explanation: Json
    """Why it failed, what came back, what to change; empty for a call that did not fail."""
    transfers: Sequence[Json] = ()
    """Each transfer that was tried, in order: `at`, `how` (`blind`, `attended`, `application` or `replaces`), `by` and `whom`
    as `user alice`, `to`, `outcome` as `TransferResult`, `status` and `reason`. `by` is empty where the application asked."""

    @property
    def key(self) -> Key:
        """Its id."""
        return (self.id,)

    @property
    def talk_s(self) -> float:
        """Seconds from the answer to the end; 0 where it was never answered."""
        return 0.0 if self.answered_at is None else max(0.0, self.closed_at - self.answered_at)


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


@dataclass(frozen=True, slots=True)
class DialogRecord:
    """One dialog of a call that is up: what a BYE in it needs, should the server crash. No secret is among it."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    """Our From value."""
    remote: str
    """Our To value."""
    remote_target: str
    routes: Sequence[str]
    local_cseq: int
    """Of our last request when it was written."""
    remote_cseq: int
    nat: bool
    transport: str
    remote_host: str
    remote_port: int
    local_host: str | None
    local_port: int | None
    peer_type: str
    """Whether the peer is a user or a line: "user" or "line"."""
    peer_name: str
    connected_at: float

    @property
    def key(self) -> Key:
        """Call-ID and both tags."""
        return (self.call_id, self.local_tag, self.remote_tag)


Record = (
    UserRecord
    | LineRecord
    | GroupRecord
    | TokenRecord
    | BindingRecord
    | CallRecord
    | AttemptRecord
    | MessageRecord
    | DialogRecord
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was stored, as read at start."""

    users: Sequence[UserRecord] = ()
    lines: Sequence[LineRecord] = ()
    tokens: Sequence[TokenRecord] = ()
    bindings: Sequence[BindingRecord] = ()
    messages: Sequence[MessageRecord] = ()
    dialogs: Sequence[DialogRecord] = ()
    groups: Sequence[GroupRecord] = ()
