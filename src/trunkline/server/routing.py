"""Where a call goes: a user's contacts, or a line's server. Implements `calls.peers.Directory`.

`calls` asks with what the application said; the answer is one `Target` for each attempt that is to ring, or a
`PlacementError` whose status and words the application sees.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from trunkline.calls.peers import PlacementError, Placing, Target
from trunkline.constants import PeerType
from trunkline.server.bindings import Binding
from trunkline.server.line import Line
from trunkline.server.line_settings import LineSettings
from trunkline.server.lines import Lines
from trunkline.server.registrar import Registrar
from trunkline.server.users import User, Users
from trunkline.sip.dialog import next_hop
from trunkline.sip.endpoint import Flow, NameAddr, SipParseError, Uri
from trunkline.sip.resolver import ResolutionError

__all__ = ["Routing"]

ANONYMOUS = NameAddr(Uri("sip", "anonymous", "anonymous.invalid"), "Anonymous")
"""RFC 3323 §4.1.1.3."""


class Routing:
    """Finds targets.

    Args:
        users: The phones' accounts.
        registrar: Knows where they are.
        lines: The providers' accounts.
        domain: Ours, for From and To of calls to users.
        active_calls: What a line's calls are, for lines with a limit: for each that is being placed what it is
        placed for, and None for each that came in or was answered.
    """

    def __init__(
        self,
        users: Users,
        registrar: Registrar,
        lines: Lines,
        *,
        domain: str,
        active_calls: Callable[[str], Sequence[Placing | None]] = lambda line: (),
    ) -> None:
        self._users = users
        self._registrar = registrar
        self._lines = lines
        self._domain = domain
        self._active_calls = active_calls
        self._let_through: dict[str, dict[int, Placing]] = {}
        self._of: dict[PeerType, Callable[[Placing], Awaitable[Sequence[Target]]]] = {
            PeerType.USER: self._user_targets,
            PeerType.LINE: self._line_targets,
        }

    async def targets(self, placing: Placing) -> Sequence[Target]:
        """All targets that are to ring at once; at least one.

        Raises:
            PlacementError: 404 for an unknown peer, 480 for a user with no phone registered, 484 without a number, 503
                for a line that cannot be used now, 400 where what a caller said makes no address; and why.
        """
        try:
            return await self._of[placing.peer_type](placing)
        except SipParseError as error:
            # escaped, a number or a caller's name may outgrow what a URI may have
            raise PlacementError(400, f"the number or the caller makes no address: {error.reason}") from error

    # --- users ------------------------------------------------------------------------------------------------------

    async def _user_targets(self, placing: Placing) -> Sequence[Target]:
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
        caller = Uri("sip", placing.caller_id or "anonymous", self._domain)
        return Target(
            party=user.party(nat=binding.nat),
            uri=binding.uri,
            flow=_flow_to(binding),
            local=NameAddr(caller, placing.caller_name or None),
            remote=NameAddr(Uri("sip", user.name, self._domain)),
            headers=tuple(("Route", value) for value in binding.path),  # RFC 3327 §5.3
        )

    # --- lines ------------------------------------------------------------------------------------------------------

    async def _line_targets(self, placing: Placing) -> Sequence[Target]:
        line = self._lines.find(placing.peer_name)
        if line is None:
            raise PlacementError(404, f"no line {placing.peer_name}")
        if not placing.dial_number:
            raise PlacementError(484, f"no number to dial over line {line.name}")
        self._check_usable(line)
        self._check_limit(placing, line)
        flow = await _server_flow(line)
        line.counters.calls_out += 1
        return [_server_target(placing, line, flow)]

    async def message_target(self, name: str, number: str, caller_name: str, caller_id: str) -> Target:
        """Where a message to a number goes through a line; it counts as no call. PlacementError as of `targets`."""
        line = self._lines.find(name)
        if line is None:
            raise PlacementError(404, f"no line {name}")
        if not number:
            raise PlacementError(484, f"no number to send to over line {name}")
        self._check_usable(line)
        placing = Placing(PeerType.LINE, name, number, caller_name, caller_id)
        return _server_target(placing, line, await _server_flow(line))

    def _check_usable(self, line: Line) -> None:
        if not line.usable:
            raise PlacementError(503, f"line {line.name} cannot be used: {line.unusable_reason}")

    def _check_limit(self, placing: Placing, line: Line) -> None:
        """Let as many calls through as the line may have. Those being placed count from here on, in the order asked."""
        limit = line.settings.max_calls
        if limit is None:
            return
        calls = self._active_calls(line.name)
        placed = {id(call) for call in calls if call is not None}
        before = self._let_through.get(line.name, {})
        through = {key: call for key, call in before.items() if key in placed}
        if calls.count(None) + len(through) >= limit:
            raise PlacementError(503, f"line {line.name} has its {limit} calls")
        # kept by identity: two calls may be placed for the same
        self._let_through[line.name] = {**through, id(placing): placing}


def _flow_to(binding: Binding) -> Flow:
    """Their own flow behind NAT, else where the Path or the contact says."""
    if binding.nat:
        return binding.flow
    first = NameAddr.parse(binding.path[0]).uri if binding.path else binding.uri
    return next_hop(first, binding.flow)


async def _server_flow(line: Line) -> Flow:
    """The server that the line is registered at; for a line that isn't, where its name leads now."""
    if line.registered and line.server.flow is not None:
        return line.server.flow
    try:
        return await line.server.locate()
    except ResolutionError as error:
        raise PlacementError(503, f"line {line.name}: the provider cannot be found: {error}") from error


def _server_target(placing: Placing, line: Line, flow: Flow) -> Target:
    settings = line.settings
    params: list[tuple[str, str | None]] = [("user", "phone")] if settings.user_phone else []
    uri = Uri("sip", placing.dial_number, settings.aor_domain, settings.domain_port, params)
    return Target(
        party=replace(line.party(), nat=False),
        uri=uri,
        flow=flow,
        local=_from(placing, settings),
        remote=NameAddr(uri.replace(port=None)),
        headers=tuple(_identity(placing, settings)),
    )


def _from(placing: Placing, settings: LineSettings) -> NameAddr:
    if settings.privacy:
        return ANONYMOUS
    user = settings.username if settings.from_user == "account" else placing.caller_id or settings.username
    name = placing.caller_name or settings.display_name
    return NameAddr(Uri("sip", user, settings.from_domain or settings.aor_domain), name or None)


def _identity(placing: Placing, settings: LineSettings) -> list[tuple[str, str]]:
    headers = [("Privacy", "id")] if settings.privacy else []
    if settings.asserted_identity:
        number = placing.caller_id or settings.username
        asserted = NameAddr(Uri("sip", number, settings.from_domain or settings.aor_domain))
        headers.append(("P-Asserted-Identity", str(asserted)))
    return headers
