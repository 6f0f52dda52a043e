from __future__ import annotations

import socket
from pathlib import Path

from click.testing import CliRunner, Result

from trunkline.cli import commands

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


def test_a_file_that_is_not_there_is_one_line() -> None:
    result = CliRunner().invoke(commands, ["check", "none.toml"])
    assert result.exit_code == 2
    assert result.output.strip() == "✗ none.toml: cannot be read: No such file or directory"
