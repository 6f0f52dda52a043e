"""The table of features and peers in tests/interop/README.md: whole, and each test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

INTEROP = Path(__file__).resolve().parents[1] / "interop"
PEERS = ["SIPp", "Kamailio", "baresip", "Linphone"]


def table() -> list[list[str]]:
    section = (INTEROP / "README.md").read_text().split("## Feature by peer", 1)[1].split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]


def test_every_feature_has_a_test_or_a_reason_for_each_peer() -> None:
    head, _, *rows = table()
    assert head == ["feature", *PEERS]
    assert len(rows) > 20
    wrong = [
        (row[0], cell)
        for row in rows
        for cell in row[1:]
        if not re.match(r"yes: `test_\w+`|(cannot|not asked): \w", cell) or len(row) != 5
    ]
    assert wrong == []


def test_every_test_that_the_table_names_is_there() -> None:
    there = {
        name for path in INTEROP.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    named = {name for row in table() for name in re.findall(r"`(test_\w+)`", " ".join(row))}
    assert named - there == set()
