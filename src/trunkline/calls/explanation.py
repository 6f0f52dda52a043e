"""Explains the failure of an attempt, or of a placing for which nobody could be called: a table of statuses for each kind of peer.

`course` asks for it when it tells the application. What the table says of a line concerns the account's settings; what it says
of a user concerns a phone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trunkline.calls.peers import Party, Target
from trunkline.constants import PeerType
from trunkline.events import FailedAttempt
from trunkline.explanation import Explanation, Row
from trunkline.sip.request import Failure
from trunkline.sip.shown import shown_answer, shown_flow

__all__ = ["explain_attempt", "explain_late", "explain_unplaced"]

MAX_TOLD = 3
"""Attempts that the explanation of a timeout names."""

_CALLEE = {
    404: Row("{number} does not exist behind {peer}", "RFC 3261 §21.4.5"),
    410: Row("{number} is no longer in use", "RFC 3261 §21.4.10"),
    480: Row("{number} cannot be reached now", "RFC 3261 §21.4.18"),
    484: Row("{number} is incomplete", "RFC 3261 §21.4.22"),
    486: Row("{number} is busy", "RFC 3261 §21.4.24"),
    487: Row("the call to {number} was given up by {peer}", "RFC 3261 §21.4.25"),
    600: Row("{number} is busy everywhere", "RFC 3261 §21.6.1"),
    603: Row("{number} declined the call", "RFC 3261 §21.6.2"),
    604: Row("{number} does not exist anywhere", "RFC 3261 §21.6.3"),
    607: Row("{number} does not want this call", "RFC 8197"),
    608: Row("the call to {number} was blocked on its way as unwanted", "RFC 8688"),
}
"""What concerns the callee alone; for a line, some of it may be the number's format."""

_BETWEEN_US = {
    400: Row(
        "{peer} finds our request malformed",
        "RFC 3261 §21.4.1",
        "record the call with the option --pcap and compare what was sent with what the provider asks for",
    ),
    406: Row("{peer} cannot say what we accept", "RFC 3261 §21.4.7", "offer other codecs"),
    413: Row("{peer} finds our request too large", "RFC 3261 §21.4.11", "offer fewer codecs, or pass fewer headers"),
    415: Row(
        "{peer} takes no session description of this kind", "RFC 3261 §21.4.13", "compare the codecs of both sides"
    ),
    420: Row("{peer} does not know an extension that we require", "RFC 3261 §21.4.15", "require less of this peer"),
    421: Row("{peer} requires an extension that we did not offer", "RFC 3261 §21.4.16", "turn the extension on"),
    422: Row("{peer} finds our session interval too small", "RFC 4028 §6", "raise session_expires_s"),
    481: Row("{peer} no longer knew the call", "RFC 3261 §21.4.19", "the peer may have restarted; try again"),
    482: Row("the call came back to {peer}", "RFC 3261 §21.4.20", "a route of ours or of the peer's leads in a circle"),
    483: Row(
        "the call passed too many servers", "RFC 3261 §21.4.21", "a route of ours or of the peer's leads in a circle"
    ),
    488: Row(
        "{peer} takes none of the codecs that it was offered: {codecs}",
        "RFC 3264 §6, RFC 3261 §21.4.26",
        "add a codec that the other side has to the option codecs",
    ),
    493: Row("{peer} cannot decrypt", "RFC 3261 §21.4.28", "send it no encrypted body"),
    500: Row("{peer} has an error of its own", "RFC 3261 §21.5.1", "try again, or ask who runs it"),
    501: Row("{peer} does not know INVITE", "RFC 3261 §21.5.2", "check that its address is that of a SIP server"),
    502: Row("{peer} got no sense out of the next server", "RFC 3261 §21.5.3", "try again, or ask who runs it"),
    503: Row("{peer} is overloaded or under maintenance", "RFC 3261 §21.5.4", "try again later, or another line"),
    504: Row("{peer} got no answer from the next server", "RFC 3261 §21.5.5", "try again, or another line"),
    505: Row("{peer} speaks no SIP/2.0", "RFC 3261 §21.5.6", "check that its address is that of a SIP server"),
    513: Row("{peer} finds our message too large", "RFC 3261 §21.5.7", "offer fewer codecs, or use TCP"),
    606: Row("{peer} takes none of the codecs that it was offered: {codecs}", "RFC 3261 §21.6.4", "offer other codecs"),
}

_REFUSED = Row(
    "{peer}: the provider does not take the user name or password",
    "RFC 3261 §22.2",
    "check username, auth_username and password of the line",
)
_LINE = {
    401: _REFUSED,
    407: _REFUSED,
    402: Row("{peer}: the account has no credit", "RFC 3261 §21.4.3", "top the account up at the provider"),
    403: Row(
        "{peer}: the provider forbids this call to {number}",
        "RFC 3261 §21.4.4",
        "check that the account may call there, and which caller the provider wants to see: from_user, from_domain, "
        "asserted_identity",
    ),
    404: Row(
        "{peer}: the provider does not know the number {number}",
        "RFC 3261 §21.4.5",
        "check how the provider wants numbers written: with +, with 00, or national",
    ),
    408: Row("{peer}: something behind the provider did not answer", "RFC 3261 §21.4.9", "try again, or another line"),
    484: Row(
        "{peer}: the provider finds the number {number} incomplete",
        "RFC 3261 §21.4.22",
        "check how the provider wants numbers written: with +, with 00, or national",
    ),
}
_USER = {
    401: Row(
        "{peer}: the phone asks us for a password", "RFC 3261 §22.2", "turn authentication of calls off in the phone"
    ),
    407: Row(
        "{peer}: the phone asks us for a password", "RFC 3261 §22.3", "turn authentication of calls off in the phone"
    ),
    403: Row("{peer}: the phone forbids the call", "RFC 3261 §21.4.4", "check whom the phone takes calls from"),
    404: Row("{peer}: the phone does not know its own address", "RFC 3261 §21.4.5", "have the phone register again"),
    408: Row("{peer}: the phone gave up", "RFC 3261 §21.4.9"),
}
_OF_KIND = {PeerType.LINE: {**_CALLEE, **_BETWEEN_US, **_LINE}, PeerType.USER: {**_CALLEE, **_BETWEEN_US, **_USER}}

_SILENT = {
    PeerType.LINE: Row(
        "{peer}: no answer from the provider's server at {server}",
        "RFC 3261 §17.1.1.2, Timer B",
        "check server, port and transport of the line, and that a firewall lets the answers in",
    ),
    PeerType.USER: Row(
        "{peer}: the phone at {server} does not answer",
        "RFC 3261 §17.1.1.2, Timer B",
        "check that the phone is on, and that NAT lets requests through: it registers, so its keep-alive may be too slow",
    ),
}
_RANG = {
    PeerType.LINE: Row("{peer}: {number} rang, and nobody answered", "the time that the call was given, timeout_s"),
    PeerType.USER: Row(
        "{peer}: the phone at {server} rang, and nobody answered", "the time that the call was given, timeout_s"
    ),
}
_UNREACHABLE = Row(
    "{peer}: {server} cannot be reached", "RFC 3261 §18.4", "check the address, the port and the transport"
)

_NO_PASSWORD = Row(
    "{peer}: the provider asks for a password, and the line has none",
    "RFC 3261 §22.2",
    "set password of the line, or have the provider know us by our address",
)


def explain_attempt(target: Target, failure: Failure, *, late: bool = False, rang: bool = False) -> Explanation:
    """Why one attempt failed.

    Args:
        target: Where its INVITE went.
        failure: What became of it.
        late: Whether it was given up, for its time was over.
        rang: Whether the callee's phone was ringing.
    """
    party = target.party
    server = shown_flow(target.flow)
    words = {
        "peer": _peer(party),
        "number": target.uri.user or str(target.uri),
        "codecs": ", ".join(codec.name for codec in party.codecs),
        "server": server,
    }
    row = _RANG[party.peer_type] if late and rang else _row(party, failure)
    sent = f"INVITE {target.uri} to {server}, from {target.local.uri}"
    received = f"ringing; {failure.reason}" if late and rang else _received(failure)
    return row.explanation(words, sent=sent, received=received)


def explain_late(attempts: Sequence[FailedAttempt], failure: Failure) -> Explanation:
    """Why a placing ended for which nobody answered in time: what became of each that was called.

    Args:
        attempts: All that failed or were passed over.
        failure: What stands for them.
    """
    if not attempts:
        return explain_unplaced(failure.status, failure.reason)
    told = [each.explanation for each in attempts if each.status == 408] or [each.explanation for each in attempts]
    if len(told) == 1:
        return told[0]
    return Explanation(
        problem=f"{failure.reason}: {_joined(each.problem for each in told)}",
        sent=_joined(each.sent for each in told),
        received=_joined(each.received for each in told),
        rule="; ".join(dict.fromkeys(each.rule for each in told)),
        advice=next((each.advice for each in told if each.advice), ""),
    )


def _joined(texts: Iterable[str]) -> str:
    """The first few different ones, and how many more there are."""
    different = [text for text in dict.fromkeys(texts) if text]
    more = len(different) - MAX_TOLD
    return "; ".join([*different[:MAX_TOLD], *([f"and {more} more"] if more > 0 else [])])


def explain_unplaced(status: int, reason: str) -> Explanation:
    """Why nobody could be called at all: the directory's words, which say what is missing."""
    return Explanation(problem=reason, sent="", received="nothing", rule=_OWN.get(status, "no target"), advice="")


_OWN = {
    408: "the time that the call was given, timeout_s",
    483: "RFC 3261 §16.3, step 3: a request passes so many elements at most",
    488: "RFC 3264 §6: both sides need one codec",
    404: "a peer must be configured under that name",
    480: "a user is called at the contacts that are registered",
    484: "a line is called with a number",
    503: "a line is used while it is registered and healthy and has calls left",
}


def _row(party: Party, failure: Failure) -> Row:
    if not failure.heard:
        if failure.status == 488:
            return _BETWEEN_US[488]
        return _SILENT[party.peer_type] if failure.status == 408 else _UNREACHABLE
    if failure.status in (401, 407) and party.peer_type is PeerType.LINE and party.credentials is None:
        return _NO_PASSWORD
    known = _OF_KIND[party.peer_type].get(failure.status)
    return known or _unknown(failure.status)


def _unknown(status: int) -> Row:
    if 300 <= status < 400:
        return Row(
            "{peer} says that {number} is elsewhere", "RFC 3261 §21.3", "call the address of the event's contact"
        )
    whose = {4: "refuses the call", 5: "has an error of its own", 6: "refuses the call for good"}.get(status // 100)
    return Row(
        f"{{peer}} {whose or 'answered strangely'}",
        f"RFC 3261 §8.1.3.2: an unknown {status} counts as {status // 100}00",
    )


def _peer(party: Party) -> str:
    return f"{party.peer_type.name.lower()} {party.name}"


def _received(failure: Failure) -> str:
    message = failure.message
    if message is None:
        return "nothing" if failure.status == 408 else failure.reason
    return shown_answer(message)
