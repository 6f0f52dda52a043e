"""A channel being placed: the lookup of its targets, the set of attempts, its timeout; the first answer wins.

The losers get CANCEL with the Reason "Call completed elsewhere" (RFC 3326); when all fail, the best answer stands for
them (RFC 3261 §16.7). `Channel` owns one at a time; how it ends goes to the session's `Course`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from trunkline.calls.attempt import Attempt, Won
from trunkline.calls.environment import CallLog, Environment
from trunkline.calls.failure import COMPLETED_ELSEWHERE, best, failure_of
from trunkline.calls.peers import Party, PlacementError, Placing, Target
from trunkline.errors import NoMediaPorts
from trunkline.media.engine import Leg
from trunkline.sip.endpoint import Codec, Direction, Headers, MediaPlan, Message
from trunkline.sip.request import Failure

__all__ = ["Offering", "Outgoing", "OutgoingOwner"]

NO_COMMON_CODEC = Failure(488, "the two parties have no codec in common")

HOPS = 70
"""Max-Forwards where no call of another element stands behind ours (RFC 3261 §20.22)."""


@dataclass(frozen=True, slots=True)
class Offering:
    """What is offered to every target."""

    codecs_for: Callable[[Party], Sequence[Codec]]
    """What may be offered to that party; empty when there is nothing in common."""
    direction: Direction = "sendrecv"
    ptime_ms: int | None = None
    max_forwards: int = HOPS
    beside: Leg | None = None
    """The leg of the other side: relaying stays on one worker."""


class OutgoingOwner(Protocol):
    """The channel that is being placed."""

    def on_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None, *, alone: bool) -> None:
        """A provisional of one attempt; `alone` when there is no other."""

    def on_target_failed(self, target: Target, failure: Failure) -> None:
        """One of the targets failed."""

    def on_placed(self, won: Won) -> None:
        """Answered; all others are given up."""

    def on_not_placed(self, failure: Failure) -> None:
        """No attempt is left."""

    def on_placing_timeout(self) -> None:
        """The time is over; all attempts have been given up."""


class Outgoing:
    """The attempts of one placing.

    Args:
        env: The surroundings.
        owner: The channel.
        placing: What the application said.
        offering: What is offered.
        timeout_s: After how long it is given up.
        log: Of the call.
    """

    def __init__(
        self,
        env: Environment,
        owner: OutgoingOwner,
        placing: Placing,
        offering: Offering,
        *,
        timeout_s: float,
        log: CallLog,
    ) -> None:
        self._env = env
        self._owner = owner
        self.placing = placing
        self._offering = offering
        self._log = log
        self._attempts: list[Attempt] = []
        self._many = False
        self._legs: dict[str, tuple[Leg, str]] = {}
        self._failures: list[Failure] = []
        self._over = False
        self._timer = env.call_later(timeout_s, self._timeout)
        self._lookup: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look the targets up and call them: now, or when they are known. That it failed is said in a step of its own."""
        try:
            targets = self._env.directory.targets(self.placing)
        except Exception as error:
            self._failures.append(self._unknown(error))
        else:
            if not isinstance(targets, Sequence):
                self._lookup = self._env.spawn(self._find(targets), f"targets of {self.placing.peer_name}")
                return
            self._start(targets)
        if not self._attempts:
            # whoever places it has begun to wait for the outcome by then
            asyncio.get_running_loop().call_soon(self._settle)

    def give_up(self, headers: Headers = ()) -> None:
        """CANCEL everything; the owner hears no more. Idempotent."""
        if self._over:
            return
        self._finish(None)
        self._give_up_rest(headers)

    # --- looking up and starting ------------------------------------------------------------------------------------

    async def _find(self, asked: Awaitable[Sequence[Target]]) -> None:
        try:
            targets = await asked
        except Exception as error:
            self._failures.append(self._unknown(error))
        else:
            if not self._over:
                self._start(targets)
        self._settle()

    def _unknown(self, error: Exception) -> Failure:
        if isinstance(error, PlacementError):
            return failure_of(error)
        self._log.error("the targets of %s could not be looked up", self.placing.peer_name, exc_info=error)
        return Failure(500, "the targets could not be looked up")

    def _start(self, targets: Sequence[Target]) -> None:
        if not targets:
            self._failures.append(Failure(480, "nobody to call"))
            return
        if self._offering.max_forwards <= 0:
            # RFC 3261 §16.3, step 3: the call has gone through too many elements, or round and round through us
            self._failures.append(Failure(483, "Too Many Hops"))
            return
        self._many = len(targets) > 1
        for target in targets:
            self._guard(target, partial(self._prepare, target))
        for attempt in list(self._attempts):
            if attempt in self._attempts and not self._guard(attempt.target, attempt.start):
                self._attempts.remove(attempt)

    def _guard(self, target: Target, step: Callable[[], None]) -> bool:
        """Take a step for one target. Of what cannot be called the others hear nothing.

        No message can be built of a URI that is none, or of a name with a line break.
        """
        try:
            step()
        except Exception:
            self._log.exception("%s could not be called", target.uri)
            self._fail(target, Failure(500, "the call could not be sent"))
            return False
        return True

    def _prepare(self, target: Target) -> None:
        codecs = self._offering.codecs_for(target.party)
        if not codecs:
            self._fail(target, NO_COMMON_CODEC)
            return
        try:
            leg, address = self._leg(target)
        except NoMediaPorts as error:
            self._log.error("%s", error)
            self._fail(target, Failure(503, "no media port is free"))
            return
        self._attempts.append(
            Attempt(
                self._env,
                self,
                target,
                leg=leg,
                address=address,
                codecs=codecs,
                direction=self._offering.direction,
                ptime_ms=self._offering.ptime_ms,
                headers=[("Max-Forwards", str(self._offering.max_forwards))],
            )
        )

    def _leg(self, target: Target) -> tuple[Leg, str]:
        """One leg per local address: the attempts share its port, for at most one of them is answered."""
        bind, written = self._env.addresses.media(target.flow)
        if bind not in self._legs:
            leg = self._env.media.open_leg(bind, beside=self._offering.beside)
            self._legs[bind] = (leg, written)
        return self._legs[bind][0], written

    # --- from the attempts ------------------------------------------------------------------------------------------

    def on_attempt_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None) -> None:
        """From an attempt."""
        if not self._over:
            self._owner.on_progress(attempt, message, plan, alone=not self._many)

    def on_attempt_won(self, won: Won) -> None:
        """From an attempt: the first answer wins."""
        self._attempts.remove(won.attempt)
        self._finish(won.attempt.leg)
        self._give_up_rest([COMPLETED_ELSEWHERE])
        self._owner.on_placed(won)

    def on_attempt_failed(self, attempt: Attempt, failure: Failure) -> None:
        """From an attempt."""
        if self._over:
            return
        self._attempts.remove(attempt)
        self._fail(attempt.target, failure)
        if failure.status >= 600:
            # RFC 3261 §16.7, step 5: a 6xx speaks for the callee everywhere
            self._give_up_rest(())
        self._settle()

    # --- ends -------------------------------------------------------------------------------------------------------

    def _fail(self, target: Target, failure: Failure) -> None:
        self._failures.append(failure)
        self._owner.on_target_failed(target, failure)

    def _settle(self) -> None:
        if not self._over and not self._attempts:
            self._finish(None)
            self._owner.on_not_placed(best(self._failures))

    def _timeout(self) -> None:
        if not self._over:
            self.give_up()
            self._owner.on_placing_timeout()

    def _give_up_rest(self, headers: Headers) -> None:
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.give_up(headers)

    def _finish(self, kept: Leg | None) -> None:
        self._over = True
        self._timer.cancel()
        lookup = self._lookup
        if lookup is not None and not lookup.done() and lookup is not asyncio.current_task():
            lookup.cancel()
        for leg, _ in self._legs.values():
            if leg is not kept:
                leg.close()
        self._legs.clear()
