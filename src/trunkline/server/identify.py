"""Who sent an INVITE: a user, a line, or a stranger; and what he calls himself and wants to reach.

`dispatch` asks for each INVITE that begins a call, then hands the answer to `calls`. The steps, in order: the line's
token in the Request-URI, credentials of a user, the exact address of a line's server, the claim to be a user (which is
challenged), the networks and addresses of lines with the called number, and last the catch-all lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from trunkline.calls.peers import Party
from trunkline.server.addresses import TOKEN_PARAMETER
from trunkline.server.auth import Authenticator
from trunkline.server.inbound import (
    called_numbers,
    caller_of_line,
    caller_of_user,
    dialled,
    dialled_over,
    request_uri,
    same_number,
)
from trunkline.server.line import Line
from trunkline.server.lines import Lines
from trunkline.server.registrar import OwnDomains
from trunkline.server.users import Users
from trunkline.sip.dialog import behind_nat
from trunkline.sip.endpoint import Message, RequestReceived

__all__ = ["Caller", "Identifier", "Stranger", "Unproven"]


class Caller(NamedTuple):
    """A peer of ours, and what its INVITE says."""

    party: Party
    caller_name: str
    caller_id: str
    dial_number: str
    line: Line | None = None
    anonymous: bool = False
    """Whether the caller wants to stay so."""
    asserted_identity: str = ""
    """The number that the line's provider vouches for."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """It says that it is a user, and has to prove it: a challenge is due."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Nobody that we know, or for nobody that we know: the answer that is due."""

    status: int
    reason: str
    lines: tuple[str, ...] = ()
    """Those that it may be for, where it comes from a provider of ours."""


Identified = Caller | Unproven | Stranger

Step = Callable[[RequestReceived], Identified | None]


class Identifier:
    """Tells who sent an INVITE.

    Args:
        users: The phones' accounts.
        lines: The providers' accounts.
        authenticator: Verifies users.
        domains: Which addresses are ours.
    """

    def __init__(self, users: Users, lines: Lines, authenticator: Authenticator, domains: OwnDomains) -> None:
        self._users = users
        self._lines = lines
        self._authenticator = authenticator
        self._domains = domains
        self._steps: tuple[Step, ...] = (
            self._by_token,
            self._by_credentials,
            self._by_server,
            self._by_claim,
            self._by_source,
            self._by_anywhere,
        )

    def identify(self, request: RequestReceived) -> Identified:
        """Who sent this INVITE."""
        for step in self._steps:
            found = step(request)
            if found is not None:
                return found
        return Stranger(403, "Unknown source")

    def lines_for(self, message: Message) -> list[str]:
        """The names of the lines that have the number called; of all lines where none has it."""
        return [line.name for line in self._lines if _is_called(line, message)] or [line.name for line in self._lines]

    def _by_token(self, request: RequestReceived) -> Identified | None:
        uri = request_uri(request.message)
        if uri is None:
            return None
        line = self._lines.by_token(uri.user, uri.param(TOKEN_PARAMETER))
        return None if line is None else _from_line(line, request)

    def _by_credentials(self, request: RequestReceived) -> Identified | None:
        if request.credentials is None:
            return None
        user = self._authenticator.proves(request)
        if user is None:
            return Unproven()
        message = request.message
        party = user.party(nat=behind_nat(message, request.flow))
        caller = caller_of_user(user, message)
        return Caller(party, caller.name, caller.number, dialled(message), anonymous=caller.anonymous)

    def _by_server(self, request: RequestReceived) -> Identified | None:
        return self._of_lines(self._lines.at(request.flow), request)

    def _by_claim(self, request: RequestReceived) -> Identified | None:
        # Phones and a provider may share an address (a NAT, one machine), so that it alone proves no line.
        from_ = request.message.from_.uri
        claims = self._users.find(from_.user) is not None and self._domains.is_ours(from_, request.flow)
        return Unproven() if claims else None

    def _by_source(self, request: RequestReceived) -> Identified | None:
        return self._of_lines(self._lines.accepting(request.flow.remote[0]), request)

    def _by_anywhere(self, request: RequestReceived) -> Identified | None:
        return self._of_lines(self._lines.catching(request.flow.remote[0]), request)

    def _of_lines(self, candidates: list[Line], request: RequestReceived) -> Identified | None:
        """Which of the lines at one source a call is for: by the number called, if there are several."""
        if not candidates:
            return None
        if len(candidates) == 1:
            return _from_line(candidates[0], request)
        by_number = [line for line in candidates if _is_called(line, request.message)]
        if len(by_number or candidates) != 1:
            names = tuple(line.name for line in candidates)
            return Stranger(404, "Several lines are at this source, and none has this number", names)
        return _from_line((by_number or candidates)[0], request)


def _from_line(line: Line, request: RequestReceived) -> Caller:
    if request.message.method == "INVITE":
        line.counters.calls_in += 1
    caller = caller_of_line(line.settings, request.message)
    number = dialled_over(line.settings, line.token, request.message)
    return Caller(line.party(), caller.name, caller.number, number, line, caller.anonymous, caller.asserted)


def _is_called(line: Line, message: Message) -> bool:
    own = (line.settings.username, *line.settings.numbers)
    return any(same_number(number, mine) for number in called_numbers(line.settings, message) for mine in own)
