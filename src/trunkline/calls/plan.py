"""The plan of a placing: steps in turn, each with what rings at once, and the table that says when the next one begins.

`server.routing` makes the plan of one user or line, `plan_of` puts those of several together, `turn` carries it out.
Nothing is looked up before its step begins. A line's servers, a group's lines and an application's destinations are
all turns; they differ in the column of `TABLE` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from trunkline.calls.destinations import Several, Wanted, placings
from trunkline.calls.explanation import explain_attempt, explain_unplaced
from trunkline.calls.failure import best
from trunkline.calls.peers import Placing, Target
from trunkline.constants import PeerType
from trunkline.events import FailedAttempt
from trunkline.sip.request import Failure
from trunkline.sip.shown import shown_flow

__all__ = [
    "TABLE",
    "Ending",
    "Failed",
    "Find",
    "Found",
    "Lookup",
    "Row",
    "Step",
    "Turning",
    "Turns",
    "best_of",
    "goes_on",
    "plan_of",
]


class Turning(Enum):
    """What takes turns."""

    SERVERS = auto()
    """The servers of one line."""
    LINES = auto()
    """The lines of a group: other ways to the same callee."""
    EMERGENCY = auto()
    """All lines that may carry an emergency call."""
    DESTINATIONS = auto()
    """What the application wants called in turn: other callees."""


class Ending(Enum):
    """How an attempt failed."""

    UNSENT = auto()
    """Nothing was sent: no such peer, no phone, a line that cannot be used or has its calls, no codec in common."""
    BROKEN = auto()
    """The transport failed."""
    SILENT = auto()
    """No answer came in time, nor a provisional."""
    LATE = auto()
    """Its own time limit passed."""
    UNUSABLE = auto()
    """It was answered, with a description of which nothing can be made; the callee was hung up."""
    REFUSED = auto()
    """A final failure response."""


@dataclass(frozen=True, slots=True)
class Failed:
    """One attempt that failed, or a destination that could not be tried."""

    peer_type: PeerType
    peer_name: str
    failure: Failure
    ending: Ending
    rang: bool = False
    """The callee's phone was ringing."""
    target: Target | None = None
    """None where none was found."""
    abroad: bool = False
    """A 3xx of the target led to another host, whose failure it is."""

    @property
    def attempt(self) -> FailedAttempt:
        """As the application is told it."""
        target, failure = self.target, self.failure
        explained = (
            explain_attempt(target, failure, late=self.ending is Ending.LATE, rang=self.rang)
            if target is not None
            else explain_unplaced(failure.status, failure.reason)
        )
        return FailedAttempt(
            self.peer_type,
            self.peer_name,
            str(target.uri) if target is not None else "",
            shown_flow(target.flow) if target is not None else "",
            failure.status,
            failure.reason,
            explained,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """What follows when an attempt ends so."""

    ending: Ending
    first: int
    """The lowest status that it is about."""
    last: int
    """The highest."""
    next: frozenset[Turning]
    """Of whom the next is tried."""
    why: str
    rang: bool = False
    """Only where the callee's phone was ringing."""


_S, _L, _E, _D = Turning.SERVERS, Turning.LINES, Turning.EMERGENCY, Turning.DESTINATIONS
_ALL = frozenset(Turning)
_OTHER_WAYS = frozenset({_L, _E, _D})
_ANY = (100, 699)

TABLE: tuple[Row, ...] = (
    Row(Ending.UNSENT, *_ANY, _ALL, "nobody was asked"),
    Row(Ending.BROKEN, *_ANY, _ALL, "RFC 3261 §8.1.3.1, RFC 3263 §4.3: a transport error is a 503 of that server"),
    Row(Ending.SILENT, *_ANY, _ALL, "RFC 3261 §8.1.3.1, RFC 3263 §4.3: silence is a 408 of that server"),
    Row(Ending.LATE, *_ANY, frozenset({_D}), "the callee had his time"),
    Row(Ending.UNUSABLE, *_ANY, frozenset(), "the callee has answered"),
    Row(
        Ending.REFUSED, 408, 408, frozenset({_E, _D}), "RFC 3261 §21.4.9: the callee rang and did not answer", rang=True
    ),
    Row(Ending.REFUSED, 408, 408, _OTHER_WAYS, "RFC 3261 §21.4.9: behind that server nobody answered in time"),
    Row(Ending.REFUSED, 503, 503, _ALL, "RFC 3261 §21.5.4, RFC 3263 §4.3: that server cannot now, another may"),
    Row(Ending.REFUSED, 500, 599, _OTHER_WAYS, "RFC 3261 §21.5: the provider failed, not the callee"),
    Row(Ending.REFUSED, 600, 699, frozenset({_D}), "RFC 3261 §21.6: the callee himself, wherever he is"),
    Row(Ending.REFUSED, 486, 486, frozenset({_D}), "RFC 3261 §21.4.24: the callee was reached and is busy"),
    Row(Ending.REFUSED, 300, 399, frozenset({_D}), "RFC 3261 §21.3: the callee is elsewhere"),
    Row(
        Ending.REFUSED,
        400,
        499,
        frozenset({_E, _D}),
        "RFC 3261 §21.4: it is about this callee, number, caller or request, and another way changes none of them",
    ),
)
"""When the next one is tried. The first row that fits decides."""


def goes_on(turning: Turning, failed: Sequence[Failed]) -> bool:
    """Whether the next one is tried after a step that ended in these failures, at least one.

    The best of them decides (RFC 3261 §16.7); but where anybody has answered, nobody else is called.
    """
    if any(each.ending is Ending.UNUSABLE for each in failed):
        return False
    decisive = best_of(failed)
    row = next(row for row in TABLE if _fits(row, decisive))
    return turning in row.next


def _fits(row: Row, failed: Failed) -> bool:
    if row.ending is not failed.ending or (row.rang and not failed.rang):
        return False
    return row.first <= failed.failure.status <= row.last


def best_of(failed: Iterable[Failed]) -> Failed:
    """The one that stands for all (RFC 3261 §16.7, step 6)."""
    found = list(failed)
    chosen = best(each.failure for each in found)
    return next(each for each in found if each.failure is chosen)


# --- steps --------------------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """What rings at once; found when its turn comes."""

    find: Find
    """Looks up what is to ring; raises `PlacementError` where there is nothing."""
    peer_type: PeerType
    peer_name: str
    """Whose failure it is when nothing is found."""
    timeout_s: float | None = None
    """Seconds that it may take from its beginning to an answer."""
    silence_s: float | None = None
    """Seconds that a target may send nothing at all."""
    hold: object | None = None
    """What a line's limits know the call by while the step goes on, and `peer_name` is that line."""


class Turns(NamedTuple):
    """Steps that are taken one after the other, as long as `TABLE` lets the next one begin."""

    steps: Sequence[Step]
    turning: Turning
    name: str = ""
    """What it is called in a failure's words, as `line group trunks`."""


Found = Target | Turns
"""What rings as part of a step."""

Lookup = Callable[[], Awaitable[Sequence[Found]]]
"""Asks somebody; called only when it is awaited too."""

Find = Callable[[], Sequence[Found] | Lookup]
"""What is known at once, or a way to ask."""


def plan_of(whole: Wanted, one: Callable[[Placing], Turns]) -> Turns:
    """The plan of everything that is wanted.

    Args:
        whole: What is wanted.
        one: Makes the plan of one user or line.
    """
    if isinstance(whole, Placing):
        return one(whole)
    if whole.at_once:
        return Turns([_step(whole, one)], Turning.DESTINATIONS)
    return Turns([_step(part, one) for part in whole.parts], Turning.DESTINATIONS)


def _step(part: Wanted, one: Callable[[Placing], Turns]) -> Step:
    def find() -> Sequence[Found]:
        together = part.parts if isinstance(part, Several) and part.at_once else (part,)
        return [plan_of(each, one) for each in together]

    first = next(placings(part))
    limit = part.timeout_s if isinstance(part, Several) else None
    return Step(find, first.peer_type, first.peer_name, limit)
