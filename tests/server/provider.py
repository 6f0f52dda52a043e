"""A provider at the other end of recorded requests, and lines that register there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from random import Random
from typing import Any, TypeVar

from tests.server.recording import Events, Sent, answer, endpoint, fail
from trunkline.server.addresses import OwnAddresses
from trunkline.server.line import Line
from trunkline.server.line_settings import LineSettings
from trunkline.server.lines import Lines
from trunkline.sip.dns_answers import Answer, Kind, Naptr, NoRecords, ResolutionError, Srv
from trunkline.sip.endpoint import Flow
from trunkline.storage.records import Key, LineRecord, TokenRecord
from trunkline.testing.clock import run

CHALLENGE = ("WWW-Authenticate", 'Digest realm="itsp.example", nonce="n1"')


class Dns(dict[str, Sequence[str]]):
    """A resolver of what it holds: addresses, and no SRV or NAPTR record."""

    async def addresses(self, host: str, kinds: Iterable[Kind] = ()) -> Answer[str]:
        await asyncio.sleep(0)
        if host not in self:
            raise ResolutionError(host, "no such name")
        return Answer(tuple(self[host]), 300.0)

    async def services(self, name: str) -> Answer[Srv]:
        raise NoRecords(name, "no such service")

    async def transports(self, domain: str) -> Answer[Naptr]:
        raise NoRecords(domain, "no NAPTR record")


class Rows(dict[tuple[type, Key], object]):
    """What would be stored."""

    def put(self, record: LineRecord | TokenRecord) -> None:
        self[type(record), record.key] = record

    def delete(self, record: LineRecord | TokenRecord) -> None:
        self.pop((type(record), record.key), None)


class Listening:
    """A listener of ours."""

    def __init__(self, transport: str = "udp", host: str = "192.0.2.1", port: int = 5060) -> None:
        self.transport = transport
        self.host = host
        self.port = port


class House:
    """Lines of a server that listens on 192.0.2.1, UDP and TCP, and the names that it can resolve."""

    def __init__(self) -> None:
        self.endpoint, self.driver = endpoint()
        self.events = Events()
        self.dns = Dns({"sip.itsp.example": ["198.51.100.5"]})
        self.rows = Rows()
        self.addresses = OwnAddresses(domains=["pbx.example"], line=self._settings, source=lambda remote: "192.0.2.1")
        self.addresses.set_listeners([Listening(), Listening("tcp")])
        self.lines = Lines(self.endpoint, self.dns, self.addresses, self.events.append, Random(7), store=self.rows)

    def _settings(self, name: str) -> LineSettings | None:
        return self.lines.settings(name)

    def add(self, name: str = "itsp", **settings: Any) -> Line:
        values = {
            "username": "15551234",
            "server": "sip.itsp.example",
            "password": "s3cret",
            "ping_interval_s": 0.0,
            **settings,
        }
        return self.lines.add(LineSettings(name, **values))

    async def next(self) -> Sent:
        """The next request of ours that nobody has answered; time passes until it comes."""
        await self.settle()
        while True:
            self.driver.arrived.clear()
            for sent in self.driver.sent:
                if sent.tx in self.endpoint._clients:
                    return sent
            await self.driver.arrived.wait()
            await self.settle()

    async def settle(self) -> None:
        """Let everything that is ready run, in no time."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def say(self, status: int, *headers: tuple[str, str], reason: str = "Whatever") -> Sent:
        """Answer the next request."""
        sent = await self.next()
        answer(self.endpoint, sent, status, reason, headers)
        await self.settle()
        return sent

    async def grant(self, expires_s: int = 1800) -> Sent:
        """Grant the next request."""
        sent = await self.next()
        contact = sent.headers["Contact"].split(";expires")[0]
        return await self.say(200, ("Contact", f"{contact};expires={expires_s}"))

    async def silence(self, reason: str | None = None) -> Sent:
        """Let the next request time out, or break."""
        sent = await self.next()
        fail(self.endpoint, sent, reason)
        await self.settle()
        return sent

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def open(self) -> int:
        return self.endpoint.live["clients"]


H = TypeVar("H", bound=House)


def house(scenario: Callable[[H], Coroutine[Any, Any, None]], kind: type[H]) -> None:
    """Run a scenario in virtual time, in a house of that kind."""

    async def main() -> None:
        built = kind()
        built.lines.start()
        await scenario(built)
        await built.lines.close()
        await asyncio.sleep(0)

    run(main())


def at(host: str, port: int = 5060, transport: str = "udp") -> Flow:
    """A flow from there."""
    return Flow(transport, (host, port), ("192.0.2.1", 5060))
