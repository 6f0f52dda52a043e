"""Hands events to the application's handlers: recorded first, started in order, never on the way of the stack.

`async def` handlers run as tasks on the loop, plain `def` handlers in threads. A call's notifications reach a `def` handler one after
another; the handlers that may decide (incoming_call, failed, timeout, register_user) run beside them in threads of their own, since they
may wait as long as a call rings. Where no thread is free a handler waits for one; with too many behind, new calls are shed, and far
beyond that notifications are dropped.
The facade owns one `Dispatcher`; the layers below know it as the sink of their events.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trunkline.errors import CallEnded
from trunkline.events import (
    CallEvent,
    CallRecorded,
    CallSessionClosed,
    CallSessionConnected,
    CallSessionFailed,
    CallSessionTimeout,
    ChatMessageEvent,
    ChatMessageReceived,
    Event,
    IncomingCall,
    IncomingCallRefused,
    LineEvent,
    RecordEvent,
    RecordingEvent,
    RegisterUser,
    TransferRequested,
)
from trunkline.server.watch import LoopWatch
from trunkline.trace.describe import event_name
from trunkline.trace.recorder import Happened, Recorder

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession

__all__ = ["Dispatcher", "Handler", "HandlerOwner"]

log = logging.getLogger("trunkline.server")

Handler = Callable[[Any], Awaitable[None] | None]
"""What an application registers: `async def` or `def`, with one argument."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A handler, and what its events need to know of it."""

    handler: Handler
    name: str
    on_loop: bool
    """Whether it is an `async def`; else it runs in a thread."""
    decides: bool
    """Whether it may decide what happens next."""


DECIDING = (IncomingCall, CallSessionFailed, CallSessionTimeout, RegisterUser, ChatMessageReceived, TransferRequested)
"""Events whose handlers may decide what happens next."""

KEPT_LONGEST = (CallSessionConnected, CallSessionClosed, CallRecorded)
"""Notifications that are dropped only when there are no others."""

OVERLOAD_BEHIND = 5_000
"""`def` handlers that may run or wait; beyond it the server sheds new calls until half of them have run."""
OVERLOAD_ON_LOOP = 20_000
"""`async def` handlers that may run, for those that are a call's whole flow run as long as it; beyond it as above."""
MOST = 4
"""So many times as much is never exceeded: beyond it notifications are dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A notification that waits for those of its subject before it."""

    event: Event
    handler: Registered
    subject: Hashable


Queue = OrderedDict[Waiting, None]
"""In the order of their arrival; any can leave."""


class HandlerOwner(Protocol):
    """Hears of handlers that matter to a call or a registration."""

    def handler_failed(self, event: Event, error: Exception, handler: str) -> None:
        """A handler raised."""

    def handlers_done(self, event: Event) -> None:
        """No handler that may decide about this event's call or registration runs any more."""

    def overloaded(self, overloaded: bool) -> None:
        """Handlers pile up, or no longer do."""


class Dispatcher:
    """Starts the handlers of each event.

    Args:
        recorder: Gets every event before its handlers.
        threads: For `def` handlers that decide, and as many for all others.
    """

    def __init__(self, recorder: Recorder, *, threads: int = 32) -> None:
        self._recorder = recorder
        self._handlers: dict[type[Event], list[Registered]] = {}
        self._owner: HandlerOwner | None = None
        self._decide = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="trunkline-decide")
        self._notify = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="trunkline-notify")
        self._tasks: set[asyncio.Task[None]] = set()
        self._deciding: dict[Hashable, int] = {}
        self._queues: dict[Hashable, Queue] = {}
        self._droppable: tuple[Queue, Queue] = (OrderedDict(), OrderedDict())
        """All that wait in queues, by what is dropped first."""
        self._behind = 0
        self._on_loop = 0
        self._shedding = False
        self._dropped = 0
        self._watch = LoopWatch()

    # --- registration -------------------------------------------------------------------------------------------------

    def add(self, kind: type[Event], handler: Handler) -> None:
        """Call `handler` with each event of this kind, after those added before it."""
        on_loop = inspect.iscoroutinefunction(_unwrapped(handler))
        registered = Registered(handler, _name(handler), on_loop, issubclass(kind, DECIDING))
        self._handlers.setdefault(kind, []).append(registered)

    def handles(self, kind: type[Event]) -> bool:
        """Whether anybody handles this kind."""
        return bool(self._handlers.get(kind))

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self, owner: HandlerOwner) -> None:
        """Begin; what handlers do wrong is told to `owner`."""
        self._owner = owner
        self._watch.start(asyncio.get_running_loop())

    async def stop(self, grace_s: float = 2.0) -> None:
        """Let handlers that run end by themselves for `grace_s` seconds, then cancel them.

        A `def` handler cannot be cancelled: its thread is left to end by itself.
        """
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.difference_update(tasks)  # one that never began has not forgotten itself
        self._watch.stop()
        for pool in (self._decide, self._notify):
            pool.shutdown(wait=False, cancel_futures=True)
        self._owner = None

    @property
    def running(self) -> int:
        """Handlers that run or wait, for metrics and leak tests."""
        return len(self._tasks)

    @property
    def behind(self) -> int:
        """Events that a plain function works at or that wait for one, for metrics and leak tests."""
        return self._behind

    @property
    def dropped(self) -> int:
        """Notifications that were dropped since the last time that handlers piled up began."""
        return self._dropped

    # --- events -------------------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Record the event and start its handlers. Returns at once; never raises."""
        loop = asyncio.get_running_loop()
        self._recorder.add(Happened(loop.time(), event))
        handlers = self._handlers.get(type(event))
        if handlers:
            for handler in handlers:
                self._begin(event, handler)
        elif isinstance(event, (IncomingCall, TransferRequested)):
            # nobody will decide; told after the layer that emitted has finished its step
            loop.call_soon(self._tell_done, event)

    def decision_pending(self, call: CallSession) -> bool:
        """Whether a handler that may still decide runs for this call."""
        return self._deciding.get(call, 0) > 0

    def _begin(self, event: Event, handler: Registered) -> None:
        if handler.decides:
            subject = _subject(event)
            self._deciding[subject] = self._deciding.get(subject, 0) + 1
        if handler.on_loop and not handler.decides and self._on_loop >= OVERLOAD_ON_LOOP * MOST:
            self._drop(event, handler)  # those before it run: none of them can be taken back
            return
        self._count(handler, 1)
        if handler.on_loop or handler.decides:
            self._spawn(self._run_alone(event, handler), event)
        else:
            self._enqueue(Waiting(event, handler, _subject(event)))

    def _enqueue(self, waiting: Waiting) -> None:
        queue = self._queues.get(waiting.subject)
        if queue is None:
            self._queues[waiting.subject] = queue = OrderedDict()
            self._spawn(self._run_in_turn(waiting.subject, queue), waiting.event)
        queue[waiting] = None
        self._droppable[isinstance(waiting.event, KEPT_LONGEST)][waiting] = None
        if self._behind > OVERLOAD_BEHIND * MOST:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        for droppable in self._droppable:
            if droppable:
                oldest, _ = droppable.popitem(last=False)
                del self._queues[oldest.subject][oldest]
                self._count(oldest.handler, -1)
                self._drop(oldest.event, oldest.handler)
                return

    def _drop(self, event: Event, handler: Registered) -> None:
        if self._dropped == 0:
            log.error(
                "handlers are too far behind: the oldest notifications are dropped, first %s of %s",
                event_name(event),
                handler.name,
            )
        self._dropped += 1

    def _spawn(self, work: Coroutine[Any, Any, None], event: Event) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(work, name=f"on_{event_name(event)}"))

    def _forget(self, task: asyncio.Task[Any] | None) -> None:
        """From a task as it ends: a callback of the task would cost the loop another step."""
        if task is not None:
            self._tasks.discard(task)

    async def _run_in_turn(self, subject: Hashable, queue: Queue) -> None:
        try:
            while queue:
                waiting, _ = queue.popitem(last=False)
                del self._droppable[isinstance(waiting.event, KEPT_LONGEST)][waiting]
                await self._run(waiting.event, waiting.handler)
        finally:
            self._queues.pop(subject, None)
            self._forget(asyncio.current_task())

    async def _run_alone(self, event: Event, handler: Registered) -> None:
        try:
            await self._run(event, handler)
        finally:
            self._forget(asyncio.current_task())

    async def _run(self, event: Event, handler: Registered) -> None:
        try:
            await self._call(handler, event)
        except CallEnded:
            pass  # the call is over: no error of the handler
        except Exception as error:
            self._failed(event, error, handler.name)
        finally:
            self._count(handler, -1)
            if handler.decides:
                self._decided(event)

    async def _call(self, handler: Registered, event: Event) -> None:
        argument = _argument(event)
        if handler.on_loop:
            with self._watch.handler(handler.name):
                await handler.handler(argument)  # type: ignore[misc]
            return
        pool = self._decide if handler.decides else self._notify
        await asyncio.get_running_loop().run_in_executor(pool, handler.handler, argument)

    def _failed(self, event: Event, error: Exception, name: str) -> None:
        if self._owner is not None:
            self._owner.handler_failed(event, error, name)

    def _decided(self, event: Event) -> None:
        subject = _subject(event)
        left = self._deciding.get(subject, 1) - 1
        if left > 0:
            self._deciding[subject] = left
            return
        self._deciding.pop(subject, None)
        self._tell_done(event)

    def _tell_done(self, event: Event) -> None:
        if self._owner is not None:
            self._owner.handlers_done(event)

    def _count(self, handler: Registered, change: int) -> None:
        if handler.on_loop:
            self._on_loop += change
        else:
            self._behind += change
        part = 2 if self._shedding else 1
        shedding = self._behind > OVERLOAD_BEHIND // part or self._on_loop > OVERLOAD_ON_LOOP // part
        if shedding != self._shedding and self._owner is not None:
            self._shedding = shedding
            self._tell_load(self._owner)

    def _tell_load(self, owner: HandlerOwner) -> None:
        if self._shedding:
            self._dropped = 0
        elif self._dropped:
            log.error("%d notifications were dropped while handlers were behind", self._dropped)
        owner.overloaded(self._shedding)


def _unwrapped(handler: Handler) -> Any:
    inner: Any = handler
    while isinstance(inner, functools.partial):
        inner = inner.func
    return inner if inspect.isroutine(inner) else getattr(inner, "__call__", inner)  # noqa: B004


def _argument(event: Event) -> Any:
    """What a handler is given: the call of an incoming call, the request of a registration, else the event itself."""
    if isinstance(event, IncomingCall):
        return event.call
    if isinstance(event, ChatMessageReceived):
        return event.message
    return event.request if isinstance(event, (RegisterUser, TransferRequested)) else event


def _subject(event: Event) -> Hashable:
    """Whose notifications come one after another, and about whom a handler decides."""
    if isinstance(event, (RegisterUser, TransferRequested)):
        return event.request
    if isinstance(event, (CallEvent, RecordingEvent)):
        return event.call
    if isinstance(event, (RecordEvent, IncomingCallRefused)):
        return "records"
    if isinstance(event, ChatMessageEvent):
        return event.message if isinstance(event, ChatMessageReceived) else "messages"
    return event.line if isinstance(event, LineEvent) else "registrations"


def _name(handler: Handler) -> str:
    inner = handler.func if isinstance(handler, functools.partial) else handler
    return getattr(inner, "__qualname__", None) or repr(inner)
