"""A mobile calls in and alice's phone rings; when she is busy or away, bob's does. The style of events: no handler waits for the call.

Run it with `trunkline serve examples.overflow:server`.
"""

from __future__ import annotations

import os

from trunkline import CallSession, ChannelId, PeerType, SipServer
from trunkline.events import CallSessionClosed, CallSessionConnected, CallSessionFailed, CallSessionTimeout

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))
server.add_user("bob", password=os.environ.get("BOB_PASSWORD", "change me"))
server.add_line(
    "itsp",
    username=os.environ.get("ITSP_USERNAME", "15551234567"),
    password=os.environ.get("ITSP_PASSWORD", "change me"),
    server=os.environ.get("ITSP_SERVER", "sip.itsp.example"),
)

overflowed: set[int] = set()
"""Calls that bob was tried for."""


@server.on_incoming_call
def ring(call: CallSession) -> None:
    """Alice first."""
    if call.from_peer_type is PeerType.USER:
        call.accept(to_line="itsp")
    else:
        call.accept(to_user="alice", timeout_s=20)


@server.on_call_session_failed
def on_failed(event: CallSessionFailed) -> None:
    """She is busy, declined, or has no phone registered."""
    overflow(event.call)


@server.on_call_session_timeout
def on_timeout(event: CallSessionTimeout) -> None:
    """She did not answer."""
    overflow(event.call)


def overflow(call: CallSession) -> None:
    """Bob next, once. Who decides nothing here leaves the caller the failure."""
    if call.from_peer_type is PeerType.LINE and call.id not in overflowed:
        overflowed.add(call.id)
        call.accept(to_user="bob", timeout_s=20)


@server.on_call_session_connected
def on_connected(event: CallSessionConnected) -> None:
    """Say so."""
    print(f"call {event.call.id}: {ChannelId.ZERO.name} and {ChannelId.ONE.name} talk")


@server.on_call_session_closed
def on_closed(event: CallSessionClosed) -> None:
    """Always last."""
    overflowed.discard(event.call.id)
    print(f"call {event.call.id}: {event.reason.name.lower()}")
