from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trunkline.cli import commands
from trunkline.testing import Itsp

FILE = """
[server]
realm = "pbx.example"
listen = ["udp://127.0.0.1:{port}"]

[users.alice]
password = "x"

[[routes]]
to_user = "alice"
"""


def check(tmp_path: Path, text: str) -> Result:
    path = tmp_path / "pbx.toml"
    path.write_text(text)
    return CliRunner().invoke(commands, ["check", str(path)])


def test_a_good_file_on_a_good_machine_exits_with_0(tmp_path: Path) -> None:
    result = check(tmp_path, FILE.format(port=0))
    assert result.exit_code == 0, result.output
    assert "✗" not in result.output
    assert "1 users, 0 lines, 1 routes" in result.output


def test_where_emergency_calls_go_is_told(tmp_path: Path) -> None:
    text = FILE.format(port=0) + '[lines.itsp]\nusername = "1"\nserver = "192.0.2.1"\n'
    assert "✓ emergency_numbers 112, 911: where the routes send them" in check(tmp_path, text).output
    text = text.replace("listen =", 'emergency_numbers = ["110"]\nemergency_line = "itsp"\nlisten =')
    assert "✓ emergency_numbers 110: through itsp first" in check(tmp_path, text).output


def test_a_port_that_is_taken_is_told_with_its_holder(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        result = check(tmp_path, FILE.format(port=port))
    assert result.exit_code == 2
    assert f"✗ udp://127.0.0.1:{port}: the port is taken by " in result.output


def test_every_wrong_key_is_a_line(tmp_path: Path) -> None:
    result = check(tmp_path, '[server]\nrealm = "x"\nlistn = 1\nstorge = "a"')
    assert result.exit_code == 2
    assert "✗ server.listn: unknown key; did you mean listen?" in result.output
    assert "✗ server.storge: unknown key; did you mean storage?" in result.output


def test_storage_in_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    text = FILE.format(port=0).replace("[users", f'storage = "{tmp_path}/none/pbx.db"\n[users')
    result = check(tmp_path, text)
    assert result.exit_code == 2
    assert "none does not exist" in result.output


def test_storage_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    held = tmp_path / "pbx.db"
    with socket.socket(socket.AF_UNIX) as endpoint:  # a file that not even root can open
        endpoint.bind(str(held))
        for path, problem in (("/proc/pbx.db", "nothing can be written into /proc"), (held, "cannot be written: ")):
            result = check(tmp_path, FILE.format(port=0).replace("[users", f'storage = "{path}"\n[users'))
            assert result.exit_code == 2
            assert f"✗ storage: {problem}" in result.output.replace(f"{held} ", "")
    assert not list(tmp_path.glob("tmp*"))


def test_a_media_address_that_is_not_this_machines_is_told(tmp_path: Path) -> None:
    text = FILE.format(port=0).replace("[users", 'media_address = "192.0.2.1"\n[users')
    result = check(tmp_path, text)
    assert result.exit_code == 2
    assert "✗ media_address: this machine has no address 192.0.2.1" in result.output


def test_what_serve_would_refuse_is_told_a_line_each(tmp_path: Path) -> None:
    wrong = """
[users."bob smith"]
password = ""

[lines.itsp]
username = "1555"
server = "sip example"
expires_s = 5
accept_from = ["198.51.100.0/24", "nonsense"]
"""
    result = check(tmp_path, FILE.format(port=0) + wrong)
    assert result.exit_code == 2
    found = [line.split(":")[0] for line in result.output.splitlines()]
    assert found == [
        "✗ users.bob smith",
        "✗ users.bob smith.password",
        "✗ lines.itsp.server",
        "✗ lines.itsp.expires_s",
        "✗ lines.itsp.accept_from",
    ]


def test_a_file_that_is_not_there_is_one_line() -> None:
    result = CliRunner().invoke(commands, ["check", "none.toml"])
    assert result.exit_code == 2
    assert result.output.strip() == "✗ none.toml: cannot be read: No such file or directory"


# --- live -------------------------------------------------------------------------------------------------------------

LINE = """
[server]
realm = "pbx.example"
listen = ["udp://127.0.0.1:{listen}"]
media_ports = [{first}, {last}]
media_address = "127.0.0.1"
{more}

[lines.itsp]
username = "1555"
password = "{password}"
server = "127.0.0.1:{port}"
domain = "itsp.example"

[[routes]]
to_line = "itsp"
"""


def free_ports() -> tuple[int, int]:
    """Four ports in a row that nobody has, out of the range that the system gives out by itself."""
    for first in range(2_000, 5_000, 4):
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + 4):
                    held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first, first + 3
    raise OSError("no port is free")


def check_live(tmp_path: Path, *, listen: int = 0, password: str = "secret", more: str = "") -> list[str]:
    """The lines of a live check against a provider on loopback; the exit status fits them."""

    async def main() -> Result:
        async with Itsp({"1555": "secret"}) as itsp:
            first, last = free_ports()
            text = LINE.format(listen=listen, first=first, last=last, more=more, password=password, port=itsp.port)
            path = tmp_path / "pbx.toml"
            path.write_text(text)
            result = await asyncio.to_thread(CliRunner().invoke, commands, ["check", "--live", str(path)])
            assert itsp.accounts["1555"].registrations == 0
            return result

    result = asyncio.run(main())
    lines = result.output.splitlines()
    assert result.exit_code == (2 if any(line.startswith("✗") for line in lines) else 0), result.output
    assert "secret" not in result.output
    return lines


def wrong(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("✗")]


def test_live_a_line_that_is_right_is_proven_at_its_provider(tmp_path: Path) -> None:
    lines = check_live(tmp_path)
    assert wrong(lines) == []
    assert lines[-1].endswith("takes the password of 1555@itsp.example")


def test_live_a_wrong_password_and_the_route_that_needs_it_are_two_sentences(tmp_path: Path) -> None:
    assert wrong(check_live(tmp_path, password="guess")) == [
        "✗ line itsp: the provider does not take the user name or password of 1555@itsp.example; "
        "check username, auth_username and password of the line",
        "✗ routes.1.to_line: line itsp cannot take calls; repair the line or name another",
    ]


def test_live_a_port_that_another_program_has_is_told_and_the_lines_are_asked_nevertheless(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        lines = check_live(tmp_path, listen=port)
    (problem,) = wrong(lines)
    assert problem.startswith(f"✗ udp://127.0.0.1:{port}: the port is taken by ")
    assert lines[-1].endswith("takes the password of 1555@itsp.example")


def test_live_storage_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (problem,) = wrong(check_live(tmp_path, more='storage = "/proc/pbx.db"'))
    assert problem.startswith("✗ storage: nothing can be written into /proc")


def test_live_a_media_port_that_another_program_has_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = free_ports()
    monkeypatch.setattr(f"{__name__}.free_ports", lambda: (first, last))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", first + 2))
        (problem,) = wrong(check_live(tmp_path))
    assert problem.startswith(f"✗ media_ports {first}-{last}: 1 of them taken, the first, {first + 2}, by ")
    assert problem.endswith("; choose a range that nothing else uses")
