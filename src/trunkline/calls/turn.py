"""A `Turns` being carried out: its step, what rings in it, its time limits, and whether another step follows.

`Outgoing` starts the outermost one; a step's nested turns start theirs. Attempts report to the turn that called them, a
turn that has nobody left to the one above. Whoever gives a turn up gives up all below it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from trunkline.calls.attempt import Attempt, Won
from trunkline.calls.deadlines import Deadline
from trunkline.calls.environment import CallLog, Environment
from trunkline.calls.failure import NO_MEDIA_PORT, failure_of
from trunkline.calls.peers import PlacementError, Target
from trunkline.calls.plan import Ending, Failed, Found, Lookup, Step, Turning, Turns, goes_on
from trunkline.errors import NoMediaPorts
from trunkline.sip.endpoint import Headers, MediaPlan, Message, NegotiationError
from trunkline.sip.request import Failure

__all__ = ["Above", "Turn", "Works"]


class NothingInCommon(Exception):
    """No codec is left that both sides may use."""


class Works(Protocol):
    """The placing, as its turns see it."""

    def prepare(self, target: Target, turn: Turn) -> Attempt:
        """An attempt that is not started yet.

        Raises:
            NothingInCommon: There is no codec for it.
            NoMediaPorts: There is no port.
        """

    def on_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None, *, alone: bool) -> None:
        """A provisional; `alone` where nothing else rings or may begin to."""

    def on_won(self, won: Won) -> None:
        """Answered."""

    def on_failed(self, turn: Turn, failed: Failed) -> None:
        """An attempt failed, or one was passed over; others may go on."""

    def on_next(self) -> None:
        """The next step of some turn begins: what the last one brought is over."""


class Above(Protocol):
    """Whom a turn reports to that has nobody left."""

    def on_turn_over(self, turn: Turn, failed: Sequence[Failed]) -> None:
        """All its failures, at least one."""


class Turn:
    """The steps of a `Turns`, one after the other.

    Args:
        env: The surroundings.
        works: The placing.
        turns: What to carry out.
        above: Hears when nobody is left.
        alone: Whether nothing outside of it rings meanwhile.
        log: Of the call.
    """

    def __init__(
        self, env: Environment, works: Works, turns: Turns, above: Above, *, alone: bool, log: CallLog
    ) -> None:
        self._env = env
        self._works = works
        self._turns = turns
        self._above = above
        self._alone = alone
        self._log = log
        self._left = deque(turns.steps)
        self._step: Step | None = None
        self._live: list[Attempt | Turn] = []
        self._many = False
        self._now: list[Failed] = []
        self._failed: list[Failed] = []
        self._over = False
        self._lookup: asyncio.Task[None] | None = None
        self._timers: list[Deadline] = []

    @property
    def named(self) -> bool:
        """Whether its steps are members of something with a name."""
        return bool(self._turns.name)

    @property
    def holding(self) -> Iterator[tuple[str, object]]:
        """The lines that its steps hold now, each with what the limits know this call by."""
        if self._step is not None and self._step.hold is not None:
            yield self._step.peer_name, self._step.hold
        for each in self._live:
            if isinstance(each, Turn):
                yield from each.holding

    @property
    def attempts(self) -> Iterator[Attempt]:
        """What is being called in it now."""
        for each in self._live:
            if isinstance(each, Turn):
                yield from each.attempts
            else:
                yield each

    def start(self) -> None:
        """Begin the first step."""
        self._begin()

    def give_up(self, headers: Headers = ()) -> None:
        """CANCEL everything and go no further; nobody hears more of it. Idempotent."""
        self._over = True
        self._step = None
        self._stop_waiting()
        self._give_up_live(headers)

    # --- a step -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        step = self._step = self._left.popleft()
        if step.timeout_s is not None:
            self._timers.append(self._env.call_later(step.timeout_s, self._late))
        try:
            found = step.find()
        except Exception as error:
            self._miss(step, error)
        else:
            if not isinstance(found, Sequence):
                self._lookup = self._env.spawn(self._find(step, found), f"targets of {step.peer_name}")
                return
            self._call(step, found)
        if not self._live:
            # in a step of its own: whoever places it has begun to wait for the outcome by then
            asyncio.get_running_loop().call_soon(self._settle)

    async def _find(self, step: Step, ask: Lookup) -> None:
        found: Sequence[Found] | Exception
        try:
            found = await ask()
        except Exception as error:
            found = error
        self._lookup = None
        if isinstance(found, Exception):
            self._miss(step, found)
        else:
            self._call(step, found)
        self._settle()

    def _miss(self, step: Step, error: Exception) -> None:
        if isinstance(error, PlacementError):
            failure = failure_of(error)
        else:
            self._log.error("the targets of %s could not be looked up", step.peer_name, exc_info=error)
            failure = Failure(500, "the targets could not be looked up")
        self._record(Failed(step.peer_type, step.peer_name, failure, Ending.UNSENT))

    def _call(self, step: Step, found: Sequence[Found]) -> None:
        if not found:
            self._miss(step, PlacementError(480, "nobody to call"))
        self._many = len(found) > 1
        for each in found:
            if isinstance(each, Turns):
                alone = self._alone and not self._many
                self._live.append(Turn(self._env, self._works, each, self, alone=alone, log=self._log))
            else:
                self._guard(each, partial(self._prepare, each))
        for live in list(self._live):
            if isinstance(live, Turn):
                live.start()
            elif live in self._live and not self._guard(live.target, live.start):
                self._live.remove(live)
        if step.silence_s is not None:
            self._timers.append(self._env.call_later(step.silence_s, partial(self._listen, step.silence_s)))

    def _prepare(self, target: Target) -> None:
        try:
            self._live.append(self._works.prepare(target, self))
        except NothingInCommon:
            self._unsent(target, Failure(488, "the two parties have no codec in common"))
        except NegotiationError as error:
            self._unsent(target, Failure(488, error.reason))
        except NoMediaPorts as error:
            self._log.error("%s", error)
            self._unsent(target, NO_MEDIA_PORT)

    def _guard(self, target: Target, act: Callable[[], None]) -> bool:
        """Act for one target. Of what cannot be called the others hear nothing.

        No message can be built of a URI that is none, or of a name with a line break.
        """
        try:
            act()
        except Exception:
            self._log.exception("%s could not be called", target.uri)
            self._unsent(target, Failure(500, "the call could not be sent"))
            return False
        return True

    # --- from the attempts and the turns below ----------------------------------------------------------------------

    def on_attempt_progress(self, attempt: Attempt, message: Message, plan: MediaPlan | None) -> None:
        """From an attempt."""
        if not self._over:
            self._works.on_progress(attempt, message, plan, alone=self._alone and not self._many)

    def on_attempt_won(self, won: Won) -> None:
        """From an attempt: it goes on without us."""
        self._live.remove(won.attempt)
        self._works.on_won(won)

    def on_attempt_failed(self, attempt: Attempt, failure: Failure) -> None:
        """From an attempt."""
        if self._over:
            return
        self._live.remove(attempt)
        self._fail(attempt, failure, _ending(attempt, failure))
        if failure.status >= 600:
            self._silence_others()
        self._settle()

    def on_turn_over(self, turn: Turn, failed: Sequence[Failed]) -> None:
        """From a turn below; the placing knows of these failures."""
        if self._over:
            return
        self._live.remove(turn)
        self._now += failed
        if any(each.failure.status >= 600 for each in failed):
            self._silence_others()
        self._settle()

    def _silence_others(self) -> None:
        """RFC 3261 §16.7, step 5: a 6xx speaks for the callee everywhere; but not for other callees."""
        if self._turns.turning is not Turning.DESTINATIONS:
            self._give_up_live(())

    # --- time -------------------------------------------------------------------------------------------------------

    def _late(self) -> None:
        """The step has had its time."""
        step = self._step
        if step is None:
            return
        failure = Failure(408, f"nobody answered within {step.timeout_s:g} s")
        given_up = list(self.attempts)
        self._stop_waiting()
        self._give_up_live(())
        for attempt in given_up:
            self._fail(attempt, failure, Ending.LATE)
        if not given_up:
            self._record(Failed(step.peer_type, step.peer_name, failure, Ending.LATE))
        self._settle()

    def _listen(self, silence_s: float) -> None:
        """Give up the targets that have sent nothing at all, not even a 100."""
        for live in list(self._live):
            if isinstance(live, Attempt) and not live.heard:
                self._live.remove(live)
                live.give_up()
                self._fail(live, Failure(408, f"silent for {silence_s:g} s"), Ending.SILENT)
        self._settle()

    # --- ends -------------------------------------------------------------------------------------------------------

    def _fail(self, attempt: Attempt, failure: Failure, ending: Ending) -> None:
        party = attempt.target.party
        self._record(
            Failed(party.peer_type, party.name, failure, ending, attempt.rang, attempt.target, abroad=attempt.is_abroad)
        )

    def _unsent(self, target: Target, failure: Failure) -> None:
        self._record(Failed(target.party.peer_type, target.party.name, failure, Ending.UNSENT, target=target))

    def _record(self, failed: Failed) -> None:
        self._now.append(failed)
        self._works.on_failed(self, failed)

    def _settle(self) -> None:
        if self._over or self._live or self._lookup is not None or not self._now:
            return
        self._stop_waiting()
        now, self._now = self._now, []
        self._failed += now
        self._step = None
        if self._left and goes_on(self._turns.turning, now):
            self._works.on_next()
            self._begin()
        else:
            self._over = True
            self._above.on_turn_over(self, self._summed())

    def _summed(self) -> list[Failed]:
        """Its failures; of a group only those of lines that were called, or one in words that say why none was."""
        failed = self._failed
        if not self._turns.name:
            return failed
        called = [each for each in failed if each.ending is not Ending.UNSENT]
        if called or len({each.failure for each in failed}) == 1:
            return called or failed[:1]
        statuses = {each.failure.status for each in failed}
        words = "; ".join(each.failure.reason for each in failed)
        failure = Failure(
            statuses.pop() if len(statuses) == 1 else 503, f"{self._turns.name} has no line for it: {words}"
        )
        return [Failed(failed[0].peer_type, self._turns.name, failure, Ending.UNSENT)]

    def _stop_waiting(self) -> None:
        timers, self._timers = self._timers, []
        for timer in timers:
            timer.cancel()
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.cancel()

    def _give_up_live(self, headers: Headers) -> None:
        live, self._live = self._live, []
        for each in live:
            each.give_up(headers)


def _ending(attempt: Attempt, failure: Failure) -> Ending:
    if attempt.answered:
        return Ending.UNUSABLE
    if failure.heard:
        return Ending.REFUSED
    return Ending.SILENT if failure.status == 408 else Ending.BROKEN
