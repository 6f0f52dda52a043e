"""A server, a provider and phones on the virtual network, for tests of whole flows in virtual time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from trunkline.events import CallEvent, Event
from trunkline.server.server import SipServer
from trunkline.testing import Itsp, Phone, VirtualNetwork

REALM = "pbx.example"
SERVER = "10.0.0.1"
PROVIDER = "10.0.0.9"
ACCOUNT = "15551234567"
MOBILE = "15559876543"


@dataclass
class World:
    """What a test plays with."""

    network: VirtualNetwork
    server: SipServer
    itsp: Itsp
    phones: list[Phone] = field(default_factory=list)
    """Those that it made; stopped with it."""

    async def phone(self, name: str, number: int = 2, *, register: bool = True, **options: Any) -> Phone:
        """A phone at 10.0.0.`number` with its user's password, registered."""
        host = self.network.host(f"10.0.0.{number}")
        phone = Phone(
            name,
            f"secret of {name}",
            (SERVER, 5060),
            realm=REALM,
            platform=host,
            address=host.address,
            port=5060,
            **options,
        )
        await phone.start()
        self.phones.append(phone)
        if register:
            await phone.register()
        return phone

    @property
    def call_events(self) -> list[str]:
        """The names of the call events so far, in order."""
        return [type(event).__name__ for event in self.server.recorder.events if isinstance(event, CallEvent)]

    def events_of(self, kind: type[Event]) -> list[Any]:
        """The events of a kind so far."""
        return [event for event in self.server.recorder.events if isinstance(event, kind)]


@contextlib.asynccontextmanager
async def world(network: VirtualNetwork, *, line: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[World]:
    """A running server with the users alice and bob and the line itsp, which has registered."""
    # each driver's retransmissions run in virtual time
    server_host, provider_host = network.host(SERVER), network.host(PROVIDER)
    server = SipServer(
        realm=REALM, listen=[f"udp://{SERVER}:5060", f"tcp://{SERVER}:5060"], platform=server_host, **options
    )
    server.trace()
    for name in ("alice", "bob"):
        server.add_user(name, password=f"secret of {name}")
    itsp = Itsp({ACCOUNT: "line secret"}, platform=provider_host, address=PROVIDER, port=5060)
    async with itsp, server:
        settings = {"username": ACCOUNT, "password": "line secret", "server": f"{PROVIDER}:5060", "domain": itsp.realm}
        server.add_line("itsp", **{**settings, **(line or {})})
        if (line or {}).get("register", True):
            await itsp.wait_registered(ACCOUNT)
        made = World(network, server, itsp)
        try:
            yield made
        finally:
            for phone in made.phones:
                await phone.stop()
