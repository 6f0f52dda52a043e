"""The asyncio face of the Rust media workers: legs are opened, linked and closed here; packets never come up.

`MediaEngine` wraps a driver: the real `_trunkline.MediaEngine`, or the test kit's stand-in on the virtual network.
Calls and the test kit's phones hold `Leg` objects. The only module of `trunkline.media` that imports the extension.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from _trunkline import (
    Codec,
    FramesArrived,
    Heard,
    LegFailed,
    LegForeign,
    LegLatched,
    LegSilent,
    LegStatistics,
    MediaEvent,
    MediaPlan,
    PcmSink,
    PcmSource,
    SourceEnded,
)
from _trunkline import MediaEngine as NativeMediaEngine
from trunkline.errors import NoMediaPorts
from trunkline.media.transcoding import may_transcode, needs_transcoding

__all__ = ["Heard", "Leg", "LegHandler", "LegStatistics", "MediaDriver", "MediaEngine", "NativeMediaEngine"]

log = logging.getLogger("trunkline.media")

Address = tuple[str, int]


class Ending(Protocol):
    """What is left of a leg that is being closed."""

    def statistics(self) -> LegStatistics | None: ...


class MediaDriver(Protocol):
    """What a `MediaEngine` drives."""

    def drain(self, limit: int = 512) -> list[MediaEvent]: ...
    def open_leg(self, address: str, *, beside: int = 0) -> tuple[int, int]: ...
    def configure(
        self,
        leg: int,
        *,
        remote_rtp: Address | None,
        remote_rtcp: Address | None,
        sends: bool,
        receives: bool,
        receive_codecs: Sequence[Codec],
        send_codecs: Sequence[Codec],
        learn_from: str | None = None,
        silence_timeout_s: float = 0.0,
        udptl: bool = False,
        ptime_ms: int = 0,
    ) -> None: ...
    def link(self, a: int, b: int, *, transcode: bool = False) -> None: ...
    def unlink(self, leg: int) -> None: ...
    def play_tone(self, leg: int, frequency_hz: float, level_dbm0: float = -10.0) -> None: ...
    def stop_tone(self, leg: int) -> None: ...
    def send_digits(self, leg: int, digits: str, duration_ms: int = 100) -> None: ...
    def listen(self, leg: int) -> None: ...
    def heard(self, leg: int) -> Heard: ...
    def statistics(self, leg: int) -> LegStatistics | None: ...
    def end_leg(self, leg: int) -> Ending: ...
    def counters(self) -> dict[str, int]: ...
    def close(self) -> None: ...


@runtime_checkable
class WakingMedia(Protocol):
    """A driver without file descriptor: it calls when events wait. The virtual network's."""

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the loop whenever events wait."""


class LegHandler(Protocol):
    """Owner of a leg."""

    def on_leg_silent(self) -> None:
        """Nothing acceptable arrived for the silence timeout while their description says that they send."""

    def on_leg_failed(self, reason: str) -> None:
        """The leg is closed: its socket failed or its code panicked."""


class Leg:
    """One side's audio: an RTP and an RTCP port of ours. Made by `MediaEngine.open_leg`."""

    def __init__(self, engine: MediaEngine, number: int, address: str, port: int) -> None:
        self._engine = engine
        self._driver = engine.driver
        self.number = number
        self.address = address
        self.port = port
        self.handler: LegHandler | None = None
        self._plays = False
        self._ending: Ending | None = None
        self.plan: MediaPlan | None = None
        self._linked: Leg | None = None
        self._transcodes = False

    def apply(self, plan: MediaPlan, *, learn_from: str | None, silence_timeout_s: float = 0.0) -> None:
        """Make the leg do what an offer and its answer agreed.

        Args:
            plan: What was agreed; one with `fax` turns the leg to UDPTL.
            learn_from: The address of their signalling when they are behind NAT: one source from there may be learned.
            silence_timeout_s: After how long a silence `on_leg_silent` is called; 0 for never.
        """
        if not self.is_open:
            return
        self._driver.configure(
            self.number,
            remote_rtp=plan.fax.remote if plan.fax is not None else plan.remote_rtp,
            remote_rtcp=plan.remote_rtcp,
            sends=plan.direction in ("sendrecv", "sendonly"),
            receives=plan.direction in ("sendrecv", "recvonly"),
            receive_codecs=plan.receive_codecs,
            send_codecs=plan.send_codecs,
            learn_from=learn_from,
            silence_timeout_s=silence_timeout_s,
            udptl=plan.fax is not None,
            ptime_ms=plan.ptime_ms or 0,
        )
        self.plan = plan
        if self._linked is not None:
            self._decide(self._linked, False)

    def link(self, other: Leg) -> None:
        """Let both sides of this leg and another hear each other: relayed, or transcoded where they have no codec in common."""
        for leg in (self, other):
            leg.unlink()
        self._linked, other._linked = other, self
        self._link(needs_transcoding(self.plan, other.plan))

    @property
    def transcodes(self) -> bool:
        """Whether what the linked leg sends is decoded and encoded anew."""
        return self._transcodes

    def _decide(self, other: Leg, foreign: bool) -> None:
        """What was agreed has changed, or a side sends (`foreign`) what the other did not agree to."""
        wanted = may_transcode(self.plan, other.plan) if foreign else needs_transcoding(self.plan, other.plan)
        if wanted != self._transcodes:
            self._link(wanted)

    def _link(self, transcode: bool) -> None:
        other = self._linked
        if other is not None and self.is_open and other.is_open:
            self._transcodes = other._transcodes = transcode
            self._driver.link(self.number, other.number, transcode=transcode)

    def on_foreign(self) -> None:
        """From the engine: the linked leg's peer sends in a codec that this leg's did not agree to."""
        if self._linked is not None and not self._transcodes:
            self._decide(self._linked, True)

    def unlink(self) -> None:
        """Stop relaying."""
        other, self._linked = self._linked, None
        if other is not None:
            other._linked = None
            self._transcodes = other._transcodes = False
        if self.is_open:
            self._driver.unlink(self.number)

    def play_tone(self, frequency_hz: float, level_dbm0: float = -10.0) -> None:
        """Send a tone until `stop_tone`; 0 Hz is silence that is sent."""
        self._plays = True
        self._driver.play_tone(self.number, frequency_hz, level_dbm0)

    def stop_tone(self) -> None:
        """Stop sending the tone, if there is one."""
        if self._plays:
            self._plays = False
            self._driver.stop_tone(self.number)

    def send_digits(self, digits: str, duration_ms: int = 100) -> None:
        """Send RFC 4733 telephone events, one digit after another."""
        self._driver.send_digits(self.number, digits, duration_ms)

    def listen(self) -> None:
        """Start the tone detector."""
        self._driver.listen(self.number)

    def heard(self) -> Heard:
        """What the detector heard since it was last asked."""
        return self._driver.heard(self.number)

    @property
    def statistics(self) -> LegStatistics | None:
        """Counts up to now; after `close` the last ones. Waits for the worker, which takes microseconds."""
        return self._driver.statistics(self.number) if self._ending is None else self._ending.statistics()

    @property
    def is_open(self) -> bool:
        """Whether it has its ports."""
        return self._engine.has(self)

    def close(self) -> None:
        """Have the ports closed; it relays no more. Waits for nobody. Idempotent."""
        if self._engine.forget(self):
            self._ending = self._driver.end_leg(self.number)
            if self._linked is not None:
                self._linked._linked, self._linked = None, None


class MediaEngine:
    """Opens legs and hands the workers' events to their owners.

    Args:
        driver: The extension's media engine, or a stand-in.
    """

    def __init__(self, driver: MediaDriver) -> None:
        self.driver = driver
        self._legs: dict[int, Leg] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dispatch: dict[type, Callable[[LegHandler, MediaEvent], None]] = {
            LegSilent: lambda handler, event: handler.on_leg_silent(),
            LegFailed: lambda handler, event: handler.on_leg_failed(getattr(event, "reason", "")),
            LegLatched: lambda handler, event: None,
        }

    def attach(self) -> None:
        """Start taking events on the running loop."""
        self._loop = asyncio.get_running_loop()
        if isinstance(self.driver, NativeMediaEngine):
            self._loop.add_reader(self.driver.fileno(), self.pump)
        elif isinstance(self.driver, WakingMedia):
            self.driver.start(self.pump)

    def detach(self) -> None:
        """Close every leg and the workers."""
        for leg in list(self._legs.values()):
            leg.close()
        if isinstance(self.driver, NativeMediaEngine) and self._loop is not None:
            self._loop.remove_reader(self.driver.fileno())
        self.driver.close()
        self._loop = None

    def pump(self) -> None:
        """Dispatch the events that wait."""
        for event in self.driver.drain():
            leg = self._legs.get(event.leg)
            if leg is None or leg.handler is None:
                continue
            try:
                self._dispatch[type(event)](leg.handler, event)
            except Exception:
                log.exception("error while handling %s", type(event).__name__)

    def open_leg(self, address: str, *, beside: Leg | None = None) -> Leg:
        """Open an RTP and an RTCP port on `address`, on the worker of `beside` if given.

        Raises:
            NoMediaPorts: The port range is used up, or the address is not ours.
        """
        try:
            number, port = self.driver.open_leg(address, beside=beside.number if beside else 0)
        except OSError as error:
            raise NoMediaPorts(f"no media port on {address}: {error}") from error
        leg = Leg(self, number, address, port)
        self._legs[number] = leg
        return leg

    def has(self, leg: Leg) -> bool:
        """From `Leg`: whether it is open."""
        return leg.number in self._legs

    def forget(self, leg: Leg) -> bool:
        """From `Leg.close`: whether it was open."""
        return self._legs.pop(leg.number, None) is not None

    @property
    def open_legs(self) -> int:
        """How many legs are open, for leak tests and metrics."""
        return len(self._legs)
