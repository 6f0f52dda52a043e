"""The whole exception tree. Who is at fault decides the branch, so that a caller catches what it can do something about.

    TrunklineError
    ├── ConfigurationError        what was configured cannot work: `key` names it
    │   └── ListenError           an address cannot be listened on
    ├── UnknownPeer               no user or line of that name
    ├── NoMediaPorts              the port range is used up
    ├── StorageError              the database cannot be opened or written
    ├── AudioError                what is to be played is no audio, or a path cannot be read or written
    └── CallError                 a call did not come about or is over
        ├── CallEnded             a party hung up or the session was closed: no error of the handler
        ├── CallStateError        the call is not in a state for this (a programming error)
        └── CallFailed            no attempt was answered: `status` and `reason`
            ├── Busy              486, 600
            ├── Declined          603
            ├── NoAnswer          `timeout_s` passed, or 408: a phone or server that is silent
            └── NotRegistered     the user has no phone registered; a phone's own 480 is a plain CallFailed

Protocol errors of the other side (`SipParseError`, `NegotiationError`) are values of the extension and stay below this tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.events import FailedAttempt
    from trunkline.explanation import Explanation

__all__ = [
    "AudioError",
    "Busy",
    "CallEnded",
    "CallError",
    "CallFailed",
    "CallStateError",
    "ConfigurationError",
    "Declined",
    "ListenError",
    "NoAnswer",
    "NoMediaPorts",
    "NotRegistered",
    "StorageError",
    "TrunklineError",
    "UnknownPeer",
]


class TrunklineError(Exception):
    """Base of all errors that trunkline raises on purpose."""


class ConfigurationError(TrunklineError):
    """What was configured cannot work.

    Args:
        key: The key or argument at fault, as the user wrote it.
        problem: What is wrong and what would be right, in one sentence.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class ListenError(ConfigurationError):
    """An address cannot be listened on: taken (by whom, if known), not ours, or not allowed."""


class UnknownPeer(TrunklineError, KeyError):
    """No user or line has that name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NoMediaPorts(TrunklineError):
    """No media port is free, or the media address is not ours."""


class StorageError(TrunklineError):
    """The database cannot be opened, is of a newer version, or cannot be written."""


class AudioError(TrunklineError):
    """Audio cannot be played or recorded: a file that is no audio, a path that cannot be read or written. The call goes on."""


class CallError(TrunklineError):
    """Base of what goes wrong with calls."""


class CallEnded(CallError):
    """The call is over: a party hung up, the caller gave up, or the session was closed.

    Raised from whatever a handler awaits on that call; a handler that lets it pass has done nothing wrong.
    """


class CallStateError(CallError):
    """The call is not in a state in which this is possible, as accepting it twice."""


class CallFailed(CallError):
    """No attempt was answered.

    Args:
        status: The best final status (RFC 3261 §16.7), or what stands for it: 408 silence, 503 transport, 480 nobody
        registered.
        reason: In words.
        attempts: All attempts that failed and lines that were passed over, in order.
        explanation: What was sent, what came back, what to change.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        attempts: tuple[FailedAttempt, ...] = (),
        explanation: Explanation | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.attempts = attempts
        self.explanation = explanation

    @classmethod
    def of(
        cls,
        status: int,
        reason: str,
        attempts: tuple[FailedAttempt, ...] = (),
        explanation: Explanation | None = None,
    ) -> CallFailed:
        """The class of the tree that stands for the status of an answer.

        A 480 says that the callee is not available now (RFC 3261 §21.4.18), not why: it is no `NotRegistered`.
        """
        return _BY_STATUS.get(status, CallFailed)(status, reason, attempts, explanation)


class Busy(CallFailed):
    """The callee is in another call (486, 600)."""


class Declined(CallFailed):
    """The callee does not want the call (603)."""


class NoAnswer(CallFailed):
    """Nobody answered in time: `timeout_s` passed, or a request met silence (408)."""


class NotRegistered(CallFailed):
    """The user has no phone registered, so that none rang; its status is 480, what a caller is told then."""


_BY_STATUS: dict[int, type[CallFailed]] = {486: Busy, 600: Busy, 603: Declined, 408: NoAnswer}
