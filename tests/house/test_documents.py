"""What README.md, ARCHITECTURE.md and the Makefile claim about the repository is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH_LIKE = re.compile(r"`((?:src|crates|tests|bench|docs|examples|\.ci)/[A-Za-z0-9_./-]*)(?:::(\w+))?`")
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")


def named_paths(document: str) -> list[tuple[str, str]]:
    return PATH_LIKE.findall((ROOT / document).read_text())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    missing = [path for path, _ in named_paths(document) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_name_that_a_document_gives_in_a_file_is_in_that_file(document: str) -> None:
    wrong = [
        f"{path}::{name}"
        for path, name in named_paths(document)
        if name and not re.search(rf"\b{name}\b", (ROOT / path).read_text())
    ]
    assert wrong == []


def test_architecture_has_its_three_walks() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for walk in (
        "An INVITE from a provider until the phone rings",
        "An RTP packet through the relay",
        "A REGISTER with digest",
    ):
        assert f"### {walk}" in text
        section = text.split(f"### {walk}", 1)[1].split("\n### ", 1)[0]
        assert len(PATH_LIKE.findall(section)) >= 4


def test_every_works_in_the_readme_names_a_test() -> None:
    rows = [
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|") and "| works" in line
    ]
    assert rows
    unproven = [
        row for row in rows if not any(path.startswith(("tests/", "crates/")) for path, _ in PATH_LIKE.findall(row))
    ]
    assert unproven == []


def test_every_make_target_has_a_help_line() -> None:
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    assert {"demo", "test", "lint", "types", "bench", "docs", "fuzz"} <= targets


def test_make_test_builds_the_documentation() -> None:
    needed = re.search(r"^test: (.*?) ##", (ROOT / "Makefile").read_text(), re.M)
    assert needed
    assert {"docs", "lint", "types", "unit"} <= set(needed[1].split())
