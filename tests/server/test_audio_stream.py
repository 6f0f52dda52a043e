"""A call's audio in Python, over real sockets: frames come as said and are said as written, marks, clearing, the end."""

from __future__ import annotations

import asyncio
import math
from array import array

import pytest

from tests.server.test_sound import stage, until_tone
from trunkline.calls.session import CallSession
from trunkline.errors import CallEnded
from trunkline.testing.call import ScriptedCall
from trunkline.testing.phone import Phone


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_what_is_heard_and_written_back_is_heard_again(rate: int) -> None:
    lengths: set[int] = set()

    async def handler(call: CallSession) -> None:
        await call.answer()
        async with call.audio(sample_rate=rate) as audio:
            async for frame in audio:
                lengths.add(len(frame))
                assert frame.format == "h"
                await audio.write(frame)
            assert audio.lost_frames == 0
            with pytest.raises(CallEnded):
                await audio.write(frame)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        at_alice.play_tone(700.0, -12.0)
        await until_tone(at_alice, 700)
        heard = await at_alice.hear(0.6)
        assert abs(heard.level_dbm0 + 12.0) < 0.7

    asyncio.run(stage(handler, scenario))
    assert lengths == {rate // 50}


def test_marks_are_played_and_clearing_forgets_what_waits() -> None:
    done: list[bool] = []
    tone = array("h", (int(8000 * math.sin(math.tau * 600 * n / 8000)) for n in range(8000 * 20)))

    async def handler(call: CallSession) -> None:
        await call.answer()
        async with call.audio(sample_rate=8000, ahead_frames=1000) as audio:
            await audio.write(memoryview(tone)[:1600])
            done.append(await audio.played(audio.mark()))
            await audio.write(memoryview(tone))
            mark = audio.mark()
            while audio._both()[1].played < 16_000:
                await audio._tick()
            audio.clear()
            done.append(await audio.played(mark))
            assert audio.mark() == 1600 + len(tone)
        done.append(True)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await until_tone(at_alice, 600)
        async with asyncio.timeout(10):
            while len(done) < 3 or (await at_alice.hear(0.2)).level_dbm0 > -60:
                await asyncio.sleep(0.01)

    asyncio.run(stage(handler, scenario))
    assert done == [True, True, True]


def test_a_rate_that_calls_do_not_know_is_refused() -> None:
    async def handler(call: CallSession) -> None:
        await call.answer()
        with pytest.raises(ValueError, match="sample_rate: one of 8000"):
            call.audio(sample_rate=44_100)
        with pytest.raises(ValueError, match="ahead_frames"):
            call.audio(ahead_frames=0)

    async def scenario(at_alice: ScriptedCall, bob: Phone) -> None:
        await at_alice.hear(0.1)

    asyncio.run(stage(handler, scenario))
