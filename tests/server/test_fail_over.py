"""A provider with two servers on the virtual network: whichever dies, is busy or comes back, the line stays on one of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, PROVIDER, REALM, SERVER, World, world
from trunkline import CallFailed, CallSession, PeerType
from trunkline.events import IncomingCall, LineDown, LineRegisterFailed, LineServerChanged, LineUp
from trunkline.server.server import SipServer
from trunkline.server.server_health import Standing
from trunkline.sip.endpoint import Flow, Message, NameAddr, Uri
from trunkline.testing import Fault, Itsp, VirtualNetwork, Zone

Run = Callable[[Any], Any]

FIRST, SECOND = PROVIDER, "10.0.0.8"
METHODS = ("REGISTER", "OPTIONS", "INVITE")


class Pair(World):
    """The server, and a provider whose `itsp` is the better of two servers."""

    second: Itsp
    zone: Zone

    def kill(self, address: str) -> None:
        """The machine is gone: nothing comes through to it or from it."""
        self.network.link(SERVER, address).up = self.network.link(address, SERVER).up = False

    def revive(self, address: str) -> None:
        self.network.link(SERVER, address).up = self.network.link(address, SERVER).up = True

    async def place(self, at: str) -> None:
        """A call of alice's goes out; which server it came to is checked, and it is hung up."""
        placing = asyncio.create_task(self.server.dial(MOBILE, line="itsp"))
        itsp = {FIRST: self.itsp, SECOND: self.second}[at]
        call = await itsp.next_call(15)  # longer than a server's silence
        call.answer()
        session = await placing
        session.close()
        await session.wait_closed()
        await asyncio.sleep(1)

    def servers_of(self, method: str) -> set[str]:
        """Where requests of a method went since the last time."""
        return {
            packet.destination[0]
            for packet in self.network.delivered
            if packet.source[0] == SERVER and packet.data.startswith(method.encode())
        }

    async def agree(self, at: str, *, within_s: float) -> None:
        """From some time on all of REGISTER and INVITE goes to one server."""
        line = self.server.line("itsp")
        async with asyncio.timeout(within_s):
            while not (
                line.usable and line.server_in_use == Flow("udp", (at, 5060)) and line.state.value == "registered"
            ):
                await asyncio.sleep(0.5)
        await asyncio.sleep(2)
        self.network.delivered.clear()
        self.server.register_line("itsp")
        await asyncio.sleep(1)
        await self.place(at)
        assert self.servers_of("REGISTER") == {at}
        assert self.servers_of("INVITE") == {at}
        await asyncio.sleep(45)
        assert at in self.servers_of("OPTIONS")

    def told(self) -> list[str]:
        return [type(event).__name__ for event in self.events_of(LineServerChanged | LineDown | LineUp)]  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def pair(network: VirtualNetwork, **line: Any) -> AsyncIterator[Pair]:
    zone = Zone(
        ("_sip._udp.itsp.example", "SRV", "10 0 5060 one.itsp.example."),
        ("_sip._udp.itsp.example", "SRV", "20 0 5060 two.itsp.example."),
        ("one.itsp.example", "A", FIRST),
        ("two.itsp.example", "A", SECOND),
    )
    resolver = zone.resolver()
    server = SipServer(
        realm=REALM, listen=[f"udp://{SERVER}:5060"], platform=network.host(SERVER), resolver=resolver, stop_timeout_s=1
    )
    accounts = {ACCOUNT: "line secret"}
    servers = [Itsp(accounts, platform=network.host(each), address=each, port=5060) for each in (FIRST, SECOND)]
    server.add_line("itsp", **{"username": ACCOUNT, "password": "line secret", "server": "itsp.example", **line})
    async with servers[0], servers[1], server:
        built = Pair(network, server, servers[0])
        built.second, built.zone = servers[1], zone
        if line.get("register", True):
            await servers[0].wait_registered(ACCOUNT)
            await asyncio.sleep(0.1)  # until its answer is here
        yield built
    await resolver.close()


def test_register_options_and_invite_go_to_the_better_server(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            await at.agree(FIRST, within_s=5)
            assert at.told() == []

    run_virtual(main())


def test_a_server_that_dies_is_left_and_returned_to_when_it_is_back(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            await at.agree(FIRST, within_s=5)
            at.kill(FIRST)
            await at.agree(SECOND, within_s=120)
            (changed,) = at.events_of(LineServerChanged)
            assert (changed.server, changed.before) == (f"udp:{SECOND}:5060", f"udp:{FIRST}:5060")
            assert "no answer to OPTIONS" in changed.reason
            at.revive(FIRST)
            await at.agree(FIRST, within_s=120)
            assert at.told() == ["LineServerChanged"] * 2
            assert at.events_of(LineRegisterFailed) == []

    run_virtual(main())


def test_a_server_that_died_is_left_by_a_register_before_any_ping(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network, ping_interval_s=3_600) as at:
            at.kill(FIRST)
            at.server.register_line("itsp")
            await at.second.wait_registered(ACCOUNT, 40)
            await asyncio.sleep(0.1)
            assert at.server.line("itsp").server_in_use == Flow("udp", (SECOND, 5060))
            await at.place(SECOND)
            assert at.events_of(LineRegisterFailed) == []

    run_virtual(main())


def test_a_server_that_is_busy_is_left_at_once_and_its_pause_is_kept(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            await asyncio.sleep(60)
            at.itsp.refuse_register = 503
            at.itsp.retry_after_s = 200
            at.server.register_line("itsp")
            await at.second.wait_registered(ACCOUNT, 5)
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert list(await at.server.line("itsp").server.candidates()) == [Flow("udp", (SECOND, 5060))]
            await at.place(SECOND)
            at.itsp.refuse_register = 0
            await at.agree(FIRST, within_s=400)
            assert loop.time() - began > 200

    run_virtual(main())


def test_a_server_that_answers_options_with_503_is_left(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            at.itsp.refuse_options = 503
            await at.agree(SECOND, within_s=120)
            assert "answers OPTIONS with 503" in at.events_of(LineServerChanged)[0].reason
            at.itsp.refuse_options = 0
            await at.agree(FIRST, within_s=120)

    run_virtual(main())


def test_a_call_that_failed_at_one_server_has_the_next_and_the_registration_follows(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network, ping_interval_s=0) as at:
            at.kill(FIRST)
            server = at.server.line("itsp").server
            first, second = await server.candidates()
            assert (first.remote[0], second.remote[0]) == (FIRST, SECOND)
            server.note_failure(first, "no answer to INVITE")
            await at.place(SECOND)
            await at.second.wait_registered(ACCOUNT, 5)

    run_virtual(main())


def test_an_invite_that_is_silent_at_one_server_takes_the_next_call_to_the_other(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network, ping_interval_s=3_600) as at:
            server = at.server.line("itsp").server
            at.kill(FIRST)
            await at.place(SECOND)
            assert [flow.remote[0] for flow in await server.candidates()] == [SECOND, FIRST]
            (changed,) = at.events_of(LineServerChanged)
            assert "no answer to INVITE" in changed.reason
            at.network.delivered.clear()
            began = asyncio.get_running_loop().time()
            await at.place(SECOND)
            assert at.servers_of("INVITE") == {SECOND}
            assert asyncio.get_running_loop().time() - began < 2

    run_virtual(main())


def test_pings_bring_a_server_back_that_an_invite_found_silent(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            await asyncio.sleep(60)
            at.kill(FIRST)
            await at.place(SECOND)
            at.revive(FIRST)
            await at.agree(FIRST, within_s=120)

    run_virtual(main())


def test_an_invite_that_gets_503_keeps_its_pause(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with pair(virtual_network, ping_interval_s=3_600) as at:
            at.itsp.refuse_invite, at.itsp.retry_after_s = 503, 120
            await at.place(SECOND)
            server = at.server.line("itsp").server
            assert server.standing(Flow("udp", (FIRST, 5060))) is Standing.DOWN
            assert "answers INVITE with 503" in at.events_of(LineServerChanged)[0].reason
            await asyncio.sleep(121)
            assert server.standing(Flow("udp", (FIRST, 5060))) is Standing.UP

    run_virtual(main())


@pytest.mark.parametrize("status", [0, 404, 486, 500, 603])
def test_any_other_answer_to_an_invite_shows_that_the_server_lives(
    status: int, run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        # nothing but the call tells
        async with pair(virtual_network, ping_interval_s=0, register=False) as at:
            server = at.server.line("itsp").server
            await server.locate()
            for each in (FIRST, SECOND):
                server.note_failure(Flow("udp", (each, 5060)), "no answer")
            first = server.known()[0]
            assert server.standing(first) is Standing.DOUBTFUL
            doubted = {FIRST: at.itsp, SECOND: at.second}[first.remote[0]]
            doubted.refuse_invite = status
            if status:
                with pytest.raises(CallFailed):
                    await at.server.dial(MOBILE, line="itsp")
            else:
                await at.place(first.remote[0])
            assert server.standing(first) is Standing.UP

    run_virtual(main())


def test_a_callee_that_rings_until_the_time_is_over_shows_that_the_server_lives(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        # nothing but the call tells
        async with pair(virtual_network, ping_interval_s=0, register=False) as at:
            server = at.server.line("itsp").server
            await server.locate()
            for each in (FIRST, SECOND):
                server.note_failure(Flow("udp", (each, 5060)), "no answer")
            first = server.known()[0]
            assert server.standing(first) is Standing.DOUBTFUL
            placing = asyncio.create_task(at.server.dial(MOBILE, line="itsp", timeout_s=20))
            (await {FIRST: at.itsp, SECOND: at.second}[first.remote[0]].next_call()).ring()
            with pytest.raises(CallFailed):
                await placing
            assert server.standing(first) is Standing.UP

    run_virtual(main())


def test_when_both_servers_die_the_line_is_down_in_words_and_up_when_one_is_back(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            await asyncio.sleep(60)
            at.kill(FIRST)
            at.kill(SECOND)
            await asyncio.sleep(240)
            line = at.server.line("itsp")
            assert not line.usable
            assert line.unusable_reason
            at.revive(SECOND)
            await at.agree(SECOND, within_s=120)
            assert at.told()[-1] == "LineUp"
            assert len(at.events_of(LineDown)) == len(at.events_of(LineUp)) == 1

    run_virtual(main())


def test_a_trunk_without_registration_fails_over_and_back_by_its_pings(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with pair(virtual_network, register=False) as at:
            line = at.server.line("itsp")
            await asyncio.sleep(60)
            await at.place(FIRST)
            at.kill(FIRST)
            await asyncio.sleep(90)
            await at.place(SECOND)
            assert list(await line.server.candidates()) == [Flow("udp", (SECOND, 5060))]
            at.revive(FIRST)
            await asyncio.sleep(90)
            await at.place(FIRST)
            assert at.told() == ["LineServerChanged"] * 2

    run_virtual(main())


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.REFUSES])
def test_a_line_that_is_known_outlives_its_dns(run_virtual: Run, virtual_network: VirtualNetwork, fault: Fault) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            at.zone.fault = fault
            for _ in range(3):
                await asyncio.sleep(3_600)
                await at.place(FIRST)
            at.kill(FIRST)
            await at.agree(SECOND, within_s=120)
            assert at.told() == ["LineServerChanged"]

    run_virtual(main())


def test_a_call_from_every_server_of_the_line_is_the_lines(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with pair(virtual_network) as at:
            seen: list[CallSession] = []

            @at.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                seen.append(call)
                call.reject(486)

            for itsp in (at.itsp, at.second):
                itsp.place(
                    Uri("sip", ACCOUNT, SERVER),
                    Flow("udp", (SERVER, 5060)),
                    local=NameAddr(Uri("sip", MOBILE, itsp.realm)),
                    remote=NameAddr(Uri("sip", ACCOUNT, itsp.realm)),
                )
                await asyncio.sleep(1)
            events = at.events_of(IncomingCall)
            assert [(event.from_peer_type, event.from_peer_name, event.from_ip) for event in events] == [
                (PeerType.LINE, "itsp", FIRST),
                (PeerType.LINE, "itsp", SECOND),
            ]

    run_virtual(main())


def sent(at: Pair, method: str) -> list[Message]:
    """Requests of a method that came to the better server."""
    return [message for message in at.itsp.seen if message.method == method]


def test_the_service_route_is_on_calls_and_not_on_register(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        network = virtual_network
        async with pair(network) as at:
            routes = ["<sip:edge.itsp.example;lr>", "<sip:orig@core.itsp.example;lr>"]
            at.itsp.register_headers = [("Service-Route", ", ".join(routes))]
            at.server.register_line("itsp")
            await asyncio.sleep(1)
            await at.place(FIRST)
            await asyncio.sleep(60)
            at.server.register_line("itsp")
            await asyncio.sleep(1)
            assert sent(at, "INVITE")[-1].values("Route") == routes
            assert sent(at, "REGISTER")[-1].values("Route") == []
            assert sent(at, "OPTIONS")[-1].values("Route") == []
            at.itsp.register_headers = []
            at.server.register_line("itsp")
            await asyncio.sleep(1)
            await at.place(FIRST)
            assert sent(at, "INVITE")[-1].values("Route") == []

    run_virtual(main())


def test_an_outbound_proxy_is_the_first_route_of_everything(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with pair(virtual_network, server="reg.example", domain="itsp.example", outbound_proxy=FIRST) as at:
            at.itsp.register_headers = [("Service-Route", f"<sip:{FIRST};lr>, <sip:core.itsp.example;lr>")]
            at.server.register_line("itsp")
            await asyncio.sleep(60)
            await at.place(FIRST)
            assert sent(at, "REGISTER")[-1].values("Route") == [f"<sip:{FIRST};lr>"]
            assert sent(at, "OPTIONS")[-1].values("Route") == [f"<sip:{FIRST};lr>"]
            assert sent(at, "INVITE")[-1].values("Route") == [f"<sip:{FIRST};lr>", "<sip:core.itsp.example;lr>"]
            assert sent(at, "REGISTER")[-1].uri_text == "sip:itsp.example"

    run_virtual(main())


def test_a_provider_that_was_down_and_may_have_forgotten_us_is_registered_at_again(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with world(virtual_network) as at:
            account = at.itsp.accounts[ACCOUNT]
            await asyncio.sleep(60)  # it has answered a ping
            assert account.registrations == 1
            links = [at.network.link(SERVER, PROVIDER), at.network.link(PROVIDER, SERVER)]
            for link in links:
                link.up = False
            await asyncio.sleep(150)
            assert len(at.events_of(LineDown)) == 1
            for link in links:
                link.up = True
            await asyncio.sleep(60)
            assert len(at.events_of(LineUp)) == 1
            assert account.registrations == 2

    run_virtual(main())
