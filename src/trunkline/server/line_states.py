"""The registration of a line as a table of data: in which state, what happened, what then.

`line_registration` looks it up and carries the actions out; the documentation's diagram is made from it. What is not in
the table has no effect in that state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["TABLE", "Action", "Happening", "LineState", "Step"]


class LineState(Enum):
    """Where a line's registration stands."""

    OFF = "off"
    """Not registered, and not to be."""
    TRYING = "trying"
    """A REGISTER is on its way."""
    REGISTERED = "registered"
    REFRESHING = "refreshing"
    """Registered, and a REGISTER that prolongs it is on its way."""
    WAITING = "waiting"
    """The provider is silent or failed; the next attempt has its time."""
    REFUSED = "refused"
    """The provider does not take our credentials; the next attempt is minutes away."""
    LEAVING = "leaving"
    """A REGISTER with expiry 0 is on its way."""


class Happening(Enum):
    """What can happen to a registration."""

    START = auto()
    """The application wants the line registered."""
    STOP = auto()
    """The application or the server's stop wants it unregistered."""
    DUE = auto()
    """The time of the next REGISTER has come."""
    GRANTED = auto()
    """2xx."""
    TOO_BRIEF = auto()
    """423 with a Min-Expires that we can ask for."""
    REFUSED = auto()
    """Our credentials are not taken."""
    FAILED = auto()
    """Another failure, or none but silence."""


class Action(Enum):
    """What is then done."""

    TELL_TRYING = auto()
    TELL_REGISTERED = auto()
    TELL_FAILED = auto()
    TELL_LEAVING = auto()
    TELL_LEFT = auto()
    TELL_STUCK = auto()
    SEND = auto()
    """A REGISTER with the wanted expiry."""
    SEND_REMOVAL = auto()
    """A REGISTER with expiry 0, where the provider may have anything to remove."""
    WAIT_FOR_REFRESH = auto()
    WAIT_AFTER_FAILURE = auto()
    WAIT_AFTER_REFUSAL = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """A state to go to and what is done on the way, in order."""

    state: LineState
    actions: tuple[Action, ...] = ()


_S, _H, _A = LineState, Happening, Action

_TRY = Step(_S.TRYING, (_A.TELL_TRYING, _A.SEND))
_GRANTED = Step(_S.REGISTERED, (_A.WAIT_FOR_REFRESH, _A.TELL_REGISTERED))
_FAILED = Step(_S.WAITING, (_A.WAIT_AFTER_FAILURE, _A.TELL_FAILED))
_REFUSED = Step(_S.REFUSED, (_A.WAIT_AFTER_REFUSAL, _A.TELL_FAILED))
_LEAVE = Step(_S.LEAVING, (_A.TELL_LEAVING, _A.SEND_REMOVAL))
_STUCK = Step(_S.OFF, (_A.TELL_STUCK,))

TABLE: dict[tuple[LineState, Happening], Step] = {
    (_S.OFF, _H.START): _TRY,
    (_S.TRYING, _H.GRANTED): _GRANTED,
    (_S.TRYING, _H.TOO_BRIEF): Step(_S.TRYING, (_A.SEND,)),  # RFC 3261 §10.2.8: at once
    (_S.TRYING, _H.REFUSED): _REFUSED,
    (_S.TRYING, _H.FAILED): _FAILED,
    (_S.TRYING, _H.START): _TRY,
    (_S.TRYING, _H.STOP): _LEAVE,
    (_S.REGISTERED, _H.DUE): Step(_S.REFRESHING, (_A.SEND,)),
    (_S.REGISTERED, _H.START): Step(_S.REFRESHING, (_A.SEND,)),
    (_S.REGISTERED, _H.STOP): _LEAVE,
    (_S.REFRESHING, _H.GRANTED): _GRANTED,
    (_S.REFRESHING, _H.TOO_BRIEF): Step(_S.REFRESHING, (_A.SEND,)),
    (_S.REFRESHING, _H.REFUSED): _REFUSED,
    (_S.REFRESHING, _H.FAILED): _FAILED,
    (_S.REFRESHING, _H.START): Step(_S.REFRESHING, (_A.SEND,)),
    (_S.REFRESHING, _H.STOP): _LEAVE,
    (_S.WAITING, _H.DUE): _TRY,
    (_S.WAITING, _H.START): _TRY,
    (_S.WAITING, _H.STOP): _LEAVE,
    (_S.REFUSED, _H.DUE): _TRY,
    (_S.REFUSED, _H.START): _TRY,
    (_S.REFUSED, _H.STOP): _LEAVE,
    (_S.LEAVING, _H.GRANTED): Step(_S.OFF, (_A.TELL_LEFT,)),
    (_S.LEAVING, _H.TOO_BRIEF): _STUCK,
    (_S.LEAVING, _H.REFUSED): _STUCK,
    (_S.LEAVING, _H.FAILED): _STUCK,
    (_S.LEAVING, _H.START): _TRY,
}
