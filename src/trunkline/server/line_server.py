"""Which address of a provider a line uses: the resolved ones in order, the one in use, the next when it fails.

`line_registration` sends by it, `routing` places calls by it, so that REGISTER and INVITE of one line go to the same
server. SRV comes later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Flow
from trunkline.sip.literal import literal
from trunkline.sip.resolver import ResolutionError, Resolver

__all__ = ["LineServer"]

SIP_PORT = 5060


class LineServer:
    """A line's provider as addresses.

    Args:
        settings: The line's.
        resolver: Finds the addresses.
        reaches: Whether a listener of ours can send over a flow: transport and address family.
        on_moved: Called when the addresses have changed.
    """

    def __init__(
        self,
        settings: LineSettings,
        resolver: Resolver,
        reaches: Callable[[Flow], bool],
        on_moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._host, port = settings.next_hop
        self._port = port or SIP_PORT
        self._transport = settings.transport.value
        self._resolver = resolver
        self._reaches = reaches
        self._on_moved = on_moved
        self._tried: set[str] = set()
        self._current = ""
        self.addresses: Sequence[str] = ()
        """All that the name stood for when it was last resolved."""

    @property
    def flow(self) -> Flow | None:
        """Where requests go; None before the name was resolved."""
        return self._flow(self._current) if self._current else None

    @property
    def known(self) -> Flow | None:
        """Where requests go now, if nobody has to be asked: the address that stands instead of a name. Else None."""
        if not self._current or literal(self._host) is None:
            return None
        flow = self._flow(self._current)
        return flow if self._reaches(flow) else None

    async def locate(self) -> Flow:
        """Resolve the name and say where requests go now. The address in use stays while it is among the answers.

        Raises:
            ResolutionError: The name has no address that we can reach.
        """
        found = await self._resolver.addresses(self._host)
        usable = [address for address in found if self._reaches(self._flow(address))]
        if not usable:
            raise ResolutionError(self._host, f"no {self._transport} listener of ours reaches {', '.join(found)}")
        if self._current not in usable:
            self._current = usable[0]
        if list(usable) != list(self.addresses):
            self.addresses = usable
            self._on_moved()
        return self._flow(self._current)

    def advance(self) -> bool:
        """The address in use failed: go to the next. False when all have failed; then the first is in use again."""
        self._tried.add(self._current)
        untried = [address for address in self.addresses if address not in self._tried]
        if untried:
            self._current = untried[0]
            return True
        self._tried.clear()
        self._current = self.addresses[0] if self.addresses else ""
        return False

    def worked(self) -> None:
        """The address in use answered."""
        self._tried.clear()

    def is_at(self, flow: Flow) -> bool:
        """Whether a flow comes from an address and port that we send to."""
        host, port = flow.remote
        return flow.transport == self._transport and port == self._port and host in self.addresses

    def _flow(self, address: str) -> Flow:
        return Flow(self._transport, (address, self._port))
