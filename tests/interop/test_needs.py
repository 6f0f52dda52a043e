"""A suite that cannot run is named: skipped on an ordinary machine, a failure where interop tests are required."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from peers import needs

INTEROP = Path(__file__).resolve().parent
ROOT = INTEROP.parent.parent


@pytest.fixture
def without_baresip(monkeypatch: pytest.MonkeyPatch) -> None:
    present = set(needs.PACKAGES) - {"baresip"}
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/usr/bin/{name}" if name in present else None)
    monkeypatch.setattr(needs, "has_library", lambda name: True)
    monkeypatch.setattr(needs, "has_module", lambda name: True)
    monkeypatch.setattr(needs, "may_make_namespaces", lambda: True)


@pytest.mark.usefixtures("without_baresip")
def test_only_the_suite_whose_program_is_missing_is_skipped() -> None:
    assert list(needs.skipped_suites()) == ["baresip"]
    assert "no baresip on this machine" in needs.why_skipped("baresip")


def test_every_suite_of_peers_is_skipped_without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "may_make_namespaces", lambda: False)
    own = {"pcap", "hep", "espeak", "srtp", "spandsp", "sox", "opusdec", "ffmpeg"}
    assert set(needs.skipped_suites()) == set(needs.SUITES) - own


def test_every_program_that_a_suite_needs_has_a_package() -> None:
    assert {program for programs in needs.SUITES.values() for program in programs} == set(needs.PACKAGES)


@pytest.mark.parametrize(("required", "status"), [("", 0), ("1", 1)])
@pytest.mark.parametrize("command", [[str(INTEROP / "install")], [sys.executable, "-m", "tests.skipped"]])
def test_what_is_missing_is_printed_and_fails_only_where_it_is_required(
    tmp_path: Path, command: list[str], required: str, status: int
) -> None:
    # A PATH with Python and setpriv alone: no apt-get to install anything with, and no unshare.
    for name in ("python3", "env"):
        (tmp_path / name).symlink_to(sys.executable if name == "python3" else "/usr/bin/env")
    environment = {**os.environ, "PATH": str(tmp_path), needs.REQUIRED: required}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == status
    # A library is found whatever PATH says.
    for suite in set(needs.SUITES) - {"srtp", "spandsp"}:
        assert suite in done.stdout + done.stderr


@pytest.mark.usefixtures("without_baresip")
def test_a_fixture_fails_instead_of_skipping_where_interop_is_required(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(needs.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="no baresip"):
        request.getfixturevalue("baresip")


@pytest.mark.usefixtures("without_baresip")
def test_a_fixture_skips_elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(needs.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no baresip"):
        request.getfixturevalue("baresip")
