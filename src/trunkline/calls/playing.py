"""What an application plays to the parties of a call: a part of `CallSession`.

`calls.sound` says who hears it, `media.playback` carries it out.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING

from trunkline.calls import sound

if TYPE_CHECKING:
    from trunkline.calls.course import Course
    from trunkline.media.audio import Audio
    from trunkline.media.material import Frame
    from trunkline.media.playback import Playback

__all__ = ["Playing"]


class Playing:
    """Files and streams that everybody in the call hears."""

    _course: Course

    def play(
        self,
        audio: Audio | AsyncIterable[Frame],
        *,
        times: int = 1,
        gain: float = 1.0,
        exclusive: bool = False,
        at_once: bool = False,
        sample_rate: int | None = None,
    ) -> Playback:
        """Play to everybody in the call; awaiting what this returns tells when all of it was heard.

        What is played while something else is waits for its turn. Cancelling the task that awaits it stops it.

        Args:
            audio: The path of a file, or its bytes: WAV (PCM of 8, 16, 24 or 32 bits, float, µ-law, A-law), MP3, FLAC or Ogg Opus. Or
                an asynchronous iterator of int16 samples.
            times: How often; 0 for until it is stopped.
            gain: What it is multiplied by, 0 to 16.
            exclusive: The parties hear nothing else meanwhile; else it is mixed over what they say.
            at_once: Wait for no turn: it is mixed over what is played already or, with `exclusive`, heard in its place.
            sample_rate: Of an iterator: 8000, 16000, 24000, 32000 or 48000 Hz.

        Returns:
            What pauses, moves and stops it. Awaited, it gives whether all of it was played: False when it was stopped or a party
            went; it raises `AudioError` when it cannot be read, or is no audio, and the call goes on.

        Raises:
            AudioError: Too many wait already.
            CallEnded: The call is over.
            CallStateError: Nobody is answered.
            ValueError: An argument is out of range.

        Example:
            await call.play("welcome.wav")
            music = call.play("music.mp3", times=0)
        """
        return sound.playback(
            self._course,
            audio,
            times=times,
            gain=gain,
            exclusive=exclusive,
            at_once=at_once,
            sample_rate=sample_rate,
        )
