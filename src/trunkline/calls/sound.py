"""Calls as audio: whom a session plays to, and whose audio it records.

`Sounding` is the part of `CallSession` that an application asks; `media.playback`, `media.recording` and `media.stream` carry it out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.calls.link import Stage
from trunkline.errors import CallStateError
from trunkline.media.audio import RATES
from trunkline.media.engine import Leg
from trunkline.media.playback import Playback
from trunkline.media.recording import Layout, Recording
from trunkline.media.stream import AudioStream

if TYPE_CHECKING:
    from trunkline.calls.course import Course
    from trunkline.media.audio import Audio

__all__ = ["Sounding"]


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


def playback(course: Course, audio: Audio, *, times: int, gain: float, exclusive: bool) -> Playback:
    """What plays to everybody in the call.

    Raises:
        CallEnded: The session is over.
        CallStateError: Nobody is answered.
        ValueError: `times` or `gain` is out of range.
    """
    if times < 0:
        raise ValueError(f"times: 0 or more, not {times}")
    if not 0 <= gain <= 16:
        raise ValueError(f"gain: a factor from 0 to 16, not {gain}")
    legs = answered_legs(course)
    return Playback(course.env.media, legs, audio, times=times, gain=gain, exclusive=exclusive)


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


class Sounding:
    """What an application hears of a call, and lets it hear; a part of `CallSession`."""

    _course: Course

    async def play(self, audio: Audio, *, times: int = 1, gain: float = 1.0, exclusive: bool = False) -> bool:
        """Play a WAV file to everybody in the call; returns when all of it was heard. Cancelled, it stops.

        Args:
            audio: The path of a WAV file of PCM, or its bytes: 8, 16, 24 or 32 bits, 8000 to 48,000 samples a second.
            times: How often; 0 for until it is cancelled.
            gain: What it is multiplied by, 0 to 16.
            exclusive: The parties hear nothing else meanwhile; else it is mixed over what they say.

        Returns:
            Whether all of it was played; False when a party went.

        Raises:
            AudioError: It cannot be read, or is no audio. The call goes on.
            CallEnded: The call is over.
            CallStateError: Nobody is answered.
        """
        return await playback(self._course, audio, times=times, gain=gain, exclusive=exclusive).run()

    def record(self, path: Path | str, *, layout: Layout = "mono", sample_rate: int = 8000) -> Recording:
        """Record the call to a WAV file, from `async with` or `start` to `stop` or its end; a crash leaves what was written.

        The first party is recorded with all that it hears, over bridges and transfers. Audio is transcoded meanwhile, so that a
        party with a codec that is only relayed is silence in the file.

        Args:
            path: The file; what is there is overwritten.
            layout: "mono" mixes, "stereo" has the party left and what it hears right.
            sample_rate: Of the file: 8000, 16000, 24000, 32000 or 48000 Hz.

        Raises:
            CallEnded: The call is over.
            CallStateError: Nobody is answered.

        Example:
            async with call.record("call.wav", layout="stereo"):
                await call.bridge(await call.dial_user("bob"))
        """
        return recording(self._course, path, layout=layout, sample_rate=sample_rate)

    def audio(self, *, sample_rate: int = 16_000, ahead_frames: int = 50) -> AudioStream:
        """The first party's audio as frames of 20 ms, both ways, in `async with`; over a call what is written is mixed in.

        Args:
            sample_rate: 8000, 16000, 24000, 32000 or 48000 Hz.
            ahead_frames: How many frames may be written ahead, 1 to 3000.

        Raises:
            CallEnded: The call is over.
            CallStateError: Nobody is answered.
        """
        return stream(self._course, sample_rate=sample_rate, ahead_frames=ahead_frames)
