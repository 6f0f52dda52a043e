"""What a handler is given when a phone transfers its call, and how a transfer ends.

`calls.transfers` makes a `TransferRequest` of each REFER; the application decides, or the default does. However a
transfer was asked for and carried out, a `TransferOutcome` says how it ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from trunkline.calls.destinations import Destination
from trunkline.calls.environment import Environment
from trunkline.constants import ChannelId
from trunkline.errors import CallEnded, CallStateError
from trunkline.sip.endpoint import Uri

if TYPE_CHECKING:
    from trunkline.calls.session import CallSession

__all__ = ["TransferOutcome", "TransferRequest", "TransferResult"]

TRANSFER_TIMEOUT_S = 60.0


class TransferResult(Enum):
    """How a transfer ended."""

    ACCEPTED = "accepted"
    """The other party talks to whom it was transferred to."""
    FAILED = "failed"
    """It was refused, or nobody could be reached: the call goes on as it was."""
    TIMEOUT = "timeout"
    """Nobody answered in time, or no outcome was told: the call goes on as it was."""


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """How a transfer ended, whoever asked for it."""

    result: TransferResult
    status: int
    """The final status of the call that it made, or of the REFER; 408 for silence."""
    reason: str
    """In words."""

    @classmethod
    def of(cls, status: int, reason: str) -> TransferOutcome:
        """The outcome that a final status stands for."""
        accepted = TransferResult.ACCEPTED if status < 300 else TransferResult.FAILED
        return cls(TransferResult.TIMEOUT if status == 408 else accepted, status, reason)

    @property
    def accepted(self) -> bool:
        """Whether the other party talks to whom it was transferred to."""
        return self.result is TransferResult.ACCEPTED


class TransferRequest:
    """A phone wants its other party to talk to somebody else. Its handler accepts or rejects, once.

    Undecided, a user of ours is called; over a line with `transfer="refer"` the provider is asked to call everybody
    else; all others are refused with 603.
    """

    def __init__(
        self,
        env: Environment,
        call: CallSession,
        channel: ChannelId,
        uri: Uri,
        referred_by: str,
        *,
        carry_out: Callable[[Destination | None, str, float], None],
        refuse: Callable[[int, str], None],
        take: Callable[[], None],
    ) -> None:
        self.call = call
        """The call."""
        self.channel = channel
        """The channel whose party asks, and leaves the call when it succeeds."""
        self.uri = str(uri)
        """Whom it names, as Refer-To has it."""
        self.to = uri.user or ""
        """The user or number in it; "" where there is none."""
        self.referred_by = referred_by
        """Who says that he transfers (RFC 3892); "" where he does not."""
        self.decided = False
        """Whether it has been accepted or rejected."""
        self._env = env
        self._carry_out = carry_out
        self._refuse = refuse
        self._take = take

    def __repr__(self) -> str:
        return f"<TransferRequest of call {self.call.id} to {self.to}>"

    def accept(self, to: Destination, *, dial_number: str | None = None, timeout_s: float = TRANSFER_TIMEOUT_S) -> None:
        """Call somebody in the place of who asks; how it ends is told to him, and by an event.

        Args:
            to: Whom, as `CallSession.accept` takes it.
            dial_number: The number to dial over a line; the one that was asked for unless given.
            timeout_s: Seconds until it is given up.

        Raises:
            CallStateError: It is decided already.
            CallEnded: The call is over.
            ValueError: It is nothing that can be called, or `timeout_s` is not positive.
        """
        if timeout_s <= 0:
            raise ValueError("timeout_s: must be more than 0")
        number = self.to if dial_number is None else dial_number
        self._env.run(lambda: self._decide(lambda: self._carry_out(to, number, timeout_s)))

    def reject(self, status: int = 603, reason: str = "Declined") -> None:
        """Refuse it; the call goes on as it was.

        Args:
            status: 400 to 699.
            reason: In words, on one line.

        Raises:
            CallStateError: It is decided already.
            CallEnded: The call is over.
            ValueError: The status is no failure.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"status: {status} refuses nothing; 400 to 699 do")
        self._env.run(lambda: self._decide(lambda: self._refuse(status, reason)))

    def take(self) -> None:
        """Keep the other party for the application: who asks is told that it succeeded, and leaves.

        Only of two calls that `bridge` has tied: it returns, and the other party's call goes on alone. The session of who asked closes
        with `TRANSFERRED`.

        Raises:
            CallStateError: It is decided already, or the two are not bridged.
            CallEnded: The call is over.
        """
        self._env.run(lambda: self._decide(self._take))

    def fail(self) -> None:
        """From the server: a handler raised; undecided, it is refused."""
        with contextlib.suppress(CallEnded, CallStateError):
            self._decide(lambda: self._refuse(500, "Server Internal Error"))

    def settle(self) -> None:
        """From the server: no handler decides any more, so that the default does."""
        with contextlib.suppress(CallEnded, CallStateError):
            self._decide(lambda: self._carry_out(None, self.to, TRANSFER_TIMEOUT_S))

    def _decide(self, act: Callable[[], None]) -> None:
        if self.decided:
            raise CallStateError("the transfer is decided already")
        act()
        self.decided = True
