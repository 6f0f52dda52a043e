"""What is noted of a session while it lives, and the records that are made of it when it is over.

A `Ledger` belongs to each `Course`, which tells it of attempts, answers and ends. `server.call_records` has the records made,
a moment after the end, when the last counts of the media legs have arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.calls.explanation import explain_attempt, explain_unplaced, shown_flow
from trunkline.calls.peers import Party, Placing, Target
from trunkline.constants import ChannelId, ClosedReason, PeerType
from trunkline.explanation import Explanation
from trunkline.media.engine import Leg, LegStatistics
from trunkline.sip.endpoint import Codec, MediaPlan
from trunkline.sip.request import Failure
from trunkline.storage.records import AttemptRecord, CallRecord, Json

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession

__all__ = ["Ledger"]

MAX_ATTEMPTS = 100
"""Attempts of one session that are recorded; a handler may accept again and again."""

MAX_TEXT = 200
"""Characters of what a peer said that are stored."""


@dataclass(slots=True)
class _Tried:
    """One attempt as it goes."""

    channel: ChannelId
    target: Target
    started_s: float
    ended_s: float | None = None
    answered: bool = False
    status: int = 0
    reason: str = ""
    failure: Failure | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class _Side:
    """A channel as it was when it ended."""

    party: Party | None
    codecs: tuple[Codec, ...]
    leg: Leg | None


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
        self._sides: dict[ChannelId, _Side] = {}
        self._placing: Placing | None = None
        self._failure: Failure | None = None
        self._explanation: Explanation | None = None

    # --- noting -----------------------------------------------------------------------------------------------------

    def placed(self, placing: Placing) -> None:
        """Somebody is to be called."""
        self._placing = placing
        self._failure = self._explanation = None

    def tried(self, channel: ChannelId, target: Target, now_s: float) -> None:
        """An INVITE goes out."""
        if len(self._tried) < MAX_ATTEMPTS:
            self._tried.append(_Tried(channel, target, now_s))

    def attempt_failed(self, channel: ChannelId, target: Target, failure: Failure, now_s: float) -> Explanation:
        """One attempt failed; returns why, in words."""
        explanation = explain_attempt(target, failure)
        entry = self._open(target)
        if entry is None:
            # it failed before anything was sent
            self.tried(channel, target, now_s)
            entry = self._open(target)
        if entry is not None:
            entry.ended_s, entry.status, entry.reason = now_s, failure.status, failure.reason
            entry.failure, entry.explanation = failure, explanation
        return explanation

    def attempt_won(self, target: Target, now_s: float) -> None:
        """One attempt was answered."""
        entry = self._open(target)
        if entry is not None:
            entry.ended_s, entry.status, entry.reason, entry.answered = now_s, 200, "OK", True

    def placing_failed(self, failure: Failure) -> Explanation:
        """No attempt is left: this failure stands for all. Returns why, in words."""
        explanations = (entry.explanation for entry in self._tried if entry.failure is failure)
        self._failure = failure
        self._explanation = next(explanations, None) or explain_unplaced(failure.status, failure.reason)
        return self._explanation

    def connected(self, now_s: float) -> None:
        """The parties hear each other, or the one that there is was answered."""
        if self._answered_s is None:
            self._answered_s = now_s

    def channel_over(self, channel: ChannelId, party: Party | None, plan: MediaPlan | None, leg: Leg | None) -> None:
        """A channel is about to let go of what it has."""
        codecs = plan.send_codecs[:1] if plan is not None else ()
        self._sides[channel] = _Side(party, codecs, leg)

    def closed(self, now_s: float) -> None:
        """The session is over."""
        self._closed_s = now_s

    def forget(self) -> None:
        """Let go of everything: the session may be kept for long, by an event in the record."""
        self._tried.clear()
        self._sides.clear()
        self._failure = None

    def _open(self, target: Target) -> _Tried | None:
        return next(
            (entry for entry in reversed(self._tried) if entry.target is target and entry.ended_s is None), None
        )

    # --- the records ------------------------------------------------------------------------------------------------

    def records(
        self, call: CallSession, reason: ClosedReason, wall_offset_s: float
    ) -> tuple[CallRecord, tuple[AttemptRecord, ...]]:
        """The record of the session, and one of each attempt.

        Args:
            call: The session.
            reason: Why it was closed.
            wall_offset_s: Added to the loop's time to make it Unix time.
        """
        attempts = tuple(
            self._attempt(call.token, number, entry, wall_offset_s) for number, entry in enumerate(self._tried, 1)
        )
        return self._session(call, reason, wall_offset_s), attempts

    def _session(self, call: CallSession, reason: ClosedReason, wall_offset_s: float) -> CallRecord:
        to_type, to_name = self._called(call)
        line = next((name for kind, name in self._parties(call, to_type, to_name) if kind == "line"), "")
        failed = self._answered_s is None
        failure = self._failure if failed else None
        explained = self._explanation if failed else None
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
            server=self._server(),
            created_at=self._created_s + wall_offset_s,
            answered_at=None if self._answered_s is None else self._answered_s + wall_offset_s,
            closed_at=self._closed_s + wall_offset_s,
            closed_reason=reason.name.lower(),
            status=failure.status if failure is not None else 0,
            reason=_text(failure.reason) if failure is not None else "",
            zero=_quality(self._sides.get(ChannelId.ZERO)),
            one=_quality(self._sides.get(ChannelId.ONE)),
            explanation=explained.as_json() if explained is not None else {},
        )

    def _called(self, call: CallSession) -> tuple[str, str]:
        """Who was called: whom the winning attempt reached, else who was placed last."""
        won = next((entry.target.party for entry in reversed(self._tried) if entry.answered), None)
        if won is not None:
            return _kind(won.peer_type), won.name
        if self._placing is not None:
            return _kind(self._placing.peer_type), self._placing.peer_name
        return "", ""

    @staticmethod
    def _parties(call: CallSession, to_type: str, to_name: str) -> list[tuple[str, str]]:
        return [(_kind(call.from_peer_type), call.from_peer_name), (to_type, to_name)]

    def _server(self) -> str:
        """The provider's server: of the winning attempt over a line, else of the last one."""
        over_lines = [entry for entry in self._tried if entry.target.party.peer_type is PeerType.LINE]
        best = next((entry for entry in over_lines if entry.answered), over_lines[-1] if over_lines else None)
        return shown_flow(best.target.flow) if best is not None else ""

    @staticmethod
    def _attempt(token: str, number: int, entry: _Tried, wall_offset_s: float) -> AttemptRecord:
        target = entry.target
        return AttemptRecord(
            call=token,
            number=number,
            channel=int(entry.channel),
            peer_type=_kind(target.party.peer_type),
            peer_name=target.party.name,
            target=_text(str(target.uri)),
            server=shown_flow(target.flow),
            started_at=entry.started_s + wall_offset_s,
            ended_at=None if entry.ended_s is None else entry.ended_s + wall_offset_s,
            answered=entry.answered,
            status=entry.status,
            reason=_text(entry.reason),
        )


def _kind(peer_type: PeerType) -> str:
    return peer_type.name.lower()


def _text(text: str) -> str:
    return text[:MAX_TEXT]


def _quality(side: _Side | None) -> Json:
    """Codec and counts of one channel: packets, loss in both directions, jitter and round trip in milliseconds."""
    if side is None or side.leg is None:
        return {}
    found: dict[str, object] = {"codec": _codec(side.codecs[0])} if side.codecs else {}
    counts = side.leg.statistics
    return {**found, **_counts(counts)} if counts is not None else found


def _codec(codec: Codec) -> str:
    return f"{codec.name}/{codec.clock_rate}" + (f"/{codec.channels}" if codec.channels > 1 else "")


def _counts(counts: LegStatistics) -> dict[str, object]:
    return {
        "packets_received": counts.packets_received,
        "packets_sent": counts.packets_sent,
        "packets_lost": counts.packets_lost,
        "packets_refused": counts.packets_refused,
        "jitter_ms": round(counts.jitter_ms, 3),
        "remote_packets_lost": counts.remote_packets_lost,
        "round_trip_ms": None if counts.round_trip_ms is None else round(counts.round_trip_ms, 3),
    }
