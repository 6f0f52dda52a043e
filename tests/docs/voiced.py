"""A caller who talks to the examples with sound: over real sockets, since the virtual network carries no audio."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.docs.stage import PASSWORD, ROOT

import trunkline
from trunkline import CallSession, SipServer
from trunkline.media.stream import AudioStream
from trunkline.sip.endpoint import Codec
from trunkline.testing import Phone, ScriptedCall

MODULES: dict[str, Any] = {
    "__name__": "example",
    "asyncio": asyncio,
    "AsyncIterator": AsyncIterator,
    "AudioStream": AudioStream,
    "CallSession": CallSession,
}
"""What the blocks of a page take as imported."""

RATE = 8000
PATIENCE_S = 15
AUDIBLE_DBM0, QUIET_DBM0 = -40.0, -60.0


def hello() -> array[int]:
    """A word of 0.9 s, by the bytes of the µ-law file that the Rust tests have (G.711 §4)."""

    def sample(code: int) -> int:
        code = ~code & 0xFF
        size = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
        return -size if code & 0x80 else size

    return array("h", map(sample, (ROOT / "crates/media/src/hearing/hello.ulaw").read_bytes()))


def silence(seconds: float) -> array[int]:
    return array("h", bytes(2 * int(RATE * seconds)))


def say(call: ScriptedCall, *pieces: array[int]) -> Callable[[], Awaitable[bool]]:
    """Have a phone say something, silence before and after; what is returned tells whether it was said."""
    call.play_tone(0.0)
    source = call.agent.media.open_source(call.leg.number, RATE, lambda complete: None, frames=1500)
    for piece in pieces:
        assert source.write(piece) == len(piece)
    source.finish()

    async def said() -> bool:
        return source.played >= sum(map(len, pieces))

    return said


async def until(fulfilled: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await fulfilled():
            await asyncio.sleep(0.01)


async def hears(call: ScriptedCall) -> bool:
    return (await call.hear(0.1)).level_dbm0 > AUDIBLE_DBM0


async def is_quiet(call: ScriptedCall) -> bool:
    return (await call.hear(0.3)).level_dbm0 < QUIET_DBM0


async def echoed(caller: ScriptedCall) -> None:
    """What he says comes back, and then nothing more."""
    say(caller, silence(0.3), hello(), silence(1))
    await until(lambda: hears(caller))
    await until(lambda: is_quiet(caller))


async def interrupted(caller: ScriptedCall, told: Callable[[str], int]) -> None:
    """He speaks, speaks again into the answer, and hears the second one out."""

    async def answered() -> bool:
        return told("answered") > 0

    say(caller, silence(0.3), hello())
    await until(lambda: hears(caller))
    assert not told("answered")
    # longer than the answer that is interrupted
    await until(say(caller, hello(), hello()))
    assert (told("interrupted") > 0, told("answered")) == (True, 0)
    await until(answered)
    await until(lambda: is_quiet(caller))
    assert told("answered") == 1


def place_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that makes a `SipServer` gets one with a port of its own."""

    def make(**options: Any) -> SipServer:
        return SipServer(**{**options, "listen": ["udp://127.0.0.1:0"], "media_ports": (34_100, 34_199)})

    monkeypatch.setattr(trunkline, "SipServer", make)


async def converse(server: SipServer, talk: Callable[[ScriptedCall], Awaitable[None]]) -> None:
    """Alice's phone calls the application and talks to it."""
    async with server:
        address = server.local_address("udp")
        options: dict[str, Any] = {"realm": "pbx.example", "codecs": (Codec("PCMU", RATE),)}
        async with Phone("alice", PASSWORD, address, **options) as alice:
            await alice.register()
            caller = alice.dial("agent")
            await caller.wait_answered()
            await talk(caller)
            caller.hangup()
            async with asyncio.timeout(PATIENCE_S):
                for call in server.calls:
                    await call.wait_closed()
