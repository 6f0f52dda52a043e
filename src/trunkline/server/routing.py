"""Where a call goes: a user's contacts, a line's servers, a group's lines. Implements `calls.peers.Directory`.

`calls` asks with what the application said and gets a plan: which step is looked up here when it begins, and finds
targets or raises a `PlacementError` whose status and words the application sees. The server never stands in the way of
an emergency call: limits do not count for it, and every line is tried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from trunkline.calls.peers import PlacementError, Placing, Target
from trunkline.calls.plan import Ending, Failed, Find, Found, Lookup, Step, Turning, Turns
from trunkline.constants import PeerType
from trunkline.server.bindings import Binding
from trunkline.server.groups import Choice, LineGroup, LineGroups
from trunkline.server.identity import over_line, to_phone
from trunkline.server.limits import Limits
from trunkline.server.line import Line
from trunkline.server.line_settings import LineSettings
from trunkline.server.lines import Lines
from trunkline.server.rates import digits
from trunkline.server.registrar import Registrar
from trunkline.server.users import User, Users
from trunkline.sip.dialog import next_hop
from trunkline.sip.endpoint import Flow, NameAddr, SipParseError, Uri
from trunkline.sip.resolver import ResolutionError

__all__ = ["EmergencyCalls", "Routing"]

SERVER_SILENCE_S = 6.0
"""How long a server may send nothing at all before the next one is tried, where no group says so: an INVITE has been
repeated three times by then (RFC 3261 §17.1.1.2)."""


@dataclass(frozen=True, slots=True)
class EmergencyCalls:
    """Which calls are emergency calls, and what they go through first."""

    numbers: tuple[str, ...] = ()
    line: str | None = None
    """A line or a group; None for what the application says."""
    _digits: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_digits", frozenset(map(digits, self.numbers)))

    def has(self, number: str) -> bool:
        """Whether a number is one."""
        return digits(number) in self._digits


@dataclass(eq=False, slots=True)
class _Over:
    """A group that a call is placed over."""

    group: LineGroup
    counted: bool = False
    """Whether it has counted for the group's calls a second."""


class Routing:
    """Makes plans.

    Args:
        users: The phones' accounts.
        registrar: Knows where they are.
        lines: The providers' accounts.
        groups: The line groups.
        domain: Ours, for From and To of calls to users.
        emergency: The emergency calls.
        random: The lot of groups that choose by weight.
        clock: The loop's.
        active_calls: What a line's calls are, for limits: None for each that came in or was answered, and for each that
            is being placed the `hold` of its step.
        is_ours: Whether a URI in a message over a flow is in a domain of ours.
    """

    def __init__(
        self,
        users: Users,
        registrar: Registrar,
        lines: Lines,
        *,
        domain: str,
        groups: LineGroups | None = None,
        emergency: EmergencyCalls | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = lambda: 0.0,
        active_calls: Callable[[str], Sequence[object | None]] = lambda line: (),
        is_ours: Callable[[Uri, Flow], bool] = lambda uri, flow: False,
    ) -> None:
        self._users = users
        self._registrar = registrar
        self._lines = lines
        self._groups = groups if groups is not None else LineGroups()
        self._domain = domain
        self._emergency = emergency or EmergencyCalls()
        self._random = random or Random()
        self._is_ours = is_ours
        self._limits = Limits(active_calls, clock, self._groups)
        self._of: dict[PeerType, Callable[[Placing], Turns]] = {
            PeerType.USER: self._user_turns,
            PeerType.LINE: self._line_turns,
        }

    def plan(self, placing: Placing) -> Turns:
        """The steps in which it is tried to reach a user, or a number through a line or group.

        A step that finds nobody raises `PlacementError`: 404 for an unknown peer, 480 for a user with no phone
        registered, 484 without a number, 503 for a line that cannot be used now, 400 where what a caller said makes no
        address; and why.
        """
        try:
            return self._of[placing.peer_type](placing)
        except PlacementError as error:
            return Turns([self._step(placing, partial(_refused, error))], Turning.LINES)

    def note_failure(self, failed: Failed) -> None:
        """Keep the health of the line's server: silence, a broken transport and 503 speak against it, other answers for it."""
        target = failed.target
        if target is None:
            return
        # it answered as well by the 3xx that led elsewhere, and by ringing until the time was over
        answered = failed.abroad or failed.rang or failed.ending in (Ending.REFUSED, Ending.UNUSABLE)
        problem = "" if failed.abroad else _problem_of(failed)
        line = self._line_of(target)
        if problem and line is not None:
            message = failed.failure.message
            pause_s = message.retry_after_s if message is not None else None
            line.server.note_failure(target.flow, problem, retry_after_s=pause_s)
        elif answered:
            self.note_success(target)

    def note_success(self, target: Target) -> None:
        """Keep the health of the line's server: it has answered."""
        line = self._line_of(target)
        if line is not None:
            line.server.note_success(target.flow)

    def _line_of(self, target: Target) -> Line | None:
        party = target.party
        return self._lines.find(party.name) if party.peer_type is PeerType.LINE else None

    def _step(self, placing: Placing, find: Find, *, silence_s: float | None = None, hold: object = None) -> Step:
        return Step(partial(_written, find), placing.peer_type, placing.peer_name, silence_s=silence_s, hold=hold)

    # --- transfers --------------------------------------------------------------------------------------------------

    def user_of(self, uri: Uri, flow: Flow) -> str | None:
        """The user of ours that a URI names."""
        user = self._users.find(uri.user) if uri.scheme != "tel" and self._is_ours(uri, flow) else None
        return user.name if user is not None else None

    def refer_to(self, line: str, to: str) -> Uri:
        """What a line's provider is asked to call: a URI as it is, a number as the line's calls have it."""
        found = self._lines.find(line)
        if found is None:
            raise PlacementError(404, f"no line {line}")
        try:
            if ":" in to:
                return Uri.parse(to)
            return over_line(found.settings, Placing(PeerType.LINE, line, to, "", ""), from_line=None).uri
        except SipParseError as error:
            raise _no_address(error) from error

    # --- users ------------------------------------------------------------------------------------------------------

    def _user_turns(self, placing: Placing) -> Turns:
        return Turns([self._step(placing, partial(self._phones, placing))], Turning.LINES)

    def _phones(self, placing: Placing) -> Sequence[Found]:
        user = self._users.find(placing.peer_name)
        if user is None:
            raise PlacementError(404, f"no user {placing.peer_name}")
        targets = self.user_targets(placing)
        if not targets:
            raise PlacementError(480, f"no phone of {user.name} is registered")
        return targets

    def user_targets(self, placing: Placing) -> Sequence[Target]:
        """The phones of a user that is registered, for a call or a message; none for one that is not."""
        user = self._users[placing.peer_name]
        return [self._contact_target(placing, user, binding) for binding in self._registrar.bindings(user.name)]

    def _contact_target(self, placing: Placing, user: User, binding: Binding) -> Target:
        local, headers = to_phone(placing, self._domain, from_line=self._line_of_origin(placing))
        return Target(
            party=user.party(nat=binding.nat),
            uri=binding.uri,
            flow=_flow_to(binding),
            local=local,
            remote=NameAddr(Uri("sip", user.name, self._domain)),
            headers=(*(("Route", value) for value in binding.path), *headers),  # RFC 3327 §5.3
        )

    def _line_of_origin(self, placing: Placing) -> LineSettings | None:
        """The settings of the line that the call came in over; None where a user called, or the application calls."""
        origin = placing.origin
        return self._lines.settings(origin.peer_name) if origin and origin.peer_type is PeerType.LINE else None

    # --- lines and groups -------------------------------------------------------------------------------------------

    def _line_turns(self, placing: Placing) -> Turns:
        if not placing.dial_number:
            raise PlacementError(484, f"no number to dial over line {placing.peer_name}")
        if self._emergency.has(placing.dial_number):
            return self._emergency_turns(placing)
        group = self._groups.find(placing.peer_name)
        if group is None:
            return Turns([self._line_step(placing, Choice(placing.peer_name))], Turning.LINES)
        self._limits.check_group(group)
        over = _Over(group)
        choices = group.order(placing.dial_number, self._random)
        last = [choice for choice in choices if not choice.unfit][-1:]
        steps = [self._line_step(placing, choice, over, last=choice in last) for choice in choices]
        return Turns(steps, Turning.LINES, f"line group {group.name}")

    def _line_step(self, placing: Placing, choice: Choice, over: _Over | None = None, *, last: bool = True) -> Step:
        """One line, which is asked whether it can take the call when its turn comes."""
        through = placing if choice.line == placing.peer_name else placing._replace(peer_name=choice.line)
        hold = object()
        silence_s = over.group.silence_s if over is not None and not last else None

        def find() -> Sequence[Found] | Lookup:
            if choice.unfit:
                raise PlacementError(503, choice.unfit)
            line = self._lines.find(through.peer_name)
            if line is None:
                raise PlacementError(404 if over is None else 503, f"no line {through.peer_name}")
            self._check_usable(line)
            if over is None:
                self._limits.let_through(line, hold)
            else:
                self._limits.let_through(line, hold, over.group, first=not over.counted)
                over.counted = True
            return self._servers(through, line, silence_s)

        return self._step(through, find, silence_s=silence_s, hold=hold)

    async def message_target(self, name: str, number: str, caller_name: str, caller_id: str) -> Target:
        """Where a message to a number goes through a line; it counts as no call. PlacementError as of `targets`."""
        line = self._lines.find(name)
        if line is None:
            raise PlacementError(404, f"no line {name}")
        if not number:
            raise PlacementError(484, f"no number to send to over line {name}")
        self._check_usable(line)
        placing = Placing(PeerType.LINE, name, number, caller_name, caller_id)
        flows = _line_flows(line)
        flow = (flows if isinstance(flows, Sequence) else await flows())[0]
        return _server_target(placing, line, flow, from_line=None)

    def _check_usable(self, line: Line) -> None:
        if not line.usable:
            raise PlacementError(503, f"line {line.name} cannot be used: {line.unusable_reason}")

    def _servers(self, placing: Placing, line: Line, silence_s: float | None) -> Sequence[Found] | Lookup:
        """The line's servers, in turn."""
        flows = _line_flows(line)
        if isinstance(flows, Sequence):
            return self._at(flows, placing, line, silence_s)

        async def located(ask: Callable[[], Awaitable[Sequence[Flow]]]) -> Sequence[Found]:
            return self._at(await ask(), placing, line, silence_s)

        return partial(located, flows)

    def _at(self, flows: Sequence[Flow], placing: Placing, line: Line, silence_s: float | None) -> Sequence[Found]:
        line.counters.calls_out += 1
        from_line = self._line_of_origin(placing)
        targets = [_server_target(placing, line, flow, from_line=from_line) for flow in flows]
        if len(targets) == 1:
            return targets
        waits = [SERVER_SILENCE_S if silence_s is None else silence_s] * (len(targets) - 1)
        steps = [
            self._step(placing, partial(_found, target), silence_s=wait)
            for target, wait in zip(targets, [*waits, silence_s], strict=True)
        ]
        return [Turns(steps, Turning.SERVERS)]

    # --- emergency calls --------------------------------------------------------------------------------------------

    def _emergency_turns(self, placing: Placing) -> Turns:
        """Every line of what emergency calls go through and of what was asked for, those that seem usable first."""
        names = [self._emergency.line, placing.peer_name]
        ways = [name for way in names if way is not None for name in self._members(way, placing.dial_number)]
        lines = [line for line in map(self._lines.find, dict.fromkeys(ways)) if line is not None]
        lines.sort(key=lambda line: not line.usable)
        if not lines:
            raise PlacementError(404, f"no line {placing.peer_name}")
        steps = [self._emergency_step(placing, line, last=line is lines[-1]) for line in lines]
        return Turns(steps, Turning.EMERGENCY, f"emergency number {placing.dial_number}")

    def _members(self, name: str, number: str) -> list[str]:
        group = self._groups.find(name)
        return [name] if group is None else [choice.line for choice in group.order(number, self._random)]

    def _emergency_step(self, placing: Placing, line: Line, *, last: bool) -> Step:
        through = placing._replace(peer_name=line.name, emergency=True)
        hold = object()
        silence_s = None if last else SERVER_SILENCE_S

        def find() -> Sequence[Found] | Lookup:
            self._limits.count(line, hold)
            return self._servers(through, line, silence_s)

        return self._step(through, find, silence_s=silence_s, hold=hold)


def _problem_of(failed: Failed) -> str:
    """What an attempt says against the server that it went to, in words; "" for nothing (RFC 3263 §4.3)."""
    failure = failed.failure
    if failed.ending is Ending.BROKEN:
        return f"it cannot be reached: {failure.reason}"
    if failed.ending is Ending.SILENT:
        return "no answer to INVITE"
    refused = failed.ending is Ending.REFUSED and failure.status == 503
    return f"it answers INVITE with {failure.status} {failure.reason}" if refused else ""


def _flow_to(binding: Binding) -> Flow:
    """Their own flow behind NAT, else where the Path or the contact says."""
    if binding.nat:
        return binding.flow
    first = NameAddr.parse(binding.path[0]).uri if binding.path else binding.uri
    return next_hop(first, binding.flow)


def _written(find: Find) -> Sequence[Found] | Lookup:
    try:
        found = find()
    except SipParseError as error:
        raise _no_address(error) from error
    return found if isinstance(found, Sequence) else partial(_written_later, found)


async def _written_later(ask: Lookup) -> Sequence[Found]:
    try:
        return await ask()
    except SipParseError as error:
        raise _no_address(error) from error


def _no_address(error: SipParseError) -> PlacementError:
    """Escaped, a number or a caller's name may outgrow what a URI may have."""
    return PlacementError(400, f"the number or the caller makes no address: {error.reason}")


def _refused(error: PlacementError) -> Sequence[Found]:
    raise error


def _found(target: Target) -> Sequence[Found]:
    return [target]


def _line_flows(line: Line) -> Sequence[Flow] | Callable[[], Awaitable[Sequence[Flow]]]:
    """The servers that the line's calls go to, in order: those that are known, or where its name leads."""
    if line.server.flow is None:
        return partial(_located_flows, line)
    try:
        return line.server.known()
    except ResolutionError as error:
        raise _nowhere(line, error) from error


async def _located_flows(line: Line) -> Sequence[Flow]:
    try:
        return await line.server.candidates()
    except ResolutionError as error:
        raise _nowhere(line, error) from error


def _nowhere(line: Line, error: ResolutionError) -> PlacementError:
    return PlacementError(503, f"line {line.name}: the provider cannot be found: {error}")


def _server_target(placing: Placing, line: Line, flow: Flow, *, from_line: LineSettings | None) -> Target:
    said = over_line(line.settings, placing, from_line=from_line)
    return Target(
        party=replace(line.party(), anonymous=True) if said.anonymous else line.party(),
        uri=said.uri,
        flow=flow,
        local=said.local,
        remote=said.remote,
        headers=(*line.routes, *said.headers),
    )
