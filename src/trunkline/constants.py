"""The enums an application meets. Values are the ones that the seed's product documents, so that ported code keeps its numbers."""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = ["ChannelId", "ClosedReason", "DtmfWay", "PeerType", "Transport"]


class PeerType(IntEnum):
    """What a peer is: a phone of ours or an account at a provider."""

    USER = 0
    LINE = 1


class ChannelId(IntEnum):
    """A leg of a session: ZERO arrived (or was dialled first), ONE was placed by the application."""

    ZERO = 0
    ONE = 1

    @property
    def other(self) -> ChannelId:
        """The opposite leg."""
        return ChannelId(1 - self)


class DtmfWay(IntEnum):
    """How a digit came, or goes."""

    RFC4733 = 0
    """A telephone event among the audio's packets."""
    INFO = 1
    """An INFO in the call's dialog."""
    INBAND = 2
    """Tones in the audio."""
    RFC2833 = 0
    """The same as RFC4733, by the name of the RFC before."""


class Transport(Enum):
    """What SIP runs over, as a URI's `transport` parameter says it."""

    UDP = "udp"
    TCP = "tcp"


class ClosedReason(IntEnum):
    """Why a session is over; told once, by `CallSessionClosed`."""

    HANGUP = 0
    """A BYE from either side."""
    SESSION_LOST = 1
    """Media fell silent, or a dialog turned out to be dead."""
    MOVED = 2
    """A 3xx that was not followed."""
    TRANSFERRED = 3
    """A REFER was carried out."""
    REJECTED = 4
    """`CallSession.reject`."""
    FAILED = 5
    """No attempt was left."""
    CANCELLED = 6
    """The caller gave up before the answer."""
    TIMEOUT = 7
    """`timeout_s` passed without an answer."""
    CLOSED = 8
    """`CallSession.close`, the server's stop, or a handler that raised after the answer."""
    REDIRECT_SENT = 9
    """`CallSession.respond` with a 3xx."""
    FAILURE_SENT = 10
    """`CallSession.respond` with 4xx to 6xx, or a handler that raised before the answer."""
