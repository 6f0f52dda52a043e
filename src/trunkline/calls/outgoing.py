"""A channel being placed: the plan of what is to be called, its attempts, its timeout; the first answer wins.

The losers get CANCEL with the Reason "Call completed elsewhere" (RFC 3326); when nobody is left, the best answer of all
steps stands for them (RFC 3261 §16.7). `Channel` owns one at a time; how it ends goes to the session's `Course`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from trunkline.calls.attempt import Attempt, Won
from trunkline.calls.destinations import Wanted, placings
from trunkline.calls.environment import CallLog, Environment
from trunkline.calls.explanation import explain_unplaced
from trunkline.calls.failure import COMPLETED_ELSEWHERE
from trunkline.calls.peers import Party, Target
from trunkline.calls.plan import Ending, Failed, best_of, plan_of
from trunkline.calls.turn import NothingInCommon, Turn
from trunkline.constants import PeerType
from trunkline.events import FailedAttempt
from trunkline.explanation import Explanation
from trunkline.media.engine import Leg
from trunkline.sip.endpoint import Codec, Direction, Headers, MediaPlan, Message
from trunkline.sip.request import Failure

__all__ = ["HOPS", "NotPlaced", "Offering", "Outgoing", "OutgoingOwner"]

HOPS = 70
"""Max-Forwards where no call of another element stands behind ours (RFC 3261 §20.22)."""


class Offering(NamedTuple):
    """What is offered to every target."""

    codecs_for: Callable[[Party], Sequence[Codec]]
    """What may be offered to that party; empty when there is nothing in common."""
    direction: Direction = "sendrecv"
    ptime_ms: int | None = None
    max_forwards: int = HOPS
    beside: Leg | None = None
    """The leg of the other side: relaying stays on one worker."""


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """Why nobody was reached."""

    failure: Failure
    """The one that stands for all."""
    peer_type: PeerType
    """Whose failure it is."""
    explanation: Explanation
    """What was sent, what came back, what to change."""
    attempts: tuple[FailedAttempt, ...] = ()


class OutgoingOwner(Protocol):
    """The channel that is being placed."""

    def on_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None, *, alone: bool) -> None:
        """A provisional of one attempt; `alone` when there is no other."""

    def on_attempt(self, target: Target) -> None:
        """An INVITE is about to go out."""

    def on_attempt_failed(self, attempt: FailedAttempt) -> None:
        """One of the attempts failed, or a line was passed over."""

    def on_next_step(self, early: Leg) -> None:
        """What was heard early, over that leg, is over; another target is tried."""

    def on_placed(self, won: Won) -> None:
        """Answered; all others are given up."""

    def on_not_placed(self, why: NotPlaced) -> None:
        """No attempt is left."""

    def on_placing_timeout(self, attempts: tuple[FailedAttempt, ...]) -> None:
        """The time is over; all attempts have been given up."""


class Outgoing:
    """One placing.

    Args:
        env: The surroundings.
        owner: The channel.
        wanted: Whom the application wants called.
        offering: What is offered.
        timeout_s: After how long it is given up.
        log: Of the call.
    """

    def __init__(
        self,
        env: Environment,
        owner: OutgoingOwner,
        wanted: Wanted,
        offering: Offering,
        *,
        timeout_s: float,
        log: CallLog,
    ) -> None:
        self._env = env
        self._owner = owner
        self.offering = offering
        self._first = next(placings(wanted))
        self._legs: dict[str, tuple[Leg, str]] = {}
        self._early: Leg | None = None
        self._failed: list[Failed] = []
        self._over = False
        self._timeout_s = timeout_s
        self._timer = env.call_later(timeout_s, self._timeout)
        plan = plan_of(wanted, env.directory.plan)
        self._root: Turn | None = Turn(env, self, plan, self, alone=True, log=log)

    def start(self) -> None:
        """Begin. That it failed is said in a step of its own."""
        if self.offering.max_forwards <= 0:
            self._env.call_later(0, self._turn_back)
        elif self._root is not None:
            self._root.start()

    @property
    def holding(self) -> Iterable[tuple[str, object]]:
        """The lines that it holds now, each with what their limits know this call by."""
        return self._root.holding if self._root is not None else ()

    @property
    def called(self) -> list[Party]:
        """Who is being called now."""
        return [attempt.target.party for attempt in self._root.attempts] if self._root is not None else []

    def has_early(self, key: tuple[str, str, str]) -> bool:
        """Whether a dialog by that key is an early one of somebody who is being called."""
        return self._root is not None and any(attempt.has_early(key) for attempt in self._root.attempts)

    def give_up(self, headers: Headers = ()) -> None:
        """CANCEL everything; the owner hears no more. Idempotent."""
        if not self._over:
            self._finish(None, headers)

    # --- from the turns ---------------------------------------------------------------------------------------------

    def prepare(self, target: Target, turn: Turn) -> Attempt:
        """An attempt that is not started yet.

        Raises:
            NothingInCommon: There is no codec for it.
            NoMediaPorts: There is no port.
        """
        codecs = self.offering.codecs_for(target.party)
        if not codecs:
            raise NothingInCommon
        leg, address = self._leg(target)
        self._owner.on_attempt(target)
        return Attempt(
            self._env,
            turn,
            target,
            leg=leg,
            address=address,
            codecs=codecs,
            direction=self.offering.direction,
            ptime_ms=self.offering.ptime_ms,
            headers=[("Max-Forwards", str(self.offering.max_forwards))],
        )

    def _leg(self, target: Target) -> tuple[Leg, str]:
        """One leg per local address: the attempts share its port, for at most one of them is answered."""
        bind, written = self._env.addresses.media(target.flow)
        if bind not in self._legs:
            leg = self._env.media.open_leg(bind, beside=self.offering.beside)
            self._legs[bind] = (leg, written)
        return self._legs[bind][0], written

    def on_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None, *, alone: bool) -> None:
        """From a turn."""
        if self._over:
            return
        if alone and plan is not None:
            self._early = attempt.leg
        self._owner.on_progress(attempt, message, plan, alone=alone)

    def on_won(self, won: Won) -> None:
        """From a turn: the first answer wins."""
        self._finish(won.attempt.leg, [COMPLETED_ELSEWHERE])
        self._env.directory.note_success(won.attempt.target)
        self._owner.on_placed(won)

    def on_failed(self, turn: Turn, failed: Failed) -> None:
        """From a turn. What the only step does not find is no attempt: `on_not_placed` tells it."""
        self._failed.append(failed)
        self._env.directory.note_failure(failed)
        if failed.target is not None or turn is not self._root or turn.named:
            self._owner.on_attempt_failed(failed.attempt)

    def on_next(self) -> None:
        """From a turn: what the caller heard of the last target ends, and its leg is not the next one's."""
        early, self._early = self._early, None
        if early is None:
            return
        self._owner.on_next_step(early)
        self._legs = {bind: pair for bind, pair in self._legs.items() if pair[0] is not early}
        early.close()

    def on_turn_over(self, turn: Turn, failed: Sequence[Failed]) -> None:
        """From the outermost turn: nobody is left."""
        if self._over:
            return
        self._finish(None)
        decisive = best_of(failed)
        if decisive.ending is Ending.LATE:
            self._owner.on_placing_timeout(self._attempts)
        else:
            explained = decisive.attempt.explanation
            self._owner.on_not_placed(NotPlaced(decisive.failure, decisive.peer_type, explained, self._attempts))

    # --- ends -------------------------------------------------------------------------------------------------------

    @property
    def _attempts(self) -> tuple[FailedAttempt, ...]:
        return tuple(failed.attempt for failed in self._failed)

    def _turn_back(self) -> None:
        """RFC 3261 §16.3, step 3: the call has gone through too many elements, or round and round through us."""
        if not self._over:
            self._finish(None)
            failure = Failure(483, "Too Many Hops")
            explained = explain_unplaced(failure.status, failure.reason)
            self._owner.on_not_placed(NotPlaced(failure, self._first.peer_type, explained))

    def _timeout(self) -> None:
        if self._root is None:
            return
        late = Failure(408, f"not answered within {self._timeout_s:g} s")
        for attempt in self._root.attempts:
            party = attempt.target.party
            failed = Failed(
                party.peer_type,
                party.name,
                late,
                Ending.LATE,
                attempt.rang,
                target=attempt.target,
                abroad=attempt.is_abroad,
            )
            self._failed.append(failed)
            self._env.directory.note_failure(failed)
        self._finish(None)
        self._owner.on_placing_timeout(self._attempts)

    def _finish(self, kept: Leg | None, headers: Headers = ()) -> None:
        self._over = True
        self._timer.cancel()
        root, self._root = self._root, None
        if root is not None:
            root.give_up(headers)
        for leg, _ in self._legs.values():
            if leg is not kept:
                leg.close()
        self._legs.clear()
