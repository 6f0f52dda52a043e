"""Whom a call was meant for before it came here: Diversion (RFC 5806) and History-Info (RFC 7044), read.

`CallSession.diversions` shows it to the application; `server.forwarded` writes both towards lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from trunkline.sip.endpoint import Message, NameAddr, Parameterized, SipParseError, read_number

__all__ = ["CAUSES", "Diverted", "addresses", "diversions"]

MAX_ENTRIES = 20
"""Entries that are read: a longer history is a loop."""

CAUSES = {
    "user-busy": 486,
    "no-answer": 408,
    "unconditional": 302,
    "deflection": 480,
    "unavailable": 503,
    "out-of-service": 404,
}
"""Reasons of RFC 5806 §4 and the cause values of RFC 4458 §3.1 that mean the same."""

_REASONS = {cause: reason for reason, cause in CAUSES.items()} | {487: "deflection"}


@dataclass(frozen=True, slots=True)
class Diverted:
    """One diversion of a call on its way here."""

    number: str
    """Whom it was meant for then."""
    reason: str = "unknown"
    """Why it went on, in RFC 5806's words: `unconditional`, `user-busy`, `no-answer`, `unavailable` and others."""
    name: str = ""
    """The display name of that party."""
    private: bool = False
    """Whether that party is not to be shown to the callee."""


def addresses(message: Message, header: str) -> list[NameAddr]:
    """The values of a header of addresses; what is malformed is left out."""
    values = message.values(header)
    return list(_parsed(values[:MAX_ENTRIES])) if values else []


def diversions(message: Message) -> tuple[Diverted, ...]:
    """The diversions that an INVITE tells of, the latest first: its Diversion, or else its History-Info."""
    found = [_of_diversion(value) for value in addresses(message, "Diversion")]
    return tuple(found or reversed(list(_of_history(addresses(message, "History-Info")))))


def _parsed(values: list[str]) -> Iterator[NameAddr]:
    for value in values:
        try:
            yield NameAddr.parse(value)
        except SipParseError:
            continue


def _of_diversion(value: NameAddr) -> Diverted:
    reason = (value.param("reason") or "unknown").lower()
    private = (value.param("privacy") or "off").lower() != "off"
    return Diverted(value.uri.user or value.uri.host, _word(reason), value.display_name or "", private)


def _of_history(entries: list[NameAddr]) -> Iterator[Diverted]:
    """RFC 7044 §5: each entry is whom the request was sent to; all but the last were left for the next one."""
    for entry, following in pairwise(entries):
        cause = following.uri.param("cause") or _reason_cause(entry)
        reason = _REASONS.get(read_number(cause) or 0, "unknown")
        private = any(name.lower() == "privacy" and value.lower() != "none" for name, value in entry.uri.headers)
        yield Diverted(entry.uri.user or entry.uri.host, reason, entry.display_name or "", private)


def _word(reason: str) -> str:
    """A reason that can be written again: a token (RFC 5806 §4)."""
    return reason if reason.isascii() and reason.replace("-", "").isalnum() and len(reason) <= 40 else "unknown"


def _reason_cause(entry: NameAddr) -> str:
    """The cause in the Reason that is part of an entry's URI (RFC 7044 §5.2), as `Reason=SIP%3Bcause%3D486`."""
    for name, value in entry.uri.headers:  # unescaped
        if name.lower() == "reason":
            try:
                return Parameterized.parse(value or "").param("cause") or ""
            except SipParseError:
                return ""
    return ""
