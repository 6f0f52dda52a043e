"""Who sent an INVITE: a user, a line, or a stranger; and what he calls himself and wants to reach.

`dispatch` asks for each INVITE that begins a call, then hands the answer to `calls`. The steps, in order: the line's
token in the Request-URI, credentials of a user, the exact address of a line's server, the claim to be a user (which is
challenged), the networks and addresses of lines with the called number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trunkline.calls.peers import Party
from trunkline.server.addresses import TOKEN_PARAMETER
from trunkline.server.auth import Authenticator
from trunkline.server.line import Line
from trunkline.server.lines import Lines
from trunkline.server.registrar import OwnDomains
from trunkline.server.users import User, Users
from trunkline.sip.dialog import behind_nat
from trunkline.sip.endpoint import Message, RequestReceived, SipParseError, Uri

__all__ = ["Caller", "Identifier", "Stranger", "Unproven", "same_number"]


@dataclass(frozen=True, slots=True)
class Caller:
    """A peer of ours, and what its INVITE says."""

    party: Party
    caller_name: str
    caller_id: str
    dial_number: str
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Unproven:
    """It says that it is a user, and has to prove it: a challenge is due."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Nobody that we know, or for nobody that we know: the answer that is due."""

    status: int
    reason: str


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
        )

    def identify(self, request: RequestReceived) -> Identified:
        """Who sent this INVITE."""
        for step in self._steps:
            found = step(request)
            if found is not None:
                return found
        return Stranger(403, "Unknown source")

    def _by_token(self, request: RequestReceived) -> Identified | None:
        uri = _request_uri(request.message)
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
        name, number = _caller(message)
        return Caller(party, name or user.display_name, _permitted(user, number), _dialled(message))

    def _by_server(self, request: RequestReceived) -> Identified | None:
        return self._of_lines(self._lines.at(request.flow), request)

    def _by_claim(self, request: RequestReceived) -> Identified | None:
        # Phones and a provider may share an address (a NAT, one machine), so that it alone proves no line.
        from_ = request.message.from_.uri
        claims = self._users.find(from_.user) is not None and self._domains.is_ours(from_, request.flow)
        return Unproven() if claims else None

    def _by_source(self, request: RequestReceived) -> Identified | None:
        return self._of_lines(self._lines.accepting(request.flow.remote[0]), request)

    def _of_lines(self, candidates: list[Line], request: RequestReceived) -> Identified | None:
        """Which of the lines at one source a call is for: by the number called, if there are several."""
        if not candidates:
            return None
        if len(candidates) == 1:
            return _from_line(candidates[0], request)
        message = request.message
        called = [number for number in (_dialled(message), message.to.uri.user or "") if number]
        by_number = [line for line in candidates if any(_is_of(line, number) for number in called)]
        if len(by_number or candidates) != 1:
            return Stranger(404, "Several lines are at this source, and none has this number")
        return _from_line((by_number or candidates)[0], request)


def _from_line(line: Line, request: RequestReceived) -> Caller:
    name, number = _caller(request.message)
    if request.message.method == "INVITE":
        line.counters.calls_in += 1
    return Caller(line.party(), name, number, _called(request.message, line), line)


def _permitted(user: User, number: str) -> str:
    """The caller id that a proven user claims, if it is one of its own; else its name. From itself proves nothing."""
    return next((own for own in user.numbers if same_number(own, number)), user.name)


def _caller(message: Message) -> tuple[str, str]:
    from_ = message.from_
    return from_.display_name or "", from_.uri.user or ""


def _request_uri(message: Message) -> Uri | None:
    try:
        return message.uri
    except SipParseError:
        return None


def _dialled(message: Message) -> str:
    """The user part of the Request-URI; of To where that has none."""
    uri = _request_uri(message)
    return (uri.user if uri is not None else None) or message.to.uri.user or ""


def _called(message: Message, line: Line) -> str:
    """The number that was dialled to reach a line: what the Request-URI or else To says beyond the line's own Contact."""
    for user in (_dialled(message), message.to.uri.user or ""):
        if user not in ("", line.token, line.settings.username):
            return user
    return line.settings.username


def _is_of(line: Line, number: str) -> bool:
    return any(same_number(number, own) for own in _own_numbers(line))


def _own_numbers(line: Line) -> Iterable[str]:
    return (line.settings.username, *line.settings.numbers)


def same_number(one: str, other: str) -> bool:
    """Whether two user parts are one number: visual separators and a leading + aside (RFC 3966 §5.1.1)."""
    return _bare(one) == _bare(other)


def _bare(number: str) -> str:
    return "".join(letter for letter in number.lower() if letter not in " -.()").removeprefix("+")
