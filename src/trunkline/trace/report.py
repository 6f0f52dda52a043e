"""What a failed test prints of a server: the ladder with its events, and what is still alive.

The pytest plugin calls it; so may anybody who catches an error and wants to see how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.trace.ladder import draw_ladder
from trunkline.trace.recorder import Recorder

__all__ = ["write_report"]

MAX_ENTRIES = 400
"""The last entries that a report shows."""


def write_report(
    recorder: Recorder, *, names: Mapping[tuple[str, int], str] | None = None, counts: Mapping[str, int] | None = None
) -> str:
    """The report.

    Args:
        recorder: What was recorded.
        names: Names for addresses, as for `draw_ladder`.
        counts: Live counts worth knowing, as dialogs, legs, transactions.
    """
    entries = list(recorder)
    lines = []
    if len(entries) > MAX_ENTRIES:
        lines.append(f"({len(entries) - MAX_ENTRIES} earlier entries left out)")
    lines.append(draw_ladder(entries[-MAX_ENTRIES:], names) or "(nothing was recorded)")
    if counts:
        lines.append("alive: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return "\n".join(lines)
