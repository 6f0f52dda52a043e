"""What the pages are made of and what they claim."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from tests.docs.stage import ACCOUNT, DOCS, MOBILE, ROOT, make_server, pages, performed

from trunkline import CallSession, ConfigurationError
from trunkline.cli import commands
from trunkline.server.config import LineOptions, ServerSettings, UserOptions, load_file, problems_in
from trunkline.sip.endpoint import Flow, NameAddr, Uri
from trunkline.testing import CallRefused, Itsp, RegistrationRefused, VirtualNetwork

Run = Callable[[Any], Any]


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"trunkline_docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


TABLES = module("tables")
LADDERS = module("ladders")


def generated() -> list[tuple[str, str]]:
    found = re.findall(r"^\.\. generated:: (\S+) ?(\S*)$", "\n".join(page.read_text() for page in pages()), re.M)
    return sorted(set(found))


@pytest.mark.parametrize(("name", "argument"), generated())
def test_a_generated_table_has_rows_without_empty_cells(name: str, argument: str) -> None:
    heading, *rows = TABLES.TABLES[name](argument)
    assert rows
    # a state is written only in its first row
    checked = slice(1, None) if name == "line-states" else slice(None)
    assert [row for row in rows if len(row) != len(heading) or not all(row[checked])] == []


@pytest.mark.parametrize("model", [ServerSettings, UserOptions, LineOptions])
def test_every_option_has_its_row(model: Any) -> None:
    rows = TABLES.option_rows(model)
    assert {row[0].strip("`") for row in rows[1:]} == {
        field.alias or name for name, field in model.model_fields.items()
    }


def test_every_table_is_on_a_page() -> None:
    assert {name for name, _ in generated()} == set(TABLES.TABLES)


@pytest.mark.parametrize("codec", ["PCMA", "G722", "opus", "opus with FEC"])
def test_the_table_of_networks_has_every_one_and_the_mos_falls_with_loss(codec: str) -> None:
    rows = TABLES.impairments(codec)
    kinds = ("loss", "jitter", "reordering", "all three")
    assert [(row["network"], row["percent"]) for row in rows] == [
        ("none", "0"),
        *((kind, percent) for kind in kinds for percent in ("1", "5", "10")),
    ]
    mos = {(row["network"], row["percent"]): TABLES.impairment_quality(row).mos for row in rows}
    for kind in ("loss", "all three"):
        falls = [mos["none", "0"], *(mos[kind, percent] for percent in ("1", "5", "10"))]
        assert falls == sorted(falls, reverse=True)
        assert falls[0] - falls[-1] > 1.0
    # what is only late waits in the buffer: that costs delay and little else
    assert min(mos[kind, "10"] for kind in ("jitter", "reordering")) > mos["loss", "1"] - 0.1


def test_fec_makes_up_for_loss_that_concealment_does_not() -> None:
    bare, helped = (
        {(row["network"], row["percent"]): row for row in TABLES.impairments(name)}
        for name in ("opus", "opus with FEC")
    )
    assert float(helped["loss", "10"]["intact_percent"]) > float(bare["loss", "10"]["intact_percent"]) + 5
    assert float(helped["loss", "10"]["restored_percent"]) > 3 > float(bare["loss", "10"]["restored_percent"]) == 0


@pytest.mark.parametrize("name", LADDERS.LADDERS)
def test_a_ladder_ends_with_the_session_closed(name: str) -> None:
    drawn = LADDERS.draw(name)
    assert drawn.index("call_session_created") < drawn.index("call_session_closed")
    assert drawn == LADDERS.draw(name)


def test_every_page_is_in_a_table_of_contents() -> None:
    index = (DOCS / "index.rst").read_text()
    named = set(re.findall(r"^   ([\w/]+)$", index, re.M))
    assert {str(page.relative_to(DOCS).with_suffix("")) for page in pages()} == named | {"index"}


# --- claims -----------------------------------------------------------------------------------------------------------------


def test_check_says_of_the_example_what_the_tutorial_shows() -> None:
    shown = re.findall(r"^   (✓ (?:media_ports|storage|\d).*)$", (DOCS / "tutorial.rst").read_text(), re.M)
    said = CliRunner().invoke(commands, ["check", str(ROOT / "examples" / "pbx.toml")]).output.splitlines()
    assert len(shown) == 3
    assert set(shown) <= set(said)


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_LINES__ITSP__REGISTER", "false")
    monkeypatch.setenv("TRUNKLINE_LINES__ITSP__PASSWORD", "12345")
    monkeypatch.setenv("TRUNKLINE_SERVER__LISTEN", '["udp://0.0.0.0:5070"]')
    monkeypatch.setenv("TRUNKLINE_ANYTHING", "else")
    settings = load_file(ROOT / "examples" / "pbx.toml")
    assert settings.server.listen == ("udp://0.0.0.0:5070",)
    assert settings.lines["itsp"].arguments()["register"] is False
    assert settings.lines["itsp"].arguments()["password"] == "12345"


def test_a_line_with_capitals_is_reached_by_the_environment(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pbx.toml"
    path.write_text('[server]\nrealm = "x"\n[lines.ITSP]\nusername = "1"\nserver = "x"\n')
    monkeypatch.setenv("TRUNKLINE_LINES__ITSP__PASSWORD", "secret")
    assert problems_in(path) == []


def test_the_ranges_that_a_line_adds_hold(virtual_network: VirtualNetwork) -> None:
    server = make_server(virtual_network)
    wrongs: list[dict[str, Any]] = [{"expires_s": 9}, {"expires_s": 86_401}, {"max_calls": 0}]
    for wrong in wrongs:
        with pytest.raises(ConfigurationError):
            server.add_line("other", username="1", server="x", **wrong)


@pytest.mark.parametrize(("accept_from", "status"), [((), 401), (("0.0.0.0/0",), 486)])
def test_a_stranger_is_challenged_unless_a_line_takes_calls_from_anywhere(
    run_virtual: Run, virtual_network: VirtualNetwork, accept_from: tuple[str, ...], status: int
) -> None:
    async def main() -> None:
        server = make_server(virtual_network)
        server.on_incoming_call(lambda call: call.reject(486))
        if accept_from:
            server.add_line("any", username="1", server="10.0.0.66", register=False, accept_from=accept_from)
        host = virtual_network.host("10.0.0.77")
        async with performed(server, virtual_network), Itsp({}, platform=host, address=host.address) as stranger:
            target = Uri("sip", "1", "10.0.0.1")
            call = stranger.place(
                target,
                Flow("udp", ("10.0.0.1", 5060)),
                local=NameAddr(Uri("sip", MOBILE, "elsewhere.example")),
                remote=NameAddr(target),
            )
            with pytest.raises(CallRefused) as refused:
                await call.wait_answered()
            assert refused.value.status == status

    run_virtual(main())


def test_a_phone_with_a_foreign_domain_gets_403(run_virtual: Run, virtual_network: VirtualNetwork) -> None:
    async def main() -> None:
        async with performed(make_server(virtual_network), virtual_network) as at:
            phone = await at.phone("alice", register=False, realm="other.example")
            with pytest.raises(RegistrationRefused) as refused:
                await phone.register()
            assert (refused.value.status, refused.value.reason) == (403, "Not a domain of this server")
            await phone.stop()

    run_virtual(main())


@pytest.mark.parametrize(("handled", "after_s"), [(False, 0), (True, 20)])
def test_a_call_about_which_nobody_decides_gets_480(
    run_virtual: Run, virtual_network: VirtualNetwork, handled: bool, after_s: float
) -> None:
    async def main() -> None:
        server = make_server(virtual_network, decision_timeout_s=20)

        async def look(call: CallSession) -> None:
            """Decides nothing."""

        if handled:
            server.on_incoming_call(look)
        async with performed(server, virtual_network) as at:
            loop = asyncio.get_running_loop()
            begun_at = loop.time()
            mobile = at.itsp.dial(ACCOUNT, caller_id=MOBILE)
            with pytest.raises(CallRefused) as refused:
                await mobile.wait_answered(timeout_s=60)
            assert refused.value.status == 480
            assert after_s <= loop.time() - begun_at < after_s + 1

    run_virtual(main())

    run_virtual(main())
