"""What Prometheus reads, asked over HTTP of a server that carries a call."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trunkline import CallSession
from trunkline.errors import ConfigurationError, ListenError
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Codec
from trunkline.testing import CallRefused, Phone

REALM = "metrics.example"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _read(url: str) -> Samples:
    with urllib.request.urlopen(url, timeout=20) as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


async def _asked(server: SipServer) -> Samples:
    address = server.metrics_address
    assert address is not None
    return await asyncio.to_thread(_read, f"http://{address[0]}:{address[1]}/metrics")


def _server() -> SipServer:
    server = SipServer(realm=REALM, listen=["udp://127.0.0.1:0"], metrics="http://127.0.0.1:0")
    for name in ("alice", "bob"):
        server.add_user(name, password=f"secret of {name}")

    @server.on_incoming_call
    async def route(call: CallSession) -> None:
        await call.accept(to_user=call.dial_number)

    return server


def _phone(name: str, server: SipServer) -> Phone:
    return Phone(name, f"secret of {name}", server.local_address(), realm=REALM)


def test_invites_that_make_no_session_are_counted_by_whom_and_by_status() -> None:
    async def main() -> None:
        server = _server()
        async with server:
            phone = Phone(
                "alice", "secret of alice", server.local_address(), realm=REALM, codecs=[Codec("speex", 8000)]
            )
            async with phone:
                with pytest.raises(CallRefused):
                    await phone.dial("bob").wait_answered()
            found = await _asked(server)
            assert found["trunkline_incoming_calls_refused_total", (("peer", "user"), ("status", "488"))] == 1
            assert not [key for key in found if key[0] == "trunkline_calls_total"]

    asyncio.run(main())


def test_the_mos_of_each_leg_of_a_call_that_is_over_is_observed() -> None:
    async def main() -> None:
        server = _server()
        async with server, _phone("alice", server) as alice, _phone("bob", server) as bob:
            await alice.register()
            await bob.register()
            call = alice.dial("bob")
            answered = await bob.next_call()
            answered.answer()
            await call.wait_answered()
            for each in (call, answered):
                each.play_tone(500.0)
            (session,) = server.calls
            async with asyncio.timeout(10):
                while (quality := session.quality.zero) is None or quality.received is None:
                    await asyncio.sleep(0.05)
            call.hangup()
            await session.wait_closed()
            key = "trunkline_call_mos_count", (("direction", "received"), ("scale", "narrowband"))
            async with asyncio.timeout(10):
                while key not in (found := await _asked(server)):
                    await asyncio.sleep(0.05)
            assert 1 <= found[key] <= 2
            name, labels = "trunkline_call_mos_sum", key[1]
            assert found[name, labels] / found[key] > 4.2

    asyncio.run(main())


def test_a_call_is_counted_and_what_stands_is_read() -> None:
    async def main() -> None:
        server = _server()
        async with server, _phone("alice", server) as alice, _phone("bob", server) as bob:
            await alice.register()
            await bob.register()
            call = alice.dial("bob")
            answered = await bob.next_call()
            answered.answer()
            await call.wait_answered()
            during = await _asked(server)
            assert during["trunkline_sessions", (("state", "connected"),)] == 1
            assert during["trunkline_contacts", ()] == 2
            assert during["trunkline_media_legs", ()] == 2
            assert during["trunkline_sip_dialogs", ()] == 2
            assert during["trunkline_call_setup_seconds_count", ()] == 1
            assert during["trunkline_user_registrations_total", (("outcome", "registered"),)] == 2
            call.hangup()
            for session in server.calls:
                await session.wait_closed()
            after = await _asked(server)
            assert after["trunkline_calls_total", (("peer", "user"), ("reason", "hangup"))] == 1
            assert after["trunkline_call_duration_seconds_count", ()] == 1
            assert ("trunkline_sessions", (("state", "connected"),)) not in after
            assert after["trunkline_sip_messages_total", (("kind", "received"),)] >= 10

    asyncio.run(main())


def test_a_failed_attempt_is_counted_by_its_status() -> None:
    async def main() -> None:
        server = _server()
        async with server, _phone("alice", server) as alice, _phone("bob", server) as bob:
            await alice.register()
            await bob.register()
            call = alice.dial("bob")
            (await bob.next_call()).reject(486)
            with pytest.raises(CallRefused):
                await call.wait_answered()
            found = await _asked(server)
            assert found["trunkline_attempts_failed_total", (("channel", "one"), ("status", "486"))] == 1
            assert found["trunkline_calls_total", (("peer", "user"), ("reason", "failed"))] == 1
            assert found["trunkline_call_setup_seconds_count", ()] == 0

    asyncio.run(main())


def test_a_loop_that_is_held_is_told_and_nothing_else_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("trunkline.server.metrics.LOOP_PATIENCE_S", 0.05)
        server = _server()
        async with server:
            address = server.metrics_address
            assert address is not None
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                asked = pool.submit(_read, f"http://{address[0]}:{address[1]}/metrics")
                found = asked.result(20)  # the loop is held meanwhile
            assert found["trunkline_loop_lag_seconds", ()] == pytest.approx(0.05)
            assert ("trunkline_contacts", ()) not in found

    asyncio.run(main())


def test_the_address_answers_no_more_after_the_stop_and_again_after_a_start() -> None:
    async def main() -> None:
        server = _server()
        async with server:
            first = server.metrics_address
        assert first is not None
        with pytest.raises(OSError, match="refused"):
            await asyncio.to_thread(_read, f"http://{first[0]}:{first[1]}/metrics")
        async with server:
            assert ("trunkline_contacts", ()) in await _asked(server)

    asyncio.run(main())


def test_a_taken_address_is_named() -> None:
    async def main() -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            url = f"http://127.0.0.1:{holder.getsockname()[1]}"
            with pytest.raises(ListenError, match="metrics cannot be served there"):
                await SipServer(realm=REALM, listen=[], metrics=url).start()

    asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9464", "https://127.0.0.1:9464", "http://localhost:9464", "http://127.0.0.1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="metrics"):
        SipServer(realm=REALM, metrics=url)


def test_the_guide_names_every_number() -> None:
    async def main() -> set[str]:
        server = _server()
        async with server:
            return {name for name, _ in await _asked(server)}

    page = (Path(__file__).resolve().parents[2] / "docs/guides/records.rst").read_text()
    found = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in asyncio.run(main())}
    named = set(re.findall(r"``(trunkline_\w+)``", page))
    assert found - named == set()
