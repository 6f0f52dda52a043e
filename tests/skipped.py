"""Names the suites of tests that this machine had to skip, or prints nothing.

`make test` ends with `python -m tests.skipped`, so that the names are its last lines. With TRUNKLINE_REQUIRE_INTEROP=1
(in CI) a skipped suite makes it exit 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "interop"))

from peers import needs


def main() -> int:
    """Print a line for each skipped suite and return the exit status."""
    skipped = needs.skipped_suites()
    if not skipped:
        return 0
    lines = [f"skipped on this machine: {len(skipped)} of {len(needs.SUITES)} interop suites"]
    lines += [f"  {why}" for why in skipped.values()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if needs.is_required() else 0


if __name__ == "__main__":
    sys.exit(main())
