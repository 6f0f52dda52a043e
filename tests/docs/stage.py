"""What the examples of the pages are performed on: the blocks of a page, a virtual network, a provider and phones."""

from __future__ import annotations

import asyncio
import contextlib
import re
import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline import SipServer
from trunkline.sip.resolver import Resolver
from trunkline.testing import Itsp, Phone, VirtualNetwork, Zone

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

ACCOUNT, MOBILE = "15551234567", "15559876543"
SERVER, PROVIDER = "10.0.0.1", "10.0.0.9"
PASSWORD = "change me"

_BLOCK = re.compile(
    r"^(?P<indent> *)(?:\.\. example: (?P<kind>[^\n]+)\n)?(?P=indent)\.\. code-block:: python\n\n"
    r"(?P<text>(?:(?P=indent) {3}[^\n]*\n|\n)+)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block of Python on a page."""

    page: str
    line: int
    kind: str
    """How it is to be run; "" where the page does not say."""
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def code(self, flags: int = 0) -> Any:
        """Compiled, with line numbers of the page."""
        return compile("\n" * self.line + self.text, str(DOCS / self.page), "exec", flags, dont_inherit=True)


def pages() -> list[Path]:
    return sorted(path for path in DOCS.rglob("*.rst") if "_build" not in path.parts)


def blocks() -> list[Block]:
    found = []
    for page in pages():
        text = page.read_text()
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("text"))
            found.append(Block(str(page.relative_to(DOCS)), line, match["kind"] or "", textwrap.dedent(match["text"])))
    return found


def names() -> Resolver:
    """Stands in for DNS: the provider has a name, and a machine that is off has one."""
    return Zone(("sip.itsp.example", "A", PROVIDER), ("nowhere.example", "A", "10.0.0.66")).resolver()


def place_on(network: VirtualNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that make a `SipServer` and run it get one on the network, and return instead of running it."""
    host = network.host(SERVER)

    def make(**options: Any) -> SipServer:
        options["listen"] = [f"udp://{SERVER}:5060"]
        return SipServer(platform=host, resolver=names(), **options)

    monkeypatch.setattr(trunkline, "SipServer", make)
    monkeypatch.setattr(asyncio, "run", lambda main: main.close())


@dataclass
class Stage:
    """A running server with its provider."""

    network: VirtualNetwork
    server: SipServer
    itsp: Itsp

    async def phone(self, name: str, number: int = 2, *, register: bool = True, **options: Any) -> Phone:
        """A phone at 10.0.0.`number`."""
        host = self.network.host(f"10.0.0.{number}")
        where = {"platform": host, "address": host.address, "port": 5060, **options}
        phone = Phone(name, PASSWORD, (SERVER, 5060), **{"realm": "pbx.example", **where})
        await phone.start()
        if register:
            await phone.register()
        return phone


@contextlib.asynccontextmanager
async def performed(server: SipServer, network: VirtualNetwork) -> AsyncIterator[Stage]:
    """The server runs, and its provider with it."""
    itsp = Itsp(
        {ACCOUNT: PASSWORD}, platform=network.host(PROVIDER), address=PROVIDER, port=5060, realm="sip.itsp.example"
    )
    async with itsp, server:
        await itsp.wait_registered(ACCOUNT)
        yield Stage(network, server, itsp)


def make_server(network: VirtualNetwork, **options: Any) -> SipServer:
    """The server that the fragments of the pages are about."""
    server = SipServer(
        realm="pbx.example",
        listen=[f"udp://{SERVER}:5060"],
        platform=network.host(SERVER),
        resolver=names(),
        **options,
    )
    server.add_user("alice", password=PASSWORD)
    server.add_user("bob", password=PASSWORD)
    server.add_line("itsp", username=ACCOUNT, password=PASSWORD, server="sip.itsp.example")
    return server


# --- what is performed ----------------------------------------------------------------------------------------------------


async def dial_out(at: Stage) -> None:
    """A phone reaches a mobile."""
    alice = await at.phone("alice")
    call = alice.dial(MOBILE)
    mobile = await at.itsp.next_call()
    assert mobile.dialled == MOBILE
    mobile.answer()
    await call.wait_answered()
    call.hangup()
    assert (await mobile.wait_ended()).how == "bye"
    await alice.stop()


async def call_in(at: Stage) -> None:
    """A mobile reaches alice's phone."""
    alice = await at.phone("alice", 3)
    mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
    call = await alice.next_call()
    assert call.caller_id == MOBILE
    call.answer()
    await mobile.wait_answered()
    mobile.hangup()
    assert (await call.wait_ended()).how == "bye"
    await alice.stop()
