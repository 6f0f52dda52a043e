"""Questions to a real name server on loopback, which answers well or errs in every way that we know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from trunkline.sip import dns_lookup
from trunkline.sip.dns_answers import Naptr, NoRecords, ResolutionError, Srv
from trunkline.sip.dns_lookup import DnsLookup, read_hosts
from trunkline.testing import Fault, NameServer, Zone


def zone() -> Zone:
    known = Zone(
        ("itsp.example", "A", "192.0.2.9"),
        ("_sip._udp.itsp.example", "SRV", "10 60 5080 A.itsp.example."),
        ("_sip._tcp.itsp.example", "SRV", "0 0 0 ."),
        ("_sip._udp.odd.example", "SRV", "0 0 0 a.itsp.example."),
        ("itsp.example", "NAPTR", '20 50 "s" "SIP+D2T" "" _sip._tcp.itsp.example.'),
        ttl_s=77,
    )
    known.add("itsp.example", "NAPTR", '10 50 "S" "sip+d2u" "" _sip._udp.itsp.example.')
    known.add("wide.example", "A", *(f"192.0.2.{host}" for host in range(1, 100)))
    return known


def asking(known: Zone, scenario: Callable[[DnsLookup], Awaitable[None]], tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\nsearch corp.example\n")

    async def main() -> None:
        async with NameServer(known) as server:
            await scenario(DnsLookup(hosts=tmp_path / "hosts", resolv_conf=conf, port=server.port))

    with blockbuster_ctx():
        asyncio.run(main())


def test_each_kind_of_record_is_read(tmp_path: Path) -> None:
    async def scenario(lookup: DnsLookup) -> None:
        address = await lookup("itsp.example", "A")
        assert (address.records, address.ttl_s) == (("192.0.2.9",), 77.0)
        assert (await lookup("_sip._udp.itsp.example", "SRV")).records == (Srv(10, 60, 5080, "a.itsp.example"),)
        assert (await lookup("_sip._tcp.itsp.example", "SRV")).records == (Srv(0, 0, 0, ""),)
        pointers = (await lookup("itsp.example", "NAPTR")).records
        assert Naptr(10, 50, "s", "SIP+D2U", "", "_sip._udp.itsp.example") in pointers
        assert len(pointers) == 2

    asking(zone(), scenario, tmp_path)


def test_records_without_end_are_cut(tmp_path: Path) -> None:
    async def scenario(lookup: DnsLookup) -> None:
        assert len((await lookup("wide.example", "A")).records) == dns_lookup.MAX_RECORDS

    asking(zone(), scenario, tmp_path)


def test_a_server_without_a_port_is_none(tmp_path: Path) -> None:
    async def scenario(lookup: DnsLookup) -> None:
        with pytest.raises(NoRecords):
            await lookup("_sip._udp.odd.example", "SRV")

    asking(zone(), scenario, tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("nowhere.example", "A", "no such name"),
        ("itsp.example", "AAAA", "the name has no IPv6 address"),
        ("itsp.example", "SRV", "no such service"),
    ],
)
@pytest.mark.parametrize("negative_ttl_s", [41, None])
def test_that_there_is_none_says_for_how_long(
    name: str, kind: str, words: str, negative_ttl_s: int | None, tmp_path: Path
) -> None:
    async def scenario(lookup: DnsLookup) -> None:
        with pytest.raises(NoRecords, match=words) as caught:
            await lookup(name, kind)  # type: ignore[arg-type]
        assert caught.value.ttl_s == negative_ttl_s

    known = zone()
    known.negative_ttl_s = negative_ttl_s
    asking(known, scenario, tmp_path)


@pytest.mark.parametrize("fault", [Fault.REFUSES, Fault.FAILS])
def test_a_name_server_that_refuses_is_told_in_words(fault: Fault, tmp_path: Path) -> None:
    async def scenario(lookup: DnsLookup) -> None:
        with pytest.raises(ResolutionError, match="refuse or fail") as caught:
            await lookup("itsp.example", "A")
        assert not isinstance(caught.value, NoRecords)

    known = zone()
    known.fault = fault
    asking(known, scenario, tmp_path)


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.LIES])
def test_silence_and_answers_to_other_questions_are_no_answer(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_lookup, "QUERY_TIMEOUT_S", 0.3)

    async def scenario(lookup: DnsLookup) -> None:
        with pytest.raises(ResolutionError, match="do not answer"):
            await lookup("itsp.example", "A")

    known = zone()
    known.fault = fault
    asking(known, scenario, tmp_path)


def test_a_truncated_answer_is_asked_for_again_over_tcp(tmp_path: Path) -> None:
    known = zone()
    known.fault = Fault.TRUNCATES

    async def scenario(lookup: DnsLookup) -> None:
        assert (await lookup("itsp.example", "A")).records == ("192.0.2.9",)

    asking(known, scenario, tmp_path)
    assert known.asked == [("itsp.example", "A")] * 2


def test_a_slow_answer_stops_nothing_else_on_the_loop(tmp_path: Path) -> None:
    known = zone()
    known.delay_s = 0.3

    async def scenario(lookup: DnsLookup) -> None:
        asked = asyncio.create_task(lookup("itsp.example", "A"))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 50
        assert (await asked).records == ("192.0.2.9",)

    asking(known, scenario, tmp_path)


def test_only_bare_names_are_looked_for_in_the_search_list(tmp_path: Path) -> None:
    known = zone()
    known.add("_sip._udp.other.example.corp.example", "SRV", "0 0 5060 evil.corp.example.")
    known.add("other.example.corp.example", "A", "192.0.2.66")
    known.add("itsp.corp.example", "A", "192.0.2.77")

    async def scenario(lookup: DnsLookup) -> None:
        with pytest.raises(NoRecords):
            await lookup("_sip._udp.other.example", "SRV")
        with pytest.raises(NoRecords):
            await lookup("other.example", "A")
        assert (await lookup("itsp", "A")).records == ("192.0.2.77",)

    asking(known, scenario, tmp_path)


# --- the hosts file -----------------------------------------------------------------------------------------------------


def test_the_hosts_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# names\n::1 itsp\n192.0.2.1\titsp ITSP.example # ours\nnonsense line\n\n192.0.2.2 itsp\n")
    assert read_hosts(hosts) == {"itsp": ("192.0.2.1", "192.0.2.2", "::1"), "itsp.example": ("192.0.2.1",)}
    assert read_hosts(tmp_path / "none") == {}


@pytest.mark.parametrize(("name", "kind"), [("_sip._udp.ITSP.example", "SRV"), ("itsp.example", "NAPTR")])
def test_a_name_in_the_hosts_file_asks_no_name_server(name: str, kind: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.1 itsp.example\n2001:db8::1 itsp.example\n")

    async def main() -> None:
        lookup = DnsLookup(hosts=hosts, resolv_conf=tmp_path / "none")
        assert (await lookup("ITSP.example", "A")).records == ("192.0.2.1",)
        assert (await lookup("itsp.example", "AAAA")).records == ("2001:db8::1",)
        with pytest.raises(NoRecords):
            await lookup(name, kind)  # type: ignore[arg-type]

    asyncio.run(main())


def test_a_machine_without_name_servers_is_told_in_words(tmp_path: Path) -> None:
    lookup = DnsLookup(hosts=tmp_path / "none", resolv_conf=tmp_path / "none")
    with pytest.raises(ResolutionError, match="no name server is configured"):
        asyncio.run(lookup("itsp.example", "A"))
