"""A network in memory: hosts with addresses, links that delay, lose, duplicate and reorder, on the virtual clock.

A `VirtualHost` stands where a machine would: it gives a server or a phone its SIP driver (the real state machines of
the extension, fed with packets and time by this module) and a media driver that allots ports and carries no audio. All
randomness comes from the network's seed, so a failing run repeats.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from _trunkline import (
    ChallengeMode,
    Event,
    Flow,
    Listener,
    SansIoEndpoint,
    ServerTransaction,
)
from trunkline.server.platform import MediaOptions, SipOptions
from trunkline.sip.endpoint import Headers
from trunkline.testing.media import VirtualMedia

__all__ = ["Link", "Packet", "VirtualDriver", "VirtualHost", "VirtualNetwork"]

Address = tuple[str, int]

SANE_STREAM_BYTES = 1_000_000
"""Bytes that one connection may carry in a test before it is called a runaway."""


@dataclass(slots=True)
class Link:
    """How packets from one host to another fare.

    Attributes:
        delay_s: one way, in seconds.
        jitter_s: up to so much more, evenly; more than the spacing of packets reorders them.
        loss: share of datagrams that vanish, 0 to 1.
        duplicate: share of datagrams that come twice, 0 to 1.
        up: a link that is down loses everything.
    """

    delay_s: float = 0.005
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    up: bool = True


@dataclass(frozen=True, slots=True)
class Packet:
    """A datagram on its way, as a filter sees it."""

    transport: str
    source: Address
    destination: Address
    data: bytes


Filter = Callable[[Packet], int]
"""Says how many copies of a packet arrive: 0 loses it, 2 duplicates it."""


class VirtualNetwork:
    """Hosts and the links between them.

    Args:
        seed: Of all randomness: link faults and the tokens that the hosts mint.
    """

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.default_link = Link()
        self.links: dict[tuple[str, str], Link] = {}
        self.filters: list[Filter] = []
        self.hosts: dict[str, VirtualHost] = {}
        self.delivered: list[Packet] = []
        self._connections = itertools.count(1)

    def host(self, address: str, **options: Any) -> VirtualHost:
        """Add a host with this IP address; `options` are those of `SansIoEndpoint`."""
        host = VirtualHost(self, address, options)
        self.hosts[address] = host
        return host

    def link(self, source: str, destination: str) -> Link:
        """The link from one address to another, made from the default on first use; change its attributes to make it worse."""
        key = (source, destination)
        if key not in self.links:
            default = self.default_link
            self.links[key] = Link(default.delay_s, default.jitter_s, default.loss, default.duplicate, default.up)
        return self.links[key]

    def send_datagram(self, packet: Packet) -> None:
        """From a driver: carry a datagram."""
        link = self.link(packet.source[0], packet.destination[0])
        if not link.up:
            return
        copies = 1
        for rule in self.filters:
            copies *= rule(packet)
        if self.random.random() < link.loss:
            copies = 0
        elif self.random.random() < link.duplicate:
            copies += 1
        loop = asyncio.get_running_loop()
        for _ in range(copies):
            delay_s = link.delay_s + self.random.random() * link.jitter_s
            loop.call_later(delay_s, self._deliver, packet)

    def _deliver(self, packet: Packet) -> None:
        host = self.hosts.get(packet.destination[0])
        if host is not None:
            self.delivered.append(packet)
            host.driver.receive_datagram(packet)

    def connect(self, client: VirtualDriver, local: Address, remote: Address) -> int | None:
        """From a driver: open a stream; the number of the connection, or None where nobody listens."""
        peer = self.hosts.get(remote[0])
        if peer is None or not peer.driver.listens("tcp", remote) or not self.link(local[0], remote[0]).up:
            return None
        number = next(self._connections)
        client.open_stream(number, local, remote, peer.driver)
        peer.driver.open_stream(number, remote, local, client)
        return number


@dataclass(slots=True)
class _Stream:
    """One side of a connection."""

    flow: Flow
    peer: VirtualDriver
    carried: int = 0
    next_at_s: float = 0.0


class VirtualDriver:
    """`SansIoEndpoint` with the commands of a driver: every command happens at the loop's time, and packets go to the network."""

    def __init__(self, network: VirtualNetwork, address: str, options: Mapping[str, Any]) -> None:
        self._network = network
        self._address = address
        self.core = SansIoEndpoint(seed=network.seed * 1000 + len(network.hosts), **options)
        self._listeners: dict[int, Listener] = {}
        self._streams: dict[int, _Stream] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._wake: Callable[[], None] | None = None
        self.stopped_legs: list[int] = []
        self.closed = False

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever events wait."""
        self._wake = wake
        self._touch()

    def close(self) -> None:
        """Vanish: timers stop, nothing is sent any more."""
        self.closed = True
        self._wake = None
        if self._timer is not None:
            self._timer.cancel()

    def listen(self, transport: str, host: str, port: int) -> Listener:
        """Listen on a port of this host. OSError where one listens already."""
        address = (host, port or 5060)
        if self.listens(transport, address):
            raise OSError(98, "Address already in use")
        listener = self._now().add_listener(transport, *address)
        self._listeners[listener.id] = listener
        return listener

    def close_listener(self, listener: Listener) -> None:
        """Stop listening there."""
        self._listeners.pop(listener.id, None)

    def listens(self, transport: str, address: Address) -> bool:
        """Whether this host listens there."""
        return any(
            each.transport == transport and (each.host, each.port) == address for each in self._listeners.values()
        )

    # --- packets ------------------------------------------------------------------------------------------------------

    def receive_datagram(self, packet: Packet) -> None:
        """From the network."""
        if self.closed or not self.listens("udp", packet.destination):
            return
        self._now().receive(Flow("udp", packet.source, packet.destination), packet.data)
        self._touch()

    def open_stream(self, number: int, local: Address, remote: Address, peer: VirtualDriver) -> None:
        """From the network: a connection exists."""
        flow = Flow("tcp", remote, local, number)
        self._streams[number] = _Stream(flow, peer)
        self._now().flow_opened(flow)
        self._touch()

    def receive_stream(self, number: int, data: bytes) -> None:
        """From the network: the next bytes of a connection."""
        stream = self._streams.get(number)
        if stream is not None and not self.closed:
            self._now().receive(stream.flow, data)
            self._touch()

    def close_stream(self, number: int, reason: str = "closed by the peer") -> None:
        """From the network or a test: the connection is gone."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._now().flow_closed(stream.flow, reason)
            self._touch()
            stream.peer.close_stream(number)

    def _send(self, flow: Flow, data: bytes) -> None:
        if flow.transport == "udp":
            source = flow.local or (self._address, 5060)
            self._network.send_datagram(Packet("udp", source, flow.remote, data))
        else:
            self._send_stream(flow, data)

    def _send_stream(self, flow: Flow, data: bytes) -> None:
        number = flow.connection or self._stream_to(flow.remote)
        stream = self._streams.get(number) if number is not None else None
        if stream is None or number is None:
            self._now().send_failed(flow, "connection refused")
            return
        stream.carried += len(data)
        assert stream.carried < SANE_STREAM_BYTES
        loop = asyncio.get_running_loop()
        local = stream.flow.local or (self._address, 0)
        link = self._network.link(local[0], stream.flow.remote[0])
        # in order: a later piece never overtakes an earlier one
        stream.next_at_s = max(stream.next_at_s, loop.time() + link.delay_s)
        loop.call_at(stream.next_at_s, stream.peer.receive_stream, number, data)

    def _stream_to(self, remote: Address) -> int | None:
        for number, stream in self._streams.items():
            if stream.flow.remote == remote:
                return number
        port = self._network.random.randrange(40_000, 60_000)
        return self._network.connect(self, (self._address, port), remote)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _now(self) -> SansIoEndpoint:
        self.core.set_time(asyncio.get_running_loop().time())
        return self.core

    def _touch(self) -> None:
        if not self._flushing and not self.closed:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self.closed:
            return
        while (item := self.core.poll_transmit()) is not None:
            self._send(*item)
        self.stopped_legs.extend(self.core.stopped_legs())
        self._arm()
        if self._wake is not None:
            self._wake()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.core.next_timeout()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._timeout)

    def _timeout(self) -> None:
        self._timer = None
        self._now().handle_timeout()
        self._touch()

    # --- commands, as of `Driver` -------------------------------------------------------------------------------------

    def drain(self, limit: int = 512) -> list[Event]:
        """The events that wait."""
        events = self.core.drain(limit)
        if len(events) == limit:
            self._touch()  # more may wait: the real endpoint's descriptor stays readable
        return events

    def send_request(
        self,
        method: str,
        uri: str,
        headers: Headers,
        body: bytes,
        flow: Flow,
        *,
        timeout_s: float | None = None,
        large_over_tcp: bool = True,
    ) -> int:
        """As the extension's."""
        tx = self._now().send_request(
            method, uri, headers, body, flow, timeout_s=timeout_s, large_over_tcp=large_over_tcp
        )
        self._touch()
        return tx

    def cancel(self, tx: int, headers: Headers = ()) -> None:
        """As the extension's."""
        self._now().cancel(tx, headers)
        self._touch()

    def respond(
        self,
        tx: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        *,
        to_tag: str | None = None,
        reliable: bool = False,
    ) -> bool:
        """As the extension's."""
        sent = self._now().respond(tx, status, reason, headers, body, to_tag=to_tag, reliable=reliable)
        self._touch()
        return sent

    def challenge(self, tx: ServerTransaction, *, stale: bool = False) -> bool:
        """As the extension's."""
        sent = self._now().challenge(tx, stale=stale)
        self._touch()
        return sent

    def send_ack(self, tx: int, to_tag: str, uri: str, headers: Headers, body: bytes, flow: Flow) -> None:
        """As the extension's."""
        self._now().send_ack(tx, to_tag, uri, headers, body, flow)
        self._touch()

    def add_dialog(self, call_id: str, local_tag: str, remote_tag: str, *, remote_cseq: int = 0, leg: int = 0) -> None:
        """As the extension's."""
        self._now().add_dialog(call_id, local_tag, remote_tag, remote_cseq=remote_cseq, leg=leg)

    def remove_dialog(self, call_id: str, local_tag: str, remote_tag: str) -> None:
        """As the extension's."""
        self._now().remove_dialog(call_id, local_tag, remote_tag)

    def close_flow(self, connection: int) -> None:
        """As the extension's."""
        self._now().close_flow(connection)
        self.close_stream(connection, "closed by us")

    def keep_alive(self, flow: Flow, interval_s: float) -> None:
        """As the extension's."""
        self._now().keep_alive(flow, interval_s)
        self._touch()

    @property
    def t1_s(self) -> float:
        """As the extension's."""
        return self.core.t1_s

    def mint_tag(self) -> str:
        """As the extension's."""
        return self.core.mint_tag()

    def mint_call_id(self) -> str:
        """As the extension's."""
        return self.core.mint_call_id()

    def mint_token(self) -> str:
        """As the extension's."""
        return self.core.mint_token()

    def set_challenge(
        self,
        realm: str,
        modes: Mapping[str, ChallengeMode],
        trusted_networks: Sequence[str],
        trusted_tokens: Sequence[str],
        *,
        algorithm: str = "MD5",
        nonce_lifetime_s: float = 300.0,
    ) -> None:
        """As the extension's."""
        self._now().set_challenge(
            realm, modes, trusted_networks, trusted_tokens, algorithm=algorithm, nonce_lifetime_s=nonce_lifetime_s
        )

    def set_flood_exempt(self, networks: Sequence[str]) -> None:
        """There is no flood guard in memory."""

    def set_overloaded(self, overloaded: bool) -> None:
        """As the extension's."""
        self._now().set_overloaded(overloaded)

    def set_trace(self, enabled: bool) -> None:
        """As the extension's."""
        self._now().set_trace(enabled)

    def counters(self) -> dict[str, int]:
        """As the extension's."""
        return self.core.counters()


class VirtualHost:
    """A machine on the network: one SIP driver, one media driver, an address."""

    def __init__(self, network: VirtualNetwork, address: str, options: Mapping[str, Any]) -> None:
        self.address = address
        self.network = network
        self.driver = VirtualDriver(network, address, options)
        self.media = VirtualMedia()

    def sip_driver(self, options: SipOptions) -> VirtualDriver:
        """The host's driver; as a `Platform`."""
        return self.driver

    def media_driver(self, options: MediaOptions) -> VirtualMedia:
        """The host's media; as a `Platform`."""
        return self.media
