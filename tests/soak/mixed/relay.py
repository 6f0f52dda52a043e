"""A bad network on loopback: a relay beside one peer that loses packets as it is told.

Whoever speaks to its `front` speaks to who is behind it; who is behind it is spoken to from `back`, and answers there. Both directions lose
alike. A phone has the server behind its relay, a provider is itself behind one.
"""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random

__all__ = ["Relay"]

Address = tuple[str, int]


class _Side(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.transport: asyncio.DatagramTransport | None = None
        self.there: Address | None = None
        """Where its packets go."""
        self.other: _Side = self

    @property
    def address(self) -> Address:
        """Its own."""
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")
        return host, port

    def datagram_received(self, data: bytes, source: Address) -> None:
        if self is self.relay.front:
            self.there = source
        if self.other.transport is not None and self.other.there is not None and not self.relay.loses():
            self.other.transport.sendto(data, self.other.there)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there now: a network would say as little."""


class Relay:
    """Two sockets.

    Args:
        seed: Decides which packets are lost.

    Attributes:
        loss: The share of packets that is lost; 1 for all.
        lost: How many were.
    """

    def __init__(self, seed: int) -> None:
        self.loss = 0.0
        self.lost = 0
        self._random = Random(seed)
        self.front, self.back = _Side(self), _Side(self)
        self.front.other, self.back.other = self.back, self.front

    async def open(self, host: str, behind: Address | None = None) -> None:
        """Open its sockets; who is behind it may be told later, in `back.there`."""
        loop = asyncio.get_running_loop()
        self.back.there = behind
        for side in (self.front, self.back):
            side.transport, _ = await loop.create_datagram_endpoint(partial(_same, side), local_addr=(host, 0))

    def close(self) -> None:
        """Close them."""
        for side in (self.front, self.back):
            if side.transport is not None:
                side.transport.close()

    def loses(self) -> bool:
        """Whether the next packet is lost."""
        lost = self.loss > 0 and self._random.random() < self.loss
        self.lost += lost
        return lost


def _same(side: _Side) -> _Side:
    return side
