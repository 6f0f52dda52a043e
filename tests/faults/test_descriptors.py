"""File descriptors nearly used up: a server that may open few, and more calls than it has sockets for."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.faults.served import ACCOUNT, MOBILE, Served
from tests.faults.talking import Pair, hears, talk
from trunkline.testing import CallRefused, Itsp, Phone

DESCRIPTORS = 64
MOST_CALLS = 20


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not there")
@pytest.mark.timeout(60)
def test_without_descriptors_new_calls_get_503_and_those_that_are_up_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with Itsp({ACCOUNT: "line secret"}) as itsp:
            served = Served(tmp_path, itsp.port, within=["prlimit", f"--nofile={DESCRIPTORS}"])
            await served.start()
            try:
                await itsp.wait_registered(ACCOUNT)
                at = ("127.0.0.1", served.port)
                async with Phone("alice", "secret of alice", at, realm="pbx.example") as alice:
                    await alice.register()
                    pairs: list[Pair] = []
                    refused: list[tuple[int, str | None]] = []
                    while not refused:
                        assert len(pairs) < MOST_CALLS
                        near = alice.dial(MOBILE)
                        answering = asyncio.create_task(itsp.next_call(10.0))
                        try:
                            waiting = asyncio.create_task(near.wait_answered(20.0))
                            await asyncio.wait([waiting, answering], return_when=asyncio.FIRST_COMPLETED)
                            if answering.done():
                                answering.result().answer()
                            await waiting
                            pairs.append((near, answering.result()))
                        except CallRefused as error:
                            after = error.message.header("Retry-After") if error.message is not None else None
                            refused.append((error.status, after))
                        finally:
                            answering.cancel()
                    assert refused == [(503, "5")]
                    assert len(pairs) >= 2
                    for near, far in (pairs[0], pairs[-1]):
                        near.play_tone(440.0)
                        far.play_tone(1000.0)
                        assert await hears((near, far))
                    # registrations and other requests go on as well
                    await alice.register()
                    near, far = pairs.pop()
                    near.hangup()
                    await far.wait_ended()
                    again = await talk(alice, itsp, MOBILE)
                    assert await hears(again)
                    for near, far in [*pairs, again]:
                        far.hangup()
                        await near.wait_ended()
                assert "Traceback" not in "".join(served.log)
            finally:
                await served.kill()

    asyncio.run(main())
