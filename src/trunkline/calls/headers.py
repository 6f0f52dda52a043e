"""Header fields of an INVITE that the application, or a line's configuration, may read, set and pass on.

`CallSession` checks with it what a handler gives; `server.line_settings` checks the header rules of a line. What SIP
itself owns, and what says who calls, is never set this way: a wrong Via breaks the call, a wrong identity tells a lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from trunkline.sip.endpoint import Message

__all__ = ["GivenHeaders", "checked_headers", "header_problem", "is_identity", "name_problem", "passed"]

GivenHeaders = Mapping[str, str] | Sequence[tuple[str, str]]
"""Names and values; a sequence where a name comes several times, as User-to-User may (RFC 7433 §4.1)."""

MAX_HEADERS = 50
MAX_VALUE = 4_096

OWNED_BY_SIP = frozenset(
    {
        "accept",
        "accept-contact",
        "accept-encoding",
        "accept-language",
        "allow",
        "allow-events",
        "answer-mode",
        "authentication-info",
        "authorization",
        "call-id",
        "contact",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "cseq",
        "date",
        "error-info",
        "event",
        "expires",
        "flow-timer",
        "from",
        "identity",
        "identity-info",
        "info-package",
        "join",
        "max-forwards",
        "mime-version",
        "min-expires",
        "min-se",
        "path",
        "permission-missing",
        "policy-contact",
        "priv-answer-mode",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-require",
        "rack",
        "record-route",
        "recv-info",
        "refer-sub",
        "refer-to",
        "referred-by",
        "reject-contact",
        "replaces",
        "request-disposition",
        "require",
        "retry-after",
        "route",
        "rseq",
        "security-client",
        "security-server",
        "security-verify",
        "server",
        "service-route",
        "session-expires",
        "sip-etag",
        "sip-if-match",
        "subscription-state",
        "supported",
        "suppress-if-match",
        "target-dialog",
        "timestamp",
        "to",
        "trigger-consent",
        "unsupported",
        "via",
        "www-authenticate",
    }
)
"""What the layers below write or act upon."""

OWNED_BY_IDENTITY = frozenset(
    {
        "diversion",
        "history-info",
        "p-asserted-identity",
        "p-called-party-id",
        "p-preferred-identity",
        "privacy",
        "remote-party-id",
    }
)
"""What says who calls whom; settings of a line and arguments of a call decide about it."""

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,100}")
_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_identity(name: str) -> bool:
    """Whether it says who calls whom."""
    return name.lower() in OWNED_BY_IDENTITY


def name_problem(name: str) -> str:
    """Why a header field of that name is not for anybody to set; "" where it is."""
    if not _TOKEN.fullmatch(name):
        return f"{name!r} is no name of a header field"
    if len(name) == 1:
        return f"{name}: the compact names are those of fields that SIP itself owns"  # RFC 3261 §7.3.3
    if name.lower() in OWNED_BY_SIP:
        return f"{name} is SIP's own"
    if is_identity(name):
        return f"{name} says who calls; caller_id, privacy and the settings of the line decide about it"
    return ""


def header_problem(name: str, value: str) -> str:
    """Why that header field cannot be set; "" where it can."""
    if problem := name_problem(name):
        return problem
    if _BREAKS.search(value) or len(value) > MAX_VALUE:
        return f"{name}: a value is one line of at most {MAX_VALUE} characters"
    return "" if _encodes(value) else f"{name}: the value has a character that no message can carry"


def checked_headers(headers: GivenHeaders | None, argument: str = "headers") -> tuple[tuple[str, str], ...]:
    """What a handler gives, as names and values.

    Args:
        headers: Names and values.
        argument: What the error calls them.

    Raises:
        ValueError: A name is none, or is not for the application to set; a value has a line break; there are too many.
    """
    pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers or ())
    for name, value in pairs:
        if problem := header_problem(name, value):
            raise ValueError(f"{argument}: {problem}")
    if len(pairs) > MAX_HEADERS:
        raise ValueError(f"{argument}: at most {MAX_HEADERS} are possible")
    return pairs


def passed(message: Message, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The header fields of a message that are to go on to the other leg; what could not be sent again is left out."""
    count = 0
    for name in names:
        for value in message.lines(name):
            if not header_problem(name, value) and count < MAX_HEADERS:
                count += 1
                yield name, value


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
