"""How far a session is, and how that follows from the stage of its channel ZERO while that is alone.

`course` looks it up, the application reads it.
"""

from __future__ import annotations

from enum import Enum

from trunkline.calls.link import Stage

__all__ = ["ALONE", "WAITING", "CallState"]


class CallState(Enum):
    """How far a session is."""

    WAITING = "waiting"
    """It arrived and waits for a decision."""
    PLACING = "placing"
    """A channel is being placed."""
    ANSWERED = "answered"
    """Channel ZERO is up and alone."""
    CONNECTED = "connected"
    """Both channels are up."""
    CLOSED = "closed"
    """It is over."""


ALONE = {
    Stage.RINGING: CallState.WAITING,
    Stage.EARLY: CallState.WAITING,
    Stage.PLACING: CallState.PLACING,
    Stage.UP: CallState.ANSWERED,
    Stage.OVER: CallState.CLOSED,
}

WAITING = (Stage.RINGING, Stage.EARLY)
