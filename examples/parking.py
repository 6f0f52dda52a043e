"""A mobile calls in and alice answers; she parks the call with *7 or a transfer to 700, and bob picks it up by dialling 701.

Nobody does: after two minutes it goes back to alice. Run it with `trunkline serve examples.parking:server`; the sounds lie in `sounds/`.
"""

from __future__ import annotations

import logging
import os

from trunkline import CallFailed, CallSession, PeerType, SipServer
from trunkline.features.parking import ParkEnd, Parking

log = logging.getLogger("parking")

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))
server.add_user("bob", password=os.environ.get("BOB_PASSWORD", "change me"))
server.add_line(
    "itsp",
    username=os.environ.get("ITSP_USERNAME", "15551234567"),
    password=os.environ.get("ITSP_PASSWORD", "change me"),
    server=os.environ.get("ITSP_SERVER", "sip.itsp.example"),
)


def where(slot: int) -> list[str]:
    """What alice hears when she has parked a call: the last digit of its slot."""
    return ["sounds/parked.wav", f"sounds/{slot % 10}.wav"]


parking = Parking(
    server,
    slots=range(701, 710),
    number="700",
    key="*7",
    music="sounds/music.wav",
    timeout_s=120,
    announce=where,
)


@server.on_incoming_call
async def receive(call: CallSession) -> None:
    """Users pick up, or dial out; the line's calls are alice's."""
    if call.from_peer_type is PeerType.LINE:
        await put_through(call, "alice")
    elif await parking.pick_up(call):
        call.close()
    else:
        await call.accept(to_line="itsp")


async def put_through(call: CallSession, user: str) -> None:
    """A caller talks to a user, and may be parked by whoever talks to him."""
    await call.answer()
    try:
        phone = await call.dial_user(user, timeout_s=20)
    except CallFailed:
        await call.play("sounds/nobody.wav")
    else:
        result = await parking.bridge(call, phone)
        if result is not None:
            log.info("call %d: %s, slot %s, last with %s", call.id, result.end.value, result.slot, result.by)
        if result is not None and result.end is ParkEnd.UNANSWERED:
            await call.play("sounds/sorry.wav")
    call.close()
