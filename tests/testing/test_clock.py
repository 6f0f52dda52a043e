from __future__ import annotations

import asyncio
import time

import pytest

from trunkline.testing.clock import Deadlock, run


@pytest.mark.timeout(10)
def test_waiting_costs_no_real_time() -> None:
    async def nap() -> float:
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time() - start

    assert run(nap()) == pytest.approx(86_400)


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[int]:
        loop, fired = asyncio.get_running_loop(), list[int]()
        for delay in (3, 1, 2):
            loop.call_later(delay, fired.append, delay)
        await asyncio.sleep(4)
        return fired

    assert run(main()) == [1, 2, 3]


def test_time_stands_still_while_a_thread_works() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        timer = loop.call_later(3600, lambda: None)
        await loop.run_in_executor(None, time.sleep, 0.05)
        timer.cancel()
        return loop.time() - start

    assert run(main()) < 1


def test_the_clock_starts_where_it_is_told() -> None:
    async def now() -> float:
        return asyncio.get_running_loop().time()

    assert run(now(), start_s=50.0) == 50.0


def test_waiting_for_what_cannot_happen_is_a_deadlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.testing.clock.THREAD_LIMIT_S", 0.05)

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(main())
