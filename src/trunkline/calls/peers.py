"""What calls need to know of the world above them, as values and protocols: peers, targets, addresses, the sink.

`server.routing` implements `Directory`, `server.dispatch` implements `Sink`, `server.addresses` implements
`Addresses`. Nothing here knows a user table, a line or a handler.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from trunkline.constants import PeerType
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.capabilities import Dtmf, Reliable, Srtp
from trunkline.sip.dialog import DialogKeeper
from trunkline.sip.endpoint import Codec, Flow, Message, NameAddr, Uri
from trunkline.sip.session_timer import SessionTimes

if TYPE_CHECKING:
    from trunkline.calls.plan import Failed, Turns
    from trunkline.calls.session import CallSession
    from trunkline.events import CallEvent, RecordingEvent

__all__ = [
    "Addresses",
    "Directory",
    "Journal",
    "Origin",
    "Party",
    "PlacementError",
    "Placing",
    "Sink",
    "Target",
    "TransferHow",
]

TransferHow = Literal["inside", "refer"]
"""Who carries a transfer out: the server, so that the peer never sees it, or the peer, which gets a REFER."""


@dataclass(frozen=True, slots=True)
class Party:
    """The peer at one end of a channel."""

    peer_type: PeerType
    name: str
    codecs: tuple[Codec, ...]
    """What this peer may use, in our order of preference."""
    credentials: ClientCredentials | None = None
    """Answers its challenges; lines have them."""
    nat: bool = False
    """It is reached over the flow that it opened, and its SDP address is not to be believed."""
    media_timeout_s: float = 0.0
    """Silence after which the session counts as lost; 0 for never."""
    quality_alarm_mos: float = 0.0
    """MOS below which the sound of its leg is told to be low; 0 for never."""
    anonymous: bool = False
    """Our Contact must not show whose account it is (RFC 3323 §4.1.1)."""
    accept_token: str | None = None
    """The Contact token that ties requests of its dialogs to it (a line's), or None for one minted per call."""
    reliable: Reliable = "supported"
    """Whether provisional responses are sent and taken reliably (RFC 3262)."""
    follow_redirects: int = 0
    """How many targets of its redirections are tried; 0 for none: the application is told of the 3xx."""
    timers: SessionTimes | None = None
    """How long its sessions last unless they are refreshed; as the server's unless given."""
    rtcp_mux: bool = False
    """Whether it is offered one port for RTP and RTCP (RFC 5761)."""
    large_over_tcp: bool = True
    """Whether a request that is too large for UDP may go over TCP (RFC 3261 §18.1.1)."""
    srtp: Srtp = "never"
    """Whether its audio is SRTP (RFC 3711, RFC 4568)."""
    srtp_in_clear: bool = False
    """Whether SRTP keys may cross signalling that is not encrypted."""
    music_on_hold: str = ""
    """The path of what others hear while it holds them; "" for nothing."""
    dtmf: Dtmf = "auto"
    """How digits go to it."""
    transfer: TransferHow = "inside"
    """Whether its calls are transferred inside the server, or it is asked to by REFER."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where one attempt goes: a contact of a user, or a line's server."""

    party: Party
    uri: Uri
    """The Request-URI."""
    flow: Flow
    local: NameAddr
    """The From, without tag."""
    remote: NameAddr
    """The To."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of this target: Route, identity."""


class Origin(NamedTuple):
    """The call that came in, for which another leg is placed."""

    peer_type: PeerType
    """Whether a user or a line called."""
    peer_name: str
    dialled: str
    """What was dialled."""
    message: Message
    """Its INVITE."""
    failed_status: int = 0
    """Of the placing before this one, for which this one goes elsewhere; 0 for none."""


class Placing(NamedTuple):
    """A user, or a number through a line or line group, to be placed as the application said it."""

    peer_type: PeerType
    peer_name: str
    dial_number: str
    caller_name: str
    caller_id: str
    privacy: bool | None = None
    """Whether the caller stays anonymous; None for as the line has it."""
    headers: tuple[tuple[str, str], ...] = ()
    """Header fields of the application's own for the INVITE."""
    origin: Origin | None = None
    """The call that it is placed for; None for one of the application's own."""
    emergency: bool = False
    """An emergency call: its number goes out as it was dialled."""
    follow_redirects: int | None = None
    """How many targets of redirections are tried; None for as the user or line has it."""

    def redirecting(self, party: Party) -> Party:
        """The party as this call has it."""
        return party if self.follow_redirects is None else replace(party, follow_redirects=self.follow_redirects)


class PlacementError(Exception):
    """A target cannot be found; becomes the `failed` event and `CallFailed`.

    Args:
        status: The SIP status that stands for it: 404 unknown, 480 nobody registered, 503 line not usable.
        reason: In words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class Directory(Protocol):
    """Finds the targets of a placing, and is told how they fared."""

    def plan(self, placing: Placing) -> Turns:
        """The steps in which it is tried to reach a user, or a number through a line. Nothing is looked up yet.

        What a step finds when it begins is at least one target; else it raises `PlacementError`.
        """

    def user_of(self, uri: Uri, flow: Flow) -> str | None:
        """The user of ours that a URI in a message over `flow` names; None where it names none."""

    def refer_to(self, line: str, to: str) -> Uri:
        """What a line's provider is asked to call: a URI as it is, or a number in the line's domain.

        Raises:
            PlacementError: There is no such line, or it makes no address.
        """

    def note_failure(self, failed: Failed) -> None:
        """An attempt at one of its targets has failed, or was given up. Never raises."""

    def note_success(self, target: Target) -> None:
        """An INVITE to one of its targets was answered by a 2xx. Never raises."""


class Addresses(Protocol):
    """Which of our addresses a peer on a flow is told."""

    def contact(self, flow: Flow, party: Party, token: str) -> str:
        """Our Contact value for requests and responses over `flow`, carrying `token` where this party keeps it."""

    def media(self, flow: Flow) -> tuple[str, str]:
        """The local address to bind RTP on for a peer on `flow`, and the address to write into SDP."""


class Journal(Protocol):
    """Writes down the dialogs of calls, so that they can be ended after a crash."""

    def of(self, party: Party) -> DialogKeeper:
        """Keeps the dialogs with one peer."""


class Sink(Protocol):
    """Takes the events of calls, in order."""

    def emit(self, event: CallEvent | RecordingEvent) -> None:
        """Record the event and start the application's handlers. Returns at once; never raises."""

    def decision_pending(self, call: CallSession) -> bool:
        """Whether a handler that may still decide (incoming_call, failed, timeout) is running for this call."""
