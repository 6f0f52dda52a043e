"""The peers of the mixed soak: phones and providers of the test kit, on real sockets, and the name server that names one of them.

`steady` peers meet no fault, so that what happens to them is known; `dave` is a phone and `shaky` a provider behind a `Relay`, and
`faults` does its worst to them. Guests are users whose phones come and go.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.soak.mixed.answers import Watched
from tests.soak.mixed.relay import Address, Relay
from trunkline.sip.endpoint import Headers, Message, RequestReceived
from trunkline.testing import Itsp, NameServer, Phone, ScriptedCall, Zone
from trunkline.testing.agent import Agent

__all__ = [
    "ACCOUNT",
    "GUESTS",
    "LINES",
    "NAMED_DOMAIN",
    "PASSWORD",
    "REALM",
    "SECRET",
    "USERS",
    "Guest",
    "People",
    "Provider",
]

REALM = "soak.example"
PASSWORD = "phone secret"
SECRET = "line secret"
ACCOUNT = "15551234567"
LINES = ("steady", "shaky", "named")
NAMED_DOMAIN = "named.example"
GUESTS = tuple(f"guest{number}" for number in range(80))
USERS = ("alice", "bob", "team", "dave", "nobody", *GUESTS)

PHONES_HOST = "127.0.0.2"
"""Not the providers': who calls from a line's address is believed without a proof."""
LONG_S = 7_200
LAPSE_S = 2.0
"""How long after its time a registration may still stand."""
QUIET_S = 60.0


class Guest(Phone):
    """A phone whose calls go to the errand that they are for."""

    endpoint_class = Watched
    people: People
    behind: Relay | None = None
    here = True
    """It has not vanished."""
    registered_until = 0.0
    """On the loop's clock."""

    @property
    def contact(self) -> str:
        """Where it is reached: at its relay, where it has one."""
        return _contact(self, super().contact, self.behind.back.address if self.behind is not None else None)

    async def register(self, expires_s: int = 3600, *, timeout_s: float = 60.0, headers: Headers = ()) -> Message:
        """As any phone; it knows until when."""
        message = await super().register(expires_s, timeout_s=timeout_s, headers=headers)
        self.registered_until = asyncio.get_running_loop().time() + expires_s
        return message

    def vanish(self) -> None:
        """Be gone without a word."""
        self.here = False
        if self._refresh is not None:
            self._refresh.cancel()
        super().vanish()

    async def leave(self) -> None:
        """Unregister and be gone in an orderly way; after `vanish`, only wait until the registration has lapsed."""
        left_s = self.registered_until - asyncio.get_running_loop().time()
        if not self.here:
            await asyncio.sleep(max(0.0, left_s + LAPSE_S))
            return
        if left_s > 0:
            await self.unregister(timeout_s=QUIET_S)
        await self.endpoint.wait_quiet(QUIET_S)
        await self.stop()

    def on_invite(self, request: RequestReceived) -> None:
        """From the stack."""
        self.people.invited(self, request)


class Provider(Itsp):
    """A provider whose calls go to the errand that they are for."""

    endpoint_class = Watched
    people: People
    behind: Relay | None = None
    here = True
    """It has not vanished."""

    def vanish(self) -> None:
        """Be gone without a word."""
        self.here = False
        super().vanish()

    @property
    def contact(self) -> str:
        """Where it is reached: at its relay, where it has one."""
        return _contact(self, super().contact, self.behind.front.address if self.behind is not None else None)

    def on_invite(self, request: RequestReceived) -> None:
        """From the stack: as any provider, and then to the errand."""
        super().on_invite(request)
        while not self.incoming.empty():
            self.people.arrived(self.incoming.get_nowait())
        self.seen.clear()

    def on_other(self, request: RequestReceived) -> None:
        """From the stack."""
        super().on_other(request)
        self.seen.clear()


def _contact(agent: Agent, own: str, public: Address | None) -> str:
    return own if public is None else f"<sip:{agent.name}@{public[0]}:{public[1]}>"


class People:
    """All of them. Errands say with `expect` which calls are theirs, by the display name that the caller shows.

    Args:
        seed: For the relays.
    """

    def __init__(self, seed: int) -> None:
        self.server: Address = ("", 0)
        self.relays = {"shaky": Relay(seed), "dave": Relay(seed + 1)}
        self.phones: dict[str, Guest] = {}
        self.team: list[Guest] = []
        self.providers: dict[str, Provider] = {}
        self.zone = Zone(ttl_s=5, negative_ttl_s=5)
        self.names = NameServer(self.zone)
        self.guests: asyncio.Queue[str] = asyncio.Queue()
        self.strays = 0
        """Calls that no errand waits for any more."""
        self._expected: dict[str, asyncio.Queue[ScriptedCall]] = {}

    async def open(self) -> None:
        """Start the providers and the name server."""
        await self.names.__aenter__()
        for name in LINES:
            await self.open_provider(name)
        port = self.providers["named"].port
        self.zone.add(f"_sip._udp.{NAMED_DOMAIN}", "SRV", f"10 0 {port} one.{NAMED_DOMAIN}.")
        self.zone.add(f"one.{NAMED_DOMAIN}", "A", "127.0.0.1")
        await self.relays["shaky"].open("127.0.0.1", ("127.0.0.1", self.providers["shaky"].port))
        self.providers["shaky"].behind = self.relays["shaky"]

    async def open_provider(self, name: str, *, like: Provider | None = None) -> None:
        """Start a provider; one that was there before keeps its port, and what it knew of its accounts."""
        provider = Provider({ACCOUNT: SECRET}, realm=f"{name}.example", port=like.port if like is not None else 0)
        provider.people = self
        if like is not None:
            provider.accounts, provider.behind = like.accounts, like.behind
        await provider.start()
        self.providers[name] = provider

    @property
    def addresses(self) -> dict[str, Any]:
        """What the server has to know: the lines' servers, and where the name server is."""
        lines = {
            "steady": f"127.0.0.1:{self.providers['steady'].port}",
            "shaky": "{}:{}".format(*self.relays["shaky"].front.address),
            "named": NAMED_DOMAIN,
        }
        return {"lines": lines, "names": self.names.port}

    async def move_in(self, server: Address) -> None:
        """Start the phones that stay, and register them."""
        self.server = server
        await self.relays["dave"].open(PHONES_HOST, server)
        for name in ("alice", "bob", "dave"):
            self.phones[name] = await self.phone(name, registers_s=LONG_S)
        self.team = [await self.phone("team", registers_s=LONG_S) for _ in range(2)]
        for guest in GUESTS:
            self.guests.put_nowait(guest)

    async def phone(self, user: str, *, password: str = PASSWORD, registers_s: int = 0) -> Guest:
        """A phone of a user, started, and registered where it is to be."""
        relay = self.relays.get(user)
        phone = Guest(user, password, relay.front.address if relay else self.server, realm=REALM, address=PHONES_HOST)
        phone.people, phone.behind = self, relay
        await phone.start()
        if registers_s:
            await phone.register(registers_s)
        return phone

    async def close(self) -> None:
        """Stop all of them."""
        for agent in self.all:
            await agent.stop()
        for relay in self.relays.values():
            relay.close()
        await self.names.__aexit__(None, None, None)

    @property
    def all(self) -> list[Guest | Provider]:
        """Those that are there now."""
        return [*self.phones.values(), *self.team, *self.providers.values()]

    # --- calls to errands ---------------------------------------------------------------------------------------------

    def expect(self, name: str) -> asyncio.Queue[ScriptedCall]:
        """Where the calls come that show this name."""
        return self._expected.setdefault(name, asyncio.Queue())

    def expect_no_more(self, name: str) -> None:
        """The errand is over."""
        del self._expected[name]

    def invited(self, phone: Guest, request: RequestReceived) -> None:
        """From a phone."""
        call = ScriptedCall.receive(phone, request)
        phone.calls.append(call)
        self.arrived(call)

    def arrived(self, call: ScriptedCall) -> None:
        """A call is there: for whom?"""
        name = call.invite.from_.display_name if call.invite is not None else ""
        waiting = self._expected.get(name or "")
        if waiting is None:
            self.strays += 1
            call.reject(480)
        else:
            waiting.put_nowait(call)
