"""A phone calls out through a provider's line, and the line's calls ring the phone.

Run it with `trunkline serve examples.itsp:server` after putting your account's data into the environment, or import `server` elsewhere.
"""

from __future__ import annotations

import os

from trunkline import CallSession, PeerType, SipServer

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))
server.add_line(
    "itsp",
    username=os.environ.get("ITSP_USERNAME", "15551234567"),
    password=os.environ.get("ITSP_PASSWORD", "change me"),
    server=os.environ.get("ITSP_SERVER", "sip.itsp.example"),
)


@server.on_incoming_call
async def route(call: CallSession) -> None:
    """Users dial out, the line rings alice."""
    if call.from_peer_type is PeerType.USER:
        await call.accept(to_line="itsp")
    else:
        await call.accept(to_user="alice")
