"""Calls as audio: whom a session plays to, and whose audio it records.

`calls.sounding`, the part of `CallSession` that an application asks, asks here; `media.playback` and `media.recording` carry it out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from trunkline.calls.link import Stage
from trunkline.errors import AudioError, CallStateError
from trunkline.events import RecordingFailed
from trunkline.media.audio import RATES
from trunkline.media.engine import Leg
from trunkline.media.material import Frame, material_of
from trunkline.media.playback import Playback
from trunkline.media.recording import Layout, Recording
from trunkline.media.recording_file import Encoding, encoding_of
from trunkline.media.stream import AudioStream
from trunkline.media.tones import ToneName, tone_audio

if TYPE_CHECKING:
    from trunkline.calls.course import Course
    from trunkline.media.audio import Audio

__all__ = ["playback", "recording", "stream", "tone"]


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


async def tone(
    course: Course, name: ToneName, *, country: str, duration_s: float | None, gain: float, exclusive: bool
) -> bool:
    """Play a tone of a country's plan to everybody in the call; whether it was played until its time was over.

    Raises:
        CallEnded: The session is over.
        CallStateError: Nobody is answered.
        ValueError: There is no such tone or plan, or a number is out of range.
    """
    if duration_s is not None and duration_s <= 0:
        raise ValueError(f"duration_s: more than 0, not {duration_s}")
    running = playback(course, tone_audio(name, country), times=0, gain=gain, exclusive=exclusive)
    try:
        async with asyncio.timeout(duration_s):
            return await running
    except TimeoutError:
        return True


def recording(
    course: Course, path: Path | str, *, layout: Layout, sample_rate: int, encoding: Encoding | None
) -> Recording:
    """What records the first party of the call, and what it hears; a failure of it is told to the application.

    Raises:
        CallEnded: The session is over.
        CallStateError: Nobody is answered.
        ValueError: No such file can be written.
    """
    where = Path(path)
    if layout not in get_args(Layout):
        raise ValueError(f"layout: one of {', '.join(get_args(Layout))}, not {layout}")
    chosen = encoding_of(where, encoding, sample_rate)
    leg = answered_legs(course)[0]

    def failed(error: AudioError) -> None:
        course.env.sink.emit(RecordingFailed(course.call, str(where), str(error)))

    return Recording(
        course.env.media, leg, where, layout=layout, sample_rate=sample_rate, encoding=chosen, on_failed=failed
    )
