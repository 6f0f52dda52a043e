"""Fixtures of the media tests: an engine with a port range of its own, phones that close, two linked legs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from _trunkline import MediaEngine
from tests.media.far_end import HERE, Phone, Side

_ranges = itertools.cycle(range(10_000, 16_000, 1_000))
"""Below what the system gives away and what other tests use, and wider than any test needs: a foreign socket is passed over."""


@pytest.fixture
def engine() -> Iterator[MediaEngine]:
    first = next(_ranges)
    engine = MediaEngine(workers=2, port_range=(first, first + 999))
    yield engine
    engine.close()


@pytest.fixture
def phone() -> Iterator[Callable[..., Phone]]:
    made: list[Phone] = []

    def make(host: str = HERE, ssrc: int = 0x1234_5678) -> Phone:
        made.append(Phone(host, ssrc))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def sides(engine: MediaEngine, phone: Callable[..., Phone]) -> tuple[Side, Side]:
    """Two linked legs whose phones call telephone-event by different payload types."""
    a = Side(engine, phone(ssrc=1), events=96).open()
    b = Side(engine, phone(ssrc=2), events=101, beside=a.leg).open()
    engine.link(a.leg, b.leg)
    assert engine.statistics(b.leg) is not None
    return a, b
