"""`trunkline check --live` on the virtual network: each misconfiguration is seen by exactly its sentence, and nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.server.test_line_answers import said
from tests.server.world import ACCOUNT, PROVIDER, SERVER
from trunkline.server.config import FileSettings, load_file
from trunkline.server.line_settings import LineSettings
from trunkline.server.live_check import Asked, LineSeen, ListenerSeen, PortsSeen, Seen, ServerSeen, findings
from trunkline.server.live_probe import LINE_TIMEOUT_S, look
from trunkline.sip.endpoint import Flow, Uri
from trunkline.sip.request import Failure
from trunkline.testing import Fault, Itsp, VirtualNetwork, Zone
from trunkline.testing.network import Packet

Run = Callable[[Any], Any]

PASSWORD = "line secret"
CAPABILITIES = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
    "m=audio 0 RTP/AVP 18 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class Stage:
    """A provider, a DNS, and a configuration of one line that is right."""

    def __init__(self, network: VirtualNetwork, folder: Path) -> None:
        self.network = network
        self.folder = folder
        self.zone = Zone(("itsp.example", "A", PROVIDER))
        self.itsp = Itsp({ACCOUNT: PASSWORD}, platform=network.host(PROVIDER), address=PROVIDER, port=5060)
        self.server: dict[str, Any] = {
            "listen": [f"udp://{SERVER}:5060", f"tcp://{SERVER}:5060"],
            "media_ports": [61000, 61003],
        }
        self.line: dict[str, Any] = {"username": ACCOUNT, "password": PASSWORD, "server": "itsp.example"}
        self.more = ""
        self.wall_s = 1_700_000_000.0

    def settings(self) -> FileSettings:
        path = self.folder / "pbx.toml"
        rows = ["[server]", 'realm = "pbx.example"', *map(_row, self.server.items())]
        rows += ["[lines.itsp]", *map(_row, self.line.items()), self.more]
        path.write_text("\n".join(rows))
        return load_file(path)

    async def look(self) -> list[tuple[bool, str]]:
        settings, resolver = self.settings(), self.zone.resolver()
        began = asyncio.get_running_loop().time()
        platform = self.network.host(SERVER)
        seen = await look(settings, platform=platform, resolver=resolver, wall_clock=lambda: self.wall_s)
        assert asyncio.get_running_loop().time() - began <= LINE_TIMEOUT_S
        await resolver.close()
        # the media ports are this machine's, whoever uses them meanwhile
        return list(findings(settings, replace(seen, ports=PortsSeen())))


def _row(pair: tuple[str, Any]) -> str:
    key, value = pair
    return f"{key} = {str(value).lower() if isinstance(value, bool) else value!r}"


Change = Callable[[Stage], None]


def seen_at(run_virtual: Run, network: VirtualNetwork, folder: Path, change: Change) -> list[tuple[bool, str]]:
    async def main() -> list[tuple[bool, str]]:
        stage = Stage(network, folder)
        change(stage)
        async with stage.itsp:
            found = await stage.look()
            assert stage.itsp.accounts[ACCOUNT].registrations == 0
            assert all(not message.contacts for message in stage.itsp.seen if message.method == "REGISTER")
        return found

    return run_virtual(main())  # type: ignore[no-any-return]


def problems(found: list[tuple[bool, str]]) -> list[str]:
    text = repr(found)
    assert PASSWORD not in text
    assert "wrong guess" not in text
    return [text for fine, text in found if not fine]


def test_a_line_that_is_right_is_said_to_be_proven(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    found = seen_at(run_virtual, virtual_network, tmp_path, lambda stage: None)
    assert found == [
        (True, f"udp://{SERVER}:5060: free"),
        (True, f"tcp://{SERVER}:5060: free"),
        (True, f"line itsp: udp:{PROVIDER}:5060 takes the password of {ACCOUNT}@itsp.example"),
    ]


def line(**settings: Any) -> Change:
    return lambda stage: stage.line.update(settings)


def without_password(stage: Stage) -> None:
    del stage.line["password"]


def provider(**attributes: Any) -> Change:
    def change(stage: Stage) -> None:
        for name, value in attributes.items():
            assert hasattr(stage.itsp, name)
            setattr(stage.itsp, name, value)

    return change


def wrong_domain(status: int) -> Change:
    def change(stage: Stage) -> None:
        stage.line["domain"] = "other.example"
        stage.itsp.refuse_domain = status

    return change


def silent(stage: Stage) -> None:
    stage.network.link(SERVER, PROVIDER).up = False


def dead_dns(stage: Stage) -> None:
    stage.zone.fault = Fault.DEAD


def behind_nat(stage: Stage) -> None:
    """The provider sees 203.0.113.7, whatever we send from."""

    def rewrite(packet: Packet) -> int:
        if packet.source[0] == SERVER:
            stage.network.send_datagram(replace(packet, source=("203.0.113.7", packet.source[1])))
            return 0
        if packet.destination[0] == "203.0.113.7":
            stage.network.send_datagram(replace(packet, destination=(SERVER, packet.destination[1])))
            return 0
        return 1

    stage.network.filters.append(rewrite)


def no_query(stage: Stage) -> None:
    stage.network.filters.append(lambda packet: 0 if packet.data.startswith(b"REGISTER") else 1)


AT = f"udp:{PROVIDER}:5060"
ADDRESS = f"{ACCOUNT}@itsp.example"


MISTAKES = [
    pytest.param(
        line(password="wrong guess"),
        f"line itsp: the provider does not take the user name or password of {ADDRESS}; "
        "check username, auth_username and password of the line",
        id="wrong password",
    ),
    pytest.param(
        line(username="15550000000"),
        "line itsp: the provider refuses the account 15550000000@itsp.example; check username and auth_username of the "
        "line, and that the account is active; some providers say the same of a wrong password",
        id="unknown account",
    ),
    pytest.param(
        provider(refuse_register=404),
        f"line itsp: the provider does not know the account {ADDRESS}; check username and domain of the line",
        id="unknown account, by 404",
    ),
    pytest.param(
        without_password,
        "line itsp: the provider asks for a password, and the line has none; "
        "set password of the line, or have the provider know us by our address",
        id="missing password",
    ),
    pytest.param(
        line(server="none.example", domain="itsp.example"),
        "line itsp: the name none.example leads to no server: no such name; "
        "check server and outbound_proxy of the line, and the name servers of this machine",
        id="unknown name",
    ),
    pytest.param(
        silent,
        f"line itsp: no answer from the provider's server at {AT}; "
        "check server, port and transport of the line, and that a firewall lets the answers in",
        id="silence",
    ),
    pytest.param(
        line(server=f"{PROVIDER}:5070", domain="itsp.example"),
        f"line itsp: no answer from the provider's server at udp:{PROVIDER}:5070; "
        "check server, port and transport of the line, and that a firewall lets the answers in",
        id="wrong port",
    ),
    pytest.param(
        line(transport="tcp"),
        f"line itsp: tcp:{PROVIDER}:5060 cannot be reached: connection refused; "
        "check port and transport of the line: the provider may take no TCP there",
        id="wrong transport",
    ),
    pytest.param(
        wrong_domain(404),
        "line itsp: the provider does not serve the domain other.example; "
        "set domain of the line to the one that the provider names",
        id="wrong domain, by 404",
    ),
    pytest.param(
        wrong_domain(403),
        "line itsp: the provider does not serve the domain other.example; "
        "set domain of the line to the one that the provider names",
        id="wrong domain, by 403",
    ),
    pytest.param(
        behind_nat,
        f"line itsp: the provider sees us at 203.0.113.7, and our Contact says {SERVER}; "
        f'set advertise = {{ "{SERVER}" = "203.0.113.7" }}',
        id="NAT",
    ),
    pytest.param(
        provider(options_sdp=CAPABILITIES.encode()),
        "line itsp: the provider has G729, and the line PCMA, PCMU: no codec in common; "
        "add one of the provider's to codecs of the line",
        id="codecs",
    ),
    pytest.param(
        provider(options_sdp=CAPABILITIES.replace("audio 0", "audio 4000").encode()),
        "line itsp: the provider has G729, and the line PCMA, PCMU: no codec in common; "
        "add one of the provider's to codecs of the line",
        id="codecs, with a port",
    ),
    pytest.param(
        dead_dns,
        "line itsp: the name itsp.example leads to no server: the name servers do not answer; "
        "check server and outbound_proxy of the line, and the name servers of this machine",
        id="dead DNS",
    ),
    pytest.param(
        provider(min_expires_s=3_600),
        "line itsp: the provider wants longer registrations than 1800 s: 3600 s at least; raise expires_s of the line",
        id="too brief",
    ),
    pytest.param(
        provider(refuse_register=503),
        "line itsp: the provider is overloaded or under maintenance; ask the provider, or wait",
        id="overloaded",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), MISTAKES)
def test_each_misconfiguration_is_its_sentence_and_no_other(
    change: Change, sentence: str, run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    assert problems(seen_at(run_virtual, virtual_network, tmp_path, change)) == [sentence]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (
            provider(refuse_query=400),
            "line itsp: the provider takes no question by REGISTER (400 Bad Request): the password is not proven",
        ),
        (
            provider(options_sdp=CAPABILITIES.replace("AVP 18", "AVP 18 8").encode()),
            f"line itsp: udp:{PROVIDER}:5060 takes the password of {ACCOUNT}@itsp.example",
        ),
        (
            no_query,
            "line itsp: the provider answers no question by REGISTER: the password is not proven",
        ),
        (line(register=False), f"line itsp: {AT} answers OPTIONS; without register nothing is proven"),
    ],
)
def test_what_is_no_problem_is_a_note(
    change: Change, note: str, run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    assert (True, note) in (found := seen_at(run_virtual, virtual_network, tmp_path, change))
    assert problems(found) == []


def test_a_clock_that_is_off_is_a_problem(run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path) -> None:
    change = provider(options_headers=[("Date", "Tue, 14 Nov 2023 23:13:20 GMT")])
    assert problems(seen_at(run_virtual, virtual_network, tmp_path, change)) == [
        "line itsp: the provider's clock and ours are 3600 s apart; "
        "set this machine's clock, best by NTP: the times of records and traces follow it"
    ]


def test_a_clock_that_is_right_is_not_told(run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path) -> None:
    change = provider(options_headers=[("Date", "Tue, 14 Nov 2023 22:13:00 GMT")])
    assert not any("clock" in text for _, text in seen_at(run_virtual, virtual_network, tmp_path, change))


def test_an_advertised_address_that_is_right_is_no_problem(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    def change(stage: Stage) -> None:
        behind_nat(stage)
        stage.server["advertise"] = _Inline({SERVER: "203.0.113.7"})

    assert problems(seen_at(run_virtual, virtual_network, tmp_path, change)) == []


class _Inline(dict[str, str]):
    def __repr__(self) -> str:
        return "{ " + ", ".join(f'"{key}" = "{value}"' for key, value in self.items()) + " }"


def test_every_way_to_a_line_that_takes_no_calls_is_named(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    def change(stage: Stage) -> None:
        silent(stage)
        stage.server["emergency_line"] = "itsp"
        stage.more = (
            '[line_groups.trunks]\nlines = ["itsp"]\n'
            '[[routes]]\nto_line = "itsp"\n[[routes]]\nto = [{ user = "alice" }, { line = "itsp" }]\n'
            '[users.alice]\npassword = "x"\n'
        )

    repair = "line itsp cannot take calls; repair the line or name another"
    assert problems(seen_at(run_virtual, virtual_network, tmp_path, change))[1:] == [
        f"line_groups.trunks.lines: {repair}",
        f"routes.1.to_line: {repair}",
        f"routes.2.to.2.line: {repair}",
        f"server.emergency_line: {repair}",
    ]


def test_one_dead_server_of_two_is_named_and_the_line_is_proven_at_the_other(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    def change(stage: Stage) -> None:
        stage.zone = Zone(
            ("_sip._udp.itsp.example", "SRV", "10 0 5060 one.itsp.example."),
            ("_sip._udp.itsp.example", "SRV", "20 0 5060 two.itsp.example."),
            ("one.itsp.example", "A", "10.0.0.77"),
            ("two.itsp.example", "A", PROVIDER),
        )

    found = seen_at(run_virtual, virtual_network, tmp_path, change)
    (problem,) = problems(found)
    assert problem.startswith("line itsp: no answer from the provider's server at udp:10.0.0.77:5060; ")
    assert (True, f"line itsp: {AT} takes the password of {ADDRESS}") in found


def test_the_registration_that_stands_is_left_as_it_is(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    async def main() -> None:
        stage = Stage(virtual_network, tmp_path)
        async with stage.itsp:
            account = stage.itsp.accounts[ACCOUNT]
            account.contact, account.flow = Uri.parse("sip:token@10.0.0.5"), Flow("udp", ("10.0.0.5", 5060))
            before = replace(account)
            assert problems(await stage.look()) == []
            assert account == before

    run_virtual(main())


def test_a_wrong_password_is_offered_once_however_many_servers_there_are(
    run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path
) -> None:
    async def main() -> None:
        stage = Stage(virtual_network, tmp_path)
        stage.line["password"] = "wrong guess"
        stage.zone.add("itsp.example", "A", "10.0.0.8")
        second = Itsp({ACCOUNT: PASSWORD}, platform=virtual_network.host("10.0.0.8"), address="10.0.0.8", port=5060)
        async with stage.itsp, second:
            assert len(problems(await stage.look())) == 1
            offered = [each for itsp in (stage.itsp, second) for each in itsp.seen if each.header("Authorization")]
            assert len(offered) == 1

    run_virtual(main())


def test_nothing_stays_open(run_virtual: Run, virtual_network: VirtualNetwork, tmp_path: Path) -> None:
    async def main() -> None:
        stage = Stage(virtual_network, tmp_path)
        async with stage.itsp:
            await stage.look()
            before = len(virtual_network.delivered)
            await asyncio.sleep(60)
            assert len(virtual_network.delivered) == before
            assert virtual_network.hosts[SERVER].driver.closed

    run_virtual(main())


# --- this machine, from observations ------------------------------------------------------------------------------------


def of(seen: Seen, tmp_path: Path, network: VirtualNetwork) -> list[tuple[bool, str]]:
    return list(findings(Stage(network, tmp_path).settings(), seen))


def test_a_port_of_another_program_is_a_problem_and_one_of_the_server_is_told(
    tmp_path: Path, virtual_network: VirtualNetwork
) -> None:
    url = "udp://0.0.0.0:5060"
    ours = ListenerSeen(url, OSError(98, "taken"), "trunkline (pid 5)", "udp", 5060, 40_001)
    (found,) = of(Seen((ours,)), tmp_path, virtual_network)
    assert found == (True, f"{url}: trunkline (pid 5) runs there; the lines are asked from port 40001 instead")
    (found,) = of(Seen((replace(ours, holder="asterisk (pid 6)"),)), tmp_path, virtual_network)
    assert not found[0]
    assert found[1].startswith(f"{url}: the port is taken")


def test_media_ports_that_others_have_are_a_problem(tmp_path: Path, virtual_network: VirtualNetwork) -> None:
    (found,) = of(Seen(ports=PortsSeen(3, 61_001, "ffmpeg (pid 9)")), tmp_path, virtual_network)
    assert found == (
        False,
        "media_ports 61000-61003: 3 of them taken, the first, 61001, by ffmpeg (pid 9); choose a range that nothing else uses",
    )
    (found,) = of(Seen(ports=PortsSeen(3, 61_001, "trunkline (pid 9)")), tmp_path, virtual_network)
    assert found[0]


def test_a_provider_that_answers_no_options_is_a_note(tmp_path: Path, virtual_network: VirtualNetwork) -> None:
    message = said(200, "OK")
    server = ServerSeen(
        Flow("udp", (PROVIDER, 5060)), SERVER, 5060, Asked(Failure(408, "x")), Asked(None, message, challenged=True)
    )
    settings = LineSettings("itsp", username=ACCOUNT, server="itsp.example", password=PASSWORD)
    found = of(Seen(lines=(LineSeen(settings, (server,)),)), tmp_path, virtual_network)
    assert problems(found) == []
    assert any("answers no OPTIONS" in text for _, text in found)


def test_the_page_has_each_sentence() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs/guides/check.rst").read_text().split())
    assert [str(mistake.values[1]) for mistake in MISTAKES if str(mistake.values[1]) not in page] == []
