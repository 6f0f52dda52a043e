"""What drives media for an engine, as protocols: the commands of the Rust media workers, or of the test kit's stand-in for them.

`engine.MediaEngine` gives the commands; `_trunkline` documents each, and `testing.media` takes them on the virtual network.
`server.platform` says which of the two a server has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from trunkline.media.engine import Codec, Heard, LegStatistics, MediaEvent, PcmSink, PcmSource, SrtpKeys

__all__ = ["Ending", "MediaDriver", "WakingMedia"]

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
        keys: SrtpKeys | None = None,
        ptime_ms: int = 0,
    ) -> None: ...
    def link(self, a: int, b: int, *, transcode: bool = False) -> None: ...
    def unlink(self, leg: int) -> None: ...
    def open_room(self, *, beside: int = 0) -> int: ...
    def close_room(self, room: int) -> None: ...
    def join_room(
        self,
        room: int,
        leg: int,
        *,
        gain: float = 1.0,
        muted: bool = False,
        deaf: bool = False,
        hears: Sequence[int] | None = None,
        heard_by: Sequence[int] | None = None,
    ) -> None: ...
    def visit(self, guest: int, host: int, *, heard_by: Sequence[int] | None = None) -> None: ...
    def levels(self, room: int) -> list[tuple[int, float]]: ...
    def leave_room(self, leg: int) -> None: ...
    def open_source(
        self, target: int, sample_rate: int, *, frames: int = 100, exclusive: bool = False
    ) -> PcmSource: ...
    def open_sink(
        self,
        target: int,
        sample_rate: int,
        *,
        side: Literal["heard", "said"] = "heard",
        frames: int = 100,
        wakes: bool = False,
    ) -> PcmSink: ...
    def end_stream(self, target: int, stream: int) -> None: ...
    def play_tone(self, leg: int, frequency_hz: float, level_dbm0: float = -10.0) -> None: ...
    def stop_tone(self, leg: int) -> None: ...
    def send_digits(self, leg: int, digits: str, duration_ms: int = 100) -> None: ...
    def hear_digits(self, leg: int, on: bool) -> None: ...
    def listen(self, leg: int) -> None: ...
    def heard(self, leg: int) -> Heard: ...
    def attend(self, leg: int, wanted: bool) -> None: ...
    def statistics(self, leg: int) -> LegStatistics | None: ...
    def end_leg(self, leg: int) -> Ending: ...
    def counters(self) -> dict[str, int]: ...
    def close(self) -> None: ...


@runtime_checkable
class WakingMedia(Protocol):
    """A driver without file descriptor: it calls when events wait. The virtual network's."""

    def start(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the loop whenever events wait."""
