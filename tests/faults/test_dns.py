"""DNS is gone: the name server answers nothing, real sockets all around."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.talking import hears, talk
from tests.server.world import ACCOUNT, MOBILE, REALM
from trunkline.server.back_off import Schedule
from trunkline.server.server import SipServer
from trunkline.sip.resolver import CachingResolver, DnsLookup
from trunkline.testing import Fault, Itsp, NameServer, Phone, Zone

HERE = "127.0.0.1"
PATIENCE_S = 30.0
OTHER = "15550000"


@contextlib.asynccontextmanager
async def served(zone: Zone, folder: Path) -> AsyncIterator[tuple[SipServer, Itsp]]:
    (folder / "resolv.conf").write_text(f"nameserver {HERE}\n")
    async with NameServer(zone) as names, Itsp({ACCOUNT: "line secret", OTHER: "line secret"}) as itsp:
        for name in ("itsp", "other"):
            zone.add(f"_sip._udp.{name}.example", "SRV", f"10 0 {itsp.port} one.{name}.example.")
            zone.add(f"one.{name}.example", "A", HERE)
        lookup = DnsLookup(hosts=folder / "none", resolv_conf=folder / "resolv.conf", port=names.port)
        resolver = CachingResolver(lookup, asyncio.get_running_loop().time, timeout_s=0.5)
        server = SipServer(realm=REALM, listen=[f"udp://{HERE}:0"], resolver=resolver, stop_timeout_s=0.2)
        server.add_user("alice", password="secret of alice")
        server.add_line("itsp", username=ACCOUNT, password="line secret", server="itsp.example", domain=itsp.realm)
        server.on_incoming_call(lambda call: call.accept(to_line="itsp"))
        try:
            async with server:
                await itsp.wait_registered(ACCOUNT, PATIENCE_S)
                yield server, itsp
        finally:
            await resolver.close()


@pytest.mark.timeout(90)
def test_dns_that_is_gone_stops_no_known_line_and_a_new_one_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a registration that failed for want of an address is tried again after 2 s, 30 s and so on: here always after one
    monkeypatch.setattr("trunkline.server.line_registration.OUTAGE", Schedule(first_s=1.0, second_s=1.0, limit_s=1.0))

    async def main() -> None:
        zone = Zone(ttl_s=1, negative_ttl_s=1)
        async with (
            served(zone, tmp_path) as (server, itsp),
            Phone("alice", "secret of alice", server.local_address(), realm=REALM) as alice,
        ):
            await alice.register()
            standing = await talk(alice, itsp, MOBILE)
            zone.fault = Fault.DEAD
            account = itsp.accounts[ACCOUNT]
            before = account.registrations
            server.add_line("other", username=OTHER, password="line secret", server="other.example", domain=itsp.realm)
            # longer than the records were good for
            await asyncio.sleep(2.0)
            assert await hears(standing)
            near, far = await talk(alice, itsp, MOBILE)
            assert await hears((near, far))
            near.hangup()
            await far.wait_ended()
            server.register_line("itsp")
            async with asyncio.timeout(PATIENCE_S):
                while account.registrations == before:
                    await asyncio.sleep(0.02)
            assert not server.line("other").registered
            zone.fault = Fault.NONE
            await itsp.wait_registered(OTHER, PATIENCE_S)
            standing[0].hangup()
            await standing[1].wait_ended()

    asyncio.run(main())
