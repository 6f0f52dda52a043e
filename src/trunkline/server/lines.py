"""All lines: added and removed, registered and unregistered, found by token and by source.

The facade adds lines and starts them; `identify` and `routing` find them; `policy` is told when their tokens or
addresses change. A line's token outlives the process, since a provider may still know the Contact that we had before.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Protocol

from trunkline.calls.peers import Party
from trunkline.errors import ConfigurationError, UnknownPeer
from trunkline.events import Event
from trunkline.server.line import Line
from trunkline.server.line_registration import LineRegistration
from trunkline.server.line_server import LineServer
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Endpoint, Flow
from trunkline.sip.resolver import ResolutionError, Resolver
from trunkline.storage.records import LineRecord, TokenRecord

__all__ = ["ContactSource", "LineStore", "Lines"]

log = logging.getLogger("trunkline.lines")

LOCATE_S = 300.0
"""How often the addresses of a line that does not register are looked up, to know whose calls are its own."""


class ContactSource(Protocol):
    """What lines need of `OwnAddresses`."""

    def contact(self, flow: Flow, party: Party, token: str) -> str:
        """Our Contact value."""

    def reaches(self, flow: Flow) -> bool:
        """Whether a listener of ours can send over a flow."""


class LineStore(Protocol):
    """Where lines and tokens are written behind."""

    def put(self, record: LineRecord | TokenRecord) -> None:
        """Write it, soon."""

    def delete(self, record: LineRecord | TokenRecord) -> None:
        """Delete it, soon."""


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
        self._registrations: dict[str, LineRegistration] = {}
        self._tokens: dict[str, Line] = {}
        self._known_tokens: dict[str, str] = {}
        self._running = False
        self._locating: dict[str, asyncio.Task[None]] = {}
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
        """The lines that take calls from an address: their server's, or one in their `accept_from`."""
        address = ipaddress.ip_address(host)
        return [
            line
            for line in self
            if host in line.server.addresses or any(address in network for network in line.settings.networks)
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
        server = LineServer(settings, self._resolver, self._addresses.reaches, lambda: self.on_change())
        line = Line(settings, token, server, lambda: self._endpoint.now_s)
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
        locating = self._locating.pop(name, None)
        del self._lines[name], self._tokens[line.token]
        registration = self._registrations.pop(name, None)
        if registration is not None:
            registration.close()
        if self._store is not None:
            self._store.delete(TokenRecord(name, line.token))
            self._store.delete(line.settings.record())
        self.on_change()
        await _cancelled([locating] if locating is not None else [])
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
            for registration in self._registrations.values():
                group.create_task(registration.unregister())
        await self.close()

    async def close(self) -> None:
        """End what runs without a word to the providers. Idempotent."""
        self._running = False
        locating, self._locating = list(self._locating.values()), {}
        await _cancelled(locating)
        for registration in self._registrations.values():
            registration.close()
        self._registrations.clear()

    def register(self, name: str, expires_s: int | None = None) -> None:
        """Register a line now. UnknownPeer where there is none.

        Args:
            name: Which.
            expires_s: The time to ask for; None for the line's setting.
        """
        self._registration(self[name]).register(expires_s)

    async def unregister(self, name: str) -> bool:
        """Have the provider forget us, and register no more. UnknownPeer where there is no such line.

        Returns:
            Whether nothing is left to wait for.
        """
        line = self[name]
        registration = self._registrations.get(line.name)
        return True if registration is None else await registration.unregister()

    def flow_closed(self, flow: Flow) -> None:
        """A connection is gone."""
        for registration in self._registrations.values():
            registration.flow_closed(flow)

    def _start(self, line: Line) -> None:
        if line.settings.register:
            self._registration(line).register()
        else:
            self._locating[line.name] = asyncio.create_task(self._keep_located(line), name=f"locate line {line.name}")

    def _registration(self, line: Line) -> LineRegistration:
        registration = self._registrations.get(line.name)
        if registration is None:
            party = line.party()
            registration = LineRegistration(
                line,
                self._endpoint,
                lambda flow: self._addresses.contact(flow, party, line.token),
                self._emit,
                self._random,
            )
            self._registrations[line.name] = registration
        return registration

    async def _keep_located(self, line: Line) -> None:
        while True:
            try:
                await line.server.locate()
            except ResolutionError as error:
                log.warning("line %s: the provider cannot be found: %s", line.name, error)
            await asyncio.sleep(LOCATE_S * (1 + 0.1 * self._random.random()))


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
