from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.sip import resolver
from trunkline.sip.literal import literal_text
from trunkline.sip.resolver import Answer, CachingResolver, NoRecords, ResolutionError, Srv
from trunkline.testing.clock import run


class Names:
    """A lookup of what a test says, for A records; there are no others."""

    def __init__(self, *answers: Answer[Any] | Exception | float) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, name: str, kind: str) -> Answer[Any]:
        if kind == "AAAA":
            raise NoRecords(name, "the name has no IPv6 address", 86_400.0)
        self.asked.append(name)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            raise AssertionError("it was waited for")
        if isinstance(answer, Exception):
            raise answer
        return answer


def resolving(names: Any, scenario: Callable[[CachingResolver], Awaitable[None]]) -> None:
    async def main() -> None:
        caching = CachingResolver(names, asyncio.get_running_loop().time)
        await scenario(caching)
        await caching.close()

    run(main())


async def found(caching: CachingResolver, host: str) -> tuple[str, ...]:
    return (await caching.addresses(host)).records


ONE = Answer(("192.0.2.1", "192.0.2.11"), 60.0)
TWO = Answer(("192.0.2.2",), 60.0)
DEAD = ResolutionError("itsp.example", "the name servers do not answer")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("itsp.example", None),
    ],
)
def test_a_literal_is_told_from_a_name(host: str, address: str | None) -> None:
    assert literal_text(host) == address


@given(st.ip_addresses())
def test_every_address_is_a_literal(address: object) -> None:
    assert literal_text(str(address)) == str(address)


def test_a_literal_asks_nobody() -> None:
    names = Names(ONE)

    async def scenario(caching: CachingResolver) -> None:
        assert await found(caching, "[2001:db8::9]") == ("2001:db8::9",)

    resolving(names, scenario)
    assert names.asked == []


def test_an_answer_is_kept_for_its_ttl_and_says_what_is_left_of_it() -> None:
    names = Names(ONE, TWO)

    async def scenario(caching: CachingResolver) -> None:
        assert await caching.addresses("itsp.example") == ONE
        await asyncio.sleep(59)
        again = await caching.addresses("ITSP.example.")
        assert again.records == ONE.records
        assert again.ttl_s == pytest.approx(1.0)
        await asyncio.sleep(2)
        assert await found(caching, "itsp.example") == TWO.records

    resolving(names, scenario)
    assert names.asked == ["itsp.example"] * 2


@pytest.mark.parametrize(("ttl_s", "kept_s"), [(0.0, resolver.MIN_TTL_S), (1e9, resolver.MAX_TTL_S)])
def test_a_ttl_is_bounded_from_both_sides(ttl_s: float, kept_s: float) -> None:
    names = Names(Answer(("192.0.2.1",), ttl_s))

    async def scenario(caching: CachingResolver) -> None:
        for _ in range(50):
            await caching.addresses("itsp.example")
        await asyncio.sleep(kept_s - 1)
        await caching.addresses("itsp.example")
        assert len(names.asked) == 1
        await asyncio.sleep(2)
        await caching.addresses("itsp.example")
        assert len(names.asked) == 2

    resolving(names, scenario)


@pytest.mark.parametrize(
    ("soa_s", "kept_s"), [(None, resolver.MIN_TTL_S), (60.0, 60.0), (86_400.0, resolver.MAX_NEGATIVE_TTL_S)]
)
def test_that_there_is_none_is_kept_as_long_as_the_zone_says(soa_s: float | None, kept_s: float) -> None:
    names = Names(NoRecords("itsp.example", "no such name", soa_s))

    async def scenario(caching: CachingResolver) -> None:
        for wait_s, asked in ((0.0, 1), (kept_s - 1, 1), (2.0, 2)):
            await asyncio.sleep(wait_s)
            with pytest.raises(NoRecords, match="no such name"):
                await caching.addresses("itsp.example")
            assert len(names.asked) == asked

    resolving(names, scenario)


def test_a_failure_is_kept_and_then_forgotten() -> None:
    names = Names(DEAD, ONE)

    async def scenario(caching: CachingResolver) -> None:
        for _ in range(3):
            with pytest.raises(ResolutionError, match="do not answer"):
                await caching.addresses("itsp.example")
        await asyncio.sleep(resolver.FAILURE_TTL_S + 1)
        assert await found(caching, "itsp.example") == ONE.records

    resolving(names, scenario)
    assert len(names.asked) == 2


def test_silent_name_servers_are_waited_for_no_longer_than_the_bound() -> None:
    async def scenario(caching: CachingResolver) -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ResolutionError, match="do not answer"):
            await caching.addresses("itsp.example")
        assert asyncio.get_running_loop().time() - began == pytest.approx(resolver.TIMEOUT_S)

    resolving(Names(3600.0), scenario)


def test_an_old_answer_serves_while_the_name_servers_are_dead_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(caching: CachingResolver) -> None:
        assert await found(caching, "itsp.example") == ONE.records
        for _ in range(5):
            await asyncio.sleep(3_600)
            assert await found(caching, "itsp.example") == ONE.records
        assert caplog.text.count("using what was known before") == 1
        await asyncio.sleep(resolver.STALE_S)
        with pytest.raises(ResolutionError):
            await caching.addresses("itsp.example")

    resolving(Names(ONE, DEAD), scenario)


def test_those_who_ask_at_once_share_one_lookup_and_one_that_gives_up_stops_nobody() -> None:
    class Slow(Names):
        async def __call__(self, name: str, kind: str) -> Answer[Any]:
            await asyncio.sleep(1)
            return await super().__call__(name, kind)

    names = Slow(ONE)

    async def scenario(caching: CachingResolver) -> None:
        first = asyncio.create_task(caching.addresses("itsp.example"))
        others = [asyncio.create_task(found(caching, "itsp.example")) for _ in range(9)]
        await asyncio.sleep(0.5)
        first.cancel()
        assert await asyncio.gather(*others) == [ONE.records] * 9

    resolving(names, scenario)
    assert names.asked == ["itsp.example"]


def test_a_lookup_that_breaks_costs_an_answer_not_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(caching: CachingResolver) -> None:
        with pytest.raises(ResolutionError, match="ZeroDivisionError"):
            await caching.addresses("itsp.example")

    resolving(Names(ZeroDivisionError()), scenario)
    assert "error while resolving" in caplog.text


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_NAMES", 3)
    names = Names(ONE)

    async def scenario(caching: CachingResolver) -> None:
        for number in (1, 2, 3, 1, 4, 1, 2):
            await caching.addresses(f"host{number}", ["A"])

    resolving(names, scenario)
    assert names.asked == ["host1", "host2", "host3", "host4", "host2"]


def test_open_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_LOOKUPS", 4)
    running = [0, 0]

    async def lookup(name: str, kind: str) -> Answer[Any]:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.1)
        running[0] -= 1
        return ONE

    async def scenario(caching: CachingResolver) -> None:
        answers = await asyncio.gather(*(found(caching, f"host{number}") for number in range(20)))
        assert len(answers) == 20

    resolving(lookup, scenario)
    assert running == [0, 4]


def test_services_are_cached_as_addresses_are() -> None:
    asked: list[tuple[str, str]] = []
    server = Srv(0, 5, 5060, "a.itsp.example")

    async def lookup(name: str, kind: str) -> Answer[Any]:
        asked.append((name, kind))
        if kind == "NAPTR":
            raise NoRecords(name, "no NAPTR record", 30.0)
        return Answer((server,), 30.0)

    async def scenario(caching: CachingResolver) -> None:
        for _ in range(3):
            assert (await caching.services("_sip._udp.itsp.example")).records == (server,)
            with pytest.raises(NoRecords):
                await caching.transports("itsp.example")

    resolving(lookup, scenario)
    assert asked == [("_sip._udp.itsp.example", "SRV"), ("itsp.example", "NAPTR")]


@pytest.mark.parametrize(
    ("v4", "v6", "expected"),
    [
        (ONE, DEAD, ONE.records),
        (DEAD, Answer(("2001:db8::1",), 60.0), ("2001:db8::1",)),
        (ONE, Answer(("2001:db8::1",), 60.0), (*ONE.records, "2001:db8::1")),
    ],
)
def test_one_family_is_enough_and_ipv4_comes_first(v4: Any, v6: Any, expected: tuple[str, ...]) -> None:
    async def lookup(name: str, kind: str) -> Answer[Any]:
        answer = {"A": v4, "AAAA": v6}[kind]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def scenario(caching: CachingResolver) -> None:
        assert await found(caching, "itsp.example") == expected

    resolving(lookup, scenario)


def test_silence_of_one_family_is_told_before_the_lack_of_the_other() -> None:
    async def scenario(caching: CachingResolver) -> None:
        with pytest.raises(ResolutionError, match="do not answer") as caught:
            await caching.addresses("itsp.example")
        assert not isinstance(caught.value, NoRecords)

    resolving(Names(DEAD), scenario)
