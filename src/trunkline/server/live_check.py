"""What a look at the providers found wrong: sentences, made of observations alone.

`live_probe` looks and asks `findings` here; `trunkline check --live` prints them. Each problem is one sentence that says what
is wrong and what to change. The failures of REGISTER are those of `line_explanation`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from trunkline.calls.codecs import common, speaks
from trunkline.server.config import FileSettings
from trunkline.server.line_answers import Cause, LineFailure, classify
from trunkline.server.line_explanation import account_of, explain_line
from trunkline.server.line_settings import LineSettings
from trunkline.server.line_states import Happening
from trunkline.server.ports import listen_error
from trunkline.sip.endpoint import Codec, Flow, Message, SipParseError, read_capabilities, read_date
from trunkline.sip.request import Failure
from trunkline.sip.shown import short, shown_answer, shown_flow

__all__ = ["Asked", "Finding", "LineSeen", "ListenerSeen", "PortsSeen", "Seen", "ServerSeen", "findings"]

Finding = tuple[bool, str]
"""Whether it is fine, and the sentence."""

SKEW_S = 60.0
"""How far the provider's clock may be from ours before it is told."""

OUR_PROCESS = "trunkline "
"""What the name of a server's process begins with: its ports are taken rightly."""

ABOUT_THE_ACCOUNT = (401, 402, 403, 404, 407, 408, 410, 416, 423, 503, 504, 505)
"""The answers to a REGISTER without Contact that one with Contact would get too; with 3xx and 6xx. Others may mean that
the provider does not take that form (RFC 3261 §10.2.3)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one request."""

    failure: Failure | None = None
    """Why it got no 2xx; None where it got one."""
    message: Message | None = None
    """The final response, if one came."""
    challenged: bool = False
    """It was sent again with credentials."""

    @property
    def heard(self) -> bool:
        """Whether anybody answered."""
        return self.message is not None


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """One server of a line."""

    flow: Flow
    contact_host: str
    """The address that our Contact tells it."""
    contact_port: int
    options: Asked
    register: Asked | None = None
    """None where it was not asked."""

    @property
    def messages(self) -> list[Message]:
        """Its final responses."""
        asked = (self.options, self.register)
        return [each.message for each in asked if each is not None and each.message is not None]


@dataclass(frozen=True, slots=True)
class LineSeen:
    """One line."""

    settings: LineSettings
    servers: tuple[ServerSeen, ...] = ()
    problem: str = ""
    """Why no server was found."""


@dataclass(frozen=True, slots=True)
class ListenerSeen:
    """One listening URL."""

    url: str
    error: OSError | None = None
    """Why it cannot be listened on."""
    holder: str = ""
    """The process that has the port, as far as it is known."""
    transport: str = "udp"
    port: int = 0
    asked_from: int = 0
    """The port that was used instead; 0 for none."""


@dataclass(frozen=True, slots=True)
class PortsSeen:
    """The media ports that are taken."""

    taken: int = 0
    first: int = 0
    """The first of them."""
    holder: str = ""
    """Who has that one, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was looked at."""

    listeners: tuple[ListenerSeen, ...] = ()
    ports: PortsSeen = PortsSeen()
    lines: tuple[LineSeen, ...] = ()
    wall_s: float = 0.0
    """Seconds since the epoch when it was."""


def findings(settings: FileSettings, seen: Seen) -> Iterator[Finding]:
    """What is fine and what is not, in the order of the file.

    Args:
        settings: The configuration.
        seen: What was observed.
    """
    for listener in seen.listeners:
        yield _of_listener(listener)
    yield from _of_ports(settings, seen.ports)
    unusable: list[str] = []
    for line in seen.lines:
        verdict = _Verdict(line, settings.server.advertise, seen.wall_s)
        yield from verdict.findings()
        if not verdict.usable:
            unusable.append(line.settings.name)
    yield from _of_routes(settings, unusable)


# --- this machine -------------------------------------------------------------------------------------------------------


def _of_listener(seen: ListenerSeen) -> Finding:
    if seen.error is None:
        return True, f"{seen.url}: free"
    if seen.holder.startswith(OUR_PROCESS):
        return True, f"{seen.url}: {seen.holder} runs there; the lines are asked from port {seen.asked_from} instead"
    return False, str(listen_error(seen.url, seen.transport, seen.port, seen.error))


def _of_ports(settings: FileSettings, seen: PortsSeen) -> Iterator[Finding]:
    first, last = settings.server.media_ports
    if seen.taken:
        holder = f" by {seen.holder}" if seen.holder else ""
        problem = f"media_ports {first}-{last}: {seen.taken} of them taken, the first, {seen.first},{holder}"
        fine = seen.holder.startswith(OUR_PROCESS)
        yield fine, problem if fine else f"{problem}; choose a range that nothing else uses"


def _of_routes(settings: FileSettings, unusable: Collection[str]) -> Iterator[Finding]:
    for name, group in settings.line_groups.items():
        for line in group.lines:
            if line in unusable:
                yield _useless(f"line_groups.{name}.lines", line)
    for number, route in enumerate(settings.routes, 1):
        for part, _, way in route.named():
            if way in unusable:
                yield _useless(f"routes.{number}.{part}line", way)
    if settings.server.emergency_line in unusable:
        yield _useless("server.emergency_line", settings.server.emergency_line)


def _useless(key: str, line: str | None) -> Finding:
    return False, f"{key}: line {line} cannot take calls; repair the line or name another"


# --- a line -------------------------------------------------------------------------------------------------------------


class _Verdict:
    """What is to be said of one line.

    Args:
        seen: What was observed.
        advertise: Public address by local address.
        wall_s: Seconds since the epoch.
    """

    def __init__(self, seen: LineSeen, advertise: dict[str, str], wall_s: float) -> None:
        self._seen = seen
        self._settings = seen.settings
        self._name = f"line {seen.settings.name}"
        self._advertise = advertise
        self._wall_s = wall_s
        self.usable = True
        """Whether it can take calls; known after `findings`."""

    def findings(self) -> Iterator[Finding]:
        """All that is fine and that is not."""
        if self._seen.problem:
            failure = LineFailure(Happening.FAILED, 0, "", cause=Cause.NAME, said=self._seen.problem)
            yield self._unusable(str(explain_line(self._settings, failure, None)))
            return
        alive = [server for server in self._seen.servers if server.messages]
        yield from self._of_dead(alive)
        if not alive:
            self.usable = False
            return
        registered = next((server for server in alive if server.register is not None), None)
        if registered is not None and registered.register is not None:
            yield self._of_register(registered, registered.register)
        else:
            yield from self._of_trunk(alive)
        yield from self._of_nat(alive)
        yield from self._of_codecs(alive)
        yield from self._of_clock(alive)

    def _unusable(self, sentence: str) -> Finding:
        self.usable = False
        return False, sentence

    def _of_dead(self, alive: Sequence[ServerSeen]) -> Iterator[Finding]:
        """The servers that nothing was heard of; those that were asked nothing but OPTIONS may just not serve it."""
        options_served = not alive or any(server.options.heard for server in alive)
        for server in self._seen.servers:
            failure = server.options.failure
            if server in alive or failure is None:
                continue
            if options_served or failure.status != 408:
                found = classify(failure, self._settings.expires_s)
                yield False, str(explain_line(self._settings, found, server.flow))
        if not options_served:
            yield (
                True,
                f"{self._name}: the provider answers no OPTIONS: pings tell nothing (ping_interval_s = 0 saves them)",
            )

    def _of_register(self, server: ServerSeen, asked: Asked) -> Finding:
        failure = asked.failure
        if failure is None:
            if asked.challenged:
                where = shown_flow(server.flow)
                return True, f"{self._name}: {where} takes the password of {account_of(self._settings)}"
            return True, f"{self._name}: the provider asked for no password: it is not proven"
        if failure.heard and not self._is_about_account(failure.status):
            said = shown_answer(failure.message) if failure.message is not None else ""
            return (
                True,
                f"{self._name}: the provider takes no question by REGISTER ({said}): the password is not proven",
            )
        if not failure.heard and server.options.heard:
            return True, f"{self._name}: the provider answers no question by REGISTER: the password is not proven"
        options = server.options.failure
        if failure.status in (403, 404) and options is not None and options.status in (403, 404):
            # RFC 3261 §10.3, step 1: OPTIONS names no account, the domain alone
            return self._unusable(
                f"{self._name}: the provider does not serve the domain {self._settings.aor_domain}; "
                "set domain of the line to the one that the provider names"
            )
        return self._unusable(
            str(explain_line(self._settings, classify(failure, self._settings.expires_s), server.flow))
        )

    @staticmethod
    def _is_about_account(status: int) -> bool:
        return status in ABOUT_THE_ACCOUNT or status // 100 in (3, 6)

    def _of_trunk(self, alive: Sequence[ServerSeen]) -> Iterator[Finding]:
        """A line that does not register: only that its servers live can be said."""
        for server in alive:
            failure = server.options.failure
            said = f" ({failure.status} {short(failure.reason)})" if failure is not None else ""
            yield (
                True,
                f"{self._name}: {shown_flow(server.flow)} answers OPTIONS{said}; without register nothing is proven",
            )

    # --- what the answers show besides ------------------------------------------------------------------------------

    def _of_nat(self, alive: Sequence[ServerSeen]) -> Iterator[Finding]:
        """RFC 3261 §18.2.1, RFC 3581 §4: `received` and `rport` say from where the provider sees us."""
        for server in alive:
            via = server.messages[0].via
            host, port = via.received, via.rport
            if host is not None and host != server.contact_host:
                yield False, self._behind_nat(host, server.contact_host)
                return
            if server.flow.transport == "udp" and port not in (None, server.contact_port):
                yield True, f"{self._name}: NAT shows the provider port {port} instead of our {server.contact_port}"
                return

    def _behind_nat(self, seen: str, told: str) -> str:
        local = next((mine for mine, public in self._advertise.items() if public == told), told)
        return (
            f"{self._name}: the provider sees us at {seen}, and our Contact says {told}; "
            f'set advertise = {{ "{local}" = "{seen}" }}'
        )

    def _of_codecs(self, alive: Sequence[ServerSeen]) -> Iterator[Finding]:
        """RFC 3261 §11.2: the description in the answer to OPTIONS says what the provider can."""
        for server in alive:
            theirs = _codecs_of(server.options)
            if theirs and not common(theirs, self._settings.codecs):
                names, ours = _names(theirs), _names(self._settings.codecs)
                yield self._unusable(
                    f"{self._name}: the provider has {names}, and the line {ours}: no codec in common; "
                    "add one of the provider's to codecs of the line"
                )
                return

    def _of_clock(self, alive: Sequence[ServerSeen]) -> Iterator[Finding]:
        for server in alive:
            for message in server.messages:
                theirs_s = _date_s(message)
                if theirs_s is not None and abs(theirs_s - self._wall_s) > SKEW_S:
                    apart = round(abs(theirs_s - self._wall_s))
                    # calls go on, but records, traces and what is compared with the provider's bill are wrong
                    yield (
                        False,
                        (
                            f"{self._name}: the provider's clock and ours are {apart} s apart; "
                            "set this machine's clock, best by NTP: the times of records and traces follow it"
                        ),
                    )
                    return


def _codecs_of(options: Asked) -> Sequence[Codec]:
    """What the answer to OPTIONS says that they can; empty where it has no description that can be read."""
    if options.message is None or not options.message.sdp:
        return ()
    try:
        return read_capabilities(options.message.sdp)
    except SipParseError:
        return ()


def _names(codecs: Sequence[Codec]) -> str:
    voice = [codec for codec in codecs if speaks([codec])]
    return ", ".join(dict.fromkeys(short(codec.name) for codec in voice[:20]))


def _date_s(message: Message) -> float | None:
    """The Date of a response (RFC 3261 §20.17: in GMT, in one form); None where it has none."""
    text = message.header("Date")
    return read_date(text) if text is not None else None
