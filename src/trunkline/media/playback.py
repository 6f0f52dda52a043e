"""Audio that is played to the parties of a call: read on a thread, written ahead into each leg's ring, over when the last sample was said.

Made by `CallSession.play`. The ring holds two seconds, so that neither a disk nor a busy loop is heard.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from typing import Protocol

from trunkline.errors import AudioError
from trunkline.media.audio import Audio, WaveReader
from trunkline.media.engine import MediaEngine, PcmSource

__all__ = ["Playback"]

AHEAD_FRAMES = 100
"""Frames of 20 ms that wait in a leg's ring."""
PIECE_S = 0.5
"""What is read at once."""


class Target(Protocol):
    """A leg or a room."""

    @property
    def number(self) -> int: ...
    def want_audio(self, wanted: bool) -> None: ...


class Playback:
    """One piece of audio on its way to one or two legs, or a room.

    Args:
        engine: The media engine of the legs.
        legs: Who hears it.
        audio: A WAV file's path or bytes.
        times: How often; 0 for until it is stopped.
        gain: What it is multiplied by, 0 to 16.
        exclusive: Nothing else is heard meanwhile; else it is mixed over the call.
    """

    def __init__(
        self, engine: MediaEngine, legs: Sequence[Target], audio: Audio, *, times: int, gain: float, exclusive: bool
    ) -> None:
        self._engine = engine
        self._legs = legs
        self._audio = audio
        self._times = times
        self._gain = gain
        self._exclusive = exclusive
        self._sources: list[tuple[Target, PcmSource]] = []
        self._open = 0
        self._complete = True
        self._over = asyncio.Event()

    async def run(self) -> bool:
        """Play it to its end; cancelled, it stops. Whether all of it was played: False when a party went.

        Raises:
            AudioError: It is no audio.
        """
        reader = await self._engine.on_thread(WaveReader, self._audio)
        try:
            self._start(reader.sample_rate)
            await self._feed(reader)
            for _, source in self._sources:
                source.finish()
            await self._over.wait()
        finally:
            self._stop()
            reader.close()
        return self._complete

    def pause(self, paused: bool = True) -> None:
        """Be silent, or go on from there."""
        for _, source in self._sources:
            source.pause(paused)

    def set_gain(self, gain: float) -> None:
        """Multiply what is played from now on, by 0 to 16."""
        self._gain = gain
        for _, source in self._sources:
            source.set_gain(gain)

    def _start(self, sample_rate: int) -> None:
        for leg in self._legs:
            try:
                source = self._engine.open_source(
                    leg.number, sample_rate, self._ended, frames=AHEAD_FRAMES, exclusive=self._exclusive
                )
            except FileNotFoundError:
                self._complete = False
                continue
            source.set_gain(self._gain)
            self._open += 1
            self._sources.append((leg, source))
            leg.want_audio(True)
        if not self._open:
            self._over.set()

    async def _feed(self, reader: WaveReader) -> None:
        piece = int(reader.sample_rate * PIECE_S)
        played = 0
        while not self._over.is_set():
            samples = await self._engine.on_thread(reader.read, piece)
            if samples:
                await self._write(samples)
                continue
            played += 1
            if played == self._times:
                return
            if not reader.sample_rate or await self._is_empty(reader):
                raise AudioError(f"{reader.name} has no samples")

    async def _is_empty(self, reader: WaveReader) -> bool:
        """Begin anew; whether there is nothing to begin with."""
        reader.rewind()
        first = await self._engine.on_thread(reader.read, 1)
        reader.rewind()
        return not first

    async def _write(self, samples: array[int]) -> None:
        """Give the samples to every leg at its pace."""
        left = [(source, memoryview(samples)) for _, source in self._sources]
        while left and not self._over.is_set():
            left = [(source, rest[source.write(rest) :]) for source, rest in left if source.is_open]
            left = [(source, rest) for source, rest in left if rest]
            if left:
                await asyncio.sleep(PIECE_S / 2)

    def _ended(self, complete: bool) -> None:
        self._complete = self._complete and complete
        self._open -= 1
        if not self._open:
            self._over.set()

    def _stop(self) -> None:
        for leg, source in self._sources:
            self._engine.driver.end_stream(leg.number, source.number)
            leg.want_audio(False)
        self._sources.clear()
