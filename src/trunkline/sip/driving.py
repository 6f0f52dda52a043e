"""What a driver of the endpoint may be besides: one that holds wake-ups together, one that wakes without a file descriptor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

__all__ = ["Holding", "WakingDriver"]


@runtime_checkable
class Holding(Protocol):
    """Takes commands for another thread, which each wakes, unless they are held together. The native drivers do."""

    def hold(self) -> None:
        """Let commands wait until `release`, so that several of them cost one wake-up."""

    def release(self) -> None:
        """Have what waits done now, and what follows at once again."""


@runtime_checkable
class WakingDriver(Protocol):
    """A driver without file descriptor: it calls when events wait. The virtual network's."""

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the loop whenever events wait."""

    def close(self) -> None:
        """Call it no more, and send nothing more."""
