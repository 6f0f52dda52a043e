"""Whole calls over line groups: a line that is dead, limits, emergency calls, several destinations; in code and in a file."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.server.world import ACCOUNT, MOBILE, REALM, SERVER, World, world
from trunkline import (
    AtOnce,
    CallFailed,
    CallSession,
    ConfigurationError,
    NoAnswer,
    PeerType,
    SipServer,
    ToLine,
    ToUser,
    UnknownPeer,
)
from trunkline.cli.load import server_of
from trunkline.events import AttemptFailed, CallSessionFailed, CallSessionTimeout
from trunkline.features.dialplan import DialPlan, Route
from trunkline.server import routing
from trunkline.server.config import load_file, problems_in
from trunkline.sip.endpoint import Flow
from trunkline.testing import CallRefused, Itsp, VirtualNetwork

Run = Callable[[Any], Any]

BACKUP = "10.0.0.10"


@dataclass
class Two:
    """A world with the lines itsp and backup in the group trunks; the backup does not register."""

    at: World
    backup: Itsp

    @property
    def server(self) -> SipServer:
        return self.at.server

    @property
    def failed(self) -> list[tuple[str, int, str]]:
        return [(event.peer_name, event.status, event.server) for event in self.at.events_of(AttemptFailed)]


@contextlib.asynccontextmanager
async def two(
    network: VirtualNetwork,
    *,
    first: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Two]:
    host = network.host(BACKUP)
    backup = Itsp({ACCOUNT: "line secret"}, platform=host, address=BACKUP, port=5060, realm="backup.example")
    async with backup, world(network, line=first, **options) as at:
        settings = {"username": ACCOUNT, "password": "line secret", "server": f"{BACKUP}:5060"}
        at.server.add_line("backup", **{**settings, "domain": backup.realm, "register": False, **(second or {})})
        at.server.add_line_group("trunks", **{"lines": ["itsp", "backup"], **(group or {})})
        await asyncio.sleep(1)  # the first is registered
        yield Two(at, backup)


def to_trunks(server: SipServer) -> None:
    @server.on_incoming_call
    async def decide(call: CallSession) -> None:
        await call.accept(to_line="trunks")


async def closed(server: SipServer) -> None:
    for call in server.calls:
        call.close()
    await asyncio.sleep(1)
    assert server.calls == ()


def test_when_the_first_line_is_dead_the_second_takes_the_call(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with two(virtual_network) as w:
            to_trunks(w.server)
            alice = await w.at.phone("alice")
            w.at.itsp.silent = True
            virtual_network.link(SERVER, "10.0.0.9").up = False
            call = alice.dial(MOBILE)
            mobile = await w.backup.next_call(7)
            assert mobile.dialled == MOBILE
            mobile.answer()
            await call.wait_answered()
            assert w.failed == [("itsp", 408, "udp:10.0.0.9:5060")]
            (session,) = w.server.calls
            assert session.one is not None
            assert session.one.party is not None
            assert session.one.party.name == "backup"
            call.hangup()
            assert (await mobile.wait_ended()).how == "bye"
            virtual_network.link(SERVER, "10.0.0.9").up = True
            w.at.itsp.silent = False
            await closed(w.server)
            await alice.stop()

    run_virtual(main())


@pytest.mark.parametrize(("status", "goes_on"), [(503, True), (500, False), (None, True)])
def test_the_servers_of_a_line_are_tried_in_turn(
    run_virtual: Run,
    virtual_network: VirtualNetwork,
    monkeypatch: pytest.MonkeyPatch,
    status: int | None,
    goes_on: bool,
) -> None:
    """Until the line knows several servers, they are put into its mouth."""
    flows = [Flow("udp", (host, 5060)) for host in ("10.0.0.9", BACKUP)]

    async def main() -> None:
        async with two(virtual_network) as w:
            monkeypatch.setattr(routing, "_line_flows", lambda line: flows)
            dialling = asyncio.ensure_future(w.server.dial(MOBILE, line="itsp"))
            if status is None:
                w.at.itsp.silent = True
                virtual_network.link(SERVER, "10.0.0.9").up = False
            else:
                (await w.at.itsp.next_call()).reject(status)
            if goes_on:
                mobile = await w.backup.next_call(7)
                assert mobile.invite is not None
                assert mobile.invite.uri.host == w.at.itsp.realm  # the same account, at another address
                mobile.answer()
                assert (await dialling).from_peer_name == "itsp"
            else:
                with pytest.raises(CallFailed):
                    await dialling
            assert w.failed == [("itsp", status or 408, "udp:10.0.0.9:5060")]
            virtual_network.link(SERVER, "10.0.0.9").up = True
            w.at.itsp.silent = False
            await closed(w.server)

    run_virtual(main())


def test_a_line_that_cannot_be_used_is_passed_over_at_once(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with two(virtual_network) as w:
            to_trunks(w.server)
            alice = await w.at.phone("alice")
            await w.server.unregister_line("itsp")
            call = alice.dial(MOBILE)
            (await w.backup.next_call(1)).answer()
            await call.wait_answered()
            (event,) = w.at.events_of(AttemptFailed)
            assert (event.peer_name, event.target, event.reason) == (
                "itsp", "", "line itsp cannot be used: it is not registered",
            )  # fmt: skip
            await closed(w.server)
            await alice.stop()

    run_virtual(main())


def test_a_slot_of_a_line_is_free_again_when_the_call_has_gone_on(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with two(virtual_network, first={"max_calls": 1}) as w:
            first = asyncio.ensure_future(w.server.dial(MOBILE, line="trunks"))
            (await w.at.itsp.next_call()).reject(503)
            at_backup = await w.backup.next_call()
            at_backup.ring()
            second = asyncio.ensure_future(w.server.dial(MOBILE, line="trunks"))
            at_itsp = await w.at.itsp.next_call()
            third = asyncio.ensure_future(w.server.dial(MOBILE, line="trunks"))
            third_at_backup = await w.backup.next_call()
            for answered in (at_backup, at_itsp, third_at_backup):
                answered.answer()
            calls = [await dialling for dialling in (first, second, third)]
            # what was dialled is, from the answer on, who answered
            assert [call.from_peer_name for call in calls] == ["backup", "itsp", "backup"]
            await closed(w.server)

    run_virtual(main())


def test_a_group_that_is_full_is_503_for_the_application_and_never_for_the_phone(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with two(virtual_network, group={"max_calls": 1}) as w:
            raised: list[CallFailed] = []

            @w.server.on_incoming_call
            async def decide(call: CallSession) -> None:
                try:
                    await call.accept(to_line="trunks")
                except CallFailed as error:
                    raised.append(error)
                    raise

            alice = await w.at.phone("alice")
            call = alice.dial(MOBILE)
            (await w.at.itsp.next_call()).answer()
            await call.wait_answered()
            with pytest.raises(CallRefused) as refused:
                await alice.dial(MOBILE).wait_answered()
            assert refused.value.status == 500
            assert (raised[0].status, raised[0].reason) == (503, "line group trunks has its 1 calls")
            await closed(w.server)
            await alice.stop()

    run_virtual(main())


def test_calls_a_second_are_spread_over_the_lines_and_then_refused_in_words(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with two(virtual_network, first={"calls_per_second": 2}, second={"calls_per_second": 1}) as w:
            dialling = [asyncio.ensure_future(w.server.dial(MOBILE, line="trunks")) for _ in range(4)]
            with pytest.raises(CallFailed) as caught:
                await dialling[3]
            assert (caught.value.status, caught.value.reason) == (
                503,
                "line group trunks has no line for it: line itsp has had its 2 calls a second; "
                "line backup has had its 1 calls a second",
            )
            assert [each.peer_name for each in caught.value.attempts] == ["itsp", "backup"]
            mobiles = [await w.at.itsp.next_call(), await w.at.itsp.next_call(), await w.backup.next_call()]
            await asyncio.sleep(0.5)
            dialling[3] = asyncio.ensure_future(w.server.dial(MOBILE, line="trunks"))
            mobiles.append(await w.at.itsp.next_call())
            for mobile in mobiles:
                mobile.answer()
            await asyncio.gather(*dialling)
            await closed(w.server)

    run_virtual(main())


def test_an_emergency_call_passes_every_limit_and_goes_through_its_line(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        limits = {"max_calls": 1, "calls_per_second": 0.01, "dialled_out": [{"prepend": "9"}]}
        async with two(
            virtual_network, first=limits, second=limits, group={"max_calls": 1}, emergency_line="itsp"
        ) as w:
            to_trunks(w.server)
            alice = await w.at.phone("alice")
            call = alice.dial(MOBILE)
            (await w.at.itsp.next_call()).answer()
            await call.wait_answered()
            help_ = alice.dial("112")
            at_itsp = await w.at.itsp.next_call()
            assert at_itsp.dialled == "112"
            at_itsp.reject(404)  # this provider has no emergency calls
            at_backup = await w.backup.next_call()
            assert at_backup.dialled == "112"
            at_backup.answer()
            await help_.wait_answered()
            await closed(w.server)
            await alice.stop()

    run_virtual(main())


def test_the_dial_plan_places_emergency_calls_before_any_rule(
    run_virtual: Run, virtual_network: VirtualNetwork
) -> None:
    async def main() -> None:
        async with two(virtual_network, emergency_line="itsp", emergency_numbers=["110", "112"]) as w:
            DialPlan([Route(from_="users", to_user="bob")]).serve(w.server)
            alice = await w.at.phone("alice")
            for number in ("110", "112"):
                call = alice.dial(number)
                mobile = await w.at.itsp.next_call()
                assert mobile.dialled == number
                mobile.reject(486)
                with pytest.raises(CallRefused):
                    await call.wait_answered()
            with pytest.raises(CallRefused) as refused:
                await alice.dial("911").wait_answered()
            assert refused.value.status == 480  # bob has no phone
            await alice.stop()

    run_virtual(main())


def test_dial_takes_several_destinations(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with two(virtual_network) as w:
            alice = await w.at.phone("alice")
            to = AtOnce(ToUser("alice"), [ToLine("itsp", timeout_s=3), ToLine("backup", "4917")])
            dialling = asyncio.ensure_future(w.server.dial(MOBILE, to=to, caller_id="100"))
            at_alice, at_itsp = await alice.next_call(), await w.at.itsp.next_call()
            assert (at_alice.caller_id, at_itsp.dialled) == ("100", MOBILE)
            at_backup = await w.backup.next_call(4)
            assert at_backup.dialled == "4917"
            at_alice.answer()
            call = await dialling
            assert (call.from_peer_type, call.from_peer_name) == (PeerType.USER, "alice")
            for given_up in (at_itsp, at_backup):
                assert (await given_up.wait_ended()).how == "cancel"
            await closed(w.server)
            for line, also in ((None, None), ("itsp", ToUser("alice"))):
                with pytest.raises(ValueError, match="exactly one of line and to"):
                    await w.server.dial(MOBILE, line=line, to=also)
            await alice.stop()

    run_virtual(main())


def test_a_dial_whose_steps_all_time_out_is_no_answer(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with two(virtual_network) as w:
            alice = await w.at.phone("alice")
            dialling = asyncio.ensure_future(w.server.dial("1", to=[ToUser("alice", 2), ToLine("itsp", "2", 2)]))
            with pytest.raises(NoAnswer):
                await dialling
            assert len(w.at.events_of(CallSessionTimeout)) == 1
            assert w.at.events_of(CallSessionFailed) == []
            await closed(w.server)
            await alice.stop()

    run_virtual(main())


# --- what is configured -----------------------------------------------------------------------------------------------------


def test_a_group_is_checked_when_it_is_added() -> None:
    server = SipServer(realm=REALM)
    server.add_line("a", username="1", server="a.example")
    for options, problem in (
        ({"lines": ["b"]}, "line_groups.g.lines: there is no line b; add it first"),
        ({"lines": ["a"], "strategy": "lot"}, "line_groups.g.strategy: "),
        ({"lines": ["a"], "max_calls": 0}, "line_groups.g.max_calls: "),
        ({"line": ["a"]}, "line_groups.g.lines: is missing"),
        ({"lines": ["a"], "strategy": "least_cost", "rates_file": "/nowhere.csv"}, "line_groups.g.rates_file: "),
    ):
        with pytest.raises(ConfigurationError) as caught:
            server.add_line_group("g", **options)
        assert str(caught.value).startswith(problem), caught.value
    server.add_line_group("g", lines=["a"])
    assert [group.name for group in server.line_groups] == ["g"]
    with pytest.raises(ConfigurationError, match=r"line_groups\.a: there is a line of that name"):
        server.add_line_group("a", lines=["a"])
    with pytest.raises(ConfigurationError, match=r"lines\.g: there is a line group of that name"):
        server.add_line("g", username="1", server="a.example")
    server.remove_line_group("g")
    with pytest.raises(UnknownPeer):
        server.remove_line_group("g")


def test_an_emergency_line_that_does_not_exist_is_said_at_the_start(
    run_virtual: Run, virtual_network: VirtualNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        host = virtual_network.host(SERVER)
        async with SipServer(realm=REALM, listen=[f"udp://{SERVER}:5060"], platform=host, emergency_line="rescue"):
            assert "emergency_line: there is no line or line group rescue" in caplog.text

    run_virtual(main())


FILE = """
[server]
realm = "pbx.example"
emergency_numbers = ["112", "110"]
emergency_line = "trunks"

[users.alice]
password = "secret"

[users.bob]
password = "secret"

[lines.first]
username = "1"
server = "first.example"
calls_per_second = 5

[lines.second]
username = "2"
server = "second.example"

[line_groups.trunks]
lines = ["first", "second"]
strategy = "least_cost"
max_calls = 20
rates.first = { "49" = 0.01, "4917" = "0.09" }
rates.second = { "" = 0.05 }

[[routes]]
from = "users"
number = '[+0-9]{5,}'
to_line = "trunks"

[[routes]]
from = "lines"
timeout_s = 45
to = [
    { user = "alice", timeout_s = 15 },
    { at_once = [{ user = "bob" }, { line = "trunks", dial_number = "+15550100" }], timeout_s = 20 },
]
"""


def test_a_file_has_groups_and_several_destinations(tmp_path: Path) -> None:
    path = tmp_path / "pbx.toml"
    path.write_text(FILE)
    assert problems_in(path) == []
    settings = load_file(path)
    (group,) = server_of(settings).line_groups
    assert (group.lines, group.max_calls, str(group.rates["first"]["49"])) == (("first", "second"), 20, "0.01")
    to = [each.destination() for each in settings.routes[1].to]
    assert to == [ToUser("alice", 15), AtOnce(ToUser("bob"), ToLine("trunks", "+15550100"), timeout_s=20)]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('lines = ["first", "second"]', 'lines = ["first", "secnd"]', "line_groups.trunks.lines: there is no line secnd; did"),
        ('strategy = "least_cost"', "", 'line_groups.trunks.rates: strategy = "least_cost" and rates go together'),
        ("rates.second", "rates.third", "line_groups.trunks.rates: third is none of its lines"),
        ("[line_groups.trunks]", "[line_groups.first]", "line_groups.first: there is a line of that name"),
        ("max_calls = 20", "max_call = 20", "line_groups.trunks.max_call: unknown key; did you mean max_calls?"),
        ('emergency_line = "trunks"', 'emergency_line = "x"', "server.emergency_line: there is no line x"),
        ('["112", "110"]', '["1-1"]', "server.emergency_numbers.1: "),
        ('{ user = "bob" }', '{ user = "bo" }', "routes.2.to.2.at_once.1.user: there is no user bo; did you mean bob?"),
        ('line = "trunks", dial', 'line = "trunk", dial', "routes.2.to.2.at_once.2.line: there is no line trunk; did"),
        ('{ user = "bob" }', '{ usr = "bob" }', "routes.2.to.2.at_once.1.usr: unknown key; did you mean user?"),
        ('{ user = "bob" }', "{ }", "routes.2.to.2.at_once.1: a destination needs exactly one of user, line"),
        ('user = "alice", t', 'user = "alice", dial_number = "1", t', "routes.2.to.1: dial_number goes with line"),
        ('from = "lines"', 'from = "lines"\nto_user = "bob"', "routes.2: needs exactly one of to_user, to_line and to"),
        ('{ user = "alice", timeout_s = 15 },', '{ user = "alice" },' * 63, "routes.2.to: more than 64 destinations"),
        ("calls_per_second = 5", "calls_per_second = 0", "lines.first.calls_per_second: "),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_said_by_its_key(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in FILE
    path = tmp_path / "pbx.toml"
    path.write_text(FILE.replace(old, new))
    found = [str(each) for each in problems_in(path)]
    assert any(each.startswith(problem) for each in found), found
