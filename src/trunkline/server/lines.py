"""All lines: added and removed, registered and unregistered, kept located and pinged, found by token and by source.

The facade adds lines and starts them; `identify` and `routing` find them; `policy` is told when their tokens or
addresses change. A line's token outlives the process, since a provider may still know the Contact that we had before.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from trunkline.calls.peers import Party
from trunkline.errors import ConfigurationError, UnknownPeer
from trunkline.events import Event, LineServerChanged
from trunkline.server.line import Line
from trunkline.server.line_health import LinePings, LineUsability
from trunkline.server.line_mailbox import LineMailbox
from trunkline.server.line_registration import LineRegistration
from trunkline.server.line_server import LineServer
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Endpoint, Flow
from trunkline.sip.resolver import Resolver
from trunkline.sip.shown import shown_flow
from trunkline.storage.records import LineRecord, TokenRecord

__all__ = ["ContactSource", "LineStore", "Lines"]


class ContactSource(Protocol):
    """What lines need of `OwnAddresses`."""

    def contact(self, flow: Flow, party: Party, token: str) -> str:
        """Our Contact value in a call or OPTIONS."""

    def contact_to_register(self, flow: Flow, party: Party, token: str) -> str:
        """Our Contact value in a REGISTER."""

    def reaches(self, flow: Flow) -> bool:
        """Whether a listener of ours can send over a flow."""


class LineStore(Protocol):
    """Where lines and tokens are written behind."""

    def put(self, record: LineRecord | TokenRecord) -> None:
        """Write it, soon."""

    def delete(self, record: LineRecord | TokenRecord) -> None:
        """Delete it, soon."""


@dataclass(slots=True)
class _Care:
    """What keeps one line alive."""

    registration: LineRegistration
    usability: LineUsability
    mailbox: LineMailbox | None
    tasks: tuple[asyncio.Task[None], ...] = ()

    def check(self) -> None:
        """The line's registration or health may have changed."""
        self.usability.check()
        if self.mailbox is not None:
            self.mailbox.check()

    def close(self) -> None:
        """End it without a word to the provider."""
        self.registration.close()
        if self.mailbox is not None:
            self.mailbox.close()
        for task in self.tasks:
            task.cancel()


class Lines:
    """All lines, by name. Lives on the loop from `start` on; lines may be added before.

    Args:
        endpoint: Sends their requests.
        resolver: Finds their servers.
        addresses: Makes their Contacts.
        emit: Takes their events; never raises.
        random: The source of jitter.
        store: Keeps lines added at run time, and tokens; None for none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        resolver: Resolver,
        addresses: ContactSource,
        emit: Callable[[Event], None],
        random: Random,
        *,
        store: LineStore | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._resolver = resolver
        self._addresses = addresses
        self._emit = emit
        self._random = random
        self._store = store
        self._lines: dict[str, Line] = {}
        self._care: dict[str, _Care] = {}
        self._tokens: dict[str, Line] = {}
        self._known_tokens: dict[str, str] = {}
        self._running = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when a token or an address of a line came or went."""

    # --- finding ----------------------------------------------------------------------------------------------------

    def find(self, name: str | None) -> Line | None:
        """The line of that name."""
        return self._lines.get(name) if name else None

    def __getitem__(self, name: str) -> Line:
        """The line of that name. UnknownPeer where there is none."""
        line = self._lines.get(name)
        if line is None:
            raise UnknownPeer(f"no line {name}")
        return line

    def __contains__(self, name: object) -> bool:
        return name in self._lines

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def __len__(self) -> int:
        return len(self._lines)

    def settings(self, name: str) -> LineSettings | None:
        """The settings of the line of that name, for `OwnAddresses`."""
        line = self._lines.get(name)
        return line.settings if line is not None else None

    def by_token(self, *tokens: str | None) -> Line | None:
        """The line whose Contact carries one of these tokens."""
        return next((self._tokens[token] for token in tokens if token in self._tokens), None)

    def at(self, flow: Flow) -> list[Line]:
        """The lines whose server is exactly where a flow comes from."""
        return [line for line in self if line.server.is_at(flow)]

    def accepting(self, host: str) -> list[Line]:
        """The lines that take calls from an address: their servers', or one in their `accept_from`.

        A catch-all line is not among them, unless the address is one of its servers.
        """
        address = ipaddress.ip_address(host)
        return [
            line
            for line in self
            if host in line.server.addresses
            or any(network.prefixlen and address in network for network in line.settings.networks)
        ]

    def catching(self, host: str) -> list[Line]:
        """The catch-all lines that take calls from an address, whatever it is."""
        address = ipaddress.ip_address(host)
        return [
            line for line in self if line.settings.catches_all and any(address in n for n in line.settings.networks)
        ]

    # --- adding and removing ----------------------------------------------------------------------------------------

    def restore_tokens(self, records: Iterable[TokenRecord]) -> None:
        """Give the lines that are added from now on the tokens that they had before a restart."""
        self._known_tokens = {record.line: record.token for record in records}

    def add(self, settings: LineSettings) -> Line:
        """Add a line; it registers at once if the server runs and its settings say so.

        Raises:
            ConfigurationError: The name is taken.
        """
        name = settings.name
        if name in self._lines:
            raise ConfigurationError(f"lines.{name}", "there is a line of that name already")
        token = self._known_tokens.get(name) or self._endpoint.driver.mint_token()
        server = LineServer(
            settings, self._resolver, self._addresses.reaches, self._now, self._random, lambda: self.on_change()
        )
        line = Line(settings, token, server, self._now)
        self._lines[name] = self._tokens[token] = line
        if self._store is not None:
            self._store.put(TokenRecord(name, token))
            if settings.stored:
                self._store.put(settings.record())
        self.on_change()
        if self._running:
            self._start(line)
        return line

    async def remove(self, name: str) -> Line:
        """Remove a line, after it has unregistered (or the provider was silent). UnknownPeer where there is none."""
        line = self[name]
        await self.unregister(name)
        if self._lines.get(name) is not line:
            raise UnknownPeer(f"no line {name}")  # removed by somebody else meanwhile
        del self._lines[name], self._tokens[line.token]
        care = self._care.pop(name, None)
        line.server.close()
        if self._store is not None:
            self._store.delete(TokenRecord(name, line.token))
            self._store.delete(line.settings.record())
        self.on_change()
        if care is not None:
            if care.mailbox is not None:
                await care.mailbox.left()
            await _closed([care])
        return line

    # --- registering ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Register all lines that are to be registered, and those that are added later."""
        self._running = True
        for line in self:
            self._start(line)

    async def stop(self) -> None:
        """Unregister all lines at once; the wait for silent providers is bounded."""
        self._running = False
        async with asyncio.TaskGroup() as group:
            for care in self._care.values():
                if care.mailbox is not None:
                    group.create_task(care.mailbox.left())
                group.create_task(care.registration.unregister())
        await self.close()

    async def close(self) -> None:
        """End what runs without a word to the providers. Idempotent."""
        self._running = False
        care, self._care = list(self._care.values()), {}
        for line in self:
            line.server.close()
        await _closed(care)

    def register(self, name: str, expires_s: int | None = None) -> None:
        """Register a line now. UnknownPeer where there is none.

        Args:
            name: Which.
            expires_s: The time to ask for; None for the line's setting.
        """
        self._cared(self[name]).registration.register(expires_s)

    async def unregister(self, name: str) -> bool:
        """Have the provider forget us, and register no more. UnknownPeer where there is no such line.

        Returns:
            Whether nothing is left to wait for.
        """
        line = self[name]
        care = self._care.get(line.name)
        return True if care is None else await care.registration.unregister()

    def flow_closed(self, flow: Flow) -> None:
        """A connection is gone."""
        for care in self._care.values():
            care.registration.flow_closed(flow)

    # --- what keeps a line alive --------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._endpoint.now_s

    def _start(self, line: Line) -> None:
        care = self._cared(line)
        if line.settings.register:
            care.registration.register()
        if not care.tasks:
            pings = LinePings(line, self._endpoint, self._contact_of(line), self._random)
            care.tasks = (
                asyncio.create_task(_keep_located(line), name=f"locate line {line.name}"),
                asyncio.create_task(pings.run(), name=f"ping line {line.name}"),
            )

    def _cared(self, line: Line) -> _Care:
        care = self._care.get(line.name)
        if care is None:
            party = line.party()
            usability = LineUsability(line, self._emit)
            mailbox = None
            if line.settings.message_waiting:
                mailbox = LineMailbox(line, self._endpoint, self._contact_of(line), self._emit, self._random)
            registration = LineRegistration(
                line,
                self._endpoint,
                lambda flow: self._addresses.contact_to_register(flow, party, line.token),
                self._emit,
                self._random,
                lambda: made.check(),
            )
            care = made = self._care[line.name] = _Care(registration, usability, mailbox)
            self._watch_server(line, care)
        return care

    def _watch_server(self, line: Line, care: _Care) -> None:
        """Have the registration follow the server in use, and the events tell of it."""
        server, registration = line.server, care.registration

        def switched(before: Flow | None, now: Flow, reason: str) -> None:
            if before is not None:
                self._emit(LineServerChanged(line.name, shown_flow(now), shown_flow(before), reason))
            registration.server_changed()
            if care.mailbox is not None:
                care.mailbox.check()

        def better(flow: Flow) -> None:
            if line.settings.register:
                registration.server_changed()  # calls follow once it is registered there
            else:
                server.use(flow)

        server.on_switched = switched
        server.on_better = better
        server.on_health = care.check
        server.on_down = registration.server_down
        server.on_recovered = registration.server_recovered

    def _contact_of(self, line: Line) -> Callable[[Flow], str]:
        party = line.party()
        return lambda flow: self._addresses.contact(flow, party, line.token)


async def _keep_located(line: Line) -> None:
    while True:
        due_s = await line.server.refresh()
        await asyncio.sleep(due_s)


async def _closed(care: Sequence[_Care]) -> None:
    for each in care:
        each.close()
    await asyncio.gather(*(task for each in care for task in each.tasks), return_exceptions=True)
