from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import given
from hypothesis import strategies as st

from trunkline.sip import resolver
from trunkline.sip.resolver import CachingResolver, DnsLookup, Found, ResolutionError, literal, read_hosts
from trunkline.testing.clock import run


class Names:
    """A lookup of what a test says."""

    def __init__(self, *answers: Found | Exception | float) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Found:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            raise AssertionError("it was waited for")
        if isinstance(answer, Exception):
            raise answer
        return answer


def resolving(names: Names, scenario: Callable[[CachingResolver], Awaitable[None]]) -> None:
    async def main() -> None:
        caching = CachingResolver(names, asyncio.get_running_loop().time)
        await scenario(caching)
        await caching.close()

    run(main())


ONE = Found(("192.0.2.1", "2001:db8::1"), 60.0)
TWO = Found(("192.0.2.2",), 60.0)
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
    assert literal(host) == address


@given(st.ip_addresses())
def test_every_address_is_a_literal(address: object) -> None:
    assert literal(str(address)) == str(address)


def test_a_literal_asks_nobody() -> None:
    names = Names(ONE)

    async def scenario(caching: CachingResolver) -> None:
        assert await caching.addresses("[2001:db8::9]") == ("2001:db8::9",)

    resolving(names, scenario)
    assert names.asked == []


def test_an_answer_is_kept_for_its_ttl() -> None:
    names = Names(ONE, TWO)

    async def scenario(caching: CachingResolver) -> None:
        assert await caching.addresses("itsp.example") == ONE.addresses
        await asyncio.sleep(59)
        assert await caching.addresses("ITSP.example.") == ONE.addresses
        await asyncio.sleep(2)
        assert await caching.addresses("itsp.example") == TWO.addresses

    resolving(names, scenario)
    assert names.asked == ["itsp.example"] * 2


def test_a_ttl_of_zero_is_bounded_from_below() -> None:
    names = Names(Found(("192.0.2.1",), 0.0))

    async def scenario(caching: CachingResolver) -> None:
        for _ in range(50):
            await caching.addresses("itsp.example")

    resolving(names, scenario)
    assert len(names.asked) == 1


def test_a_failure_is_kept_and_then_forgotten() -> None:
    names = Names(ResolutionError("itsp.example", "no such name"), ONE)

    async def scenario(caching: CachingResolver) -> None:
        for _ in range(3):
            with pytest.raises(ResolutionError, match="no such name"):
                await caching.addresses("itsp.example")
        await asyncio.sleep(resolver.NEGATIVE_TTL_S + 1)
        assert await caching.addresses("itsp.example") == ONE.addresses

    resolving(names, scenario)
    assert len(names.asked) == 2


def test_silent_name_servers_are_waited_for_no_longer_than_the_bound() -> None:
    async def scenario(caching: CachingResolver) -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ResolutionError, match="do not answer"):
            await caching.addresses("itsp.example")
        assert asyncio.get_running_loop().time() - began == pytest.approx(resolver.TIMEOUT_S)

    resolving(Names(3600.0), scenario)


def test_an_old_answer_serves_while_the_name_servers_are_dead() -> None:
    async def scenario(caching: CachingResolver) -> None:
        assert await caching.addresses("itsp.example") == ONE.addresses
        await asyncio.sleep(3_600)
        assert await caching.addresses("itsp.example") == ONE.addresses
        await asyncio.sleep(resolver.STALE_S)
        with pytest.raises(ResolutionError):
            await caching.addresses("itsp.example")

    resolving(Names(ONE, DEAD), scenario)


def test_those_who_ask_at_once_share_one_lookup_and_one_that_gives_up_stops_nobody() -> None:
    class Slow(Names):
        async def __call__(self, host: str) -> Found:
            self.asked.append(host)
            await asyncio.sleep(1)
            return ONE

    names = Slow(ONE)

    async def scenario(caching: CachingResolver) -> None:
        first = asyncio.create_task(caching.addresses("itsp.example"))
        others = [asyncio.create_task(caching.addresses("itsp.example")) for _ in range(9)]
        await asyncio.sleep(0.5)
        first.cancel()
        assert await asyncio.gather(*others) == [ONE.addresses] * 9

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
            await caching.addresses(f"host{number}")

    resolving(names, scenario)
    assert names.asked == ["host1", "host2", "host3", "host4", "host2"]


def test_the_hosts_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# names\n::1 itsp\n192.0.2.1\titsp ITSP.example # ours\nnonsense line\n\n192.0.2.2 itsp\n")
    assert read_hosts(hosts) == {"itsp": ("192.0.2.1", "192.0.2.2", "::1"), "itsp.example": ("192.0.2.1",)}
    assert read_hosts(tmp_path / "none") == {}


def test_the_hosts_file_comes_before_the_name_servers(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.1 itsp.example\n")
    found = asyncio.run(DnsLookup(hosts=hosts, resolv_conf=tmp_path / "none")("ITSP.example"))
    assert found.addresses == ("192.0.2.1",)


def test_a_machine_without_name_servers_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(ResolutionError, match="no name server is configured"):
        asyncio.run(DnsLookup(hosts=tmp_path / "none", resolv_conf=tmp_path / "none")("itsp.example"))


class _NameServer(asyncio.DatagramProtocol):
    """Answers A with one address and AAAA with none; refuses `refused.example`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        question = query.question[0]
        if "refused" in str(question.name):
            reply.set_rcode(dns.rcode.REFUSED)
        elif "nowhere" in str(question.name):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            reply.answer.append(dns.rrset.from_text(question.name, 77, "IN", "A", "192.0.2.9"))
        self._transport.sendto(reply.to_wire(), source)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("itsp.example", "192.0.2.9"), ("nowhere.example", "no such name"), ("refused.example", "refuse or fail")],
)
def test_the_name_servers_are_asked_for_both_families(host: str, expected: str, tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(_NameServer, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        lookup = DnsLookup(hosts=tmp_path / "none", resolv_conf=conf, port=port)
        try:
            found = await lookup(host)
            assert (found.addresses, found.ttl_s) == ((expected,), 77)
        except ResolutionError as error:
            assert expected in error.reason  # noqa: PT017
        finally:
            transport.close()
            await asyncio.sleep(0)

    with blockbuster_ctx():
        asyncio.run(scenario())
