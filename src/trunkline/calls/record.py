"""What is noted of a session while it lives, and the records that are made of it when it is over.

A `Ledger` belongs to each `Course`, which tells it of attempts, answers, transfers and ends. `server.call_records` has the records made
when it is up, and a moment after the end, when the last counts of the media legs have arrived.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from trunkline.calls.destinations import Wanted, placings
from trunkline.calls.ending import LOST_STATUS, Ended, ended, fault_of
from trunkline.calls.link import News
from trunkline.calls.peers import Party, Placing, Target
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.events import FailedAttempt
from trunkline.explanation import Explanation
from trunkline.media.engine import Leg, LegStatistics
from trunkline.media.quality import Spoken, leg_quality, spoken_in
from trunkline.sip.endpoint import Codec, MediaPlan
from trunkline.sip.request import Failure
from trunkline.sip.shown import shown_flow
from trunkline.storage.records import AttemptRecord, CallRecord, Json

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession
    from trunkline.calls.transfer_request import TransferOutcome

__all__ = ["Ledger", "shown_party"]

MAX_ATTEMPTS = 100
"""Attempts of one session that are recorded; a handler may accept again and again."""

CANCELLED_STATUS = 487
"""Of an attempt that was cancelled (RFC 3261 §9.1)."""

MAX_TEXT = 200
"""Characters of what a peer said that are stored."""


@dataclass(slots=True)
class _Tried:
    """One attempt as it goes."""

    channel: ChannelId
    peer_type: PeerType
    peer_name: str
    target: str
    server: str
    started_s: float
    ended_s: float | None = None
    answered: bool = False
    status: int = 0
    reason: str = ""

    def end(self, now_s: float, status: int, reason: str) -> None:
        """It is over, if it was not."""
        if self.ended_s is None:
            self.ended_s, self.status, self.reason = now_s, status, reason


@dataclass(slots=True)
class _Transfer:
    """One transfer as it goes."""

    how: str
    by: str
    whom: str
    to: str
    at_s: float
    outcome: str = ""
    status: int = 0
    reason: str = ""

    def as_json(self, wall_offset_s: float) -> Json:
        return {
            "at": self.at_s + wall_offset_s,
            "how": self.how,
            "by": self.by,
            "whom": self.whom,
            "to": _text(self.to),
            "outcome": self.outcome,
            "status": self.status,
            "reason": _text(self.reason),
        }


_OF_PLACINGS = frozenset({ClosedReason.FAILED, ClosedReason.MOVED, ClosedReason.TIMEOUT})
"""Ends where a placing's failure, if there is one, is what the session failed of."""


class _Side(NamedTuple):
    """A channel as it was when it ended."""

    codecs: tuple[Codec, ...]
    srtp: str
    """The suite; "" for plain RTP."""
    leg: Leg | None
    spoken: Spoken
    """The codecs for voice both ways."""


class Ledger:
    """What is noted of one session.

    Args:
        now_s: When it began, on the loop's clock.
    """

    def __init__(self, now_s: float) -> None:
        self._created_s = now_s
        self._answered_s: float | None = None
        self._closed_s = now_s
        self._tried: list[_Tried] = []
        self._transfers: list[_Transfer] = []
        self._sides: dict[ChannelId, _Side] = {}
        self._wanted: Placing | None = None
        self._failed: Ended | None = None
        """What the last placing failed of; None while one goes on."""
        self._broken: Ended | None = None
        """What ended it though it may have been answered: a loss, a handler that raised."""
        self._refused: tuple[ClosedReason, News] | None = None

    # --- noting -----------------------------------------------------------------------------------------------------

    def placed(self, wanted: Wanted) -> None:
        """Somebody is to be called."""
        self._wanted = next(placings(wanted))
        self._failed = None

    def tried(self, channel: ChannelId, target: Target, now_s: float) -> None:
        """An INVITE goes out."""
        if len(self._tried) < MAX_ATTEMPTS:
            party = target.party
            shown = (str(target.uri), shown_flow(target.flow))
            self._tried.append(_Tried(channel, party.peer_type, party.name, *shown, now_s))

    def attempt_won(self, target: Target, now_s: float) -> None:
        """One attempt was answered: the others of its channel are cancelled."""
        entry = self._open(str(target.uri), shown_flow(target.flow))
        if entry is not None:
            entry.ended_s, entry.status, entry.reason, entry.answered = now_s, 200, "OK", True
            self._cancelled(entry.channel, now_s, "completed elsewhere")

    def joined(self, channel: ChannelId, party: Party, target: str, server: str, now_s: float) -> None:
        """Somebody is in the call whom it did not call itself."""
        if len(self._tried) < MAX_ATTEMPTS:
            entry = _Tried(channel, party.peer_type, party.name, target, server, now_s)
            entry.ended_s, entry.status, entry.reason, entry.answered = now_s, 200, "OK", True
            self._tried.append(entry)

    def attempt_failed(self, channel: ChannelId, attempt: FailedAttempt, now_s: float) -> None:
        """One attempt failed, perhaps before anything was sent."""
        entry = self._open(attempt.target, attempt.server)
        if entry is None:
            if len(self._tried) >= MAX_ATTEMPTS:
                return
            shown = (attempt.target, attempt.server)
            entry = _Tried(channel, attempt.peer_type, attempt.peer_name, *shown, now_s)
            self._tried.append(entry)
        entry.ended_s, entry.status, entry.reason = now_s, attempt.status, attempt.reason

    def placing_failed(self, failure: Failure, explanation: Explanation) -> None:
        """No attempt is left: this failure stands for all."""
        self._failed = Ended(failure.status, failure.reason, explanation)

    def placing_over(self, channel: ChannelId, now_s: float, attempts: Iterable[FailedAttempt] = ()) -> None:
        """A channel is placed no longer: its attempts end as `attempts` says, and what rang beside them was cancelled."""
        for attempt in attempts:
            entry = self._open(attempt.target, attempt.server)
            if entry is not None and entry.channel is channel:
                entry.end(now_s, attempt.status, attempt.reason)
        self._cancelled(channel, now_s, "cancelled, for another attempt decided")

    def lost(self, why: str, explanation: Explanation) -> None:
        """Media fell silent, or a dialog is dead."""
        self._broken = Ended(LOST_STATUS, why, explanation)

    def fault(self, error: BaseException) -> None:
        """A handler raised, which ends it."""
        self._broken = fault_of(error)

    def connected(self, now_s: float) -> None:
        """The parties hear each other, or the one that there is was answered."""
        if self._answered_s is None:
            self._answered_s = now_s

    def transfer_asked(self, how: str, by: Party | None, whom: Party | None, to: str, now_s: float) -> None:
        """Somebody is to be transferred.

        Args:
            how: "blind", "attended", "application" or "replaces".
            by: Who asks; None for the application.
            whom: Who is kept, and talks to somebody else then.
            to: To whom, as it was asked for.
            now_s: The loop's time.
        """
        if len(self._transfers) < MAX_ATTEMPTS:
            self._transfers.append(_Transfer(how, shown_party(by), shown_party(whom), to, now_s))

    def transfer_over(self, outcome: TransferOutcome) -> None:
        """How the last one that was asked for ended."""
        if self._transfers and not self._transfers[-1].outcome:
            last = self._transfers[-1]
            last.outcome, last.status, last.reason = outcome.result.value, outcome.status, outcome.reason

    def transferred_from(self, other: Ledger) -> None:
        """The last transfer of another session took somebody out of this one."""
        self._transfers += other._transfers[-1:]

    def channel_over(self, channel: ChannelId, plan: MediaPlan | None, leg: Leg | None) -> None:
        """A channel is about to let go of what it has."""
        suite = plan.keys.suite if plan is not None and plan.keys is not None else ""
        codecs = plan.send_codecs[:1] if plan is not None else ()
        self._sides[channel] = _Side(codecs, suite, leg, spoken_in(plan))

    def closed(self, reason: ClosedReason, news: News, now_s: float) -> None:
        """The session is over, and with it whatever still rings.

        Args:
            reason: Why.
            news: What a caller who waited was told.
            now_s: The loop's time.
        """
        self._closed_s, self._refused = now_s, (reason, news)
        for channel in ChannelId:
            self._cancelled(channel, now_s, f"cancelled, for the call was over: {reason.name.lower()}")

    def forget(self) -> None:
        """Let go of everything: the session may be kept for long, by an event in the record."""
        self._tried.clear()
        self._transfers.clear()
        self._sides.clear()
        self._failed = self._broken = self._refused = None

    def _cancelled(self, channel: ChannelId, now_s: float, words: str) -> None:
        for entry in self._tried:
            if entry.channel is channel:
                entry.end(now_s, CANCELLED_STATUS, words)

    def _open(self, target: str, server: str) -> _Tried | None:
        """The attempt at that target that has not ended."""
        open_ones = (each for each in self._tried if each.ended_s is None)
        return next((each for each in open_ones if (each.target, each.server) == (target, server)), None)

    # --- the records ------------------------------------------------------------------------------------------------

    def records(
        self, call: CallSession, reason: ClosedReason | None, wall_offset_s: float
    ) -> tuple[CallRecord, tuple[AttemptRecord, ...]]:
        """The record of the session, and one of each attempt.

        Args:
            call: The session.
            reason: Why it was closed; None while it is up.
            wall_offset_s: Added to the loop's time to make it Unix time.
        """
        attempts = tuple(
            self._attempt(call.token, number, entry, wall_offset_s) for number, entry in enumerate(self._tried, 1)
        )
        return self._session(call, reason, wall_offset_s), attempts

    def _session(self, call: CallSession, reason: ClosedReason | None, wall_offset_s: float) -> CallRecord:
        to_type, to_name = self._called()
        line, server = self._line_and_server(call)
        failed = self._ended(arrived=bool(call.from_ip))
        return CallRecord(
            id=call.token,
            from_type=_kind(call.from_peer_type),
            from_name=call.from_peer_name,
            from_address=call.from_ip,
            caller_id=_text(call.caller_id),
            caller_name=_text(call.caller_name),
            dial_number=_text(call.dial_number),
            to_type=to_type,
            to_name=to_name,
            line=line,
            server=server,
            created_at=self._created_s + wall_offset_s,
            answered_at=None if self._answered_s is None else self._answered_s + wall_offset_s,
            closed_at=max(self._closed_s, self._answered_s or 0.0) + wall_offset_s,
            closed_reason=reason.name.lower() if reason is not None else "",
            status=failed.status if failed is not None else 0,
            reason=_text(failed.reason) if failed is not None else "",
            zero=_quality(self._sides.get(ChannelId.ZERO)),
            one=_quality(self._sides.get(ChannelId.ONE)),
            explanation=failed.explanation.as_json() if failed is not None else {},
            transfers=[each.as_json(wall_offset_s) for each in self._transfers],
        )

    def _ended(self, *, arrived: bool) -> Ended | None:
        """What it failed of: a loss or a fault, what a placing failed of, or what was decided instead."""
        if self._broken is not None or self._answered_s is not None or self._refused is None:
            return self._broken
        reason, news = self._refused
        if self._failed is not None and reason in _OF_PLACINGS:
            # the caller was told what crosses of it, which says less
            return self._failed
        decided = ended(reason, news.status, news.reason, arrived=arrived)
        if decided is None or self._failed is None:
            return decided
        return decided._replace(explanation=self._failed.explanation)

    def _called(self) -> tuple[str, str]:
        """Who was called: whom the winning attempt reached, else who was to be called first."""
        won = next((each for each in reversed(self._tried) if each.answered), None)
        if won is not None:
            return _kind(won.peer_type), won.peer_name
        if self._wanted is not None:
            return _kind(self._wanted.peer_type), self._wanted.peer_name
        return "", ""

    def _line_and_server(self, call: CallSession) -> tuple[str, str]:
        """The line and its provider's server: of the winning attempt over a line, else of the last one."""
        over_lines = [each for each in self._tried if each.peer_type is PeerType.LINE]
        best = next((each for each in over_lines if each.answered), over_lines[-1] if over_lines else None)
        if best is not None:
            return best.peer_name, best.server
        return (call.from_peer_name, "") if call.from_peer_type is PeerType.LINE else ("", "")

    @staticmethod
    def _attempt(token: str, number: int, entry: _Tried, wall_offset_s: float) -> AttemptRecord:
        return AttemptRecord(
            call=token,
            number=number,
            channel=int(entry.channel),
            peer_type=_kind(entry.peer_type),
            peer_name=entry.peer_name,
            target=_text(entry.target),
            server=entry.server,
            started_at=entry.started_s + wall_offset_s,
            ended_at=None if entry.ended_s is None else entry.ended_s + wall_offset_s,
            answered=entry.answered,
            status=entry.status,
            reason=_text(entry.reason),
        )


def _kind(peer_type: PeerType) -> str:
    return peer_type.name.lower()


def shown_party(party: Party | None) -> str:
    """A party in records, as `user alice`; "" for none."""
    return f"{_kind(party.peer_type)} {party.name}" if party is not None else ""


def _text(text: str) -> str:
    return text[:MAX_TEXT]


def _quality(side: _Side | None) -> Json:
    """Codec, suite of SRTP, counts and MOS of one channel: packets, loss in both directions, jitter and round trip in milliseconds."""
    if side is None or side.leg is None:
        return {}
    found: dict[str, object] = {"codec": _codec(side.codecs[0])} if side.codecs else {}
    if side.srtp:
        found["srtp"] = side.srtp
    counts = side.leg.statistics
    return {**found, **_counts(counts), **_scores(counts, side.spoken)} if counts is not None else found


def _codec(codec: Codec) -> str:
    return f"{codec.name}/{codec.clock_rate}" + (f"/{codec.channels}" if codec.channels > 1 else "")


def _scores(counts: LegStatistics, spoken: Spoken) -> dict[str, object]:
    """What the E-model makes of it, both ways; nothing where it cannot."""
    received, sent, packet_ms = spoken
    quality = leg_quality(counts, received, sent, packet_ms=packet_ms)
    found = {"mos": quality.received, "remote_mos": quality.sent}
    scores: dict[str, object] = {name: round(each.mos, 2) for name, each in found.items() if each is not None}
    scale = next((each.scale for each in found.values() if each is not None), None)
    return {**scores, "mos_scale": scale} if scale is not None else {}


def _counts(counts: LegStatistics) -> dict[str, object]:
    return {
        "packets_received": counts.packets_received,
        "packets_sent": counts.packets_sent,
        "packets_lost": counts.packets_lost,
        "packets_discarded": counts.packets_discarded,
        "packets_refused": counts.packets_refused,
        "jitter_ms": round(counts.jitter_ms, 3),
        "remote_packets_lost": counts.remote_packets_lost,
        "round_trip_ms": None if counts.round_trip_ms is None else round(counts.round_trip_ms, 3),
    }
