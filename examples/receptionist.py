"""A mobile calls in; the receptionist answers it, looks for somebody who is there, and puts the two together.

The linear style: one coroutine is the call from its beginning to its end. Run it with `trunkline serve examples.receptionist:server`.
"""

from __future__ import annotations

import logging
import os

from trunkline import CallFailed, CallSession, PeerType, SipServer

log = logging.getLogger("receptionist")

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))
server.add_user("bob", password=os.environ.get("BOB_PASSWORD", "change me"))
server.add_line(
    "itsp",
    username=os.environ.get("ITSP_USERNAME", "15551234567"),
    password=os.environ.get("ITSP_PASSWORD", "change me"),
    server=os.environ.get("ITSP_SERVER", "sip.itsp.example"),
)


@server.on_incoming_call
async def receive(call: CallSession) -> None:
    """Users dial out; for the line's calls, alice is tried, then bob."""
    if call.from_peer_type is PeerType.USER:
        await call.accept(to_line="itsp")
        return
    await call.answer()
    try:
        for name in ("alice", "bob"):
            if await talked(call, name):
                return
        log.info("call %d: nobody is there", call.id)
    finally:
        call.close()


async def talked(call: CallSession, name: str) -> bool:
    """Whether a user took the call; returns when the two have talked."""
    try:
        phone = await call.dial_user(name, timeout_s=15)
    except CallFailed as failure:
        log.info("call %d: %s: %s", call.id, name, failure)
        return False
    try:
        outcome = await call.bridge(phone)
        log.info("call %d: ended by %s: %s", call.id, outcome.ended_by.from_peer_name, outcome.how.value)
        return True
    finally:
        phone.close()
