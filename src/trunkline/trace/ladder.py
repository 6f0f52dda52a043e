"""The record as a ladder: one column a party, one line a message, the events of the server between them.

alice             server            provider
  |-- INVITE --------->|                 |        0.000
  |                    |-- INVITE ------>|        0.004
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trunkline.trace.recorder import Entry, TracedMessage

__all__ = ["draw_ladder"]

Address = tuple[str, int]

COLUMN = 26
"""Characters from one lifeline to the next."""
MAX_PARTIES = 8
"""Lifelines drawn; what more parties sent is left out and counted in the last line."""


def draw_ladder(entries: Iterable[Entry], names: Mapping[Address, str] | None = None, *, us: str = "server") -> str:
    """Draw a ladder.

    Args:
        entries: What was recorded, in order.
        names: Names for the addresses of other parties; an address without one stands for itself.
        us: The name of the recorder's own lifeline.

    Returns:
        The drawing, lines joined by newlines; "" when there is nothing to draw.
    """
    entries = list(entries)
    if not entries:
        return ""
    parties = _parties(entries, names or {}, us)
    start_s = entries[0].time_s
    lines = [_heads(parties)]
    left_out = 0
    for entry in entries:
        stamp = f"{entry.time_s - start_s:9.3f}"
        if not isinstance(entry, TracedMessage):
            lines.append(f"{_lifelines(parties)} {stamp}  * {entry.text}")
            continue
        other = _name(entry.remote, names or {})
        if other not in parties:
            left_out += 1
            continue
        lines.append(f"{_arrow(parties, us, other, entry)} {stamp}")
    if left_out:
        lines.append(f"({left_out} messages of further parties left out)")
    return "\n".join(lines)


def _name(address: Address, names: Mapping[Address, str]) -> str:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return names.get(address) or f"{host}:{address[1]}"


def _parties(entries: list[Entry], names: Mapping[Address, str], us: str) -> list[str]:
    others = dict.fromkeys(_name(entry.remote, names) for entry in entries if isinstance(entry, TracedMessage))
    found = list(others)[: MAX_PARTIES - 1]
    # we stand after the first: phones left, providers right
    return [*found[:1], us, *found[1:]]


def _heads(parties: list[str]) -> str:
    return "".join(f"{name[: COLUMN - 2]:<{COLUMN}}" for name in parties).rstrip()


def _lifelines(parties: list[str]) -> str:
    return ("|" + " " * (COLUMN - 1)) * (len(parties) - 1) + "|"


def _arrow(parties: list[str], us: str, other: str, entry: TracedMessage) -> str:
    here, there = parties.index(us), parties.index(other)
    left, right = min(here, there), max(here, there)
    rightward = (here < there) == entry.sent
    width = (right - left) * COLUMN - 1
    label = f" {_label(entry.start_line)[: width - 6]} "
    shaft = f"{label:-^{width - 1}}"
    body = f"{shaft}>" if rightward else f"<{shaft}"
    line = _lifelines(parties)
    return line[: left * COLUMN + 1] + body + line[right * COLUMN :]


def _label(start_line: str) -> str:
    words = start_line.split(" ", 2)
    if start_line.startswith("SIP/"):
        return " ".join(words[1:])
    return words[0]
