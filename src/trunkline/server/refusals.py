"""INVITEs that were refused at the door: the event, the record and the count of each, and the table that explains them.

`Running` makes one; it hears of known peers from the exchange, of strangers from `Running` itself, and from the endpoint of a sample of
those that were challenged and said no more. Whoever scans for open servers costs a count: events of strangers are bounded a second, and
nothing of them is stored.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from trunkline.calls.ending import REFUSED_REASON
from trunkline.calls.refused import Refused
from trunkline.constants import PeerType
from trunkline.events import IncomingCallRefused
from trunkline.explanation import Explanation, Row
from trunkline.server.identify import Stranger
from trunkline.server.inbound import dialled
from trunkline.server.rate import SourceRate
from trunkline.sip.endpoint import ChallengeIgnored, Message, RequestReceived
from trunkline.sip.shown import short
from trunkline.storage.records import CallRecord

__all__ = ["Refusals"]

log = logging.getLogger("trunkline.calls")

KNOWN_PER_S = 20.0
KNOWN_BURST = 200
"""Refused INVITEs of known peers that are told and recorded; beyond it they are counted alone."""

STRANGERS_PER_S = 1.0
STRANGERS_BURST = 10
"""The same of strangers, all together: enough to find the provider that is missing among the lines."""

NAMED_LINES = 5
"""Lines that an explanation names."""

_RAISE_RELIABLE = "set the option reliable of {peer} to supported"

_ROWS: Mapping[int, Row] = {
    401: Row(
        "no line accepts calls from {source}: an INVITE for {number} came from there, and nobody answered its challenge",
        "a call comes from a user who proves it, or from the address of a line",
        "if this is your provider, add {source} to the option accept_from of {lines}, or check the line's server; a phone needs its "
        "user's name and password, and our realm",
    ),
    403: Row(
        "an INVITE for {number} came from {source}, which belongs to no line, and its From is no user of ours",
        "a call comes from a user who proves it, or from the address of a line",
        "if this is your provider, add its network to the option accept_from of the line, or check the line's server; a phone "
        "must use its user's name and our realm",
    ),
    404: Row(
        "the lines {lines} are all at {source}, and none of them has the number {number}",
        "a call of a source that several lines share goes to the one whose number was called",
        "add the number to the option numbers of its line; if it is elsewhere than in the Request-URI, set dialled_from",
    ),
    420: Row("{peer}: {why}", "RFC 3261 §8.2.2.3", "turn it on for {peer}: the option session_expires_s or reliable"),
    421: Row("{peer}: {why}", "RFC 3261 §21.4.16", _RAISE_RELIABLE),
    422: Row(
        "{peer}: {why}",
        "RFC 4028 §6",
        "the peer tries again with a longer time; if it does not, lower the option min_se_s of {peer}",
    ),
    488: Row(
        "{peer}: {why}",
        "RFC 3264 §6, RFC 3261 §21.4.26",
        "add one of the codecs that it offers to the option codecs of {peer}, or turn such a codec on there",
    ),
}

_MALFORMED = Row(
    "{peer} sent an INVITE of which no call can be made: {why}",
    "RFC 3261 §8.2, §12.1.1",
    "record it with the option --pcap and show it to whoever runs the peer",
)


class Refusals:
    """What becomes known of refused INVITEs.

    Args:
        emit: Takes the events.
        record: Takes the records of known peers.
        lines_for: The names of the lines that a stranger's INVITE may be for; where no line is configured, every stranger is one.
        mint_id: Makes the id of a record.
        now_s: The loop's clock.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        emit: Callable[[IncomingCallRefused], None],
        record: Callable[[CallRecord], None],
        *,
        lines_for: Callable[[Message], Sequence[str]],
        mint_id: Callable[[], str],
        now_s: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._emit = emit
        self._record = record
        self._lines_for = lines_for
        self._mint_id = mint_id
        self._now_s = now_s
        self._wall_clock = wall_clock
        self._known = SourceRate(KNOWN_PER_S, KNOWN_BURST, max_sources=1)
        self._strangers = SourceRate(STRANGERS_PER_S, STRANGERS_BURST, max_sources=1)
        self.counts: Counter[tuple[str, int]] = Counter()
        """All of them, by `user`, `line` or `stranger`, and status."""

    def refused(self, refused: Refused) -> None:
        """From the exchange: a known peer's INVITE makes no session."""
        party = refused.party
        kind = party.peer_type.name.lower()
        self.counts[kind, refused.status] += 1
        if not self._known.allows("", self._now_s()):
            return
        words = {"peer": f"{kind} {party.name}", "why": refused.reason}
        explanation = _explained(refused.request, refused.status, words)
        self._tell(
            IncomingCallRefused(
                from_peer_type=party.peer_type,
                from_peer_name=party.name,
                caller_name=refused.caller_name,
                caller_id=refused.caller_id,
                dial_number=refused.dial_number,
                status=refused.status,
                reason=refused.reason,
                from_ip=refused.request.flow.remote[0],
                from_port=refused.request.flow.remote[1],
                explanation=explanation,
            )
        )

    def unknown(self, request: RequestReceived, stranger: Stranger) -> None:
        """From the server: nobody knows who sent it, or for which of several lines it is."""
        kind = "line" if stranger.lines else "stranger"
        self.counts[kind, stranger.status] += 1
        rate = self._known if stranger.lines else self._strangers
        if self._lines_for(request.message) and rate.allows("", self._now_s()):
            self._tell(_of_stranger(request, stranger, ", ".join(stranger.lines)))

    def unproven(self, ignored: ChallengeIgnored) -> None:
        """From the endpoint: a source was challenged, and nobody there answered; a sample of those that do so."""
        self.counts["stranger", 401] += ignored.count
        lines = self._lines_for(ignored.message)
        if lines and self._strangers.allows("", self._now_s()):
            self._tell(_of_stranger(ignored, Stranger(401, "Unauthorized"), _in_words(lines), ignored.count))

    def _tell(self, event: IncomingCallRefused) -> None:
        log.info("an INVITE of %s was refused with %d: %s", event.from_ip, event.status, event.explanation)
        self._emit(event)
        if event.from_peer_type is not None:
            self._record(self._recorded(event, event.from_peer_type))

    def _recorded(self, event: IncomingCallRefused, peer_type: PeerType) -> CallRecord:
        now = self._wall_clock()
        return CallRecord(
            id=self._mint_id(),
            from_type=peer_type.name.lower(),
            from_name=event.from_peer_name,
            from_address=event.from_ip,
            caller_id=short(event.caller_id),
            caller_name=short(event.caller_name),
            dial_number=short(event.dial_number),
            to_type="",
            to_name="",
            line=event.from_peer_name if peer_type is PeerType.LINE else "",
            server="",
            created_at=now,
            answered_at=None,
            closed_at=now,
            closed_reason=REFUSED_REASON,
            status=event.status,
            reason=event.reason,
            zero={},
            one={},
            explanation=event.explanation.as_json(),
        )


def _of_stranger(
    request: RequestReceived | ChallengeIgnored, stranger: Stranger, lines: str, count: int = 1
) -> IncomingCallRefused:
    number = short(dialled(request.message))
    host, port = request.flow.remote
    words = {"number": number or "nobody", "source": host, "lines": lines}
    return IncomingCallRefused(
        from_peer_type=PeerType.LINE if stranger.lines else None,
        from_peer_name=", ".join(stranger.lines),
        caller_name="",
        caller_id=short(request.message.from_.uri.user or ""),
        dial_number=number,
        status=stranger.status,
        reason=stranger.reason,
        from_ip=host,
        from_port=port,
        explanation=_explained(request, stranger.status, words),
        count=count,
    )


def _in_words(lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    return f"one of the lines {', '.join(lines[:NAMED_LINES])}{', …' if len(lines) > NAMED_LINES else ''}"


def _explained(request: RequestReceived | ChallengeIgnored, status: int, words: Mapping[str, str]) -> Explanation:
    host, port = request.flow.remote
    received = f"INVITE {short(request.message.uri_text)} from {request.flow.transport}:{host}:{port}"
    return _ROWS.get(status, _MALFORMED).explanation(words, sent=str(status), received=received)
