"""The asyncio face of the Rust media workers: legs are opened, linked and closed here; packets never come up.

`MediaEngine` wraps a driver: the real `_trunkline.MediaEngine`, or the test kit's stand-in on the virtual network.
Calls and the test kit's phones hold `Leg` objects. The only module of `trunkline.media` that imports the extension.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeVar

from _trunkline import (
    Codec,
    FramesArrived,
    Heard,
    LegDigit,
    LegFailed,
    LegForeign,
    LegLatched,
    LegSilent,
    LegStatistics,
    MediaEvent,
    MediaPlan,
    PcmSink,
    PcmSource,
    RecordingEncoder,
    RoomSpeaker,
    SoundChanged,
    SoundReader,
    SourceEnded,
    SrtpKeys,
)
from _trunkline import MediaEngine as NativeMediaEngine
from _trunkline import can_transcode as native_can_transcode
from _trunkline import digit_tones as digit_tones
from trunkline.errors import NoMediaPorts
from trunkline.media.driver import Ending, MediaDriver, WakingMedia
from trunkline.media.recording_threads import RecordingThreads
from trunkline.media.sound import QUIET, Attendant, SoundHeard

__all__ = [
    "Codec",
    "Heard",
    "Leg",
    "LegHandler",
    "LegStatistics",
    "MediaDriver",
    "MediaEngine",
    "MediaEvent",
    "NativeMediaEngine",
    "PcmSink",
    "PcmSource",
    "RecordingEncoder",
    "SoundReader",
    "SrtpKeys",
    "can_transcode",
    "digit_tones",
    "may_transcode",
    "needs_transcoding",
]

log = logging.getLogger("trunkline.media")

T = TypeVar("T")

READING_THREADS = 64
"""Threads at most that read and decode what is played: as many files may lie on a disk that hangs before others wait for it."""


Key = tuple[str, int, int]

_NO_VOICE = frozenset({"telephone-event", "cn"})


@lru_cache(1_024)
def _can(key: Key) -> bool:
    name, clock_rate, channels = key
    return native_can_transcode(Codec(name, clock_rate, channels))


def can_transcode(codec: Codec) -> bool:
    """Whether audio in this codec can be decoded and encoded here."""
    return _can((codec.name.lower(), codec.clock_rate, codec.channels))


def voice_keys(codecs: Iterable[Codec]) -> frozenset[Key]:
    """What the codecs for voice among these are compared by."""
    keys = ((codec.name.lower(), codec.clock_rate, codec.channels) for codec in codecs)
    return frozenset(key for key in keys if key[0] not in _NO_VOICE)


def may_transcode(here: MediaPlan | None, there: MediaPlan | None) -> bool:
    """Whether each side has agreed to a codec that we can speak."""
    if here is None or there is None or here.fax is not None or there.fax is not None:
        return False
    return all(any(map(_can, voice_keys(plan.send_codecs))) for plan in (here, there))


def needs_transcoding(here: MediaPlan | None, there: MediaPlan | None) -> bool:
    """Whether two sides can hear each other in no other way."""
    if here is None or there is None or not may_transcode(here, there):
        return False
    return not voice_keys(here.send_codecs) & voice_keys(there.send_codecs)


class LegHandler(Protocol):
    """Owner of a leg."""

    def on_leg_silent(self) -> None:
        """Nothing acceptable arrived for the silence timeout while their description says that they send."""

    def on_leg_failed(self, reason: str) -> None:
        """The leg is closed: its socket failed or its code panicked."""


class Leg:
    """One side's audio: an RTP and an RTCP port of ours. Made by `MediaEngine.open_leg`."""

    sides: tuple[Literal["heard", "said"], ...] = ("heard", "said")
    """What of it can be recorded."""

    def __init__(self, engine: MediaEngine, number: int, address: str, port: int) -> None:
        self._engine = engine
        self._driver = engine.driver
        self.number = number
        self.address = address
        self.port = port
        self.handler: LegHandler | None = None
        self._plays = False
        self._ending: Ending | None = None
        self.is_open = True
        """Whether it has its ports."""
        self.plan: MediaPlan | None = None
        self._linked: Leg | None = None
        self._transcodes = False
        self._wants_audio = 0
        self._hears_digits = False
        self.on_digit: Callable[[str, int, int], None] | None = None
        """Hears each digit that the peer presses: what, for how many ms, and the clock of its telephone event, 0 for a tone."""
        self.room: object | None = None
        """The room that it is in, if it is in one."""
        self.attendants: list[Attendant] = []
        """Who hears what the party's audio is made of."""
        self.sound = QUIET
        """What the party's audio is now, while there are attendants."""

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
            keys=plan.keys,
        )
        self.plan = plan
        if self._linked is not None:
            self._decide(self._linked, False)

    def link(self, other: Leg) -> None:
        """Let both sides of this leg and another hear each other: relayed, or transcoded where they have no codec in common."""
        if self._linked is not other:
            for leg in (self, other):
                leg.unlink()
            self._linked, other._linked = other, self
        self._link(self._wants(other))

    def want_audio(self, wanted: bool) -> None:
        """Have what is linked transcoded even with a codec in common, so that it is mixed and heard; as often wanted as let go."""
        self._wants_audio += 1 if wanted else -1
        if self._linked is not None:
            self._decide(self._linked, False)

    def _wants(self, other: Leg) -> bool:
        if self._wants_audio + other._wants_audio > 0:
            return may_transcode(self.plan, other.plan)
        return needs_transcoding(self.plan, other.plan)

    @property
    def linked(self) -> Leg | None:
        """Whom its party talks to, in no room."""
        return self._linked

    @property
    def transcodes(self) -> bool:
        """Whether what the linked leg sends is decoded and encoded anew."""
        return self._transcodes

    def _decide(self, other: Leg, foreign: bool) -> None:
        """What was agreed has changed, or a side sends (`foreign`) what the other did not agree to."""
        wanted = self._wants(other) or (foreign and may_transcode(self.plan, other.plan))
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

    def hear_digits(self, on: bool) -> None:
        """Hear digits as tones in the peer's audio, or no longer; `on_digit` is told."""
        if on != self._hears_digits and self.is_open:
            self._hears_digits = on
            self._driver.hear_digits(self.number, on)

    def listen(self) -> None:
        """Start the tone detector."""
        self._driver.listen(self.number)

    def heard(self) -> Heard:
        """What the detector heard since it was last asked."""
        return self._driver.heard(self.number)

    def attend(self, attendant: Attendant) -> None:
        """Call `attendant` whenever what the party says is of another kind, from silence on, until `unattend`."""
        self.attendants.append(attendant)
        if len(self.attendants) == 1 and self.is_open:
            self._driver.attend(self.number, True)

    def unattend(self, attendant: Attendant) -> None:
        """Call it no longer."""
        if attendant not in self.attendants:
            return
        self.attendants.remove(attendant)
        if not self.attendants:
            self.sound = QUIET
            if self.is_open:
                self._driver.attend(self.number, False)

    def on_sound(self, sound: SoundHeard | None) -> None:
        """From the engine: what the party says is of another kind, or the leg is closed."""
        self.sound = sound or QUIET
        for attendant in list(self.attendants):
            attendant(sound)

    @property
    def statistics(self) -> LegStatistics | None:
        """Counts up to now; after `close` the last ones. Waits for the worker, which takes microseconds."""
        return self._driver.statistics(self.number) if self._ending is None else self._ending.statistics()

    def close(self) -> None:
        """Have the ports closed; it relays no more. Waits for nobody. Idempotent."""
        if self.is_open:
            self.is_open = False
            self._engine.forget(self)
            self._ending = self._driver.end_leg(self.number)
            if self._linked is not None:
                self._linked._linked, self._linked = None, None
            self.on_sound(None)
            self.attendants.clear()


class MediaEngine:
    """Opens legs and hands the workers' events to their owners.

    Args:
        driver: The extension's media engine, or a stand-in.
    """

    def __init__(self, driver: MediaDriver) -> None:
        self.driver = driver
        self._legs: dict[int, Leg] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dispatch: dict[type, Callable[[Any], None]] = {
            LegSilent: self._on_silent,
            LegFailed: self._on_failed,
            LegLatched: lambda event: None,
            LegForeign: self._on_foreign,
            LegDigit: self._on_digit,
            SourceEnded: self._on_source_ended,
            SoundChanged: self._on_sound,
            FramesArrived: self._on_frames,
            RoomSpeaker: self._on_speaker,
        }
        self._rooms: dict[int, Callable[[int | None], None]] = {}
        self._sources: dict[int, Callable[[bool], None]] = {}
        self._waiting: set[Callable[[], None]] = set()
        self.recordings = RecordingThreads()
        self._readers: ThreadPoolExecutor | None = None

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
        if self._readers is not None:
            self._readers.shutdown(wait=False, cancel_futures=True)
            self._readers = None
        self._loop = None

    def pump(self) -> None:
        """Dispatch the events that wait."""
        for event in self.driver.drain():
            try:
                self._dispatch[type(event)](event)
            except Exception:
                log.exception("error while handling %s", type(event).__name__)

    def _handler(self, leg: int) -> LegHandler | None:
        found = self._legs.get(leg)
        return found.handler if found is not None else None

    def _on_silent(self, event: LegSilent) -> None:
        if handler := self._handler(event.leg):
            handler.on_leg_silent()

    def _on_failed(self, event: LegFailed) -> None:
        if handler := self._handler(event.leg):
            handler.on_leg_failed(event.reason)

    def _on_foreign(self, event: LegForeign) -> None:
        leg = self._legs.get(event.leg)
        if leg is not None:
            leg.on_foreign()

    def _on_sound(self, event: SoundChanged) -> None:
        leg = self._legs.get(event.leg)
        if leg is not None and leg.attendants and self._loop is not None:
            began_s = self._loop.time() - event.age_s
            leg.on_sound(SoundHeard(event.sound, began_s, event.frequency_hz, event.ended_dbm0))

    def _on_digit(self, event: LegDigit) -> None:
        leg = self._legs.get(event.leg)
        if leg is not None and leg.on_digit is not None:
            leg.on_digit(event.digit, event.duration_ms, event.clock_rate)

    def _on_source_ended(self, event: SourceEnded) -> None:
        ended = self._sources.pop(event.source, None)
        if ended is not None:
            ended(event.complete)

    def _on_frames(self, event: FramesArrived) -> None:
        for wake in list(self._waiting):
            wake()

    def _on_speaker(self, event: RoomSpeaker) -> None:
        speaks = self._rooms.get(event.room)
        if speaks is not None:
            speaks(event.leg)

    def watch_room(self, room: int, speaks: Callable[[int | None], None]) -> None:
        """Call `speaks` with the leg that speaks in a room, or None, at each change until `unwatch_room`."""
        self._rooms[room] = speaks

    def unwatch_room(self, room: int) -> None:
        """Call it no longer."""
        self._rooms.pop(room, None)

    # --- streams of PCM ---------------------------------------------------------------------------------------------

    def open_source(
        self,
        target: int,
        sample_rate: int,
        on_end: Callable[[bool], None],
        *,
        frames: int = 100,
        exclusive: bool = False,
    ) -> PcmSource:
        """Something to be played to a leg or a room, by its number.

        Args:
            target: A leg's or a room's number.
            sample_rate: 8000, 16000, 24000, 32000 or 48000 Hz.
            on_end: Called when it is played no more; with True when all of it was played.
            frames: How many frames of 20 ms may wait, 1 to 3000.
            exclusive: Nothing else is heard while there are samples.

        Raises:
            OSError: There is no such leg or room, or no such rate.
        """
        source = self.driver.open_source(target, sample_rate, frames=frames, exclusive=exclusive)
        self._sources[source.number] = on_end
        return source

    async def on_reading_thread(self, work: Callable[..., T], *args: Any) -> T:
        """Read or decode what is played on a thread for that; nothing that is recorded waits for it."""
        if self._readers is None:
            self._readers = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="trunkline-playing")
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *args)

    def watch_frames(self, wake: Callable[[], None]) -> None:
        """Call `wake` for each batch of frames until `unwatch_frames`; all watchers share one wake-up of the loop."""
        self._waiting.add(wake)

    def unwatch_frames(self, wake: Callable[[], None]) -> None:
        """Call it no longer."""
        self._waiting.discard(wake)

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

    def forget(self, leg: Leg) -> None:
        """From `Leg.close`."""
        del self._legs[leg.number]

    @property
    def open_legs(self) -> int:
        """How many legs are open, for leak tests and metrics."""
        return len(self._legs)
