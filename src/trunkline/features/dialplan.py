"""A dial plan as data: which calls go where, for servers that are configured and not programmed.

`trunkline serve FILE.toml` uses it. Rules are tried in order and the first that fits decides; a call that none fits is for the user
whose name was dialled, else it gets 404.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trunkline import PeerType
from trunkline.features.asking import To

if TYPE_CHECKING:
    from trunkline import CallSession, SipServer

__all__ = ["DialPlan", "Route"]

ANYTHING = re.compile(r".*")


@dataclass(frozen=True, slots=True)
class Route:
    """One rule: calls from here with such a number go there.

    Attributes:
        to_user: The user to ring; or
        to_line: the line or line group to call through; or
        to: several destinations, as `CallSession.accept` takes them.
        from_: "users", "lines", or the name of one user or line; "" for any call.
        number: The whole dialled number must match this regular expression.
        timeout_s: How long it may ring, in seconds.
    """

    to_user: str | None = None
    to_line: str | None = None
    from_: str = ""
    number: re.Pattern[str] = field(default=ANYTHING)
    timeout_s: float = 60.0
    to: To | None = None

    def __post_init__(self) -> None:
        if sum(where is not None for where in (self.to_user, self.to_line, self.to)) != 1:
            raise ValueError("a route goes to one place: give one of to_user and to_line, or to")

    def fits(self, call: CallSession) -> bool:
        """Whether this rule is for that call."""
        group = "users" if call.from_peer_type is PeerType.USER else "lines"
        return self.from_ in ("", group, call.from_peer_name) and bool(self.number.fullmatch(call.dial_number))


class DialPlan:
    """Routes incoming calls by rules.

    Args:
        routes: The rules, in order.

    Example:
        plan = DialPlan([
            Route(from_="users", number=re.compile(r"[+0-9]{5,}"), to_line="itsp"),
            Route(from_="lines", to_user="alice"),
        ])
        plan.serve(server)
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._server: SipServer | None = None

    def serve(self, server: SipServer) -> None:
        """Decide the server's incoming calls from now on."""
        self._server = server
        server.on_incoming_call(self.route)

    async def route(self, call: CallSession) -> None:
        """Decide one call; the handler that `serve` registers."""
        emergency = self._server.settings.emergency_line if self._server is not None else None
        if emergency is not None and self._is_emergency(call):
            call.accept(to_line=emergency)
            return
        for rule in self._routes:
            if rule.fits(call):
                call.accept(to_user=rule.to_user, to_line=rule.to_line, to=rule.to, timeout_s=rule.timeout_s)
                return
        if self._server is not None and self._server.has_user(call.dial_number):
            call.accept(to_user=call.dial_number)
            return
        call.reject(404)

    def _is_emergency(self, call: CallSession) -> bool:
        """Whether a phone of ours calls an emergency number: that goes before every rule."""
        server = self._server
        return server is not None and call.from_peer_type is PeerType.USER and server.is_emergency(call.dial_number)
