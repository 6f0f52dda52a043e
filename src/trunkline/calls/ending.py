"""How a session ended for which no placing's failure stands: status, words and explanation, a table of closed reasons.

`record` asks when it makes the record of a session that was refused, given up or lost, `course` when it tells of a loss. What a
placing failed of is explained by `explanation`.
"""

from __future__ import annotations

from typing import NamedTuple

from trunkline.calls.peers import Party
from trunkline.constants import ChannelId, ClosedReason
from trunkline.explanation import Explanation, Row
from trunkline.sip.shown import short

__all__ = ["LOST_STATUS", "REFUSED_REASON", "Ended", "ended", "explain_lost", "fault_of"]


class Ended(NamedTuple):
    """What a session that failed ended with."""

    status: int
    reason: str
    explanation: Explanation


LOST_STATUS = 408
"""What the Reason header of the BYE says where a session was lost."""

GIVEN_UP_STATUS = 487

REFUSED_REASON = "refused"
"""In records, why an INVITE ended that made no session."""

_ENDINGS = {
    ClosedReason.REJECTED: Row(
        "the application rejected the call with {answer}",
        "CallSession.reject",
        "if it should have rung, look at the handler that rejected it",
    ),
    ClosedReason.FAILURE_SENT: Row(
        "the application answered the call with {answer}",
        "CallSession.respond",
        "if it should have rung, look at the handler that answered so",
    ),
    ClosedReason.REDIRECT_SENT: Row("the application sent the caller elsewhere with {answer}", "RFC 3261 §21.3"),
    ClosedReason.CANCELLED: Row("the caller gave up before the call was answered", "RFC 3261 §9.1"),
    ClosedReason.HANGUP: Row("a party hung up before the call was answered", "RFC 3261 §15"),
    ClosedReason.CLOSED: Row(
        "our side ended the call before it was answered", "CallSession.close, or the stop of the server"
    ),
    ClosedReason.FAILED: Row(
        "nobody decided about the call",
        "a call is refused with 480 unless a handler of on_incoming_call decides",
        "have a handler of on_incoming_call accept, answer or reject every call",
    ),
    ClosedReason.TIMEOUT: Row(
        "nothing was decided about the call in time",
        "the option decision_timeout_s",
        "have the handler decide sooner, or raise decision_timeout_s",
    ),
    ClosedReason.SESSION_LOST: Row("the session was lost", "RFC 5057 §5.1"),
}
"""Of sessions that were never answered. `transferred` is no failure, and `moved` is always a placing's."""

_STATUS = {
    ClosedReason.CANCELLED: GIVEN_UP_STATUS,
    ClosedReason.HANGUP: GIVEN_UP_STATUS,
    ClosedReason.SESSION_LOST: LOST_STATUS,
}
"""Where the end is no response of ours."""


def ended(closed: ClosedReason, status: int, words: str | None, *, arrived: bool) -> Ended | None:
    """What a session ended with that was never answered; None for one that did not fail.

    Args:
        closed: Why it is over.
        status: What a caller who waits was told.
        words: The application's own reason phrase.
        arrived: Whether it began with an INVITE of a peer, rather than being dialled.
    """
    row = _ENDINGS.get(closed)
    if row is None:
        return None
    status = _STATUS.get(closed, status if arrived else GIVEN_UP_STATUS)
    answer = f"{status} {short(words)}" if words else str(status)
    received = "INVITE" if arrived else "nothing"
    if closed is ClosedReason.CANCELLED:
        received = "CANCEL"
    explanation = row.explanation(
        {"answer": answer}, sent=f"{answer} to the caller" if arrived else "", received=received
    )
    return Ended(status, words or explanation.problem, explanation)


def fault_of(error: BaseException) -> Ended:
    """What a session ends with whose handler raised; what the exception says may be secret, and is in the log alone."""
    explanation = Explanation(
        problem=f"a handler of the application raised {type(error).__name__}",
        sent="500 to a caller who waited, BYE to who was up",
        received="",
        rule="a handler that raises ends its call, and no other",
        advice="the log has the traceback under trunkline.calls: mend the handler",
    )
    return Ended(500, explanation.problem, explanation)


# --- losses -------------------------------------------------------------------------------------------------------------

_LOSSES = (
    (
        "no audio",
        Row(
            "{side}: no audio arrived any more",
            "the option media_timeout_s",
            "look for a firewall or a NAT between us and {peer} that drops the audio; raise media_timeout_s for peers that "
            "fall silent on purpose",
        ),
    ),
    (
        "media failed",
        Row(
            "{side}: {why}", "the socket of its media leg", "look into the system's log: interface, ports, descriptors"
        ),
    ),
    (
        "the session was not refreshed",
        Row(
            "{side}: {why}",
            "RFC 4028 §10",
            "{peer} or the network in between is gone; session_expires_s says how soon we see it",
        ),
    ),
    ("", Row("{side}: {why}", "RFC 5057 §5.1, RFC 3261 §12.2.1.2", "{peer} has lost the call: it may have restarted")),
)
"""By how the words begin that say what was noticed; the first row that fits."""


def explain_lost(channel: ChannelId, party: Party | None, why: str) -> Explanation:
    """Why a session was lost.

    Args:
        channel: On which side.
        party: Who is there.
        why: What was noticed.
    """
    peer = f"{party.peer_type.name.lower()} {party.name}" if party is not None else "the peer"
    row = next(row for begins, row in _LOSSES if why.startswith(begins))
    words = {"side": f"channel {channel.name}, {peer}", "peer": peer, "why": why}
    return row.explanation(words, sent="BYE to both sides", received=why)
