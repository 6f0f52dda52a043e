"""Music on hold: what a party hears while the other one's phone holds it (RFC 3264 §8.4).

Whose phone holds says what is heard: `Party.music_on_hold`. A channel asks here whenever what is agreed on it takes effect. The hold
crosses as ever, so that the held phone shows it, with one change: a holder that says inactive is passed on as sendonly,
since otherwise nothing might be sent to the held party. Where that one agrees to hear nothing, nothing is played.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.calls.codecs import theirs
from trunkline.calls.link import Stage
from trunkline.errors import AudioError
from trunkline.media.material import material_of
from trunkline.media.play_queue import PlayQueue
from trunkline.media.playback import Playback

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.media.engine import Leg
    from trunkline.sip.endpoint import Direction

__all__ = ["HoldMusic", "passed_hold"]

_HOLDS: frozenset[Direction] = frozenset({"sendonly", "inactive"})
"""What a side does that wants to hear nothing."""
_WE_MAY_SEND: frozenset[Direction] = frozenset({"sendrecv", "sendonly"})


def passed_hold(holder: Channel, held: Channel, direction: Direction) -> Direction:
    """The direction in which the held side is offered a hold: one in which music can be sent to it.

    Args:
        holder: The side whose phone holds.
        held: The other side.
        direction: What it would be offered without music.
    """
    if direction != "inactive" or not _music_of(holder) or held.plan is None:
        return direction
    return direction if theirs(held.plan) in _HOLDS else "sendonly"


def _music_of(holder: Channel) -> str:
    return holder.party.music_on_hold if holder.party is not None else ""


def music_for(channel: Channel) -> str:
    """What the party of a channel is to hear now; "" for nothing."""
    other = channel.link.other(channel) if channel.link is not None else None
    if other is None or not _music_of(other) or channel.stage is not Stage.UP or other.stage is not Stage.UP:
        return ""
    here, there = channel.plan, other.plan
    if here is None or there is None or here.fax is not None or there.fax is not None:
        return ""
    held = theirs(there) in _HOLDS and here.direction in _WE_MAY_SEND
    return _music_of(other) if held else ""


class HoldMusic:
    """The music that the party of one channel hears, or does not."""

    __slots__ = ("_playing", "_task")

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._playing = ""

    @staticmethod
    def attend(channel: Channel) -> None:
        """What is agreed on a channel has changed: let it and the other side hear what they are to hear now."""
        channel.music.update(channel)
        if channel.link is not None:
            other = channel.link.other(channel)
            other.music.update(other)

    def update(self, channel: Channel) -> None:
        """Begin, go on, or end."""
        wanted = music_for(channel)
        if wanted == self._playing:
            return
        self.stop()
        leg = channel.leg
        if wanted and leg is not None and leg.is_open:
            self._playing = wanted
            self._task = channel.env.spawn(_play(channel, leg, wanted), name=f"music on hold {wanted}")

    def stop(self) -> None:
        """Nothing is heard any more. Idempotent."""
        task, self._task, self._playing = self._task, None, ""
        if task is not None:
            task.cancel()


async def _play(channel: Channel, leg: Leg, path: str) -> None:
    """Play it until it is stopped; a file that cannot be played leaves the party in silence, as without music."""
    try:
        media = channel.env.media
        material = material_of(media, Path(path), times=0, sample_rate=None)
        await Playback(media, lambda: [leg], material, PlayQueue(), times=0, gain=1.0, exclusive=True, at_once=True)
    except AudioError as error:
        channel.log.warning("no music on hold: %s", error)
