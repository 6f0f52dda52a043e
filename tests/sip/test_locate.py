"""From a host to its servers (RFC 3263, RFC 2782), over a zone of the test's own in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from trunkline.sip import locate
from trunkline.sip.endpoint import Flow
from trunkline.sip.locate import Candidate, Located, Locator, by_weight
from trunkline.sip.resolver import FAILURE_TTL_S, ResolutionError, Srv
from trunkline.testing import Fault, Zone
from trunkline.testing.clock import run

BOTH = frozenset({("udp", 4), ("tcp", 4)})
ALL = BOTH | {("udp", 6), ("tcp", 6)}


class Drawn(Random):
    """A random source that says what a test wants."""

    def __init__(self, *drawn: int) -> None:
        super().__init__(0)
        self.drawn = list(drawn)
        self.bounds: list[tuple[int, int]] = []

    def randint(self, a: int, b: int) -> int:
        self.bounds.append((a, b))
        return self.drawn.pop(0)


def locating(
    zone: Zone,
    scenario: Callable[[Locator], Awaitable[None]],
    *,
    ours: frozenset[tuple[str, int]] = BOTH,
    random: Random | None = None,
) -> None:
    def reaches(flow: Flow) -> bool:
        return (flow.transport, 6 if ":" in flow.remote[0] else 4) in ours

    async def main() -> None:
        resolver = zone.resolver()
        await scenario(Locator(resolver, random or Random(1), reaches))
        await resolver.close()

    run(main())


def shown(located: Located) -> list[str]:
    return [f"{each.transport} {each.address} {each.port}" for each in located.candidates]


ADDRESSES = (
    ("itsp.example", "A", "192.0.2.1"),
    ("a.example", "A", "192.0.2.10"),
    ("b.example", "A", "192.0.2.20"),
    ("c.example", "A", "192.0.2.30"),
)
UDP_SERVERS = (
    ("_sip._udp.itsp.example", "SRV", "20 0 5060 b.example."),
    ("_sip._udp.itsp.example", "SRV", "10 0 5070 a.example."),
)
TCP_SERVERS = (("_sip._tcp.itsp.example", "SRV", "10 0 5090 c.example."),)


@pytest.mark.parametrize(
    ("host", "port", "transport", "expected"),
    [
        ("192.0.2.9", None, None, "udp 192.0.2.9 5060"),
        ("192.0.2.9", 5080, None, "udp 192.0.2.9 5080"),
        ("192.0.2.9", None, "tcp", "tcp 192.0.2.9 5060"),
        ("itsp.example", 5080, None, "udp 192.0.2.1 5080"),
        ("itsp.example", 5080, "tcp", "tcp 192.0.2.1 5080"),
    ],
)
def test_a_literal_or_a_port_asks_for_no_service(
    host: str, port: int | None, transport: str | None, expected: str
) -> None:
    zone = Zone(*ADDRESSES, *UDP_SERVERS, *TCP_SERVERS)

    async def scenario(locator: Locator) -> None:
        assert shown(await locator.locate(host, port, transport)) == [expected]

    locating(zone, scenario)
    assert {kind for _, kind in zone.asked} <= {"A"}


def test_servers_come_in_the_order_of_their_priority_with_their_ports() -> None:
    async def scenario(locator: Locator) -> None:
        located = await locator.locate("itsp.example", transport="udp")
        assert shown(located) == ["udp 192.0.2.10 5070", "udp 192.0.2.20 5060"]
        assert [each.rank for each in located.candidates] == [0, 1]

    zone = Zone(*ADDRESSES, *UDP_SERVERS, *TCP_SERVERS)
    locating(zone, scenario)
    assert ("itsp.example", "NAPTR") not in zone.asked
    assert ("_sip._tcp.itsp.example", "SRV") not in zone.asked


def test_without_naptr_every_transport_that_we_have_is_asked_for_and_udp_goes_first() -> None:
    async def scenario(locator: Locator) -> None:
        expected = ["udp 192.0.2.10 5070", "udp 192.0.2.20 5060", "tcp 192.0.2.30 5090"]
        assert shown(await locator.locate("itsp.example")) == expected

    locating(Zone(*ADDRESSES, *UDP_SERVERS, *TCP_SERVERS), scenario)


NAPTR = (
    ("itsp.example", "NAPTR", '20 50 "s" "SIP+D2U" "" _sip._udp.itsp.example.'),
    ("itsp.example", "NAPTR", '10 50 "s" "SIPS+D2T" "" _sips._tcp.itsp.example.'),
    ("itsp.example", "NAPTR", '15 50 "s" "SIP+D2T" "" _sip._tcp.elsewhere.example.'),
    ("itsp.example", "NAPTR", '11 50 "u" "SIP+D2U" "" _sip._udp.wrong.example.'),
    ("itsp.example", "NAPTR", '12 50 "s" "SIP+D2U" "!.*!x!" _sip._udp.wrong.example.'),
    ("_sip._udp.wrong.example", "SRV", "1 1 5066 c.example."),
    ("_sip._tcp.elsewhere.example", "SRV", "1 1 5095 c.example."),
)


def test_naptr_chooses_the_transport_and_the_name_of_its_servers() -> None:
    async def scenario(locator: Locator) -> None:
        located = await locator.locate("itsp.example")
        assert shown(located) == ["tcp 192.0.2.30 5095", "udp 192.0.2.10 5070", "udp 192.0.2.20 5060"]
        assert [each.rank for each in located.candidates] == [0, 1, 2]

    locating(Zone(*ADDRESSES, *UDP_SERVERS, *TCP_SERVERS, *NAPTR), scenario)


def test_naptr_chooses_only_among_transports_that_we_listen_on() -> None:
    async def scenario(locator: Locator) -> None:
        assert shown(await locator.locate("itsp.example")) == ["udp 192.0.2.10 5070", "udp 192.0.2.20 5060"]

    locating(Zone(*ADDRESSES, *UDP_SERVERS, *TCP_SERVERS, *NAPTR), scenario, ours=frozenset({("udp", 4)}))


@pytest.mark.parametrize(("transport", "expected"), [(None, "udp"), ("udp", "udp"), ("tcp", "tcp")])
def test_without_services_it_is_the_host_itself_at_the_default_port(transport: str | None, expected: str) -> None:
    async def scenario(locator: Locator) -> None:
        assert shown(await locator.locate("itsp.example", transport=transport)) == [f"{expected} 192.0.2.1 5060"]

    locating(Zone(*ADDRESSES), scenario)


def test_a_domain_that_declines_the_service_is_not_called_at_its_address() -> None:
    async def scenario(locator: Locator) -> None:
        with pytest.raises(ResolutionError, match="says that it has no SIP service"):
            await locator.locate("itsp.example", transport="udp")

    locating(Zone(*ADDRESSES, ("_sip._udp.itsp.example", "SRV", "0 0 5060 .")), scenario)


def test_addresses_are_asked_for_in_the_families_of_our_listeners() -> None:
    records = (*ADDRESSES, ("itsp.example", "AAAA", "2001:db8::1"))

    async def one(locator: Locator) -> None:
        assert shown(await locator.locate("itsp.example")) == ["udp 192.0.2.1 5060"]

    async def both(locator: Locator) -> None:
        assert shown(await locator.locate("itsp.example")) == ["udp 192.0.2.1 5060", "udp 2001:db8::1 5060"]

    async def none(locator: Locator) -> None:
        with pytest.raises(ResolutionError, match="no tcp listener of ours is open"):
            await locator.locate("itsp.example", transport="tcp")
        with pytest.raises(ResolutionError, match=r"no udp listener of ours reaches 192\.0\.2\.9"):
            await locator.locate("192.0.2.9")

    zone = Zone(*records)
    locating(zone, one)
    assert "AAAA" not in {kind for _, kind in zone.asked}
    locating(Zone(*records), both, ours=ALL)
    locating(Zone(*records), none, ours=frozenset({("udp", 6)}))


def test_questions_that_do_not_hang_on_each_other_are_asked_at_once() -> None:
    zone = Zone(*ADDRESSES, *UDP_SERVERS, *TCP_SERVERS)
    zone.delay_s = 1.0

    async def scenario(locator: Locator) -> None:
        began = asyncio.get_running_loop().time()
        await locator.locate("itsp.example")
        assert asyncio.get_running_loop().time() - began == pytest.approx(
            2.0
        )  # one round for the services, one for addresses

    locating(zone, scenario)


def test_dead_dns_is_waited_for_no_longer_than_the_bound() -> None:
    zone = Zone(*ADDRESSES)
    zone.fault = Fault.DEAD

    async def scenario(locator: Locator) -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ResolutionError, match="do not answer"):
            await locator.locate("itsp.example")
        assert asyncio.get_running_loop().time() - began <= locate.LOCATE_TIMEOUT_S + 0.1

    locating(zone, scenario)


def test_name_servers_that_know_no_services_still_lead_to_the_host_and_are_asked_again_soon() -> None:
    class Old(Zone):
        async def __call__(self, name: str, kind: str) -> object:  # type: ignore[override]
            if kind in ("SRV", "NAPTR"):
                raise ResolutionError(name, "the name servers refuse or fail")
            return await super().__call__(name, kind)  # type: ignore[arg-type]

    async def scenario(locator: Locator) -> None:
        located = await locator.locate("itsp.example")
        assert shown(located) == ["udp 192.0.2.1 5060"]
        assert located.ttl_s == FAILURE_TTL_S

    locating(Old(*ADDRESSES, ttl_s=3_000), scenario)


def test_the_shortest_ttl_of_all_that_was_used_counts() -> None:
    async def scenario(locator: Locator) -> None:
        assert (await locator.locate("itsp.example", transport="udp")).ttl_s == 70.0

    zone = Zone(*ADDRESSES, ttl_s=200)
    zone.add("_sip._udp.itsp.example", "SRV", "1 1 5060 a.example.", ttl_s=70)
    locating(zone, scenario)


def test_a_server_whose_name_leads_nowhere_costs_the_others_nothing() -> None:
    async def scenario(locator: Locator) -> None:
        assert shown(await locator.locate("itsp.example", transport="udp")) == ["udp 192.0.2.10 5060"]
        with pytest.raises(ResolutionError, match=r"its servers cannot be found: lost\.example"):
            await locator.locate("lost-all.example", transport="udp")

    services = [("_sip._udp.itsp.example", "SRV", f"1 1 5060 {name}.example.") for name in ("lost", "a")]
    locating(Zone(*ADDRESSES, *services, ("_sip._udp.lost-all.example", "SRV", "1 1 5060 lost.example.")), scenario)


def test_one_server_is_tried_once_and_servers_without_end_are_cut() -> None:
    zone = Zone(*ADDRESSES)
    for number in range(1, 40):
        zone.add("_sip._udp.itsp.example", "SRV", f"{number} 0 5060 a.example.")
        zone.add("_sip._udp.wide.example", "SRV", f"{number} 0 {5000 + number} a.example.")

    async def scenario(locator: Locator) -> None:
        assert shown(await locator.locate("itsp.example", transport="udp")) == ["udp 192.0.2.10 5060"]
        assert len((await locator.locate("wide.example", transport="udp")).candidates) <= locate.MAX_CANDIDATES

    locating(zone, scenario)


# --- weights ------------------------------------------------------------------------------------------------------------

A, B, C = Srv(1, 10, 5060, "a"), Srv(1, 30, 5060, "b"), Srv(1, 0, 5060, "c")


@pytest.mark.parametrize(
    ("drawn", "order"),
    [
        ((0, 0), "cab"),  # 0 lets even weight 0 win
        ((1, 30), "abc"),
        ((10, 0), "acb"),
        ((11, 10), "bac"),
        ((40, 0), "bca"),
    ],
)
def test_the_running_sum_of_weights_decides(drawn: tuple[int, ...], order: str) -> None:
    random = Drawn(*drawn)
    assert "".join(server.target for server in by_weight([A, B, C], random)) == order
    assert random.bounds[0] == (0, 40)


def test_priorities_go_before_weights_and_one_server_needs_no_chance() -> None:
    random = Drawn()
    last = Srv(2, 60_000, 5060, "z")
    assert [server.target for server in by_weight([last, A], random)] == ["a", "z"]
    assert random.bounds == []


def test_servers_are_first_as_often_as_their_weight_says() -> None:
    random = Random(5)
    first = Counter(by_weight([A, B], random)[0].target for _ in range(4_000))
    assert 2.5 < first["b"] / first["a"] < 3.5


def test_a_candidate_is_where_requests_go() -> None:
    assert Candidate("tcp", "192.0.2.1", 5090, 3).flow == Flow("tcp", ("192.0.2.1", 5090))
