"""The rules of ARCHITECTURE.md that a program can check: who imports the extension, and what the pure crates may know."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "trunkline"

MAY_IMPORT_THE_EXTENSION = {"sip/endpoint.py", "media/engine.py"}

SANS_IO_CRATES = ("sip", "media")
SANS_IO_DEPENDENCIES = {
    "aes",
    "aes-gcm",
    "bytes",
    "ctr",
    "earshot",
    "hmac",
    "opus",
    "md-5",
    "quick-xml",
    "sha1",
    "sha2",
    "subtle",
    "symphonia",
    "thiserror",
    "zeroize",
}
CLOCKS_THREADS_AND_SOCKETS = {
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::net::UdpSocket::bind",
    "std::net::TcpStream::connect",
    "std::net::TcpListener::bind",
}


def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_only_two_modules_and_the_test_kit_import_the_extension() -> None:
    importers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(name.split(".")[0] == "_trunkline" for name in imported_modules(path))
    }
    outside = {name for name in importers if not name.startswith("testing/")}
    assert outside == MAY_IMPORT_THE_EXTENSION


@pytest.mark.parametrize("clock", ["time.time", "time.monotonic", "time.perf_counter", "datetime.now"])
def test_the_loop_is_the_only_clock_of_python(clock: str) -> None:
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if f"{clock}(" in path.read_text() and "storage" not in path.parts
    }
    assert readers <= WALL_CLOCK_READERS.get(clock, set())


WALL_CLOCK_READERS = {"time.time": {"server/server.py", "cli/calls.py"}}
"""Unix time is needed where something outlives the process: stored expiries and trace files. It is injected from here.
The command line counts from now where somebody asks for the calls of the last hours."""


@pytest.mark.parametrize("crate", SANS_IO_CRATES)
def test_a_sans_io_crate_depends_on_nothing_with_io(crate: str) -> None:
    manifest = tomllib.loads((ROOT / "crates" / crate / "Cargo.toml").read_text())
    assert set(manifest["dependencies"]) <= SANS_IO_DEPENDENCIES


@pytest.mark.parametrize("crate", SANS_IO_CRATES)
def test_a_sans_io_crate_forbids_unsafe_code(crate: str) -> None:
    assert "#![forbid(unsafe_code)]" in (ROOT / "crates" / crate / "src" / "lib.rs").read_text()


@pytest.mark.parametrize("crate", SANS_IO_CRATES)
def test_clippy_forbids_clocks_threads_and_sockets_in_a_sans_io_crate(crate: str) -> None:
    lints = tomllib.loads((ROOT / "crates" / crate / "clippy.toml").read_text())
    assert {entry["path"] for entry in lints["disallowed-methods"]} >= CLOCKS_THREADS_AND_SOCKETS


def test_every_python_module_opens_with_a_docstring() -> None:
    silent = [str(path) for path in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_no_module_of_the_package_is_a_god_file() -> None:
    long = {str(path): size for path in PACKAGE.rglob("*.py") if (size := len(path.read_text().splitlines())) > 500}
    assert long == {}


# --- features ------------------------------------------------------------------------------------------------------------

FEATURES = sorted((PACKAGE / "features").glob("*.py"))
PUBLIC_MODULES = {
    "trunkline",
    "trunkline.constants",
    "trunkline.errors",
    "trunkline.events",
    "trunkline.hearing_events",
}
"""What applications import: the modules whose names docs/api.rst lists."""
INNER = {"course", "zero", "one", "recorder", "add_handler"}
"""Attributes of calls and servers that lead inside."""


@pytest.mark.parametrize("path", FEATURES, ids=lambda path: path.stem)
def test_a_feature_imports_what_applications_may(path: Path) -> None:
    names = {name for name in imported_modules(path) if name.split(".")[0] in ("trunkline", "_trunkline")}
    assert {name for name in names if not name.startswith("trunkline.features.")} <= PUBLIC_MODULES


@pytest.mark.parametrize("path", FEATURES, ids=lambda path: path.stem)
def test_a_feature_reads_no_private_attribute_of_others(path: Path) -> None:
    tree = ast.parse(path.read_text())
    reached = [
        f"{path.name}:{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and (node.attr.startswith("_") or node.attr in INNER)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    private = [alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert [name for name in private if name.startswith("_")] + reached == []
