"""A server that is killed with -9 while it records: the files can be played, and hold what was said up to half a second before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.served import Served
from tests.media.test_recording_file import decoded, level, read
from trunkline.testing import Phone

CODE = """
import asyncio

from trunkline import CallSession, SipServer

server = SipServer(
    realm="pbx.example",
    listen=["udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}"],
    media_ports=(25000, 27999),
    media_workers=1,
)
server.add_user("alice", password="secret of alice")


@server.on_incoming_call
async def record(call: CallSession) -> None:
    await call.answer()
    async with call.record("call.wav", layout="stereo"), call.record("call.opus"), call.record("u.wav", encoding="ulaw"):
        await call.wait_closed()
"""

ALICE_HZ = 500.0
SECONDS = 1.5


@pytest.mark.timeout(60)
def test_what_was_recorded_before_a_kill_can_be_played(tmp_path: Path) -> None:
    async def main() -> None:
        served = Served(tmp_path, 0, code=CODE)
        await served.start()
        try:
            at = ("127.0.0.1", served.port)
            async with Phone("alice", "secret of alice", at, realm="pbx.example") as alice:
                call = alice.dial("record")
                await call.wait_answered()
                call.play_tone(ALICE_HZ, -10.0)
                path = tmp_path / "call.wav"
                async with asyncio.timeout(20):
                    while not path.exists() or path.stat().st_size < SECONDS * 8000 * 4:
                        await asyncio.sleep(0.02)
                await served.kill()
        finally:
            await served.kill()

    asyncio.run(main())
    rate, channels, samples = read(tmp_path / "call.wav")
    assert (rate, channels) == (8000, 2)
    for found_rate, sides, found in (
        (rate, 2, samples),
        decoded(tmp_path / "call.opus", "opusdec"),
        decoded(tmp_path / "u.wav", "sox"),
    ):
        assert len(found) / sides / found_rate > SECONDS - 0.5
        assert level(found[::sides][-found_rate // 2 :], ALICE_HZ, found_rate) > 6000
