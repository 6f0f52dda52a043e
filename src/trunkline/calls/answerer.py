"""Who has answered: a human, a machine, a machine's beep, a fax, or nobody, judged by when there was voice, silence or a tone.

A `Judge` is told the changes of sound since the answer and says what it makes of them; it knows no clock and no leg. The thresholds are
data, `AnswererRules`. `calls.hearing` feeds it from the media workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from trunkline.media.sound import Sound

__all__ = ["AnsweredBy", "Answerer", "AnswererRules", "Judge", "Segment"]


MOMENT_S = 0.001
"""How long after a threshold is looked, so that rounding does not hide that it was passed."""


class AnsweredBy(Enum):
    """Who has answered."""

    HUMAN = "human"
    """A short greeting, and then somebody waits."""
    MACHINE = "machine"
    """Talks on and on; its beep was not heard."""
    BEEP = "beep"
    """A machine whose beep is over: a message can be left now."""
    FAX = "fax"
    """The tone of a fax machine or modem."""
    SILENCE = "silence"
    """Nobody said anything."""


class FaxTone(NamedTuple):
    """A tone by which fax machines are known."""

    name: str
    frequency_hz: float
    tolerance_hz: float
    at_least_s: float
    at_most_s: float
    """Longer ones are none; infinite for one that is known while it lasts."""


FAX_TONES = (
    FaxTone("answer tone (CED, ITU-T T.30 §4.3.3.2; ANSam, V.8)", 2100.0, 15.0, 1.0, float("inf")),
    FaxTone("calling tone (CNG, ITU-T T.30 §4.3.3.3)", 1100.0, 38.0, 0.4, 0.7),
)
"""CED lasts 2.6 to 4 s, CNG half a second every 3.5 s."""


@dataclass(frozen=True, slots=True)
class AnswererRules:
    """By what a human is told from a machine, in seconds. The defaults suit greetings in European languages and English."""

    silence_s: float = 5.0
    """Nobody says anything for this long: silence."""
    greeting_s: float = 2.2
    """A greeting of a human lasts no longer, its pauses not counted."""
    utterances: int = 3
    """A human says no more than so many things without waiting."""
    pause_s: float = 0.8
    """After so long a pause somebody waits for us to speak."""
    beep_s: float = 0.1
    """A beep lasts at least this long."""
    longest_beep_s: float = 4.0
    """A tone that lasts longer is no beep but a machine's or the network's."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of a kind of sound. Times are in seconds since the judging began."""

    sound: Sound
    began_s: float
    ended_s: float
    frequency_hz: float = 0.0
    """Of a tone."""

    @property
    def lasted_s(self) -> float:
        """How long it lasted."""
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who has answered, and why that is believed."""

    kind: AnsweredBy
    reason: str
    """The rule that decided, with its numbers."""
    decided_s: float
    """Seconds since the judging began."""
    segments: tuple[Segment, ...]
    """What was heard, in order; the last one up to the decision."""

    @property
    def utterances(self) -> tuple[Segment, ...]:
        """What was said."""
        return tuple(each for each in self.segments if each.sound == "voice")

    @property
    def frequency_hz(self) -> float:
        """Of the last tone; 0 where there was none."""
        return next((each.frequency_hz for each in reversed(self.segments) if each.sound == "tone"), 0.0)


Verdict = tuple[AnsweredBy, str]


class Judge:
    """Judges who has answered.

    Args:
        rules: The thresholds.
        timeout_s: When it says what it has.
        wait_for_beep: Go on after a machine is known, until its beep is over.
    """

    def __init__(self, rules: AnswererRules, *, timeout_s: float, wait_for_beep: bool) -> None:
        self._rules = rules
        self._timeout_s = timeout_s
        self._wait_for_beep = wait_for_beep
        self._over: list[Segment] = []
        self._now = Segment("silence", 0.0, 0.0)
        self._machine: str = ""

    def change(self, sound: Sound, at_s: float, frequency_hz: float = 0.0) -> None:
        """Another kind of sound began.

        Args:
            sound: Which.
            at_s: When it began, which is before now.
            frequency_hz: Of a tone.
        """
        at_s = max(at_s, self._now.began_s)
        if at_s > self._now.began_s:
            self._over.append(self._until(at_s))
        self._now = Segment(sound, at_s, at_s, frequency_hz)

    def verdict(self, now_s: float) -> Answerer | None:
        """Who it is; None while that is open."""
        for rule in self._rule_order():
            found = rule(now_s)
            if found is not None and not self._goes_on(found):
                return self._answerer(*found, now_s)
        if now_s >= self._timeout_s:
            return self._answerer(*self._at_the_end(now_s), now_s)
        return None

    def next_look_s(self, now_s: float) -> float:
        """When `verdict` may have one though nothing has changed."""
        rules, now = self._rules, self._now
        looks = [self._timeout_s]
        if now.sound == "voice":
            looks.append(now.began_s + max(rules.greeting_s - self._spoken_before_s, 0.0))
        elif now.sound == "tone":
            looks += [now.began_s + tone.at_least_s for tone in FAX_TONES if _is(now, tone)]
            looks.append(now.began_s + rules.longest_beep_s)
        elif self._voices:
            looks.append(self._voices[-1].ended_s + rules.pause_s)
        else:
            looks.append(rules.silence_s)
        # what passed a threshold by half a moment was looked at
        later = (look + MOMENT_S for look in looks if look + MOMENT_S / 2 > now_s)
        return min(later, default=now_s + self._timeout_s)

    # --- the rules, each of which says a verdict or nothing ----------------------------------------------------------

    def _rule_order(self) -> tuple[Callable[[float], Verdict | None], ...]:
        return self._fax, self._beep, self._talks_on, self._waits, self._silent

    def _fax(self, now_s: float) -> Verdict | None:
        whole = [(each, True) for each in self._over if each.sound == "tone"]
        for each, ended in (*whole, (self._until(now_s), False)):
            for tone in FAX_TONES:
                if _is(each, tone) and self._is_fax(each, tone, ended):
                    return AnsweredBy.FAX, f"{tone.name}: {each.frequency_hz:.0f} Hz for {each.lasted_s:.2f} s"
        return None

    def _is_fax(self, heard: Segment, tone: FaxTone, ended: bool) -> bool:
        if heard.lasted_s < tone.at_least_s:
            return False
        if tone.at_most_s == float("inf"):
            return True
        # after a greeting it is a beep; while it lasts it may become too long
        greeted = any(each.began_s < heard.began_s for each in self._voices)
        return ended and heard.lasted_s <= tone.at_most_s and not greeted

    def _beep(self, now_s: float) -> Verdict | None:
        for each in self._over:
            if each.sound == "tone" and each.lasted_s >= self._rules.beep_s:
                return AnsweredBy.BEEP, f"a beep of {each.frequency_hz:.0f} Hz for {each.lasted_s:.2f} s has ended"
        now = self._until(now_s)
        if now.sound == "tone" and now.lasted_s >= self._rules.longest_beep_s:
            return AnsweredBy.MACHINE, f"a tone of {now.frequency_hz:.0f} Hz does not end"
        return None

    def _talks_on(self, now_s: float) -> Verdict | None:
        spoken_s = self._spoken_before_s
        count = len(self._voices)
        if self._now.sound == "voice":
            spoken_s += now_s - self._now.began_s
            count += 1
        if spoken_s >= self._rules.greeting_s:
            return AnsweredBy.MACHINE, f"has spoken for {spoken_s:.2f} s; a greeting lasts {self._rules.greeting_s} s"
        if count > self._rules.utterances:
            return AnsweredBy.MACHINE, f"has said {count} things; a human says {self._rules.utterances} and waits"
        return None

    def _waits(self, now_s: float) -> Verdict | None:
        if not self._voices or self._now.sound in ("voice", "tone"):
            return None
        pause_s = now_s - self._voices[-1].ended_s
        if pause_s < self._rules.pause_s or self._machine:
            return None
        return AnsweredBy.HUMAN, f"spoke for {self._spoken_before_s:.2f} s and has waited for {pause_s:.2f} s"

    def _silent(self, now_s: float) -> Verdict | None:
        if self._voices or self._now.sound in ("voice", "tone") or now_s < self._rules.silence_s:
            return None
        return AnsweredBy.SILENCE, f"nobody has spoken for {now_s:.2f} s"

    def _at_the_end(self, now_s: float) -> Verdict:
        if self._machine:
            return AnsweredBy.MACHINE, self._machine
        if self._voices or self._now.sound == "voice":
            return AnsweredBy.HUMAN, f"has spoken for less than a machine's greeting when {now_s:.2f} s were over"
        return AnsweredBy.SILENCE, f"nobody has spoken for {now_s:.2f} s"

    # --- inside -------------------------------------------------------------------------------------------------------

    def _goes_on(self, found: Verdict) -> bool:
        """Whether a machine is known whose beep is waited for."""
        if found[0] is not AnsweredBy.MACHINE or not self._wait_for_beep:
            return False
        self._machine = self._machine or found[1]
        return True

    @property
    def _voices(self) -> list[Segment]:
        return [each for each in self._over if each.sound == "voice"]

    @property
    def _spoken_before_s(self) -> float:
        return sum(each.lasted_s for each in self._voices)

    def _until(self, at_s: float) -> Segment:
        now = self._now
        return Segment(now.sound, now.began_s, max(at_s, now.began_s), now.frequency_hz)

    def _answerer(self, kind: AnsweredBy, reason: str, now_s: float) -> Answerer:
        return Answerer(kind, reason, now_s, (*self._over, self._until(now_s)))


def _is(segment: Segment, tone: FaxTone) -> bool:
    return segment.sound == "tone" and abs(segment.frequency_hz - tone.frequency_hz) <= tone.tolerance_hz
