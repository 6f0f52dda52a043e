"""Calls that are performed on the virtual network while the documentation is built, so that its ladders are true.

`extension` draws what the server recorded. Virtual time and a fixed seed make every build draw the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trunkline import CallSession, PeerType, SipServer
from trunkline.testing import CallRefused, Itsp, Phone, VirtualNetwork, run
from trunkline.trace.ladder import draw_ladder

__all__ = ["LADDERS", "draw"]

ACCOUNT = "15551234567"
MOBILE = "15559876543"
SERVER, PROVIDER, PHONE = "10.0.0.1", "10.0.0.9", "10.0.0.2"

Scene = Callable[[Phone, Itsp], Awaitable[None]]


async def out(alice: Phone, itsp: Itsp) -> None:
    """A phone calls a mobile through the line, and hangs up."""
    call = alice.dial(MOBILE)
    mobile = await itsp.next_call()
    mobile.ring()
    await call.wait_ringing()
    mobile.answer()
    await call.wait_answered()
    call.hangup()
    await mobile.wait_ended()


async def into(alice: Phone, itsp: Itsp) -> None:
    """A mobile calls in, the phone rings, answers and hangs up."""
    mobile = itsp.dial(ACCOUNT, caller_id=MOBILE)
    call = await alice.next_call()
    call.ring()
    await mobile.wait_ringing()
    call.answer()
    await mobile.wait_answered()
    call.hangup()
    await mobile.wait_ended()


async def busy(alice: Phone, itsp: Itsp) -> None:
    """The mobile is busy."""
    call = alice.dial(MOBILE)
    (await itsp.next_call()).reject(486)
    try:
        await call.wait_answered()
    except CallRefused:
        return
    raise AssertionError("a busy mobile answered")


async def cancelled(alice: Phone, itsp: Itsp) -> None:
    """The caller gives up while it rings."""
    call = alice.dial(MOBILE)
    mobile = await itsp.next_call()
    mobile.ring()
    await call.wait_ringing()
    call.hangup()
    await mobile.wait_ended()


LADDERS: dict[str, Scene] = {"out": out, "into": into, "busy": busy, "cancelled": cancelled}


async def _route(call: CallSession) -> None:
    if call.from_peer_type is PeerType.USER:
        await call.accept(to_line="itsp")
    else:
        await call.accept(to_user="alice")


async def _perform(scene: Scene) -> str:
    network = VirtualNetwork()
    server = SipServer(realm="pbx.example", listen=[f"udp://{SERVER}:5060"], platform=network.host(SERVER))
    server.trace()
    server.add_user("alice", password="alice's")
    server.add_line("itsp", username=ACCOUNT, password="line's", server=f"{PROVIDER}:5060", domain="itsp.example")
    server.on_incoming_call(_route)
    itsp = Itsp({ACCOUNT: "line's"}, platform=network.host(PROVIDER), address=PROVIDER, port=5060)
    phone_host = network.host(PHONE)
    alice = Phone(
        "alice", "alice's", (SERVER, 5060), realm="pbx.example", platform=phone_host, address=PHONE, port=5060
    )
    async with itsp, server, alice:
        await alice.register()
        await itsp.wait_registered(ACCOUNT)
        before = len(server.recorder)
        await scene(alice, itsp)
        for call in server.calls:
            await call.wait_closed()
        # the last answers are on their way
        await asyncio.sleep(1)
        entries = list(server.recorder)[before:]
    return draw_ladder(entries, {(PHONE, 5060): "alice", (PROVIDER, 5060): "provider"})


def draw(name: str) -> str:
    """Perform a call and draw it."""
    return run(_perform(LADDERS[name]))
