"""What the features are tested on: a server on the virtual network, phones, and keys that they press."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from trunkline import SipServer
from trunkline.testing import Phone, ScriptedCall, VirtualNetwork
from trunkline.testing.media import VirtualMedia

REALM = "pbx.example"
SERVER = "10.0.0.1"

Run = Callable[[Any], Any]


def new_server(network: VirtualNetwork, *users: str) -> SipServer:
    """A server on the network, with users whose passwords are their names."""
    server = SipServer(realm=REALM, listen=[f"udp://{SERVER}:5060"], platform=network.host(SERVER))
    for user in users:
        server.add_user(user, password=user)
    return server


@contextlib.asynccontextmanager
async def phones(network: VirtualNetwork, *names: str) -> AsyncIterator[tuple[Phone, ...]]:
    """A registered phone of each user."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for name in names:
            host = network.host(f"10.0.1.{len(network.hosts)}")
            where: dict[str, Any] = {"platform": host, "address": host.address, "port": 5060}
            phone = await stack.enter_async_context(Phone(name, name, (SERVER, 5060), realm=REALM, **where))
            await phone.register()
            found.append(phone)
        yield tuple(found)


async def press(call: ScriptedCall, digits: str, *, after_s: float = 0.3) -> None:
    """Press keys, by INFO, after a while."""
    await asyncio.sleep(after_s)
    for digit in digits:
        headers, body = [("Content-Type", "application/dtmf-relay")], f"Signal={digit}\r\nDuration=120"
        assert (await call.request("INFO", headers=headers, body=body.encode())).status == 200


def media_of(network: VirtualNetwork) -> VirtualMedia:
    """The server's media."""
    return network.hosts[SERVER].media


async def until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait until something holds, in virtual time."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.05)


async def nothing_left(network: VirtualNetwork, server: SipServer) -> None:
    """The calls are over, and no leg of theirs is left."""
    await until(lambda: not server.calls)
    await until(lambda: not media_of(network).legs)


Scene = Callable[..., Awaitable[None]]
