"""What an application learns by ear: who speaks, who has answered, how good it sounds. A part of `CallSession`.

The media workers tell where one kind of sound ends and another begins (`Leg.attend`); what that means is decided here and by
`calls.answerer`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.calls.answerer import Answerer, AnswererRules, Judge
from trunkline.calls.link import Stage
from trunkline.constants import ChannelId
from trunkline.errors import CallEnded, CallStateError
from trunkline.hearing_events import SpeechStarted, SpeechStopped
from trunkline.media.engine import Leg, can_transcode
from trunkline.media.quality import LegQuality
from trunkline.media.sound import SoundHeard

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.calls.course import Course

__all__ = ["CallQuality", "Hearing"]

ANSWERER_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class CallQuality:
    """How good a call sounds, leg by leg; a party's whole way is the sum of both legs."""

    zero: LegQuality | None
    """Of the leg that arrived, or was dialled first."""
    one: LegQuality | None
    """Of the leg that was placed; None where there is none."""


class Hearing:
    """What is heard in a call."""

    _course: Course

    @property
    def quality(self) -> CallQuality:
        """How good the call sounds up to now: loss, jitter, round trip and MOS of each leg, both ways."""
        one = self._course.one
        return CallQuality(self._course.zero.quality, one.quality if one is not None else None)

    def watch_speech(self, wanted: bool = True) -> None:
        """Tell by `on_speech_started` and `on_speech_stopped` when each party speaks, or no longer.

        It is for the parties that are answered now; called again it is for those that came since, too. Their audio is decoded
        meanwhile; what is relayed goes on being relayed.

        Args:
            wanted: False to end it.

        Raises:
            CallEnded: The call is over.
        """
        self._course.check_open()
        for channel in self._course.channels:
            leg = channel.leg
            if channel.stage is not Stage.UP or leg is None:
                continue
            watched = next((each for each in leg.attendants if isinstance(each, _Speech)), None)
            if wanted and watched is None:
                leg.attend(_Speech(self._course, channel))
            elif not wanted and watched is not None:
                leg.unattend(watched)

    async def detect_answerer(
        self,
        *,
        timeout_s: float = ANSWERER_TIMEOUT_S,
        wait_for_beep: bool = False,
        rules: AnswererRules | None = None,
        channel: ChannelId | None = None,
    ) -> Answerer:
        """Find out who has answered: a human, a machine, a machine's beep, a fax, or nobody.

        Call it as soon as the party has answered: it judges what is heard from then on.

        Args:
            timeout_s: After how many seconds it says what it has.
            wait_for_beep: Go on after a machine is known until its beep is over, so that a message can be left.
            rules: Other thresholds.
            channel: Whom; who was called, unless given.

        Returns:
            Who it is, by which rule, and what was heard.

        Raises:
            CallEnded: The call, or the party, was over before.
            CallStateError: The party is not answered, or its codec is only relayed.
            ValueError: `timeout_s` is not positive.

        Example:
            result = await call.detect_answerer(wait_for_beep=True)
            if result.kind is AnsweredBy.BEEP:
                await call.play("message.wav")
        """
        if timeout_s <= 0:
            raise ValueError("timeout_s: must be more than 0")
        self._course.check_open()
        leg = _audible_leg(self._called(channel))
        judge = Judge(rules or AnswererRules(), timeout_s=timeout_s, wait_for_beep=wait_for_beep)
        return await _judged(leg, judge)

    def _called(self, channel: ChannelId | None) -> Channel:
        """The channel that is meant: who was placed, else who was dialled."""
        course = self._course
        if channel is ChannelId.ZERO or (channel is None and course.one is None):
            return course.zero
        if course.one is None:
            raise CallStateError("there is nobody on channel ONE")
        return course.one


def _audible_leg(channel: Channel) -> Leg:
    plan, leg = channel.plan, channel.leg
    if channel.stage is not Stage.UP or leg is None or plan is None:
        raise CallStateError(f"nobody is answered on channel {channel.id.name}")
    if not any(map(can_transcode, plan.receive_codecs)):
        raise CallStateError(f"the audio of channel {channel.id.name} is only relayed, for its codec cannot be decoded")
    return leg


async def _judged(leg: Leg, judge: Judge) -> Answerer:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    changed = asyncio.Event()

    def heard(sound: SoundHeard | None) -> None:
        if sound is not None:
            judge.change(sound.kind, max(sound.began_s - began_s, 0.0), sound.frequency_hz)
        changed.set()

    leg.attend(heard)
    heard(leg.sound)
    try:
        while True:
            now_s = loop.time() - began_s
            found = judge.verdict(now_s)
            if found is not None:
                return found
            if not leg.is_open:
                raise CallEnded("the party is gone")
            changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(began_s + judge.next_look_s(now_s)):
                    await changed.wait()
    finally:
        leg.unattend(heard)


class _Speech:
    """Tells of one party when it speaks."""

    def __init__(self, course: Course, channel: Channel) -> None:
        self._course = course
        self._channel = channel
        self._began_s: float | None = None

    def __call__(self, sound: SoundHeard | None) -> None:
        """From the leg: another kind of sound, or its end."""
        if sound is None or self._course.closed_reason is not None:
            return
        call, channel = self._course.call, self._channel.id
        began_s, self._began_s = self._began_s, None
        if sound.kind == "voice":
            self._began_s = sound.began_s
            self._course.emit(SpeechStarted(call, channel))
        elif began_s is not None:
            self._course.emit(SpeechStopped(call, channel, max(sound.began_s - began_s, 0.0), sound.ended_dbm0))
