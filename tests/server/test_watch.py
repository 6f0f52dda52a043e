from __future__ import annotations

import asyncio
import linecache
import logging
import threading
import time

import pytest

from trunkline.server.watch import LoopWatch


class Told(threading.Event):
    """A sign of life that says when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = threading.Event()
        self.timeouts: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.timeouts.append(timeout)
        self.waited_for.set()
        return super().wait(timeout)


@pytest.mark.timeout(5)
def test_stopping_waits_for_no_sign_of_life_and_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        watch = LoopWatch()
        watch._alive = alive = Told()
        watch.start(asyncio.get_running_loop())
        with watch.handler("held"):
            alive.waited_for.wait()  # holds the loop, as `stop` itself does
            watch.stop()  # waiting REPEAT_S would be longer than this test may take

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert caplog.records == []


@pytest.mark.timeout(5)
def test_a_held_loop_is_told_with_the_handler_and_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def hold() -> None:
        deadline = time.perf_counter() + 3
        while not caplog.records and time.perf_counter() < deadline:
            time.sleep(0.01)

    async def main() -> None:
        watch = LoopWatch()
        watch._alive = alive = Told()
        watch.start(asyncio.get_running_loop())
        with watch.handler("slow"):
            hold()
        watch.stop()
        assert alive.timeouts[0] == 0.1

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    (record,) = caplog.records
    assert "held for more than 100 ms; handlers that run: slow" in record.getMessage()
    assert "in hold" in record.getMessage()


@pytest.mark.timeout(5)
def test_no_source_is_read_and_kept_for_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        watch = LoopWatch()
        watch._loop_thread = threading.get_ident()
        with watch.handler("slow"):
            watch._warn()

    linecache.clearcache()
    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    (record,) = caplog.records
    assert f'File "{__file__}", line ' in record.getMessage()
    assert linecache.cache == {}
