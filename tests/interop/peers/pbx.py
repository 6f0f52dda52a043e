"""The server under test: a `SipServer` on a loop of its own, in this process, with alice, bob and the line `itsp`.

It listens on every address of the host, so that a peer reaches it at its namespace's `host_address`. `story` tells what the application
was told about one call, `wait_event` waits for an event. Its end insists that nothing was left behind and that nothing was logged as an
error. Used by conftest.py's `pbx` fixture.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, TypeVar

from peers.loop import LoopThread
from peers.namespace import Namespace
from peers.process import PeerError, wait_until
from trunkline.calls.session import CallSession
from trunkline.constants import PeerType
from trunkline.events import CallEvent, Event
from trunkline.server.line import Line, LineState
from trunkline.server.server import SipServer
from trunkline.trace.describe import event_name
from trunkline.trace.recorder import Entry, Happened, TracedMessage

REALM = "pbx.example"
ACCOUNT = "15551234"
ACCOUNT_PASSWORD = "line-secret"
LINE = "itsp"
EVENT_TIMEOUT_S = 10.0
IDLE_TIMEOUT_S = 5.0

E = TypeVar("E", bound=Event)
Route = Callable[[CallSession], Awaitable[object]]


async def route(call: CallSession) -> None:
    """The tutorial's decision: users call out through the line, the line's calls ring alice."""
    if call.from_peer_type is PeerType.USER:
        await call.accept(to_line=LINE)
    else:
        await call.accept(to_user="alice")


class Pbx:
    """A running server.

    Args:
        server: it, not yet started.
        decide: what happens to each call.
    """

    def __init__(self, server: SipServer, decide: Route = route) -> None:
        self.server = server
        self._loop = LoopThread("pbx")
        self._entries: list[Entry] = []
        self._errors = _Errors()
        self._stopped = False
        logging.getLogger("trunkline").addHandler(self._errors)
        server.recorder.listen(self._entries.append)
        server.on_incoming_call(decide)
        for name in ("alice", "bob"):
            server.add_user(name, password=password(name))
        try:
            self.run(server.start())
        except BaseException:
            self._leave()
            raise

    def run(self, coroutine: Any, timeout_s: float = 15.0) -> Any:
        """Run a coroutine on the server's loop and return its result."""
        return self._loop.run(coroutine, timeout_s)

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function on the server's loop and return its result."""
        return self._loop.call(function, *args, **options)

    def at(self, inside: Namespace, transport: str = "udp") -> str:
        """Address and port at which a namespace reaches it."""
        return f"{inside.host_address}:{self.server.local_address(transport)[1]}"

    # -- the line

    def add_line(self, server: str, name: str = LINE, **options: Any) -> Line:
        """Add a line, with the account and its right password unless told otherwise, and return it."""
        given = {"username": ACCOUNT, "password": ACCOUNT_PASSWORD, "domain": "itsp.example", "server": server}
        self.call(self.server.add_line, name, **(given | options))
        return self.server.line(name)

    @property
    def line(self) -> Line:
        """The line `itsp`."""
        return self.server.line(LINE)

    def wait_line(self, state: LineState = LineState.REGISTERED, timeout_s: float = EVENT_TIMEOUT_S) -> Line:
        """Wait until the line is in a state, and return it."""
        wait_until(lambda: self.line.state is state, timeout_s, f"line {state.value} ({self.line.last_failure})")
        return self.line

    # -- what the application is told

    @property
    def events(self) -> list[Event]:
        """Every event so far."""
        return [entry.event for entry in list(self._entries) if isinstance(entry, Happened)]

    def wait_event(self, kind: type[E], *, timeout_s: float = EVENT_TIMEOUT_S, **fields: object) -> E:
        """Wait for the first event of a kind whose fields have these values; one that has come already counts."""

        def found() -> E | None:
            for event in self.events:
                if isinstance(event, kind) and all(getattr(event, name) == wanted for name, wanted in fields.items()):
                    return event
            return None

        return wait_until(found, timeout_s, f"{kind.__name__} {fields or ''} among\n{self.told()}")

    def wait_told(self, words: str, timeout_s: float = EVENT_TIMEOUT_S) -> None:
        """Wait until the application was told something about the last call, in the words of `story`."""
        wait_until(lambda: words in self.story(), timeout_s, f"{words!r} in\n{self.told()}")

    def told(self) -> str:
        """Every event so far, one a line."""
        return "\n".join(entry.text for entry in list(self._entries) if isinstance(entry, Happened))

    def story(self, number: int = -1) -> list[str]:
        """What was told about one call, in order: name, channel, status and reason of each event.

        Args:
            number: which call, in order of their begin; the last one unless given.
        """
        calls: dict[int, list[str]] = {}
        for event in self.events:
            if isinstance(event, CallEvent):
                calls.setdefault(event.call.id, []).append(_words(event))
        return list(calls.values())[number] if calls else []

    def messages(self, remote: str | None = None, *, sent: bool | None = None) -> list[TracedMessage]:
        """The SIP messages so far, those of one remote IP address or one direction if given."""
        return [
            entry
            for entry in list(self._entries)
            if isinstance(entry, TracedMessage) and remote in (None, entry.remote[0]) and sent in (None, entry.sent)
        ]

    # -- the end

    def wait_idle(self) -> None:
        """Wait until no call, dialog or media leg is left."""
        wait_until(lambda: not self._alive(), IDLE_TIMEOUT_S, f"nothing left of the calls: {self._alive()}")

    def _alive(self) -> dict[str, int]:
        running = self.server._now
        counts = {
            "calls": len(self.server.calls),
            "legs": running.media.open_legs,
            "dialogs": running.endpoint.live["dialogs"],
        }
        return {name: count for name, count in counts.items() if count}

    def stop(self, *, judge: bool = True) -> None:
        """End the server. Idempotent.

        Args:
            judge: insist that nothing is left of any call and nothing was logged as an error.

        Raises:
            PeerError: something is, or was.
        """
        if self._stopped:
            return
        self._stopped = True
        try:
            if judge:
                self.wait_idle()
        finally:
            try:
                self.run(self.server.stop(), 20.0)
            finally:
                self._leave()
        if judge and self._errors.lines:
            raise PeerError("the server logged errors:\n" + "\n".join(self._errors.lines))

    def _leave(self) -> None:
        logging.getLogger("trunkline").removeHandler(self._errors)
        self._loop.stop()


def password(user: str) -> str:
    """A user's password."""
    return f"{user}-secret"


def _words(event: CallEvent) -> str:
    words = [event_name(event).removeprefix("call_session_")]
    for name in ("channel", "status", "reason"):
        value = getattr(event, name, None)
        if isinstance(value, Enum):
            words.append(value.name.lower())
        elif isinstance(value, int):
            words.append(str(value))
    return " ".join(words)


class _Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
