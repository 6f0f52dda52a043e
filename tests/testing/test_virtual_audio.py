"""What is played on the virtual network lasts as long as it would, and a recording holds silence of the right length."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.server.test_sound import tone_wav

from trunkline import CallSession, SipServer
from trunkline.testing import Phone, ScriptedCall, VirtualNetwork

Run = Callable[[Any], Any]


@asynccontextmanager
async def answered(network: VirtualNetwork) -> AsyncIterator[tuple[CallSession, ScriptedCall]]:
    """A call of alice's that is answered."""
    server = SipServer(realm="pbx.example", listen=["udp://10.0.0.1:5060"], platform=network.host("10.0.0.1"))
    server.add_user("alice", password="a")
    calls: list[CallSession] = []

    @server.on_incoming_call
    async def answer(call: CallSession) -> None:
        await call.answer()
        calls.append(call)

    host = network.host("10.0.0.2")
    where: dict[str, Any] = {"platform": host, "address": host.address, "port": 5060}
    async with server, Phone("alice", "a", ("10.0.0.1", 5060), realm="pbx.example", **where) as alice:
        await alice.register()
        at_alice = alice.dial("menu")
        await at_alice.wait_answered()
        await asyncio.sleep(0.1)
        yield calls[0], at_alice
        at_alice.hangup()


def test_a_file_lasts_as_long_as_it_is_unless_it_is_paused_or_the_party_goes(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with answered(virtual_network) as (call, at_alice):
            began_s = loop.time()
            assert await call.play(tone_wav(700, 7.5))
            assert abs(loop.time() - began_s - 7.5) < 0.1
            began_s = loop.time()
            playback = call.play(tone_wav(700, 1.0), times=5)
            await asyncio.sleep(2.5)
            assert abs(playback.position_s - 0.5) < 0.1
            playback.pause()
            await asyncio.sleep(10)
            playback.resume()
            assert await playback
            assert abs(loop.time() - began_s - 15) < 0.1
            playback = call.play(tone_wav(700, 60.0))
            await asyncio.sleep(1)
            at_alice.hangup()
            assert await playback is False

    run_virtual(main())


def test_a_recording_holds_as_many_seconds_of_silence(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    async def main() -> None:
        async with answered(virtual_network) as (call, _):
            async with call.record(tmp_path / "call.wav") as recording:
                await asyncio.sleep(12)
            assert recording.lost_frames == 0

    run_virtual(main())
    with wave.open(str(tmp_path / "call.wav")) as file:
        assert abs(file.getnframes() / 8000 - 12) < 0.3
        assert set(file.readframes(file.getnframes())) == {0}
