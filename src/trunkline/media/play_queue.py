"""Turns at being played: what is played in a call while something else is waits until that is over.

A call or a conference has one; its playbacks stand in line from `play` on, unless they begin at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trunkline.errors import AudioError

if TYPE_CHECKING:
    from trunkline.media.playback import Playback

__all__ = ["PlayQueue"]

MAX_WAITING = 100
"""Playbacks that may wait in a call."""


class PlayQueue:
    """First come, first heard. Belongs to the loop."""

    def __init__(self) -> None:
        self._line: list[Playback] = []
        self._at_once: set[Playback] = set()
        self._moved = asyncio.Event()

    def enter(self, playback: Playback, *, at_once: bool) -> None:
        """Stand in line; or, `at_once`, beside it.

        Raises:
            AudioError: Too many wait already.
        """
        if at_once:
            self._at_once.add(playback)
        elif len(self._line) > MAX_WAITING:
            raise AudioError(f"{MAX_WAITING} others wait to be played already")
        else:
            self._line.append(playback)

    def leave(self, playback: Playback) -> None:
        """It is over, or will never begin: who stands behind it moves on."""
        self._at_once.discard(playback)
        if playback in self._line:
            self._line.remove(playback)
            self._moved.set()
            self._moved = asyncio.Event()

    async def turn(self, playback: Playback) -> None:
        """Wait until it is its turn; it has it until it leaves."""
        while playback not in self._at_once and self._line[0] is not playback:
            await self._moved.wait()
