"""The one place where messages and events meet: a bounded record, in order, and whoever wants each entry as it comes.

The server puts in what its endpoint traced and what its dispatcher emitted. `log`, `ladder`, `pcap` and `report` read it; they are the
only formats, so that a call looks the same in a log, in a terminal and in a failed test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from trunkline.events import Event
from trunkline.trace.describe import describe

__all__ = ["Entry", "Happened", "Recorder", "TracedMessage"]

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class TracedMessage:
    """A SIP message as it went over the wire, retransmissions included."""

    time_s: float
    """Of the loop's clock."""
    sent: bool
    transport: str
    local: Address
    remote: Address
    start_line: str
    call_id: str
    """Empty for a message that could not be parsed."""
    data: bytes

    @property
    def source(self) -> Address:
        """Where it came from."""
        return self.local if self.sent else self.remote

    @property
    def destination(self) -> Address:
        """Where it went."""
        return self.remote if self.sent else self.local


class Happened(NamedTuple):
    """An event that the application was told."""

    time_s: float
    event: Event

    @property
    def text(self) -> str:
        """The event in one line, as `describe` puts it; made when somebody reads it."""
        return describe(self.event)


Entry = TracedMessage | Happened


class Recorder:
    """Keeps the last entries and hands each to its listeners.

    Args:
        capacity: How many entries are kept; the oldest goes.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._listeners: list[Callable[[Entry], None]] = []

    def add(self, entry: Entry) -> None:
        """Record one entry and tell the listeners."""
        self._entries.append(entry)
        for listener in self._listeners:
            listener(entry)

    def listen(self, listener: Callable[[Entry], None]) -> Callable[[], None]:
        """Call `listener` with each further entry, on the loop; the function returned stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def messages(self) -> list[TracedMessage]:
        """The messages among the entries."""
        return [entry for entry in self._entries if isinstance(entry, TracedMessage)]

    @property
    def events(self) -> list[Event]:
        """The events among the entries."""
        return [entry.event for entry in self._entries if isinstance(entry, Happened)]
