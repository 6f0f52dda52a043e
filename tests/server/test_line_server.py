"""The servers of one line: which is used, in which order others follow, and what bad DNS does to it (nothing)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from trunkline.server import line_server
from trunkline.server.line_server import LineServer
from trunkline.server.line_settings import LineSettings
from trunkline.server.server_health import DOUBT_S, Standing
from trunkline.sip.endpoint import Flow
from trunkline.sip.resolver import ResolutionError
from trunkline.sip.shown import shown_flow
from trunkline.testing import Fault, Zone
from trunkline.testing.clock import run

A, B, C = (Flow("udp", (f"198.51.100.{host}", 5060)) for host in (1, 2, 3))


def zone(*priorities: tuple[str, int]) -> Zone:
    """A provider with these servers and their priorities."""
    known = Zone(
        ("a.example", "A", "198.51.100.1"), ("b.example", "A", "198.51.100.2"), ("c.example", "A", "198.51.100.3")
    )
    for name, priority in priorities or (("a", 10), ("b", 20), ("c", 30)):
        known.add("_sip._udp.itsp.example", "SRV", f"{priority} 0 5060 {name}.example.")
    return known


class Watched:
    """A `LineServer` and what it told."""

    def __init__(self, known: Zone, settings: LineSettings) -> None:
        self.resolver = known.resolver()
        loop = asyncio.get_running_loop()
        self.moved = 0
        self.server = LineServer(
            settings, self.resolver, lambda flow: ":" not in flow.remote[0], loop.time, Random(1), self._moved
        )
        self.switches: list[tuple[Flow | None, Flow, str]] = []
        self.better: list[Flow] = []
        self.server.on_switched = lambda before, now, reason: self.switches.append((before, now, reason))
        self.server.on_better = self.better.append

    def _moved(self) -> None:
        self.moved += 1


def serving(known: Zone, scenario: Callable[[LineServer, Watched], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        watched = Watched(known, LineSettings("itsp", "15551234", "itsp.example", **settings))
        await scenario(watched.server, watched)
        watched.server.close()
        await watched.resolver.close()

    run(main())


def test_the_best_server_is_used_and_the_others_follow_in_order() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        assert await server.locate() == A
        assert list(await server.candidates()) == [A, B, C]
        assert server.addresses == ("198.51.100.1", "198.51.100.2", "198.51.100.3")
        assert watched.switches == [(None, A, "")]
        assert watched.moved == 1

    serving(zone(), scenario)


def test_a_server_that_failed_goes_last_and_another_is_used_at_once() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        server.note_failure(A, "no answer")
        assert server.flow == B
        assert list(await server.candidates()) == [B, C, A]
        assert watched.switches[-1] == (A, B, "udp:198.51.100.1:5060: no answer")
        server.note_failure(C, "no answer")
        assert server.flow == B
        server.note_failure(B, "no answer")
        assert list(await server.candidates()) == [A, B, C]  # all in doubt: the best guess is the order

    serving(zone(), scenario)


def test_when_all_failed_the_one_that_works_again_is_used() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        for flow in (A, B, C):
            server.note_failure(flow, "no answer")
        server.note_success(B)
        assert server.flow == B
        assert (await server.candidates())[0] == B

    serving(zone(), scenario)


def test_a_server_that_asked_for_a_pause_gets_no_call_until_it_is_over() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        server.note_failure(A, "busy", retry_after_s=60)
        assert list(await server.candidates()) == [B, C]
        for flow in (B, C):
            server.note_failure(flow, "busy", retry_after_s=90)
        assert "198.51.100.3:5060: busy" in server.down_reason
        with pytest.raises(ResolutionError, match="busy"):
            await server.candidates()
        await asyncio.sleep(61)
        assert list(await server.candidates()) == [A]

    serving(zone(), scenario)


def test_a_register_is_tried_even_where_all_are_down_but_each_once() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        assert [server.next(()), server.next((A,)), server.next((A, B)), server.next((A, B, C))] == [A, B, C, None]
        for flow in (A, B, C):
            server.note_failure(flow, "busy", retry_after_s=90)
        assert server.next(()) == A
        assert server.next((A,)) is None

    serving(zone(), scenario)


def test_a_better_server_that_is_back_is_told_and_used_when_told_to() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        server.note_failure(A, "no answer")
        assert watched.better == []
        server.note_ping(A)
        assert watched.better == []
        server.note_ping(A)
        assert watched.better == [A]
        assert server.flow == B  # until the registration is there
        assert (await server.candidates())[0] == B
        assert server.next(()) == A
        server.use(A)
        assert server.flow == A
        assert watched.switches[-1][:2] == (B, A)

    serving(zone(), scenario, register=False)


def test_among_equals_none_is_better() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        first = await server.locate()
        server.note_failure(first, "no answer")
        second = server.flow
        assert second not in (None, first)
        await asyncio.sleep(DOUBT_S + 1)
        server.reconsider()
        assert server.flow == second
        assert server.next(()) == second
        assert watched.better == []

    serving(zone(("a", 10), ("b", 10)), scenario)


def test_doubt_ends_and_a_better_server_is_tried_again_where_no_ping_tells() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        server.note_failure(A, "no answer")
        await asyncio.sleep(DOUBT_S + 1)
        server.reconsider()
        assert watched.better == [A]

    serving(zone(), scenario)


def test_calls_of_every_server_of_the_set_are_the_lines() -> None:
    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        here = ("192.0.2.1", 5060)
        for flow in (A, B, C):
            assert server.is_at(Flow("udp", flow.remote, here))
        assert not server.is_at(Flow("tcp", A.remote, here))
        assert not server.is_at(Flow("udp", ("198.51.100.1", 5080), here))
        assert not server.is_at(Flow("udp", ("198.51.100.4", 5060), here))

    serving(zone(), scenario)


# --- DNS that changes ---------------------------------------------------------------------------------------------------


def test_the_server_in_use_stays_while_it_is_named_and_as_good() -> None:
    known = zone(("a", 10), ("b", 10))

    async def scenario(server: LineServer, watched: Watched) -> None:
        used = await server.locate()
        known.add("_sip._udp.itsp.example", "SRV", "10 100 5060 c.example.")
        await asyncio.sleep(61)
        await server.refresh()
        assert server.flow == used
        assert server.flows[0] == used
        assert len(server.flows) == 3
        assert watched.moved == 2
        assert watched.better == []

    serving(known, scenario)


def test_a_server_that_is_no_longer_named_is_left() -> None:
    known = zone(("a", 10), ("b", 20))

    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        known.remove("_sip._udp.itsp.example", "SRV")
        known.add("_sip._udp.itsp.example", "SRV", "10 0 5060 c.example.")
        await asyncio.sleep(61)
        await server.refresh()
        assert server.flow == C
        assert watched.switches[-1] == (A, C, "DNS names it")
        assert server.addresses == ("198.51.100.3",)

    serving(known, scenario)


def test_what_is_known_of_a_server_outlives_a_look_into_dns() -> None:
    known = zone(("a", 10), ("b", 20))

    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        server.note_failure(A, "no answer")
        known.add("_sip._udp.itsp.example", "SRV", "30 0 5060 c.example.")
        await asyncio.sleep(61)
        await server.refresh()
        assert server.standing(A) is Standing.DOUBTFUL
        assert server.flow == B

    serving(known, scenario)


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.REFUSES, Fault.LIES])
def test_dns_that_fails_costs_a_known_line_neither_its_servers_nor_time(fault: Fault) -> None:
    known = zone()

    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        known.fault = fault
        loop = asyncio.get_running_loop()
        for _ in range(30):
            await asyncio.sleep(6_000)
            refreshing = asyncio.create_task(server.refresh())
            began = loop.time()
            assert list(await server.candidates()) == [A, B, C]
            assert loop.time() == began
            await refreshing

    serving(known, scenario)


def test_a_domain_that_seems_to_be_gone_does_not_take_its_servers_with_it() -> None:
    known = zone()

    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()
        known.remove("_sip._udp.itsp.example", "SRV")
        await asyncio.sleep(61)
        assert await server.refresh() == line_server.MIN_REFRESH_S
        assert server.problem == "no such name"
        assert list(await server.candidates()) == [A, B, C]

    serving(known, scenario)


def test_the_first_look_fails_in_words_and_is_taken_again() -> None:
    known = zone()
    known.fault = Fault.DEAD

    async def scenario(server: LineServer, watched: Watched) -> None:
        with pytest.raises(ResolutionError, match="do not answer"):
            await server.candidates()
        assert server.flow is None
        assert server.down_reason == ""
        known.fault = Fault.NONE
        await asyncio.sleep(16)
        assert (await server.candidates())[0] == A

    serving(known, scenario)


def test_a_resolver_that_breaks_costs_a_line_nothing_but_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    known = zone()

    async def scenario(server: LineServer, watched: Watched) -> None:
        await server.locate()

        async def broken(*_: object) -> None:
            raise ZeroDivisionError

        watched.resolver.services = broken  # type: ignore[assignment, method-assign]
        assert await server.refresh() == line_server.MIN_REFRESH_S
        assert server.problem == "ZeroDivisionError in the resolver"
        assert (await server.candidates())[0] == A

    serving(known, scenario)
    assert "error while locating itsp.example" in caplog.text


def test_a_line_that_is_closed_leaves_nobody_waiting_for_its_servers() -> None:
    known = zone()
    known.fault = Fault.DEAD

    async def scenario(server: LineServer, watched: Watched) -> None:
        waiting = asyncio.create_task(server.candidates())
        await asyncio.sleep(1)
        server.close()
        with pytest.raises(ResolutionError):
            await waiting

    serving(known, scenario)


def test_those_who_wait_for_the_first_look_share_it_and_may_give_up() -> None:
    known = zone()
    known.delay_s = 1.0

    async def scenario(server: LineServer, watched: Watched) -> None:
        first = asyncio.create_task(server.locate())
        second = asyncio.create_task(server.candidates())
        await asyncio.sleep(0.5)
        first.cancel()
        assert (await second)[0] == A
        assert known.asked.count(("_sip._udp.itsp.example", "SRV")) == 1

    serving(known, scenario)


def test_the_next_look_is_due_when_the_answer_has_run_out() -> None:
    async def due_s(ttl_s: int) -> float:
        known = zone()
        known.ttl_s = ttl_s
        known.add("_sip._udp.other.example", "SRV", "1 1 5060 d.example.")
        known.add("d.example", "A", "198.51.100.4")
        watched = Watched(known, LineSettings("other", "1", "other.example"))
        return await watched.server.refresh()

    assert run(due_s(1)) == line_server.MIN_REFRESH_S
    assert run(due_s(600)) == pytest.approx(600)
    assert run(due_s(86_400)) == line_server.MAX_REFRESH_S


@pytest.mark.parametrize(
    ("flow", "text"),
    [(A, "udp:198.51.100.1:5060"), (Flow("tcp", ("2001:db8::1", 5061)), "tcp:[2001:db8::1]:5061")],
)
def test_a_server_is_named_by_transport_address_and_port(flow: Flow, text: str) -> None:
    assert shown_flow(flow) == text
