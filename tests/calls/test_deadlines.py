from __future__ import annotations

import asyncio

from trunkline.calls.deadlines import Deadlines
from trunkline.testing.clock import run


def test_each_deadline_happens_at_its_own_time_whatever_was_set_before() -> None:
    async def main() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        start_s, happened, deadlines = loop.time(), [], Deadlines()

        def note(name: str) -> None:
            happened.append((name, round(loop.time() - start_s, 6)))

        deadlines.call_later(10.0, lambda: note("first"))
        deadlines.call_later(2.0, lambda: note("brief"))
        await asyncio.sleep(3)
        deadlines.call_later(10.0, lambda: note("second"))
        deadlines.call_later(2.0, lambda: note("brief again"))
        await asyncio.sleep(20)
        return happened

    assert run(main()) == [("brief", 2.0), ("brief again", 5.0), ("first", 10.0), ("second", 13.0)]


def test_a_cancelled_deadline_never_happens_and_delays_no_other() -> None:
    async def main() -> list[str]:
        happened: list[str] = []
        deadlines = Deadlines()
        first = deadlines.call_later(5.0, lambda: happened.append("first"))
        deadlines.call_later(5.0, lambda: happened.append("second"))
        third = deadlines.call_later(5.0, lambda: happened.append("third"))
        first.cancel()
        await asyncio.sleep(1)
        third.cancel()
        third.cancel()
        await asyncio.sleep(4.5)
        return happened

    assert run(main()) == ["second"]


def test_one_that_is_cancelled_by_another_due_at_the_same_time_does_not_happen() -> None:
    async def main() -> list[str]:
        happened: list[str] = []
        deadlines = Deadlines()

        def first() -> None:
            happened.append("first")
            second.cancel()

        deadlines.call_later(5.0, first)
        second = deadlines.call_later(5.0, lambda: happened.append("second"))
        await asyncio.sleep(6)
        return happened

    assert run(main()) == ["first"]


def test_cancelled_deadlines_leave_nothing_behind() -> None:
    async def main() -> int:
        deadlines = Deadlines()
        waiting = [deadlines.call_later(5.0, lambda: None) for _ in range(1_000)]
        for deadline in reversed(waiting):
            deadline.cancel()
        return sum(len(queue) for queue in deadlines._queues.values())

    assert run(main()) == 0
