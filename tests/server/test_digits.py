"""Digits over real sockets: all nine pairs of ways, a prompt that a digit interrupts, and tones that the application sends."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from tests.server.test_sound import tone_wav
from trunkline.calls.session import CallSession
from trunkline.constants import DtmfWay
from trunkline.events import CallSessionDigit
from trunkline.media.engine import digit_tones
from trunkline.server.server import SipServer
from trunkline.sip.capabilities import Dtmf
from trunkline.sip.endpoint import Codec, InfoDigit, RequestReceived
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone

REALM = "pbx.example"
PCMU, PCMA, EVENTS = Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("telephone-event", 8000, fmtp="0-15")
OPUS, WIDE_EVENTS = Codec("opus", 48_000, 2), Codec("telephone-event", 48_000, fmtp="0-15")
L16, MIDDLE_EVENTS = Codec("L16", 16_000), Codec("telephone-event", 16_000, fmtp="0-15")
BY_CLOCK = {8: (PCMU, EVENTS), 16: (L16, MIDDLE_EVENTS), 48: (OPUS, WIDE_EVENTS)}

Way = Literal["rfc4733", "info", "inband"]
WAYS: tuple[Way, ...] = ("rfc4733", "info", "inband")
DIGITS = "15*09#"

_ports = itertools.count(33_000, 200)


class Hearing:
    """What a phone is told of digits, in every way."""

    def __init__(self, call: ScriptedCall) -> None:
        self.heard: list[tuple[DtmfWay, str]] = []
        call.leg.on_digit = self._on_digit
        call.leg.hear_digits(True)
        assert call.session is not None
        self._endpoint = call.agent.endpoint
        call.session.on_info = self._on_info

    def _on_digit(self, digit: str, duration_ms: int, clock_rate: int) -> None:
        self.heard.append((DtmfWay.RFC4733 if clock_rate else DtmfWay.INBAND, digit))

    def _on_info(self, request: RequestReceived) -> None:
        found = InfoDigit.parse(request.message.header("Content-Type") or "", request.message.body)
        self._endpoint.respond(request.tx, 200)
        if found is not None:
            self.heard.append((DtmfWay.INFO, found.digit))

    def by(self, way: DtmfWay) -> str:
        """The digits that came one way."""
        return "".join(digit for came, digit in self.heard if came is way)


async def press(call: ScriptedCall, digits: str, way: Way) -> None:
    """Press keys at a phone that sends digits this way."""
    if way == "rfc4733":
        call.send_digits(digits)
    elif way == "info":
        for digit in digits:
            body = InfoDigit.body(digit, 100) or ""
            headers = [("Content-Type", "application/dtmf-relay")]
            assert (await call.request("INFO", headers=headers, body=body.encode())).status == 200
    else:
        samples = digit_tones(digits, 100, 100)
        ended = asyncio.Event()
        source = call.agent.media.open_source(call.leg.number, 8000, lambda complete: ended.set(), frames=200)
        assert source.write(samples) == len(samples) // 2
        source.finish()
        await ended.wait()


@asynccontextmanager
async def phones(
    server: SipServer, alice: tuple[Codec, ...], bob: tuple[Codec, ...], *, from_alice: Dtmf, to_bob: Dtmf
) -> AsyncIterator[tuple[Phone, Phone]]:
    async with server:
        server.add_user("alice", password="a", dtmf=from_alice)
        server.add_user("bob", password="b", dtmf=to_bob)
        address = server.local_address("udp")
        async with (
            Phone("alice", "a", address, realm=REALM, codecs=alice) as one,
            Phone("bob", "b", address, realm=REALM, codecs=bob) as other,
        ):
            await one.register()
            await other.register()
            yield one, other


def codecs_of(way: Way) -> tuple[Codec, ...]:
    return (PCMU, EVENTS) if way == "rfc4733" else (PCMU,)


def new_server(codecs: Sequence[str] = ("PCMA", "PCMU")) -> SipServer:
    first = next(_ports)
    return SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], media_ports=(first, first + 199), codecs=codecs)


async def until(holds: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)


async def cross(
    here: tuple[Codec, ...], there: tuple[Codec, ...], from_alice: Way, to_bob: Way, *, by_caller: bool = True
) -> tuple[Hearing, list[CallSessionDigit]]:
    """Alice, or else bob, presses keys; what the other's phone and the application are told."""
    server = new_server(codecs=["PCMU", "opus", "L16"])
    told: list[CallSessionDigit] = []

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user="bob")

    @server.on_dtmf
    async def on_digit(event: CallSessionDigit) -> None:
        told.append(event)

    async with phones(server, here, there, from_alice=from_alice, to_bob=to_bob) as (alice, bob):
        at_alice = alice.dial("bob")
        at_bob = await bob.next_call()
        at_bob.answer()
        await at_alice.wait_answered()
        presser, other = (at_alice, at_bob) if by_caller else (at_bob, at_alice)
        hearing = Hearing(other)
        # the phones' audio flows, as it does between people
        at_alice.play_tone(0.0)
        at_bob.play_tone(0.0)
        await asyncio.sleep(0.3)
        await press(presser, DIGITS, from_alice)
        await until(lambda: len(told) >= len(DIGITS) and len(hearing.by(_WAYS[to_bob])) >= len(DIGITS))
        await asyncio.sleep(0.5)
        at_alice.hangup()
        await at_bob.wait_ended()
    return hearing, told


_WAYS = {"rfc4733": DtmfWay.RFC4733, "info": DtmfWay.INFO, "inband": DtmfWay.INBAND}


@pytest.mark.parametrize("to_bob", WAYS)
@pytest.mark.parametrize("from_alice", WAYS)
def test_digits_cross_between_all_ways_once_each(from_alice: Way, to_bob: Way) -> None:
    hearing, told = asyncio.run(cross(codecs_of(from_alice), codecs_of(to_bob), from_alice, to_bob))
    assert [event.digit for event in told] == list(DIGITS)
    assert {event.way for event in told} == {_WAYS[from_alice]}
    assert hearing.by(_WAYS[to_bob]) == DIGITS


@pytest.mark.parametrize("by_caller", [True, False], ids=["from the caller", "from the callee"])
@pytest.mark.parametrize(("caller", "callee"), [(48, 8), (16, 8), (48, 16), (48, 48)])
def test_telephone_events_cross_between_clocks(caller: int, callee: int, by_caller: bool) -> None:
    here, there = BY_CLOCK[caller], BY_CLOCK[callee]
    hearing, told = asyncio.run(cross(here, there, "rfc4733", "rfc4733", by_caller=by_caller))
    assert [event.digit for event in told] == list(DIGITS)
    assert all(60 <= event.duration_ms <= 200 for event in told), told
    assert hearing.by(DtmfWay.RFC4733) == DIGITS


def test_a_digit_ends_the_prompt_and_the_rest_is_gathered() -> None:
    gathered: list[str] = []
    began: list[float] = []

    async def main() -> None:
        server = new_server()

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.answer()
            began.append(time.monotonic())
            gathered.append(await call.gather(tone_wav(700, 60.0), max_digits=4, timeout_s=2))
            gathered.append(await call.gather(tone_wav(700, 0.2), max_digits=4, timeout_s=0.2))
            gathered.append("over")

        async with phones(server, (PCMU, EVENTS), (PCMU,), from_alice="auto", to_bob="auto") as (alice, _):
            at_alice = alice.dial("bob")
            await at_alice.wait_answered()
            while (await at_alice.hear(0.2)).frequency_hz < 600:
                pass
            at_alice.send_digits("12#")
            await until(lambda: len(gathered) == 3)
            at_alice.hangup()

    asyncio.run(main())
    assert gathered == ["12", "", "over"]


@pytest.mark.parametrize("codec", [PCMU, PCMA, Codec("G722", 8000), OPUS], ids=lambda codec: codec.name)
def test_an_application_sends_tones_to_a_phone_without_telephone_event(codec: Codec) -> None:
    async def main() -> Hearing:
        server = new_server(codecs=[codec.name])
        done: list[bool] = []

        @server.on_incoming_call
        async def route(call: CallSession) -> None:
            await call.answer()
            await asyncio.sleep(0.3)
            await call.send_dtmf(DIGITS)
            done.append(True)

        async with phones(server, (codec,), (codec,), from_alice="auto", to_bob="auto") as (alice, _):
            at_alice = alice.dial("bob")
            await at_alice.wait_answered()
            hearing = Hearing(at_alice)
            await until(lambda: bool(done) and len(hearing.heard) >= len(DIGITS))
            at_alice.hangup()
        return hearing

    assert asyncio.run(main()).by(DtmfWay.INBAND) == DIGITS
