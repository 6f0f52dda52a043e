"""The servers of one line: found by DNS, kept in order, with what is known of their health; and the one in use.

REGISTER, OPTIONS and INVITE of a line go to the server in use. `line_registration`, `line_health` and `routing` say how
their requests fared; when the server in use is not up and another is, that one is used instead, and when a better one is
up again, `on_better` is told. A set that is known stays known: DNS that is slow, wrong or dead is asked again beside it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random

from trunkline.server.line_settings import LineSettings
from trunkline.server.server_health import Hysteresis, ServerHealth, Standing
from trunkline.sip.endpoint import Flow
from trunkline.sip.locate import Candidate, Located, Locator
from trunkline.sip.resolver import ResolutionError, Resolver
from trunkline.sip.shown import shown_flow

__all__ = ["LineServer"]

log = logging.getLogger("trunkline.lines")

MIN_REFRESH_S = 30.0
MAX_REFRESH_S = 3_600.0
"""How often the servers of a line are looked up again: at the TTL of what was found, within these bounds."""


Address = tuple[str, int]


@dataclass(slots=True)
class _Server:
    """A server of the set."""

    candidate: Candidate
    health: ServerHealth

    @property
    def flow(self) -> Flow:
        return self.candidate.flow

    @property
    def place(self) -> tuple[str, Address]:
        return self.candidate.transport, (self.candidate.address, self.candidate.port)


class LineServer:
    """A line's provider as a set of servers.

    Args:
        settings: The line's.
        resolver: Asks DNS.
        reaches: Whether a listener of ours can send over a flow: transport and address family.
        clock: The loop's.
        random: Chooses among servers by their weight.
        on_moved: Called when the addresses have changed.
    """

    def __init__(
        self,
        settings: LineSettings,
        resolver: Resolver,
        reaches: Callable[[Flow], bool],
        clock: Callable[[], float],
        random: Random,
        on_moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._host, self._port = settings.next_hop
        self._transport = settings.transport.value if settings.transport is not None else None
        self._hysteresis = Hysteresis(settings.ping_down_after, settings.ping_up_after)
        # of a line that does not register, nothing but pings tells
        self._pings_count = settings.ping_interval_s > 0 and not settings.register
        self._locator = Locator(resolver, random, reaches)
        self._clock = clock
        self._on_moved = on_moved
        self._servers: tuple[_Server, ...] = ()
        # looked up for each call that comes in, of all lines
        self._addresses: tuple[str, ...] = ()
        self._places: frozenset[tuple[str, Address]] = frozenset()
        self._current: _Server | None = None
        self._locating: asyncio.Task[float] | None = None
        self._closed = False
        self.problem = ""
        """Why the last look into DNS failed, in words; "" when it did not."""
        self.on_switched: Callable[[Flow | None, Flow, str], None] = lambda before, now, reason: None
        """Called with the server used before (None for the first), the one used now, and why."""
        self.on_better: Callable[[Flow], None] = lambda flow: None
        """Called when a better server than the one in use is up; `use` moves there."""
        self.on_health: Callable[[], None] = lambda: None
        """Called when the standing of a server may have changed."""
        self.on_down: Callable[[Flow], None] = lambda flow: None
        """Called when pings have taken a server down."""
        self.on_recovered: Callable[[Flow, Standing], None] = lambda flow, before: None
        """Called when a server that was doubtful or down is up again, and with which of the two it was."""

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> Sequence[str]:
        """The addresses of all servers, each once, in order."""
        return self._addresses

    @property
    def flow(self) -> Flow | None:
        """The server in use; None before one was found."""
        return self._current.flow if self._current is not None else None

    @property
    def flows(self) -> Sequence[Flow]:
        """All servers, the best first."""
        return tuple(server.flow for server in self._servers)

    @property
    def unsettled(self) -> bool:
        """Whether pings are about to change where a server stands."""
        return any(server.health.between for server in self._servers)

    def standing(self, flow: Flow) -> Standing:
        """Where a server stands; one that is not of the set is up."""
        server = self._find(flow)
        return server.health.standing(self._clock()) if server is not None else Standing.UP

    @property
    def down_reason(self) -> str:
        """Why no server takes calls, in words; "" when one does, or none was found yet."""
        if not self._servers or any(self._stands(server) < Standing.DOWN for server in self._servers):
            return ""
        return "; ".join(f"{shown_flow(server.flow)}: {server.health.reason}" for server in self._servers)

    def is_at(self, flow: Flow) -> bool:
        """Whether a flow comes from the address and port of one of the servers."""
        return (flow.transport, flow.remote) in self._places

    # --- choosing ---------------------------------------------------------------------------------------------------

    async def locate(self) -> Flow:
        """The server in use. DNS is asked only where none was found yet.

        Raises:
            ResolutionError: There is none that we can reach.
        """
        if self._current is None:
            await self.refresh()
        if self._current is None:
            raise ResolutionError(self._host, self.problem or "no server was found")
        return self._current.flow

    async def candidates(self) -> Sequence[Flow]:
        """The servers for a call, in the order in which they are to be tried. At once where the line was found before.

        The one in use comes first while it is up, then the others that are up, then the doubtful ones.

        Raises:
            ResolutionError: There is none that we can reach, or all are down.
        """
        await self.locate()
        return self.known()

    def known(self) -> Sequence[Flow]:
        """The servers for a call as far as they are known, in that order; nobody is asked.

        Raises:
            ResolutionError: All are down, or none was found yet.
        """
        able = [server for server in self._servers if self._stands(server) < Standing.DOWN]
        if not able:
            raise ResolutionError(self._host, self.down_reason or self.problem or "no server was found")
        if len(able) > 1:
            able.sort(key=lambda server: (self._stands(server), not self._is_in_use(server)))
        return [server.flow for server in able]

    def next(self, tried: Collection[Flow]) -> Flow | None:
        """The best server for a REGISTER that was not tried yet; None when no other is worth a try.

        Those that are up come first. At the first try even one that is down is better than none: a line never gives up.
        """
        left = [server for server in self._servers if server.flow not in tried]
        left.sort(key=lambda server: (self._stands(server), server.candidate.rank, not self._is_in_use(server)))
        if tried:
            left = [server for server in left if self._stands(server) < Standing.DOWN]
        return left[0].flow if left else None

    def use(self, flow: Flow, reason: str = "it is the better one and is up") -> None:
        """Use a server of the set from now on."""
        server = self._find(flow)
        if server is not None and server is not self._current:
            self._switch(server, reason)

    # --- how requests fared -----------------------------------------------------------------------------------------

    def note_failure(self, flow: Flow, reason: str, *, retry_after_s: float | None = None) -> None:
        """A request to a server failed: no answer in time, no transport, or 503. Others go before it from now on.

        Args:
            flow: The server.
            reason: In words.
            retry_after_s: The pause that a 503 asked for, in seconds.
        """
        self._note(flow, lambda health: health.failed(self._clock(), reason, retry_after_s))

    def note_success(self, flow: Flow) -> None:
        """A server answered a request other than a ping: it is up."""
        server = self._find(flow)
        if server is not None and not server.health.is_sound:
            self._note(flow, lambda health: health.worked())

    def note_ping(
        self, flow: Flow, problem: str = "", *, heard: bool = True, retry_after_s: float | None = None
    ) -> None:
        """A server answered OPTIONS, or did not.

        Args:
            flow: The server.
            problem: What was wrong, in words; "" for nothing.
            heard: Whether it answered at all.
            retry_after_s: The pause that a 503 asked for, in seconds.
        """
        now = self._clock()
        if problem:
            self._note(flow, lambda health: health.ping_failed(now, problem, heard=heard, retry_after_s=retry_after_s))
        else:
            self._note(flow, lambda health: health.ping_answered(now))

    def reconsider(self) -> None:
        """Fail over or back, where time has changed where a server stands."""
        best = min(self._servers, key=self._stands, default=None)  # of several the first
        current = self._current
        if best is None or best is current:
            pass
        elif current is None or current not in self._servers:
            self._switch(best, "DNS names it" if current is not None else "")
        elif self._stands(current) > self._stands(best):
            self._switch(best, f"{shown_flow(current.flow)}: {current.health.reason}")
        elif self._stands(current) is self._stands(best) and best.candidate.rank < current.candidate.rank:
            # servers of one rank are equals: none of them is better
            self.on_better(best.flow)
        self.on_health()

    def _note(self, flow: Flow, what: Callable[[ServerHealth], None]) -> None:
        server = self._find(flow)
        if server is None or self._closed:
            return
        before = self._stands(server)
        what(server.health)
        after = self._stands(server)
        if before is not after:
            log.info("server %s is %s: %s", shown_flow(flow), after.name.lower(), server.health.reason or "it answers")
            self.reconsider()
            if after is Standing.DOWN:
                self.on_down(server.flow)
            elif after is Standing.UP:
                self.on_recovered(server.flow, before)

    def _switch(self, server: _Server, reason: str) -> None:
        before, self._current = self._current, server
        self.on_switched(before.flow if before is not None else None, server.flow, reason)

    def _is_in_use(self, server: _Server) -> bool:
        return server is self._current and self._stands(server) is Standing.UP

    def _stands(self, server: _Server) -> Standing:
        return server.health.standing(self._clock())

    def _find(self, flow: Flow) -> _Server | None:
        place = (flow.transport, flow.remote)
        for server in self._servers:
            if server.place == place:
                return server
        return None

    # --- finding ----------------------------------------------------------------------------------------------------

    async def refresh(self) -> float:
        """Look the servers up again; what was known stays where that fails.

        Returns:
            Seconds until the next look is due.
        """
        if self._locating is None:
            self._locating = asyncio.create_task(self._look(), name=f"locate {self._host}")
            self._locating.add_done_callback(self._looked)
        # not cancelled with one who gives up: it serves all who wait for it
        looking = self._locating
        await asyncio.wait([looking])
        return MIN_REFRESH_S if looking.cancelled() else looking.result()

    def close(self) -> None:
        """End a look that is under way, and tell nothing more."""
        self._closed = True
        if self._locating is not None:
            self._locating.cancel()

    def _looked(self, task: asyncio.Task[float]) -> None:
        self._locating = None

    async def _look(self) -> float:
        try:
            located = await self._locator.locate(self._host, self._port, self._transport)
        except ResolutionError as error:
            return self._not_found(error.reason)
        except Exception as error:  # whatever a resolver does, the line lives on
            log.exception("error while locating %s", self._host)
            return self._not_found(f"{type(error).__name__} in the resolver")
        self.problem = ""
        self._take(located)
        return min(max(located.ttl_s, MIN_REFRESH_S), MAX_REFRESH_S)

    def _not_found(self, problem: str) -> float:
        if self.problem != problem:
            log.warning("%s: %s%s", self._host, problem, "; its known servers stay" if self._servers else "")
        self.problem = problem
        return MIN_REFRESH_S

    def _take(self, located: Located) -> None:
        """Take over what was found. The order stays while the set does, and the server in use keeps its place."""
        if set(located.candidates) == {server.candidate for server in self._servers}:
            return
        known = {server.flow: server.health for server in self._servers}
        before = self.addresses
        self._servers = tuple(
            _Server(candidate, known.get(candidate.flow) or self._new_health()) for candidate in located.candidates
        )
        if self._current is not None:
            current = self._find(self._current.flow)
            self._current = current or self._current
            if current is not None:
                # among equals the one in use comes first: it was as good a choice as any
                self._servers = tuple(
                    sorted(self._servers, key=lambda server: (server.candidate.rank, server is not current))
                )
        self._places = frozenset(server.place for server in self._servers)
        self._addresses = tuple(dict.fromkeys(server.candidate.address for server in self._servers))
        if set(before) != set(self._addresses):
            self._on_moved()
        self.reconsider()

    def _new_health(self) -> ServerHealth:
        return ServerHealth(self._hysteresis, pings_count=self._pings_count)
