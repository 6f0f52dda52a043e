"""Tones of a country's plan in a call, how an application records it, and its audio as frames.

A part of `CallSession`, as `informing` and `transferring` are; `sound` carries it out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.calls import sound

if TYPE_CHECKING:
    from trunkline.calls.course import Course
    from trunkline.media.recording import Layout, Recording
    from trunkline.media.recording_file import Encoding
    from trunkline.media.stream import AudioStream
    from trunkline.media.tones import ToneName

__all__ = ["Sounding"]


class Sounding:
    """Tones, recordings and frames; a part of `CallSession`."""

    _course: Course

    async def play_tone(
        self,
        tone: ToneName,
        *,
        country: str = "itu",
        duration_s: float | None = None,
        gain: float = 1.0,
        exclusive: bool = False,
    ) -> bool:
        """Play a tone that telephone networks know to everybody in the call, in its cadence; cancelled, it stops.

        Args:
            tone: "dial", "ringback", "busy", "congestion" or "call_waiting".
            country: Whose plan: "de", "us", "gb", "fr", or "itu", what ITU-T E.180 recommends to all.
            duration_s: How many seconds it is played; until it is cancelled or the call ends unless given.
            gain: What it is multiplied by, 0 to 16; with 1 it has -10 dBm0 (ITU-T E.180).
            exclusive: The parties hear nothing else meanwhile; else it is mixed over what they say.

        Returns:
            Whether it was played until its time was over; False when a party went.

        Raises:
            CallEnded: The call is over.
            CallStateError: Nobody is answered.
            ValueError: There is no such tone or plan, or a number is out of range.
        """
        return await sound.tone(
            self._course, tone, country=country, duration_s=duration_s, gain=gain, exclusive=exclusive
        )

    def record(
        self,
        path: Path | str,
        *,
        layout: Layout = "mono",
        encoding: Encoding | None = None,
        sample_rate: int = 8000,
    ) -> Recording:
        """Record the call to a file, from `async with` or `start` to `stop` or its end; a crash leaves what was written.

        The first party is recorded with all that it hears, over bridges and transfers. Audio is transcoded meanwhile, so that a
        party with a codec that is only relayed is silence in the file. A file that cannot be written any more, as on a
        full disk, is told to `on_recording_failed`, and raised by `stop`; the call goes on.

        Args:
            path: The file; what is there is overwritten.
            layout: "mono" mixes, "stereo" has the party left and what it hears right.
            encoding: "pcm", "ulaw" or "alaw" in WAV, or "opus" in Ogg; by the end of the path's name unless given: PCM for
            `.wav`, Opus for `.opus` and `.ogg`.
            sample_rate: Of the file: 8000, 16000, 24000, 32000 (not with Opus) or 48000 Hz.

        Raises:
            CallEnded: The call is over.
            CallStateError: Nobody is answered.
            ValueError: No such file can be written.

        Example:
            async with call.record("call.wav", layout="stereo"):
                await call.bridge(await call.dial_user("bob"))
        """
        return sound.recording(self._course, path, layout=layout, sample_rate=sample_rate, encoding=encoding)

    def audio(self, *, sample_rate: int = 16_000, ahead_frames: int = 50) -> AudioStream:
        """The first party's audio as frames of 20 ms, both ways, in `async with`; over a call what is written is mixed in.

        Args:
            sample_rate: 8000, 16000, 24000, 32000 or 48000 Hz.
            ahead_frames: How many frames may be written ahead, 1 to 3000.

        Raises:
            CallEnded: The call is over.
            CallStateError: Nobody is answered.
        """
        return sound.stream(self._course, sample_rate=sample_rate, ahead_frames=ahead_frames)
