"""What `accept` returns."""

from __future__ import annotations

import asyncio
import threading

import pytest

from trunkline.calls.placement import Placement
from trunkline.errors import Busy, CallEnded, CallFailed


def test_awaiting_a_connected_placement_gives_none() -> None:
    async def main() -> None:
        placement = Placement()
        asyncio.get_running_loop().call_soon(placement.settle)
        await placement
        assert placement.done
        await placement

    asyncio.run(main())


def test_every_awaiter_gets_the_failure() -> None:
    async def main() -> None:
        placement = Placement()

        async def wait() -> CallFailed:
            with pytest.raises(Busy) as caught:
                await placement
            return caught.value

        waiting = [asyncio.ensure_future(wait()) for _ in range(2)]
        await asyncio.sleep(0)
        placement.settle(CallFailed.of(486, "Busy Here"))
        first, second = await asyncio.gather(*waiting)
        assert (first.status, first.reason) == (486, "Busy Here")
        assert first is not second

    asyncio.run(main())


def test_the_first_outcome_stands() -> None:
    placement = Placement()
    placement.settle(CallEnded("over"))
    placement.settle()
    assert isinstance(placement.error, CallEnded)


def test_a_failure_that_nobody_awaits_is_no_warning() -> None:
    async def main() -> None:
        Placement().settle(CallFailed.of(486, "Busy Here"))
        await asyncio.sleep(0)

    asyncio.run(main())


def test_a_cancelled_awaiter_leaves_the_placement_alone() -> None:
    async def main() -> None:
        placement = Placement()
        waiting = asyncio.ensure_future(_wait(placement))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not placement.done
        placement.settle()
        await placement

    asyncio.run(main())


async def _wait(placement: Placement) -> None:
    await placement


def test_another_thread_waits_for_the_result() -> None:
    placement = Placement()
    outcomes: list[str] = []

    def work() -> None:
        try:
            placement.result(5.0)
        except CallEnded as error:
            outcomes.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    placement.settle(CallEnded("the caller gave up"))
    thread.join()
    assert outcomes == ["the caller gave up"]


def test_waiting_in_a_thread_has_a_limit() -> None:
    with pytest.raises(TimeoutError):
        Placement().result(0.001)


def test_the_loops_own_thread_must_not_wait() -> None:
    with pytest.raises(RuntimeError, match="await"):
        Placement(lambda: True).result(1.0)
