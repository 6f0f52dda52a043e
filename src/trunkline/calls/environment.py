"""What every session shares: the layers below, what `server` provides, the clock, the tasks and the options.

`Exchange` makes one and hands it to sessions, channels and attempts. Timers of calls start here and nowhere else, on
the loop's clock.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Coroutine, Iterable, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from trunkline.calls.deadlines import Deadline, Deadlines
from trunkline.calls.peers import Addresses, Directory, Journal, Party, Sink
from trunkline.media.engine import Leg, MediaEngine
from trunkline.sip.capabilities import SECURE_TRANSPORTS
from trunkline.sip.description import Description
from trunkline.sip.endpoint import Endpoint, Flow, SessionDescriber
from trunkline.sip.session_timer import SessionTimer, SessionTimes

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession

__all__ = ["CallLog", "CallOptions", "Environment"]

log = logging.getLogger("trunkline.calls")

Result = TypeVar("Result")

MARSHAL_TIMEOUT_S = 30.0
"""How long another thread waits for the loop to take a command."""


class CallLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines begin with the call's id."""

    def __init__(self, call_id: int) -> None:
        super().__init__(log, {"call": call_id})
        self._prefix = f"call {call_id}: "

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """From logging: put the prefix in front and the id among the record's fields."""
        return f"{self._prefix}{msg}", {**kwargs, "extra": self.extra}


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a server's configuration says about calls."""

    session_name: str = "-"
    """The `s=` line of our descriptions."""
    decision_timeout_s: float = 180.0
    """How long an incoming call waits for a decision after its handler has returned."""
    reoffer_timeout_s: float = 32.0
    """How long a re-INVITE that crosses waits for the other side's final answer."""
    timers: SessionTimes = field(default_factory=SessionTimes)
    """How long sessions last unless they are refreshed, where a party says nothing."""
    stop_timeout_s: float = 5.0
    """How long the server's stop waits for BYE and CANCEL to be answered."""


class Environment:
    """The shared surroundings of all sessions.

    Args:
        endpoint: The SIP endpoint.
        media: The media engine.
        directory: Finds targets.
        addresses: Our own addresses.
        sink: Takes events.
        options: The configuration.
        journal: Writes down the dialogs of calls; None for nowhere.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        media: MediaEngine,
        directory: Directory,
        addresses: Addresses,
        sink: Sink,
        options: CallOptions,
        journal: Journal | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.media = media
        self.directory = directory
        self.addresses = addresses
        self.sink = sink
        self.options = options
        self.journal = journal
        self.sessions: Callable[[], Iterable[CallSession]] = lambda: ()
        """All sessions that are not closed."""
        self.on_up: Callable[[CallSession], None] = lambda call: None
        """Hears of each session whose parties hear each other now."""
        self.hears_digits: Callable[[], bool] = lambda: False
        """Whether the application is told of digits wherever they are pressed."""
        self._deadlines = Deadlines()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    # --- clock and tasks --------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Note the running loop, once: commands from other threads are brought to it."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.get_ident()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Deadline:
        """Call `callback` on the loop in `delay_s` seconds unless the deadline is cancelled."""
        return self._deadlines.call_later(delay_s, callback)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` as a task that is owned here until it ends."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    async def end_tasks(self) -> None:
        """Cancel what still runs and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task %s failed", task.get_name(), exc_info=error)

    # --- other threads ----------------------------------------------------------------------------------------------

    @property
    def here(self) -> bool:
        """Whether the caller is on the loop's thread."""
        return threading.get_ident() == self._thread

    def post(self, command: Callable[[], None]) -> None:
        """Run `command` on the loop: now when the caller is there, else soon. Never waits."""
        if self.here or self._loop is None:
            command()
        else:
            self._loop.call_soon_threadsafe(command)

    def run(self, command: Callable[[], Result]) -> Result:
        """Run `command` on the loop and return or raise what it does; another thread waits for it."""
        if self.here or self._loop is None:
            return command()
        done: Future[Result] = Future()

        def relay() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(command())
            except Exception as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(relay)
        try:
            return done.result(MARSHAL_TIMEOUT_S)
        finally:
            done.cancel()

    # --- media ------------------------------------------------------------------------------------------------------

    def describer(self, party: Party, flow: Flow) -> Description:
        """A fresh offer/answer state with an `o=` identity of its own (RFC 8866 §5.2), for a peer over that flow.

        Its `s=` line tells nothing where the caller stays anonymous (RFC 3323 §4.1); its offers propose one port for RTP
        and RTCP where the peer's settings say so (RFC 5761).
        """
        describer = SessionDescriber(
            session_id=random.getrandbits(62),
            session_name="-" if party.anonymous else self.options.session_name,
            srtp=party.srtp,
            keys_may_cross=party.srtp_in_clear or flow.transport in SECURE_TRANSPORTS,
        )
        return Description(describer, rtcp_mux=party.rtcp_mux, dtmf=party.dtmf)

    def session_timer(self, party: Party) -> SessionTimer:
        """The timer of a dialog with that peer."""
        return SessionTimer(party.timers or self.options.timers)

    def open_leg(self, flow: Flow, beside: Leg | None = None) -> tuple[Leg, str]:
        """A leg for a peer on `flow`, and the address to write into SDP.

        Raises:
            NoMediaPorts: The port range is used up.
        """
        bind, written = self.addresses.media(flow)
        return self.media.open_leg(bind, beside=beside), written
