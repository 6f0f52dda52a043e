"""Callers of a support line wait in turn, with music; users dial *1 to take calls, *2 to stop, *3 for a pause and *4 to go on.

Who waits too long, or finds no agent, hears so. Run it with `trunkline serve examples.support:server`; the sounds lie in `sounds/`.
"""

from __future__ import annotations

import logging
import os

from trunkline import CallSession, PeerType, SipServer, UnknownPeer
from trunkline.features.agents import Strategy
from trunkline.features.queue import CallQueue, QueueEnd, QueueEvent, QueueMissed

log = logging.getLogger("support")

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))
server.add_user("bob", password=os.environ.get("BOB_PASSWORD", "change me"))
server.add_line(
    "itsp",
    username=os.environ.get("ITSP_USERNAME", "15551234567"),
    password=os.environ.get("ITSP_PASSWORD", "change me"),
    server=os.environ.get("ITSP_SERVER", "sip.itsp.example"),
)


def told(event: QueueEvent) -> None:
    """A wall display would show all of them."""
    if isinstance(event, QueueMissed):
        log.info("%s did not take call %d: %s", event.agent, event.call.id, event.reason)


def place(position: int) -> list[str]:
    """What a caller hears of his place."""
    return ["sounds/next.wav"] if position == 1 else ["sounds/wait.wav"]


support = CallQueue(
    "support",
    music="sounds/music.wav",
    strategy=Strategy.LONGEST_IDLE,
    max_waiting=20,
    max_wait_s=300,
    wrap_up_s=10,
    announce=place,
    on_event=told,
)
KEYS = {"*1": support.join, "*2": support.leave, "*3": support.pause, "*4": support.resume}
SAID = {
    QueueEnd.NO_AGENTS: "sounds/closed.wav",
    QueueEnd.FULL: "sounds/full.wav",
    QueueEnd.TIMED_OUT: "sounds/sorry.wav",
}


@server.on_incoming_call
async def receive(call: CallSession) -> None:
    """Users are agents, or dial out; who calls the line waits."""
    if call.from_peer_type is PeerType.LINE:
        await wait(call)
    elif call.dial_number in KEYS:
        await change(call)
    else:
        await call.accept(to_line="itsp")


async def change(call: CallSession) -> None:
    """An agent comes, goes, or has a pause."""
    try:
        KEYS[call.dial_number](call.from_peer_name)
    except UnknownPeer:
        call.reject(403, "You take no calls")
        return
    await call.answer()
    await call.play("sounds/done.wav")
    call.close()


async def wait(call: CallSession) -> None:
    """One caller, from his arrival to his end."""
    result = await support.enter(call)
    log.info("call %d: %s after %.0f s", call.id, result.end.value, result.waited_s)
    if result.end in (QueueEnd.NO_AGENTS, QueueEnd.FULL):
        await call.answer()
    if result.end in SAID:
        await call.play(SAID[result.end])
    call.close()
