"""A mobile calls in; alice's phone rings, and when she does not take it the mobile leaves a message. She dials *97 to listen.

Her phone shows how many messages wait. Run it with `trunkline serve examples.voicemail:server`; the prompts lie in `sounds/`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from trunkline import CallFailed, CallSession, PeerType, SipServer
from trunkline.features.listening import VoicemailPrompts
from trunkline.features.mailboxes import Counts
from trunkline.features.voicemail import Voicemail

log = logging.getLogger("voicemail")

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))
server.add_line(
    "itsp",
    username=os.environ.get("ITSP_USERNAME", "15551234567"),
    password=os.environ.get("ITSP_PASSWORD", "change me"),
    server=os.environ.get("ITSP_SERVER", "sip.itsp.example"),
)


def counted(counts: Counts) -> Sequence[str | Path]:
    """One sound for "none", "one" and "many" of each kind."""
    size = ("none", "one")[counts.new] if counts.new < 2 else "many"
    return [f"sounds/{size}.wav", "sounds/new.wav"]


voicemail = Voicemail(
    server,
    os.environ.get("VOICEMAIL", "voicemail"),
    VoicemailPrompts(
        greeting="sounds/greeting.wav",
        full="sounds/full.wav",
        pin="sounds/pin.wav",
        wrong_pin="sounds/wrong.wav",
        counts=counted,
        keys="sounds/keys.wav",
        goodbye="sounds/goodbye.wav",
    ),
)
voicemail.add_box("alice", pin=os.environ.get("ALICE_PIN", "2468"))


@server.on_incoming_call
async def receive(call: CallSession) -> None:
    """Users dial out, or listen; the line's calls ring alice, then leave a message."""
    if call.dial_number == "*97" and call.from_peer_type is PeerType.USER:
        await voicemail.listen(call, call.from_peer_name)
        call.close()
    elif call.from_peer_type is PeerType.USER:
        await call.accept(to_line="itsp")
    else:
        await ring(call, "alice")


async def ring(call: CallSession, user: str) -> None:
    """The user, or else the user's mailbox."""
    try:
        await call.accept(to_user=user, timeout_s=20)
    except CallFailed:
        left = await voicemail.leave(call, user)
        log.info("call %d: %s, %s", call.id, left.end.value, left.message)
        call.close()
