"""The table of features and peers in tests/interop/README.md: whole, and each test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

INTEROP = Path(__file__).resolve().parents[1] / "interop"
PEERS = ["SIPp", "Kamailio", "baresip", "Linphone"]

FEATURES = {
    "REGISTER", "calls both ways", "TCP", "CANCEL", "hold and resume by re-INVITE", "hold by UPDATE", "hold by `inactive`",
    "100rel and PRACK", "session timers: 422", "session timers: refreshed by the peer", "session timers: refreshed by us",
    "INVITE and re-INVITE without description", "early media", "digits", "blind transfer", "attended transfer", "REFER taken",
    "INVITE with Replaces sent", "MESSAGE", "lamps", "presence", "PUBLISH", "message waiting", "T.38 by re-INVITE",
    "INFO with a body", "3xx followed", "identity", "finding servers", "Service-Route", "outbound", "multipart bodies",
    "488 met with another offer", "RTP and RTCP on one port", "SRTP", "behind a NAT", "fifty calls at once",
}  # fmt: skip
"""How the row of each feature begins that trunkline has and a real program could show; a new one is added here first."""


def table() -> list[list[str]]:
    section = (INTEROP / "README.md").read_text().split("## Feature by peer", 1)[1].split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]


def test_every_feature_has_a_test_or_a_reason_for_each_peer() -> None:
    head, _, *rows = table()
    assert head == ["feature", *PEERS]
    assert [name for name in sorted(FEATURES) if not any(row[0].startswith(name) for row in rows)] == []
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
