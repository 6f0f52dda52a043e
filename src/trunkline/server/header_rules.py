"""Which header fields an INVITE of ours has besides those of SIP itself: passed on, added, set by the application.

`identity` calls it with the identity headers of the leg. What the application sets goes before what the line adds, and
that before what comes from the other leg.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from trunkline.calls.headers import passed
from trunkline.calls.peers import Placing
from trunkline.server.line_settings import LineSettings, added_header

__all__ = ["Pair", "over_line_headers", "to_phone_headers"]

Pair = tuple[str, str]

TELLING = frozenset(
    {"subject", "call-info", "organization", "user-agent", "reply-to", "in-reply-to", "referred-by", "server"}
)
"""What an anonymous call does not have (RFC 3323 §4.1, last paragraphs): optional, and telling of who calls."""


def over_line_headers(
    settings: LineSettings,
    placing: Placing,
    identity: Iterable[Pair],
    *,
    from_line: LineSettings | None,
    anonymous: bool,
) -> Iterator[Pair]:
    """All headers of an INVITE over a line.

    Args:
        settings: The line's.
        placing: What is placed.
        identity: What says who calls.
        from_line: The settings of the line that the call came in over, if it did.
        anonymous: Whether the caller stays so.
    """
    names = settings.headers_passed
    if not (names or settings.headers_added or settings.headers_removed or placing.headers):
        yield from identity
        return
    if from_line is not None:
        allowed = _lower(from_line.headers_passed)
        names = tuple(name for name in names if name.lower() in allowed)
    added = [added_header(line) for line in settings.headers_added]
    removed = _lower(settings.headers_removed)
    for name, value in (*identity, *_merged(placing, names, added, anonymous=anonymous)):
        if name.lower() not in removed:
            yield name, value


def to_phone_headers(placing: Placing, *, from_line: LineSettings | None, anonymous: bool) -> Iterator[Pair]:
    """The headers of an INVITE to a user: what the line that brought the call lets through, and the application's own."""
    return _merged(placing, from_line.headers_passed if from_line is not None else (), (), anonymous=anonymous)


def _merged(placing: Placing, names: Sequence[str], added: Sequence[Pair], *, anonymous: bool) -> Iterator[Pair]:
    origin = placing.origin
    sources: list[Sequence[Pair]] = [placing.headers, added, list(passed(origin.message, names)) if origin else []]
    taken: set[str] = set()
    for source in sources:
        for name, value in source:
            if name.lower() not in taken and not (anonymous and name.lower() in TELLING):
                yield name, value
        taken |= _lower(name for name, _ in source)


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
