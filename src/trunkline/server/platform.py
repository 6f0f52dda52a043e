"""What a server stands on: where its SIP driver and its media driver come from.

`Machine` is the real one: the extension's threads and sockets. The test kit's `VirtualHost` is another, with a network
in memory and virtual time. The facade and the test kit's phones are handed one and do not know which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trunkline.media.engine import MediaDriver, NativeMediaEngine
from trunkline.sip.endpoint import Driver, Listener, SipEndpoint

__all__ = ["Machine", "MediaOptions", "Platform", "SipDriver", "SipOptions"]


@dataclass(frozen=True, slots=True)
class SipOptions:
    """How the SIP thread is set up; the ranges are checked by the configuration."""

    user_agent: str | None = None
    node: int = 0
    worker: int = 0
    t1_s: float = 0.5
    event_queue: int = 8192
    flood_rate: float = 500.0
    flood_burst: float = 2_000.0
    advertise: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """How the media workers are set up."""

    port_range: tuple[int, int] = (16384, 32767)
    workers: int = 0


class SipDriver(Driver, Protocol):
    """A driver that can listen."""

    def listen(self, transport: str, host: str, port: int) -> Listener:
        """Open a listener; OSError as the system gives it."""

    def close_listener(self, listener: Listener) -> None:
        """Close it; what it carried goes on over other listeners or fails."""

    def set_flood_exempt(self, networks: Sequence[str]) -> None:
        """Networks (CIDR) whose packets are never counted as a flood."""


class Platform(Protocol):
    """Makes the two drivers."""

    def sip_driver(self, options: SipOptions) -> SipDriver:
        """A SIP driver of its own."""

    def media_driver(self, options: MediaOptions) -> MediaDriver:
        """A media driver of its own."""


class Machine:
    """The real machine: a SIP thread and media workers."""

    def sip_driver(self, options: SipOptions) -> SipDriver:
        """A SIP thread; it has no sockets until `listen`."""
        return SipEndpoint(
            node=options.node,
            worker=options.worker,
            user_agent=options.user_agent,
            t1_s=options.t1_s,
            event_queue=options.event_queue,
            flood_rate=options.flood_rate,
            flood_burst=options.flood_burst,
            advertise=options.advertise,
        )

    def media_driver(self, options: MediaOptions) -> MediaDriver:
        """Media workers, one a core unless told otherwise."""
        return NativeMediaEngine(workers=options.workers, port_range=options.port_range)
