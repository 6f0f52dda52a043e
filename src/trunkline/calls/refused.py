"""An INVITE of a known peer that was refused at the door, before any session: what `exchange` says of it to `server.refusals`."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.calls.peers import Party
from trunkline.sip.endpoint import RequestReceived

__all__ = ["Refused"]


class Refused(NamedTuple):
    """An INVITE of which no session was made."""

    request: RequestReceived
    party: Party
    """Who sent it."""
    caller_name: str
    caller_id: str
    dial_number: str
    status: int
    """What it was answered with."""
    reason: str
    """In words."""
