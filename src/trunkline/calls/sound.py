"""Calls as audio: whom a session plays to, and whose audio it records.

`CallSession.play` and `CallSession.record` ask here; `media.playback` and `media.recording` carry it out.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.calls.link import Stage
from trunkline.errors import CallStateError
from trunkline.media.audio import RATES
from trunkline.media.engine import Leg
from trunkline.media.material import Frame, material_of
from trunkline.media.playback import Playback
from trunkline.media.recording import Layout, Recording
from trunkline.media.stream import AudioStream

if TYPE_CHECKING:
    from trunkline.calls.course import Course
    from trunkline.media.audio import Audio

__all__ = ["playback", "recording", "stream"]


def answered_legs(course: Course) -> list[Leg]:
    """The legs of the parties that are answered.

    Raises:
        CallEnded: The session is over.
        CallStateError: Nobody is answered.
    """
    course.check_open()
    legs = [channel.leg for channel in course.channels if channel.stage is Stage.UP and channel.leg is not None]
    if not legs:
        raise CallStateError("nobody is answered, so that nobody hears or is heard")
    return legs


def playback(
    course: Course,
    audio: Audio | AsyncIterable[Frame],
    *,
    times: int = 1,
    gain: float = 1.0,
    exclusive: bool = False,
    at_once: bool = False,
    sample_rate: int | None = None,
) -> Playback:
    """What plays to everybody in the call, as soon as its turn has come.

    Raises:
        AudioError: Too many wait already.
        CallEnded: The session is over.
        CallStateError: Nobody is answered.
        ValueError: `times`, `gain` or `sample_rate` is out of range.
    """
    answered_legs(course)
    material = material_of(course.env.media, audio, times=times, sample_rate=sample_rate)
    return Playback(
        course.env.media,
        lambda: answered_legs(course),
        material,
        course.plays,
        times=times,
        gain=gain,
        exclusive=exclusive,
        at_once=at_once,
    )


def stream(course: Course, *, sample_rate: int, ahead_frames: int) -> AudioStream:
    """The audio of the call's first party.

    Raises:
        CallEnded: The session is over.
        CallStateError: Nobody is answered.
        ValueError: The rate or `ahead_frames` is out of range.
    """
    if sample_rate not in RATES:
        raise ValueError(f"sample_rate: one of {', '.join(map(str, RATES))}, not {sample_rate}")
    if not 1 <= ahead_frames <= 3_000:
        raise ValueError(f"ahead_frames: 1 to 3000, not {ahead_frames}")
    leg = answered_legs(course)[0]
    return AudioStream(course.env.media, leg, sample_rate=sample_rate, ahead_frames=ahead_frames)


def recording(course: Course, path: Path | str, *, layout: Layout, sample_rate: int) -> Recording:
    """What records the first party of the call, and what it hears.

    Raises:
        CallEnded: The session is over.
        CallStateError: Nobody is answered.
    """
    leg = answered_legs(course)[0]
    return Recording(course.env.media, leg, Path(path), layout=layout, sample_rate=sample_rate)
