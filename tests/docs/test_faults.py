"""Each row of the table of faults names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guides" / "faults.rst"
NAMED = re.compile(r"^     - ``(tests/[\w/]+\.py)::(test_\w+)``$", re.MULTILINE)


def rows() -> list[str]:
    table = PAGE.read_text().split(".. list-table::", 1)[1].split("\nThe journal\n", 1)[0]
    return re.split(r"^   \* - ", table, flags=re.MULTILINE)[2:]


def test_each_row_of_the_faults_names_one_test_that_exists() -> None:
    assert len(rows()) >= 8
    for row in rows():
        named = NAMED.findall(row)
        assert len(named) == 1, row
        path, name = named[0]
        assert (ROOT / path).is_file(), path
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{name}"


def test_each_test_of_a_fault_stands_in_the_table() -> None:
    named = {name for row in rows() for _, name in NAMED.findall(row)}
    files = [*(ROOT / "tests" / "faults").glob("test_*.py"), ROOT / "tests" / "interop" / "test_faults.py"]
    tests = {name for path in files for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)}
    assert tests <= named
