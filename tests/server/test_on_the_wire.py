"""Users and lines of a whole server on the virtual network: the extension's own parser, digest and transactions below them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.server.provider import Dns
from trunkline.errors import ConfigurationError
from trunkline.events import (
    Event,
    LineRegisterFailed,
    LineRegisterSuccess,
    RegisterUserFailed,
    RegisterUserSuccess,
    UnregisterUser,
)
from trunkline.server.line import LineState
from trunkline.server.registrar import RegisterRequest
from trunkline.server.server import SipServer
from trunkline.sip.endpoint import Flow, Message
from trunkline.sip.resolver import Answer, DnsLookup
from trunkline.testing.clock import run
from trunkline.testing.itsp import Itsp
from trunkline.testing.network import VirtualDriver, VirtualNetwork
from trunkline.testing.phone import Phone, RegistrationRefused

REALM = "pbx.example"
SERVER = "10.0.0.1"


class Town:
    """A network with a server at 10.0.0.1 and whoever else a test puts there."""

    def __init__(self, **settings: Any) -> None:
        self.network = VirtualNetwork()
        self.names = Dns({"localhost": ["127.0.0.1"]})
        self.settings: dict[str, Any] = {
            "realm": REALM, "listen": [f"udp://{SERVER}:5060", f"tcp://{SERVER}:5060"], **settings,
        }  # fmt: skip
        self.events: list[Event] = []
        self.started = 0

    def server(self) -> SipServer:
        self.started += 1
        host = self.network.host(SERVER)
        server = SipServer(platform=host, resolver=self.names, **self.settings)
        loop = asyncio.get_running_loop()
        server._wall_clock = lambda: 1_700_000_000.0 + loop.time()
        server.add_user("alice", password="secret")
        for kind in (RegisterUserSuccess, RegisterUserFailed, UnregisterUser, LineRegisterFailed, LineRegisterSuccess):
            server._handlers.append((kind, self.events.append))
        return server

    def phone(self, address: str = "10.0.1.1", password: str = "secret", **options: Any) -> Phone:
        host = self.network.hosts.get(address) or self.network.host(address)
        return Phone("alice", password, (SERVER, 5060), realm=REALM, platform=host, address=address, **options)

    def itsp(self, address: str = "10.0.2.1") -> Itsp:
        self.names["itsp.example"] = [address]
        host = self.network.host(address)
        return Itsp({"15551234": "s3cret"}, platform=host, address=address, port=5060)

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def town(scenario: Callable[[Town], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def main() -> None:
        await scenario(Town(**settings))

    run(main())


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_phone_registers_with_digest_and_refreshes(algorithm: str) -> None:
    async def scenario(t: Town) -> None:
        async with t.server() as server, t.phone() as alice:
            answer = await alice.register(600)
            assert [contact.param("expires") for contact in answer.contacts] == ["600"]
            await asyncio.sleep(3_600)
            (binding,) = server.registrations("alice")
            assert binding.flow.remote[0] == "10.0.1.1"
        told = [event.refresh for event in t.events if isinstance(event, RegisterUserSuccess)]
        assert told[:3] == [False, True, True]
        assert t.of(UnregisterUser) == []

    town(scenario, digest_algorithm=algorithm)


def test_a_wrong_password_is_refused_and_told() -> None:
    async def scenario(t: Town) -> None:
        async with t.server() as server, t.phone(password="guess") as alice:
            with pytest.raises(RegistrationRefused) as caught:
                await alice.register()
            assert caught.value.status == 401
            assert server.registrations("alice") == ()
        assert [event.status for event in t.events if isinstance(event, RegisterUserFailed)] == [401]

    town(scenario)


def test_what_is_added_before_the_start_is_stored_where_it_is_to_be(tmp_path: Path) -> None:
    async def scenario(t: Town) -> None:
        first = t.server()
        own = {
            "session_expires_s": 600,
            "min_se_s": 120,
            "follow_redirects": 3,
            "rtcp_mux": True,
            "large_over_tcp": False,
            "dtmf": "inband",
        }
        first.add_user("bob", password="secret of bob", stored=True, media_timeout_s=7, **own)
        first.add_line("itsp", username="15551234", server="itsp.example", register=False, stored=True)
        first.add_line_group("trunks", lines=["itsp"], max_calls=3, stored=True)
        async with first:
            first.add_line_group(
                "late", lines=["itsp"], strategy="least_cost", rates={"itsp": {"49": "0.01"}}, stored=True
            )
            first.add_line_group("kept not", lines=["itsp"])
            first.add_line_group("gone", lines=["itsp"], stored=True)
            first.remove_line_group("gone")
        async with t.server() as second:
            assert second.has_user("bob")
            assert second._users["bob"].media_timeout_s == 7
            assert {key: getattr(second._users["bob"], key) for key in own} == own
            assert [line.name for line in second.lines] == ["itsp"]
            groups = {group.name: group for group in second.line_groups}
            assert sorted(groups) == ["late", "trunks"]
            assert groups["trunks"].max_calls == 3
            assert groups["late"].rates["itsp"] == {"49": Decimal("0.01")}

    town(scenario, storage=tmp_path / "pbx.db")


def test_a_stored_user_that_is_removed_while_the_server_is_stopped_stays_away(tmp_path: Path) -> None:
    async def scenario(t: Town) -> None:
        first = t.server()
        first.add_user("bob", password="secret of bob", stored=True)
        first.add_user("carol", password="secret of carol", stored=True)
        async with first:
            pass
        first.remove_user("bob")
        first.remove_user("carol")
        first.add_user("carol", password="another", stored=True)
        first._platform = t.network.host(SERVER)
        async with first:
            assert not first.has_user("bob")
            assert first.has_user("carol")
        async with t.server() as second:
            assert not second.has_user("bob")
            assert second.has_user("carol")

    town(scenario, storage=tmp_path / "pbx.db")


def test_nobody_can_ask_before_the_server_knows_whom_to_challenge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    listen, challenge = VirtualDriver.listen, VirtualDriver.set_challenge

    def listening(driver: VirtualDriver, *args: Any) -> Any:
        steps.append("listen")
        asyncio.get_running_loop().call_soon(steps.append, "others run")
        return listen(driver, *args)

    def challenging(driver: VirtualDriver, realm: str, *args: Any, **options: Any) -> None:
        steps.append(f"challenge for {realm}")
        challenge(driver, realm, *args, **options)

    async def scenario(t: Town) -> None:
        async with t.server(), t.phone() as alice:
            await alice.register()
        monkeypatch.setattr(VirtualDriver, "listen", listening)
        monkeypatch.setattr(VirtualDriver, "set_challenge", challenging)
        steps.clear()
        async with t.server() as server:
            assert len(server.registrations("alice")) == 1
            assert steps == [f"challenge for {REALM}", "listen", "listen"]

    town(scenario, storage=tmp_path / "pbx.db")


def test_a_trace_file_that_cannot_be_written_stops_the_start_before_anything_is_open(tmp_path: Path) -> None:
    async def scenario(t: Town) -> None:
        server = t.server()
        server.trace(tmp_path / "none" / "sip.pcap")
        threads = set(threading.enumerate())
        with pytest.raises(ConfigurationError, match=r"pcap: .*none/sip\.pcap cannot be written: No such file"):
            await server.start()
        assert set(threading.enumerate()) == threads
        assert not (tmp_path / "pbx.db").exists()

    town(scenario, storage=tmp_path / "pbx.db")


def test_a_trace_file_named_while_the_server_runs_is_written_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "sip.pcap"

    async def scenario(t: Town) -> None:
        async with t.server() as server, t.phone() as alice:
            with pytest.raises(ConfigurationError, match="cannot be written"):
                server.trace(tmp_path / "none" / "sip.pcap")
            assert server.recorder.messages == []
            server.trace(path)
            server.trace(path)
            await alice.register()
            assert path.read_bytes().count(b"REGISTER sip:") == 2

    town(scenario)


def test_whatever_fails_while_it_stops_everything_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(t: Town) -> None:
        async def broken(*args: object) -> None:
            raise RuntimeError("a bug")

        closed: list[str] = []
        server = t.server()
        server.trace(tmp_path / "sip.pcap")
        server.add_line("itsp", username="15551234", server="itsp.example", register=False)
        await server.start()
        running = server._now
        close = running.store.close if running.store is not None else broken

        async def closing() -> None:
            closed.append("store")
            await close()

        monkeypatch.setattr(running.store, "close", closing)
        monkeypatch.setattr(running.exchange, "close_all", broken)
        monkeypatch.setattr(running._dispatcher, "stop", broken)
        with pytest.raises((RuntimeError, ExceptionGroup)):
            await server.stop()
        assert closed == ["store"]
        assert isinstance(running.endpoint.driver, VirtualDriver)
        assert running.endpoint.driver.closed
        assert not [task for task in asyncio.all_tasks() if "locate line" in task.get_name()]
        running._dispatcher._watch.stop()

    town(scenario, storage=tmp_path / "pbx.db")


def test_a_lookup_that_runs_ends_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(lookup: DnsLookup, name: str, kind: str) -> Answer[str]:
        await asyncio.sleep(3_600)
        raise AssertionError

    monkeypatch.setattr(DnsLookup, "__call__", silent)

    async def main() -> None:
        server = SipServer(realm=REALM, listen=[f"udp://{SERVER}:5060"], platform=VirtualNetwork().host(SERVER))
        server.add_line("itsp", username="15551234", server="itsp.example", register=False)
        async with server:
            await asyncio.sleep(0.1)
            assert [task for task in asyncio.all_tasks() if task.get_name().startswith("resolve ")]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


class Counting:
    """Counts what a stranger is answered."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()

    def on_response(self, tx: int, message: Message, flow: Flow) -> None:
        self.statuses[message.status] += 1

    def on_failure(self, tx: int, reason: str | None) -> None:
        self.statuses[0] += 1


@pytest.mark.parametrize(("method", "served"), [("OPTIONS", 200), ("REGISTER", 404)])
def test_what_nobody_is_challenged_for_is_bounded_a_source(method: str, served: int) -> None:
    async def scenario(t: Town) -> None:
        server = t.server()

        @server.on_register_user
        async def decide(request: RegisterRequest) -> None:
            request.accept()

        async with server, t.phone("10.0.3.1") as stranger, t.phone() as alice:
            answers = Counting()

            def ask(number: int) -> None:
                headers = [
                    ("From", f"<sip:nobody@{REALM}>;tag={number}"), ("To", f"<sip:nobody@{REALM}>"),
                    ("Call-ID", f"call{number}"), ("CSeq", f"1 {method}"), ("Max-Forwards", "70"),
                ]  # fmt: skip
                stranger.endpoint.send_request(
                    method, f"sip:{REALM}", headers, b"", Flow("udp", (SERVER, 5060)), answers
                )

            for number in range(300):
                ask(number)
            await asyncio.sleep(1)
            assert 100 <= answers.statuses[served] <= 130
            assert answers.statuses[503] == 300 - answers.statuses[served]
            await alice.register()  # nobody else suffers
            await asyncio.sleep(10)
            ask(1000)
            await asyncio.sleep(1)
            assert answers.statuses[served] > 100
            assert sum(answers.statuses.values()) == 301

    town(scenario)


def test_without_a_store_nothing_can_be_stored() -> None:
    server = SipServer(realm=REALM)
    with pytest.raises(ConfigurationError, match=r"users\.bob\.stored: nothing is stored"):
        server.add_user("bob", password="x", stored=True)
    with pytest.raises(ConfigurationError, match=r"lines\.itsp\.stored: nothing is stored"):
        server.add_line("itsp", username="1", server="itsp.example", stored=True)
    server.add_line("itsp", username="1", server="itsp.example")
    with pytest.raises(ConfigurationError, match=r"line_groups\.g\.stored: nothing is stored"):
        server.add_line_group("g", lines=["itsp"], stored=True)
    assert not server.has_user("bob")


def test_a_register_lost_and_repeated_binds_once() -> None:
    async def scenario(t: Town) -> None:
        for pair in (("10.0.1.1", SERVER), (SERVER, "10.0.1.1")):
            t.network.link(*pair).duplicate = 1.0
            t.network.link(*pair).loss = 0.3
        async with t.server() as server, t.phone() as alice:
            await alice.register(timeout_s=30)
            assert len(server.registrations("alice")) == 1

    town(scenario)


def test_bindings_survive_a_restart_on_a_file(tmp_path: Path) -> None:
    async def scenario(t: Town) -> None:
        async with t.phone() as alice:
            async with t.server():
                await alice.register(3600)
            await asyncio.sleep(100)
            async with t.server() as server:
                (binding,) = server.registrations("alice")
                left = binding.expires_at - asyncio.get_running_loop().time()
                assert left == pytest.approx(3500, abs=1)
        assert t.of(UnregisterUser) == []

    town(scenario, storage=tmp_path / "pbx.db")


def test_a_phone_on_tcp_is_called_over_a_new_connection_when_its_own_is_gone() -> None:
    async def scenario(t: Town) -> None:
        async with t.server() as server, t.phone(transport="tcp") as alice:
            await alice.register()
            (binding,) = server.registrations("alice")
            t.network.hosts["10.0.1.1"].driver.close_stream(binding.flow.connection)
            await asyncio.sleep(1)
            (binding,) = server.registrations("alice")
            assert binding.flow.connection == 0
            calling = asyncio.ensure_future(server.dial_user("alice"))
            (await alice.next_call()).answer()
            (await calling).close()
        assert t.of(UnregisterUser) == []

    town(scenario)


def test_a_line_registers_stays_registered_and_unregisters_at_stop() -> None:
    async def scenario(t: Town) -> None:
        async with t.itsp() as itsp:
            itsp.expires_s = 120
            itsp.extra_contacts = ["<sip:other@10.9.9.9>;expires=7"]
            async with t.server() as server:
                server.add_line("itsp", username="15551234", password="s3cret", server="itsp.example")
                account = await itsp.wait_registered("15551234")
                await asyncio.sleep(0.1)  # the answer travels
                assert server.line("itsp").state is LineState.REGISTERED
                # nonces are forgotten again and again: stale is no refusal
                for _ in range(10):
                    await asyncio.sleep(300)
                    itsp.challenge_everybody()
                    assert account.expires_at_s > asyncio.get_running_loop().time()
                assert 25 <= account.registrations <= 40
            assert account.contact is None
        assert len(t.of(LineRegisterSuccess)) == 1
        assert t.of(LineRegisterFailed) == []

    town(scenario)


def test_a_line_whose_password_is_wrong_says_so_and_is_quiet() -> None:
    async def scenario(t: Town) -> None:
        async with t.itsp() as itsp, t.server() as server:
            server.add_line("itsp", username="15551234", password="wrong", server="itsp.example")
            await asyncio.sleep(200)
            assert "does not take the user name or password" in server.line("itsp").unusable_reason
            assert len([message for message in itsp.seen if message.method == "REGISTER"]) <= 2
            itsp.accounts["15551234"].password = "wrong"
            await itsp.wait_registered("15551234", 400)
            await asyncio.sleep(0.1)
            assert server.line("itsp").usable

    town(scenario)


def test_a_provider_that_is_down_at_start_is_registered_at_when_it_is_back() -> None:
    async def scenario(t: Town) -> None:
        async with t.itsp() as itsp:
            t.network.link(SERVER, "10.0.2.1").up = False
            async with t.server() as server:
                server.add_line("itsp", username="15551234", password="s3cret", server="itsp.example")
                await asyncio.sleep(3_600)
                assert server.line("itsp").unusable_reason == "no answer from the provider"
                t.network.link(SERVER, "10.0.2.1").up = True
                await itsp.wait_registered("15551234", 1_100)
                await asyncio.sleep(1)
                assert server.line("itsp").usable

    town(scenario)


def test_423_and_retry_after_of_a_real_registrar() -> None:
    async def scenario(t: Town) -> None:
        async with t.itsp() as itsp, t.server() as server:
            itsp.min_expires_s = 2_000
            itsp.refuse_register, itsp.retry_after_s = 503, 120
            server.add_line("itsp", username="15551234", password="s3cret", server="itsp.example")
            await asyncio.sleep(1)
            assert 115 <= (server.line("itsp").next_attempt_in_s or 0) <= 132
            itsp.refuse_register = 0
            await itsp.wait_registered("15551234", 200)
            assert itsp.accounts["15551234"].registrations == 1

    town(scenario)


def test_dead_dns_neither_stops_the_server_nor_the_phones() -> None:
    async def scenario(t: Town) -> None:
        async with t.server() as server, t.phone() as alice:
            server.add_line("itsp", username="15551234", password="s3cret", server="nowhere.example")
            await alice.register()
            await asyncio.sleep(60)
            assert "no such name" in server.line("itsp").unusable_reason
            assert len(server.registrations("alice")) == 1

    town(scenario)
