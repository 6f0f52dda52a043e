"""A queue: callers wait in turn with music, agents are rung for them, and the application is told what became of each.

`CallQueue.enter` has one caller from his arrival to his end; `features.agents` says whose phones ring. Whatever ends a caller's
wait, nothing of it is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from trunkline import AudioError, CallEnded, CallError, CallFailed, CallState, ConfigurationError
from trunkline.features.agents import Agents, AgentState, Strategy
from trunkline.features.asking import Prompt, answer, parts

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline import CallSession

__all__ = [
    "CallQueue",
    "QueueEnd",
    "QueueEntered",
    "QueueEvent",
    "QueueFigures",
    "QueueLeft",
    "QueueMissed",
    "QueueOffered",
    "QueueResult",
    "QueueServed",
]

log = logging.getLogger("trunkline.features")

RANGES: dict[str, tuple[float, float]] = {
    "max_waiting": (1, 10_000),
    "max_wait_s": (1, 86_400),
    "ring_timeout_s": (1, 300),
    "wrap_up_s": (0, 3_600),
    "rest_s": (1, 3_600),
    "announce_every_s": (5, 3_600),
}
"""Option → least and most."""


class QueueEnd(Enum):
    """What became of a caller."""

    SERVED = "served"
    """He talked to an agent, and the two have parted."""
    ABANDONED = "abandoned"
    """He hung up before."""
    TIMED_OUT = "timed_out"
    """Nobody had time for him within `max_wait_s`."""
    FULL = "full"
    """There were as many callers as may wait; the call is not answered."""
    NO_AGENTS = "no_agents"
    """Nobody had joined; the call is not answered."""


@dataclass(frozen=True, slots=True)
class QueueResult:
    """What became of a caller. Unless he hung up his call is still up: the application ends it, or leads it elsewhere."""

    end: QueueEnd
    agent: str = ""
    """Who served him; "" where nobody did."""
    waited_s: float = 0.0
    talked_s: float = 0.0


@dataclass(frozen=True, slots=True)
class QueueEntered:
    """A caller waits."""

    queue: str
    call: CallSession
    position: int
    """1 for who is next."""


@dataclass(frozen=True, slots=True)
class QueueOffered:
    """An agent's phones ring for a caller."""

    queue: str
    call: CallSession
    agent: str


@dataclass(frozen=True, slots=True)
class QueueMissed:
    """An agent did not take a caller, and is passed over for a while."""

    queue: str
    call: CallSession
    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class QueueServed:
    """An agent talks to a caller."""

    queue: str
    call: CallSession
    agent: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """A caller is in the queue no more."""

    queue: str
    call: CallSession
    result: QueueResult


QueueEvent: TypeAlias = "QueueEntered | QueueOffered | QueueMissed | QueueServed | QueueLeft"


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """How a queue stands."""

    waiting: int
    """Callers who talk to nobody yet."""
    longest_wait_s: float
    agents: Mapping[str, AgentState]
    ended: Mapping[QueueEnd, int]
    """What became of the callers up to now."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """A caller who waits, in the order of arrival."""

    call: CallSession
    since_s: float
    offer: asyncio.Future[tuple[str, ...]] | None = None
    """Settled with who rings for him; None while he needs nobody."""


class CallQueue:
    """Callers and agents.

    Args:
        name: What events call it.
        music: What callers hear while they wait.
        strategy: Which free agent is rung.
        max_waiting: Callers who may wait, 1 to 10,000.
        max_wait_s: How long one may wait, 1 to 86,400 seconds; agents who ring by then may still answer.
        ring_timeout_s: How long an agent's phones ring, 1 to 300 seconds.
        wrap_up_s: How long an agent is left alone after a call, up to 3600 seconds.
        rest_s: How long an agent who did not answer is passed over, 1 to 3600 seconds.
        announce: Makes of a caller's position, 1 for the next, what he is told of it.
        announce_every_s: Seconds between two announcements, 5 to 3600.
        on_event: Called with each `QueueEvent`, on the loop; it must not wait.

    Raises:
        ConfigurationError: A number is out of range.

    Example:
        queue = CallQueue("sales", music="music.mp3", wrap_up_s=15)
        queue.join("alice")

        @server.on_incoming_call
        async def route(call):
            result = await queue.enter(call)
            if result.end is QueueEnd.TIMED_OUT:
                await call.play("sorry.wav")
            call.close()
    """

    def __init__(
        self,
        name: str,
        *,
        music: str | Path | bytes | None = None,
        strategy: Strategy = Strategy.LONGEST_IDLE,
        max_waiting: int = 100,
        max_wait_s: float = 900.0,
        ring_timeout_s: float = 20.0,
        wrap_up_s: float = 0.0,
        rest_s: float = 5.0,
        announce: Callable[[int], Prompt] | None = None,
        announce_every_s: float = 45.0,
        on_event: Callable[[QueueEvent], object] | None = None,
    ) -> None:
        given = locals()
        for option, (least, most) in RANGES.items():
            if not least <= given[option] <= most:
                raise ConfigurationError(option, f"{least:g} to {most:g}, not {given[option]}")
        self.name = name
        self._music = music
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._ring_timeout_s = ring_timeout_s
        self._announce = announce
        self._announce_every_s = announce_every_s
        self._on_event = on_event
        self._agents = Agents(strategy, wrap_up_s=wrap_up_s, rest_s=rest_s)
        self._line: list[_Waiter] = []
        self._ended: Counter[QueueEnd] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    # --- agents -----------------------------------------------------------------------------------------------------

    def join(self, agent: str) -> None:
        """Have a user's phones ring for callers from now on; idempotent. On the loop, or before it runs."""
        self._agents.join(agent, self._now_s())
        self._match()

    def leave(self, agent: str) -> None:
        """Have a user be rung no more; his call goes on. Idempotent."""
        self._agents.leave(agent)

    def pause(self, agent: str) -> None:
        """Pass a user over until `resume`. UnknownPeer where he has not joined."""
        self._agents.pause(agent, True)

    def resume(self, agent: str) -> None:
        """Ring a user again. UnknownPeer where he has not joined."""
        self._agents.pause(agent, False)
        self._match()

    @property
    def figures(self) -> QueueFigures:
        """How it stands."""
        now_s = self._now_s()
        longest_s = max((now_s - waiter.since_s for waiter in self._line), default=0.0)
        return QueueFigures(len(self._line), longest_s, self._agents.states(now_s), dict(self._ended))

    def position(self, call: CallSession) -> int:
        """A caller's place, 1 for who is next; 0 where he does not wait."""
        calls = [waiter.call for waiter in self._line]
        return calls.index(call) + 1 if call in calls else 0

    # --- callers ----------------------------------------------------------------------------------------------------

    async def enter(self, call: CallSession) -> QueueResult:
        """Have a caller wait until he has talked to an agent; the call is answered if it is not, and never closed.

        Args:
            call: The caller's, alone.

        Returns:
            What became of him.

        Raises:
            ValueError: He waits here already.
        """
        if self.position(call):
            raise ValueError(f"call: {call.id} waits already")
        end = self._refusal()
        if end is not None:
            return self._left(call, QueueResult(end))
        waiter = _Waiter(call, self._now_s())
        self._line.append(waiter)
        result = QueueResult(QueueEnd.ABANDONED)
        try:
            self._emit(QueueEntered(self.name, call, len(self._line)))
            await answer(call)
            result = await self._serve(waiter)
        except CallEnded:
            result = QueueResult(QueueEnd.ABANDONED, waited_s=self._now_s() - waiter.since_s)
        finally:
            self._drop(waiter)
            self._left(call, result)
        return result

    def _refusal(self) -> QueueEnd | None:
        if not len(self._agents):
            return QueueEnd.NO_AGENTS
        return QueueEnd.FULL if len(self._line) >= self._max_waiting else None

    async def _serve(self, waiter: _Waiter) -> QueueResult:
        """From the first note of music to the end of the talk."""
        until_s = waiter.since_s + self._max_wait_s
        while True:
            found = await self._found(waiter, until_s)
            if found is None:
                return QueueResult(QueueEnd.TIMED_OUT, waited_s=self._now_s() - waiter.since_s)
            result = await self._talk(waiter, *found)
            if result is not None:
                return result

    async def _found(self, waiter: _Waiter, until_s: float) -> tuple[str, CallSession] | None:
        """An agent who has answered, with music until then; None when the time is over."""
        found = None
        try:
            async with self._entertained(waiter.call):
                found = await self._find(waiter, until_s)
        except BaseException:
            if found is not None:
                agent, phone = found
                phone.close()
                self._agents.release(agent)
                self._match()
            raise
        return found

    async def _find(self, waiter: _Waiter, until_s: float) -> tuple[str, CallSession] | None:
        """Ring one agent after another until one answers; None when the time is over."""
        while True:
            names = await self._turn(waiter, until_s)
            if not names:
                return None
            answered = await self._ring(waiter, names)
            if answered is not None:
                return answered
            if waiter.call.state is CallState.CLOSED:
                raise CallEnded("the caller has gone")

    async def _turn(self, waiter: _Waiter, until_s: float) -> tuple[str, ...]:
        """Wait for agents who are to ring; none when the time is over."""
        loop = asyncio.get_running_loop()
        waiter.offer = offer = loop.create_future()
        closed = asyncio.ensure_future(waiter.call.wait_closed())
        taken = False
        try:
            self._match()
            left_s = max(until_s - loop.time(), 0)
            await asyncio.wait((offer, closed), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if closed.done():
                raise CallEnded("the caller has gone")
            taken = offer.done()
            return offer.result() if taken else ()
        finally:
            closed.cancel()
            waiter.offer = None
            if offer.done() and not taken:
                self._release(offer.result())

    async def _ring(self, waiter: _Waiter, names: tuple[str, ...]) -> tuple[str, CallSession] | None:
        """Ring these agents at once; who answered first, with his phone."""
        dials: dict[asyncio.Future[CallSession], str] = {}
        for name in names:
            self._emit(QueueOffered(self.name, waiter.call, name))
            dials[asyncio.ensure_future(waiter.call.dial_user(name, timeout_s=self._ring_timeout_s))] = name
        first: asyncio.Future[CallSession] | None = None
        try:
            while first is None and any(not dial.done() for dial in dials):
                done, _ = await asyncio.wait(
                    [dial for dial in dials if not dial.done()], return_when=asyncio.FIRST_COMPLETED
                )
                first = next((dial for dial in done if not dial.exception()), None)
            return (dials[first], first.result()) if first is not None else None
        finally:
            await self._settle(waiter, dials, first)

    async def _settle(
        self, waiter: _Waiter, dials: dict[asyncio.Future[CallSession], str], first: asyncio.Future[CallSession] | None
    ) -> None:
        """The others ring no more; who did not answer is passed over for a while."""
        for dial in dials:
            dial.cancel()
        try:
            await asyncio.gather(*dials, return_exceptions=True)
        except asyncio.CancelledError:
            first = None
            raise
        finally:
            for dial, name in dials.items():
                self._account(waiter, name, dial, is_first=dial is first)
            self._match()

    def _account(self, waiter: _Waiter, agent: str, dial: asyncio.Future[CallSession], *, is_first: bool) -> None:
        """Note what became of one agent's ringing."""
        if is_first:
            self._agents.talking(agent)
            return
        error = dial.exception() if dial.done() and not dial.cancelled() else None
        if error is not None and not isinstance(error, CallEnded):
            self._miss(waiter, agent, str(error))
            return
        self._agents.release(agent)
        if dial.done() and not dial.cancelled() and error is None:  # answered in the same moment
            dial.result().close()

    async def _talk(self, waiter: _Waiter, agent: str, phone: CallSession) -> QueueResult | None:
        """Have the two talk; None where they cannot, so that another one is to be found."""
        began_s = self._now_s()
        waited_s = began_s - waiter.since_s
        self._drop(waiter)
        missed = False
        try:
            self._emit(QueueServed(self.name, waiter.call, agent, waited_s))
            await waiter.call.bridge(phone)
        except (CallFailed, CallEnded) as error:
            if waiter.call.state is CallState.CLOSED:
                raise CallEnded("the caller has gone") from error
            missed = True
            self._miss(waiter, agent, str(error))
            self._line.insert(0, waiter)
            return None
        finally:
            phone.close()
            if not missed:
                self._agents.finished(agent, self._now_s())
            self._match()
        return QueueResult(QueueEnd.SERVED, agent, waited_s, self._now_s() - began_s)

    # --- what callers hear ------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _entertained(self, call: CallSession) -> AsyncIterator[None]:
        """Music, and the caller's place now and then."""
        playing = [asyncio.ensure_future(self._play_music(call))] if self._music is not None else []
        if self._announce is not None:
            playing.append(asyncio.ensure_future(self._tell_position(call, self._announce)))
        try:
            yield
        finally:
            for task in playing:
                task.cancel()
            await asyncio.gather(*playing, return_exceptions=True)

    async def _play_music(self, call: CallSession) -> None:
        assert self._music is not None
        try:
            await call.play(self._music, times=0)
        except AudioError as error:
            log.error("queue %s: callers hear no music: %s", self.name, error)
        except CallError:
            return

    async def _tell_position(self, call: CallSession, announce: Callable[[int], Prompt]) -> None:
        with contextlib.suppress(CallError):
            while True:
                for audio in parts(announce(self.position(call))):
                    try:
                        await call.play(audio, at_once=True, exclusive=True)
                    except AudioError as error:
                        log.error("queue %s: an announcement is left out: %s", self.name, error)
                await asyncio.sleep(self._announce_every_s)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _match(self) -> None:
        """Offer the callers to agents, in turn, as far as there are some; look again when the next one is ready."""
        now_s = self._now_s()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in self._line:
            if waiter.offer is None or waiter.offer.done():
                continue
            names = self._agents.take(now_s)
            if not names:
                self._look_again(now_s)
                return
            waiter.offer.set_result(names)

    def _look_again(self, now_s: float) -> None:
        ready_s = self._agents.next_ready_s(now_s)
        if ready_s is not None:
            self._timer = asyncio.get_running_loop().call_at(ready_s, self._match)

    def _miss(self, waiter: _Waiter, agent: str, reason: str) -> None:
        self._agents.missed(agent, self._now_s())
        self._emit(QueueMissed(self.name, waiter.call, agent, reason))

    def _release(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._agents.release(name)
        self._match()

    def _drop(self, waiter: _Waiter) -> None:
        if waiter in self._line:
            self._line.remove(waiter)

    def _left(self, call: CallSession, result: QueueResult) -> QueueResult:
        self._ended[result.end] += 1
        self._emit(QueueLeft(self.name, call, result))
        return result

    def _emit(self, event: QueueEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            log.exception("queue %s: its handler failed", self.name)

    def _now_s(self) -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:  # agents that join before the loop runs have been idle ever since
            return 0.0
