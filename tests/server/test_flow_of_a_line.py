"""An outbound line over TCP on the virtual network: its calls both ways use the flow that it registered over, and keep it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.server.world import ACCOUNT, MOBILE, PROVIDER, REALM, SERVER
from trunkline import CallSession, Transport
from trunkline.events import LineRegisterFailed
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import RequestReceived
from trunkline.testing import Itsp, VirtualNetwork
from trunkline.testing.network import VirtualDriver

Run = Callable[[Any], Any]


class Edge(Itsp):
    """A provider that notes which connection requests came over."""

    connections: list[tuple[str, int]]

    def on_invite(self, request: RequestReceived) -> None:
        self.connections.append(("INVITE", request.flow.connection))
        super().on_invite(request)

    def on_other(self, request: RequestReceived) -> None:
        self.connections.append((request.message.method, request.flow.connection))
        super().on_other(request)

    @property
    def used(self) -> set[int]:
        return {connection for _, connection in self.connections}

    def close_connection(self) -> None:
        driver = self.endpoint.driver
        assert isinstance(driver, VirtualDriver)
        for number in list(driver._streams):
            driver.close_stream(number)


@contextlib.asynccontextmanager
async def edge(network: VirtualNetwork, **line: Any) -> AsyncIterator[tuple[SipServer, Edge]]:
    server = SipServer(realm=REALM, listen=[f"tcp://{SERVER}:5060"], platform=network.host(SERVER), stop_timeout_s=1)
    itsp = Edge({ACCOUNT: "line secret"}, platform=network.host(PROVIDER), address=PROVIDER, port=5060, transport="tcp")
    itsp.connections = []
    itsp.register_headers = [("Require", "outbound"), ("Flow-Timer", "60")]
    server.add_line(
        "itsp", username=ACCOUNT, password="line secret", server=PROVIDER, domain=itsp.realm, outbound=True,
        transport=Transport.TCP, **line,
    )  # fmt: skip

    @server.on_incoming_call
    async def decide(call: CallSession) -> None:
        call.reject(486)

    async with itsp, server:
        await itsp.wait_registered(ACCOUNT)
        await asyncio.sleep(0.1)
        yield server, itsp


def test_calls_both_ways_and_pings_use_the_connection_that_was_registered_over(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with edge(virtual_network) as (server, itsp):
            placing = asyncio.create_task(server.dial(MOBILE, line="itsp"))
            call = await itsp.next_call()
            call.answer()
            session = await placing
            assert call.invite is not None
            assert call.invite.contacts[0].uri.param("ob") == ""
            session.close()
            await asyncio.sleep(60)
            incoming = itsp.dial(ACCOUNT, caller_id=MOBILE)
            assert (await incoming.wait_ended()).status == 486
            assert {"REGISTER", "INVITE", "OPTIONS"} <= {method for method, _ in itsp.connections}
            assert len(itsp.used) == 1

    run_virtual(main())


def test_a_flow_that_fails_is_replaced_at_once_and_calls_come_over_the_new_one(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with edge(virtual_network, ping_interval_s=0) as (server, itsp):
            await asyncio.sleep(60)
            granted = itsp.accounts[ACCOUNT].registrations
            itsp.close_connection()
            await asyncio.sleep(0.5)
            assert itsp.accounts[ACCOUNT].registrations == granted + 1
            assert len(itsp.used) == 2
            assert (await itsp.dial(ACCOUNT, caller_id=MOBILE).wait_ended()).status == 486
            assert not [event for event in server.recorder.events if isinstance(event, LineRegisterFailed)]

    run_virtual(main())


def test_a_flow_is_kept_alive_ahead_of_the_providers_timer(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with edge(virtual_network, ping_interval_s=0) as (_, itsp):
            driver = itsp.endpoint.driver
            assert isinstance(driver, VirtualDriver)
            times: list[float] = []
            receive = driver.receive_stream
            loop = asyncio.get_running_loop()

            def listening(number: int, data: bytes) -> None:
                if data == b"\r\n\r\n":
                    times.append(loop.time())
                receive(number, data)

            driver.receive_stream = listening  # type: ignore[method-assign]
            await asyncio.sleep(600)
            gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
            assert len(gaps) >= 9
            assert max(gaps) <= 60

    run_virtual(main())
