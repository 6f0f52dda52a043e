"""`trunkline demo`: a server, a provider and two phones on loopback, and both calls of the tutorial, checked by ear.

Everything is real: four SIP endpoints with sockets of their own, RTP with tones, the events of the public API. `Demo` is what the command
runs; a test takes the callee away or changes a tone and sees it fail.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.events import (
    CallEvent,
    CallSessionConnecting,
    CallSessionCreated,
    CallSessionHangUp,
    Event,
    LineRegisterSuccess,
)
from trunkline.media.engine import Heard
from trunkline.server.server import SipServer
from trunkline.testing.call import CallRefused, ScriptedCall
from trunkline.testing.itsp import Itsp
from trunkline.testing.phone import Phone, RegistrationRefused
from trunkline.trace.describe import event_name
from trunkline.trace.ladder import draw_ladder
from trunkline.trace.recorder import Entry, Happened

__all__ = ["Demo", "Tones", "demo"]

ACCOUNT = "15551234567"
MOBILE = "15559876543"
TOLERANCE_HZ = 10.0
PURE = 0.8
"""Share of the power that must lie at the tone's frequency."""
LISTEN_S = 0.6

CALLS = ("zero", "one")
"""On which channel each call's party hangs up: alice, who placed the first and was called by the second."""


@dataclass(frozen=True, slots=True)
class Tones:
    """What each end sends, in Hz, and so what the other end must hear."""

    alice: float = 440.0
    mobile: float = 1000.0


@dataclass(slots=True)
class Demo:
    """Both calls of the tutorial.

    Args:
        say: Takes each line of the report.
        expected: What each end is checked for.
        played: What each end really sends.
        callee: Whether the mobile answers the first call.
    """

    say: Callable[[str], None]
    expected: Tones = field(default_factory=Tones)
    played: Tones = field(default_factory=Tones)
    callee: bool = True
    failures: list[str] = field(default_factory=list)

    async def run(self) -> bool:
        """Perform it; True only if everything held."""
        server = SipServer(realm="pbx.example", listen=["udp://127.0.0.1:0"], media_ports=(20_000, 24_999))
        server.trace()
        server.recorder.listen(self._show)
        server.on_incoming_call(route)
        async with Itsp({ACCOUNT: "line secret"}) as itsp, server:
            server.add_user("alice", password="alice secret")
            server.add_user("bob", password="bob secret")
            server.add_line(
                "itsp",
                username=ACCOUNT,
                password="line secret",
                domain=itsp.realm,
                server=f"{itsp.address}:{itsp.port}",
            )
            address = server.local_address("udp")
            async with (
                Phone("alice", "alice secret", address, realm="pbx.example") as alice,
                Phone("bob", "bob secret", address, realm="pbx.example") as bob,
            ):
                await self._perform(server, itsp, alice, bob)
            names = {
                (itsp.address, itsp.port): "provider",
                (alice.address, alice.port): "alice",
                (bob.address, bob.port): "bob",
            }
            self._conclude(server, names)
        return not self.failures

    async def _perform(self, server: SipServer, itsp: Itsp, alice: Phone, bob: Phone) -> None:
        try:
            await alice.register()
            await bob.register()
            await itsp.wait_registered(ACCOUNT)
            self.say("\n--- alice dials a mobile number through the line")
            await self._dial_out(alice, itsp)
            self.say("\n--- a mobile calls in through the line and alice's phone rings")
            await self._call_in(alice, itsp)
            await self._quiet(server)
        except (TimeoutError, CallRefused, RegistrationRefused) as error:
            self.failures.append(f"the calls did not come about: {type(error).__name__} {error}".rstrip())

    async def _dial_out(self, alice: Phone, itsp: Itsp) -> None:
        call = alice.dial(MOBILE)
        try:
            mobile = await itsp.next_call()
            mobile.ring()
            await call.wait_ringing()
            if not self.callee:
                mobile.reject(480)
            else:
                mobile.answer()
            await call.wait_answered()
            await self._listen(call, mobile)
        finally:
            call.hangup()
        await mobile.wait_ended()

    async def _call_in(self, alice: Phone, itsp: Itsp) -> None:
        mobile = itsp.dial(ACCOUNT, caller_id=MOBILE, caller_name="Mobile")
        try:
            call = await alice.next_call()
            call.ring()
            await mobile.wait_ringing()
            call.answer()
            await mobile.wait_answered()
            await self._listen(call, mobile)
            call.hangup()
            await mobile.wait_ended()
        finally:
            mobile.hangup()

    async def _listen(self, alice: ScriptedCall, mobile: ScriptedCall) -> None:
        alice.play_tone(self.played.alice)
        mobile.play_tone(self.played.mobile)
        at_alice, at_mobile = await asyncio.gather(alice.hear_sound(LISTEN_S), mobile.hear_sound(LISTEN_S))
        self._judge("alice", at_alice, self.expected.mobile)
        self._judge("the mobile", at_mobile, self.expected.alice)

    def _judge(self, who: str, heard: Heard, expected_hz: float) -> None:
        text = (
            f"{who} heard {heard.frequency_hz:.0f} Hz at {heard.level_dbm0:.0f} dBm0, "
            f"{heard.purity:.0%} pure, {heard.duration_s:.2f} s, {heard.gaps} packets missing"
        )
        self.say(f"    {text}")
        if abs(heard.frequency_hz - expected_hz) > TOLERANCE_HZ or heard.purity < PURE or heard.gaps:
            self.failures.append(f"{text}; {expected_hz:.0f} Hz was sent")

    async def _quiet(self, server: SipServer) -> None:
        for call in server.calls:
            async with asyncio.timeout(5):
                await call.wait_closed()

    def _show(self, entry: Entry) -> None:
        if isinstance(entry, Happened):
            self.say(f"  * {entry.text}")

    def _conclude(self, server: SipServer, names: dict[tuple[str, int], str]) -> None:
        self.say("\n--- the messages\n" + draw_ladder(server.recorder, names))
        self.failures += wrong_order(server.recorder.events)
        self.say("")
        for failure in self.failures:
            self.say(f"FAILED: {failure}")
        if not self.failures:
            self.say(
                "Both calls came about, each end heard the other's tone, and the events came in the tutorial's order."
            )


async def route(call: CallSession) -> None:
    """What the demo decides: users call out through the line, the line's calls ring alice."""
    if call.from_peer_type is PeerType.USER:
        await call.accept(to_line="itsp")
    else:
        await call.accept(to_user="alice")


def wrong_order(events: list[Event]) -> list[str]:
    """In what the events differ from the seed's order; empty when they don't."""
    problems = []
    kinds = [type(event) for event in events]
    if LineRegisterSuccess not in kinds:
        problems.append("the line was never registered")
    elif CallSessionCreated in kinds and kinds.index(CallSessionCreated) < kinds.index(LineRegisterSuccess):
        problems.append("the line was registered after the first call")
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, CallEvent):
            calls.setdefault(event.call.id, []).append(_step(event))
    if len(calls) != len(CALLS):
        problems.append(f"there were {len(calls)} calls, not {len(CALLS)}")
    for (number, found), hangs_up in zip(calls.items(), CALLS, strict=False):
        if found != call_order(hangs_up):
            problems.append(f"call {number}: the events came as {', '.join(found)}")
    return problems


def call_order(hangs_up: str) -> list[str]:
    """The order in which the seed document has the events of a call, each once, with their channels."""
    return [
        "call_session_created",
        "incoming_call",
        "call_session_connecting one",
        "call_session_connected",
        f"call_session_hangup {hangs_up}",
        "call_session_closed",
    ]


def _step(event: CallEvent) -> str:
    name = event_name(event)
    return (
        f"{name} {event.channel.name.lower()}"
        if isinstance(event, (CallSessionConnecting, CallSessionHangUp))
        else name
    )


@click.command()
def demo() -> None:
    """A provider, a server and two phones on loopback: both calls of the tutorial, checked by ear."""
    sys.exit(0 if asyncio.run(Demo(click.echo).run()) else 1)
