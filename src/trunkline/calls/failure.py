"""What a failure on one side becomes on the other: tables of statuses, the best of several answers, the Reason header.

`outgoing` asks which of several failures stands for all (RFC 3261 §16.7), `course` what the caller is told. Words of
the other side's server never cross; Reason header values (RFC 3326) do, cut to what the RFC defines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from trunkline.calls.link import News
from trunkline.calls.peers import PlacementError
from trunkline.constants import ClosedReason, PeerType
from trunkline.errors import CallFailed, NotRegistered
from trunkline.events import FailedAttempt
from trunkline.explanation import Explanation
from trunkline.sip.endpoint import Message, SipParseError
from trunkline.sip.request import Failure

__all__ = [
    "COMPLETED_ELSEWHERE",
    "best",
    "closed_by",
    "contact_of",
    "crossing",
    "error_of",
    "reason",
    "reasons_of",
    "warning",
]

MAX_REASONS = 4
"""Reason values that cross at most."""

_CROSSING: dict[PeerType, dict[int, int]] = {
    # A line: what concerns our account or our connection to the provider says nothing to the phone, and would make it
    # ask its user for a password (401, 407), give up its own account (403) or try another server (503).
    PeerType.LINE: {401: 502, 403: 502, 407: 502, 408: 504, 503: 500},
    # A user: to the caller a phone that is silent, unreachable or strange is a callee who is not there.
    PeerType.USER: {401: 480, 403: 480, 407: 480, 408: 480, 430: 480, 485: 404, 503: 480},
}

_OWN_BUSINESS: dict[int, int] = {
    # Between us and the side that answered: our request was not to its taste. The caller can do nothing about it.
    400: 500,
    402: 480,
    405: 500,
    406: 488,
    413: 500,
    414: 500,
    415: 488,
    416: 500,
    420: 500,
    421: 500,
    422: 500,
    423: 500,
    481: 500,
    482: 480,
    487: 480,
    489: 500,
    491: 480,
    493: 488,
    494: 500,
    505: 500,
    513: 500,
}

NO_MEDIA_PORT = Failure(503, "no media port is free")
"""A failure of our own: ports or descriptors are used up."""

RETRY_AFTER = ("Retry-After", "5")

_RANK: dict[int, int] = {
    486: 0,
    480: 1,
    484: 2,
    488: 2,
    404: 3,
    410: 3,
    415: 4,
    420: 4,
    401: 7,
    407: 7,
    403: 7,
    408: 8,
    487: 8,
}
"""Within a class: what tells the caller most comes first, what only says that nobody was there last."""

_USUAL_RANK = 5


def crossing_status(peer_type: PeerType, status: int) -> int:
    """The status that the other side is told for a failure of this kind of peer."""
    if 300 <= status < 400:
        # a redirection that was not followed: the addresses in it are not for the other side
        return 480
    return _CROSSING[peer_type].get(status) or _OWN_BUSINESS.get(status, status)


def crossing(peer_type: PeerType, failure: Failure) -> News:
    """What the caller is told of a failure: status, Reason and, for codecs, the Warning in our own words."""
    if failure is NO_MEDIA_PORT:
        # RFC 3261 §21.5.4: the want is ours and not the peer's, and passes
        return News(status=503, headers=(RETRY_AFTER,))
    headers = reasons_of(failure.message) if failure.message is not None else []
    status = crossing_status(peer_type, failure.status)
    if status in (488, 606):
        headers = [
            *headers,
            warning(failure.reason if failure.message is None else "the other side takes none of these codecs"),
        ]
    return News(status=status, headers=tuple(headers))


def best(failures: Iterable[Failure]) -> Failure:
    """The failure that stands for all (RFC 3261 §16.7, step 6): a 6xx, then the lowest class, then what says most."""
    return min(failures, key=_precedence)


def _precedence(failure: Failure) -> tuple[int, int, int]:
    status = failure.status
    kind = 0 if status >= 600 else status // 100
    # an answer that was heard says more than a silence of the same rank
    return (kind, _RANK.get(status, _USUAL_RANK), 0 if failure.heard else 1)


def contact_of(failure: Failure) -> str:
    """The first Contact of a 3xx, for the application; "" where there is none."""
    message = failure.message
    if message is None or not 300 <= failure.status < 400:
        return ""
    try:
        contacts = message.contacts
    except SipParseError:
        return ""
    return str(contacts[0].uri) if contacts else ""


def closed_by(failure: Failure) -> ClosedReason:
    """Why a session is closed whose failure the application did nothing about."""
    return ClosedReason.MOVED if 300 <= failure.status < 400 else ClosedReason.FAILED


def error_of(
    peer_type: PeerType,
    failure: Failure,
    attempts: tuple[FailedAttempt, ...] = (),
    explanation: Explanation | None = None,
) -> CallFailed:
    """What is raised for a placing that failed. `NotRegistered` only where no phone of a user was found to be called.

    A 480 that nobody sent is the directory's word; one that came from a phone or a line says that the callee is not
    available now (RFC 3261 §21.4.18).
    """
    if failure.status == 480 and not failure.heard and peer_type is PeerType.USER:
        return NotRegistered(failure.status, failure.reason, attempts, explanation)
    return CallFailed.of(failure.status, failure.reason, attempts, explanation)


def failure_of(error: PlacementError) -> Failure:
    """A target that could not be found, as a failure of its own."""
    return Failure(error.status, error.reason)


# --- Reason (RFC 3326) and Warning (RFC 3261 §20.43)
# --------------------------------------------------------------------


MAX_TEXT = 80
"""Characters of the words in a Reason that cross at most."""

MAX_CAUSE = 999

_PROTOCOLS = {"sip": "SIP", "q.850": "Q.850"}


def _quoted(text: str) -> str:
    """Text inside quotes: control characters, quotes and backslashes go (RFC 3261 §25.1)."""
    return re.sub(r'[\x00-\x1f\x7f"\\]', " ", text)[:120]


def reason(cause: int, text: str) -> tuple[str, str]:
    """A Reason header with a SIP status."""
    return ("Reason", f'SIP ;cause={cause} ;text="{_quoted(text)}"')


COMPLETED_ELSEWHERE = reason(200, "Call completed elsewhere")
"""On the CANCEL to the attempts that another was faster than (RFC 3326 §3.1)."""


def reasons_of(message: Message) -> list[tuple[str, str]]:
    """The Reason headers of a BYE, CANCEL or failure, rebuilt: protocol, cause and text, nothing else crosses."""
    crossed = []
    for said in message.reasons[:MAX_REASONS]:
        protocol = _PROTOCOLS.get(said.protocol.lower())
        if protocol is None or said.cause is None or said.cause > MAX_CAUSE:
            continue
        words = "" if said.text is None else f' ;text="{_quoted(said.text)[:MAX_TEXT]}"'
        crossed.append(("Reason", f"{protocol} ;cause={said.cause}{words}"))
    return crossed


def warning(text: str) -> tuple[str, str]:
    """A Warning header that says in words why a description was refused: code 305, incompatible media format."""
    return ("Warning", f'305 trunkline "{_quoted(text)}"')
