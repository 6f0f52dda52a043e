"""A tap's two sides: laid together by their ticks, with silence where one lost a frame, and over a change of the other party."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from _trunkline import FramesArrived
from trunkline.media.engine import Leg, MediaEngine
from trunkline.media.tap import FRAMES_PER_S, Tap

RATE = 8000
SAMPLES = RATE // FRAMES_PER_S
Pair = tuple[int, int]


class Sink:
    """Filled by the test: a frame of one value a tick."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.first_tick: int | None = None
        self.lost = 0
        self.is_open = True
        self._samples = array("h")

    def give(self, tick: int, *values: int) -> None:
        self.first_tick = tick if self.first_tick is None else self.first_tick
        for value in values:
            self._samples.extend([value] * SAMPLES)

    @property
    def waiting(self) -> int:
        return len(self._samples)

    def read(self, samples: int) -> bytearray:
        taken = bytearray(self._samples[:samples].tobytes())
        del self._samples[:samples]
        return taken


class Driver:
    """Opens such sinks."""

    def __init__(self) -> None:
        self.sinks: dict[tuple[int, str], Sink] = {}
        self.ended: list[tuple[int, int]] = []
        self.tick: Callable[[], None] = lambda: None

    def open_sink(self, target: int, sample_rate: int, *, side: str, **options: Any) -> Sink:
        assert sample_rate == RATE
        self.sinks[target, side] = Sink(len(self.sinks))
        return self.sinks[target, side]

    def end_stream(self, target: int, stream: int) -> None:
        self.ended.append((target, stream))

    def link(self, *legs: int, transcode: bool) -> None:
        assert not transcode

    def unlink(self, leg: int) -> None:
        pass


@pytest.fixture
def driver() -> Driver:
    return Driver()


def tapped(driver: Driver, scenario: Callable[[Leg, Leg, Callable[[], Awaitable[Pair]]], Awaitable[None]]) -> None:
    """Run a scenario with the legs 1 and 2, linked, and what the tap gives next."""

    async def main() -> None:
        engine = MediaEngine(driver)  # type: ignore[arg-type]
        one, two = Leg(engine, 1, "", 0), Leg(engine, 2, "", 0)
        one.link(two)
        driver.tick = lambda: engine._on_frames(FramesArrived())
        async with Tap(engine, one, sample_rate=RATE) as tap:
            pairs = aiter(tap)

            async def following() -> Pair:
                near, far = await anext(pairs)
                assert (len(near), near.format, len(far)) == (SAMPLES, "h", SAMPLES)
                return near[0], far[0]

            await scenario(one, two, following)
        assert len(driver.ended) == len(driver.sinks)

    asyncio.run(main())


def test_frames_of_one_tick_are_a_pair_whichever_side_began_first(driver: Driver) -> None:
    async def scenario(one: Leg, two: Leg, following: Callable[[], Awaitable[Pair]]) -> None:
        driver.sinks[1, "heard"].give(100, 1, 2, 3)
        driver.sinks[2, "heard"].give(102, 30, 40)
        assert [await following() for _ in range(3)] == [(1, 0), (2, 0), (3, 30)]
        driver.sinks[1, "heard"].give(103, 4)
        assert await following() == (4, 40)

    tapped(driver, scenario)


def test_a_side_that_is_late_is_waited_for_two_ticks_and_then_silent(driver: Driver) -> None:
    async def scenario(one: Leg, two: Leg, following: Callable[[], Awaitable[Pair]]) -> None:
        near, far = driver.sinks[1, "heard"], driver.sinks[2, "heard"]
        near.give(100, 1, 2)
        waiting = asyncio.ensure_future(following())
        await asyncio.sleep(0)
        assert not waiting.done()
        far.give(100, 10)
        driver.tick()
        assert await waiting == (1, 10)
        near.give(102, 3, 4)
        assert await following() == (2, 0)

    tapped(driver, scenario)


def test_what_a_side_lost_is_silence_at_its_place(driver: Driver) -> None:
    async def scenario(one: Leg, two: Leg, following: Callable[[], Awaitable[Pair]]) -> None:
        near, far = driver.sinks[1, "heard"], driver.sinks[2, "heard"]
        near.give(100, 1, 2)
        far.give(100, 10, 20, 30, 40)
        near.lost = 1
        assert [await following() for _ in range(2)] == [(1, 10), (2, 20)]
        near.give(103, 4)
        assert [await following() for _ in range(2)] == [(0, 30), (4, 40)]

    tapped(driver, scenario)


def test_a_tap_follows_the_first_party_to_another_and_ends_with_it(driver: Driver) -> None:
    async def scenario(one: Leg, two: Leg, following: Callable[[], Awaitable[Pair]]) -> None:
        near = driver.sinks[1, "heard"]
        near.give(100, 1)
        driver.sinks[2, "heard"].give(100, 10)
        assert await following() == (1, 10)
        one.unlink()
        near.give(101, 2)
        waiting = asyncio.ensure_future(following())
        await asyncio.sleep(0)
        driver.sinks[1, "said"].give(101, 20)
        driver.tick()
        assert await waiting == (2, 20)
        assert driver.ended == [(2, 1)]
        near.is_open = False
        with pytest.raises(StopAsyncIteration):
            await following()

    tapped(driver, scenario)
