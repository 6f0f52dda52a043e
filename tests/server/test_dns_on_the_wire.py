"""A whole server on real sockets whose name server, a real one too, answers, is cut short, lies and dies under it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.world import MOBILE, REALM
from trunkline.errors import CallFailed
from trunkline.server.server import SipServer
from trunkline.sip.resolver import CachingResolver, DnsLookup
from trunkline.testing import Fault, Itsp, NameServer, Zone

HERE = "127.0.0.1"


@contextlib.asynccontextmanager
async def served(zone: Zone, folder: Path) -> AsyncIterator[tuple[SipServer, Itsp]]:
    """A server with the line `itsp`, which is found by SRV."""
    (folder / "resolv.conf").write_text(f"nameserver {HERE}\n")
    async with NameServer(zone) as names, Itsp({"1555": "secret"}) as itsp:
        zone.add("_sip._udp.itsp.example", "SRV", f"10 0 {itsp.port} one.itsp.example.")
        zone.add("one.itsp.example", "A", HERE)
        lookup = DnsLookup(hosts=folder / "none", resolv_conf=folder / "resolv.conf", port=names.port)
        resolver = CachingResolver(lookup, asyncio.get_running_loop().time, timeout_s=2.0)
        server = SipServer(realm=REALM, listen=[f"udp://{HERE}:0"], resolver=resolver, stop_timeout_s=0.2)
        server.add_line("itsp", username="1555", password="secret", server="itsp.example")
        try:
            async with server:
                await itsp.wait_registered("1555", 20)
                while not server.line("itsp").usable:
                    await asyncio.sleep(0.01)
                yield server, itsp
        finally:
            await resolver.close()


async def placed(server: SipServer, itsp: Itsp) -> None:
    placing = asyncio.create_task(server.dial(MOBILE, line="itsp"))
    (await itsp.next_call(20)).answer()
    session = await placing
    session.close()
    await session.wait_closed()


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.TRUNCATES])
def test_a_line_is_found_by_its_srv_record_however_long_the_answer(fault: Fault, tmp_path: Path) -> None:
    async def main() -> None:
        zone = Zone()
        zone.fault = fault
        async with served(zone, tmp_path) as (server, itsp):
            used = server.line("itsp").server_in_use
            assert used is not None
            assert used.remote == (HERE, itsp.port)
            await placed(server, itsp)

    asyncio.run(main())


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.LIES, Fault.REFUSES])
def test_bad_dns_stops_neither_a_known_line_nor_the_server(fault: Fault, tmp_path: Path) -> None:
    async def main() -> None:
        zone = Zone()
        async with served(zone, tmp_path) as (server, itsp):
            zone.fault = fault
            server.add_line("other", username="1", server="other.example", register=False)
            stuck = asyncio.create_task(server.dial(MOBILE, line="other"))
            for _ in range(3):
                await placed(server, itsp)
            with pytest.raises(CallFailed) as failed:
                await stuck
            assert failed.value.status == 503

    asyncio.run(main())
