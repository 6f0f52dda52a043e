"""A mobile calls in and hears a menu: sales, the opening hours, or the number of a desk, dialled directly.

The menu is data, with one choice in code. Run it with `trunkline serve examples.menu:server`; the prompts lie in `sounds/`.
"""

from __future__ import annotations

import logging
import os

from trunkline import CallSession, PeerType, SipServer
from trunkline.features.menu import Action, Menu, Ring, Say, Step

log = logging.getLogger("menu")

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))
server.add_user("201", password=os.environ.get("DESK_PASSWORD", "change me"))
server.add_line(
    "itsp",
    username=os.environ.get("ITSP_USERNAME", "15551234567"),
    password=os.environ.get("ITSP_PASSWORD", "change me"),
    server=os.environ.get("ITSP_SERVER", "sip.itsp.example"),
)

hours = Menu(
    prompt="sounds/hours.wav",
    choices={"*": Step.BACK, "0": Ring("alice")},
    repeats=1,
    default=Step.BACK,
)

main = Menu(
    prompt=["sounds/welcome.wav", "sounds/choices.wav"],
    choices={"1": Ring("alice", otherwise=Say("sounds/nobody.wav", Step.HANG_UP)), "2": hours},
    extensions=("2xx",),
    invalid="sounds/invalid.wav",
    default=Step.HANG_UP,
)


@main.on("9")
async def call_back(call: CallSession) -> Action | None:
    """Code where data is not enough."""
    log.info("call back %s", call.caller_id)
    await call.play("sounds/thanks.wav")
    return Step.HANG_UP


@server.on_incoming_call
async def receive(call: CallSession) -> None:
    """Users dial out; who calls the line hears the menu."""
    if call.from_peer_type is PeerType.USER:
        await call.accept(to_line="itsp")
        return
    result = await main.run(call)
    log.info("call %d: %s by way of %s", call.id, result.end.value, result.chosen)
    call.close()
