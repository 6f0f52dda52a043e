"""A REGISTER that waits for a decision: what `on_register_user` gets and answers.

`registrar` makes one for each REGISTER and carries the decision out on the loop; a plain `def` handler decides from its
thread. Exactly one decision counts, and where there is none the request is authenticated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.one_decision import OneDecision
from trunkline.sip.endpoint import RequestReceived

__all__ = ["Decided", "RegisterRequest"]

Decided = Callable[["RegisterRequest"], None]
"""Carries a decision out, on the loop."""


class RegisterRequest(OneDecision):
    """A phone's REGISTER. Decide it by exactly one of `authenticate`, `accept`, `reject` and `attach`, from any thread.

    Attributes:
        user: The user that it is for: the user part of its To.
        domain: The domain of its To.
        user_agent: What the phone calls itself.
        from_ip: Where it came from.
        from_port: Its port there.
    """

    def __init__(
        self,
        request: RequestReceived,
        loop: asyncio.AbstractEventLoop,
        *,
        authenticate: Decided,
        accept: Callable[[RegisterRequest, str], None],
        reject: Callable[[RegisterRequest, int, str | None], None],
    ) -> None:
        super().__init__(loop, "registration")
        self.request = request
        to = request.message.to.uri
        self.user = to.user or ""
        self.domain = to.host
        self.user_agent = request.message.header("User-Agent") or ""
        self.from_ip, self.from_port = request.flow.remote
        self._authenticate = authenticate
        self._accept = accept
        self._reject = reject

    @property
    def has_credentials(self) -> bool:
        """Whether the phone has answered a challenge of ours; if rightly, `authenticate` will say."""
        return self.request.credentials is not None

    def authenticate(self) -> None:
        """Let the password decide: challenge it, or verify the credentials that it has (RFC 3261 §22). The default.

        Raises:
            RuntimeError: It is decided already.
        """
        self._decide(lambda: self._authenticate(self))

    def accept(self) -> None:
        """Register it for the user that it names, without a password. 404 goes back where there is no such user.

        Raises:
            RuntimeError: It is decided already.
        """
        self.attach(self.user)

    def attach(self, user: str) -> None:
        """Register it for another user than it names, without a password. 404 goes back where there is no such user.

        Args:
            user: Whose phone it is to be.

        Raises:
            RuntimeError: It is decided already.
        """
        self._decide(lambda: self._accept(self, user))

    def reject(self, status: int = 403, reason: str | None = None) -> None:
        """Refuse it.

        Args:
            status: 400 to 699.
            reason: The phrase; None for the RFC's.

        Raises:
            RuntimeError: It is decided already.
            ValueError: The status is no failure.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"{status} refuses nothing: 400 to 699 is needed")
        self._decide(lambda: self._reject(self, status, reason))

    def settle(self) -> None:
        """Authenticate unless it is decided: its handlers are done, or late."""
        try:
            self.authenticate()
        except RuntimeError:
            return
