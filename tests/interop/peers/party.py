"""Both ends of a call under one face, whatever program plays them, so that one test tells a flow for all of them.

`Party` is what such a test uses. `Talker` is baresip or linphonec, `MobileParty` the test kit's agent, `SippParty` SIPp, whose scenario
answers and hangs up by itself and whose ear is a capture. Used by the tests of the flows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from peers import audio
from peers.baresip import Baresip
from peers.capture import Capture
from peers.linphone import Linphone
from peers.mobile import Mobile
from peers.process import wait_until
from peers.sipp import Run, Sipp

TALK_MS = 2000
"""How long SIPp talks before it hangs up by itself."""
CHALLENGE = 401
"""What the server under test challenges an INVITE with: it is the user agent that is called (RFC 3261 §22.2)."""


class Party(Protocol):
    """One end of a call.

    Attributes:
        tone_hz: what it plays.
        gap_ms: how long a silence in what it records may be although no packet is missing.
    """

    tone_hz: float
    gap_ms: int

    def expect(self) -> None:
        """Get ready to be called."""

    def dial(self, number: str) -> None:
        """Place a call."""

    def wait_incoming(self) -> None:
        """Wait until it is called, and ring."""

    def answer(self) -> None:
        """Answer the call that rings."""

    def wait_established(self) -> None:
        """Wait until the call is up; it then plays its tone."""

    def wait_tone(self, duration_s: float) -> audio.Tone:
        """Wait for so much sound, and measure it."""

    def hangup(self) -> None:
        """End the call."""

    def wait_closed(self) -> None:
        """Wait until the call is over; an error if it did not end as the party was told that it would."""


class Talker:
    """baresip or linphonec; the jitter buffers of both put in silence when the machine is busy."""

    gap_ms = 150

    def __init__(self, program: Baresip | Linphone, tone_hz: float) -> None:
        self.program, self.tone_hz = program, tone_hz

    def expect(self) -> None:
        """It always is."""

    def dial(self, number: str) -> None:
        self.program.dial(number)

    def wait_incoming(self) -> None:
        self.program.wait_incoming()

    def answer(self) -> None:
        self.program.answer()

    def wait_established(self) -> None:
        self.program.wait_established()

    def wait_tone(self, duration_s: float) -> audio.Tone:
        return audio.measure(self.program.wait_heard(duration_s))

    def hangup(self) -> None:
        self.program.hangup()

    def wait_closed(self) -> None:
        self.program.wait_closed()


class MobileParty:
    """The test kit's mobile."""

    gap_ms = 0

    def __init__(self, mobile: Mobile) -> None:
        self.mobile, self.tone_hz = mobile, mobile.tone_hz

    def expect(self) -> None:
        """It always is."""

    def dial(self, number: str) -> None:
        self.mobile.dial(number)

    def wait_incoming(self) -> None:
        self.mobile.wait_incoming()

    def answer(self) -> None:
        self.mobile.answer()

    def wait_established(self) -> None:
        self.mobile.wait_established()

    def wait_tone(self, duration_s: float) -> audio.Tone:
        return self.mobile.wait_tone(duration_s)

    def hangup(self) -> None:
        self.mobile.hangup()

    def wait_closed(self) -> None:
        ended = self.mobile.wait_closed()
        assert ended.how == "bye"


class SippParty:
    """SIPp: each call is a run of a scenario.

    Args:
        sipp: it.
        traffic: a capture of its namespace.
        server: "address:port" of whom it calls.
        tone: raw mu-law.
        tone_hz: its frequency.
        dials: the scenario with which it calls.
        answers: the scenario with which it is called.
    """

    gap_ms = 0

    def __init__(
        self, sipp: Sipp, traffic: Capture, server: str, tone: Path, tone_hz: float, *, dials: str, answers: str
    ) -> None:
        self.sipp, self.tone_hz = sipp, tone_hz
        self._traffic, self._server, self._tone, self._dials, self._answers = traffic, server, tone, dials, answers
        self._run: Run | None = None

    @property
    def run(self) -> Run:
        """The call that it is in or was last in."""
        assert self._run is not None, "there was no call"
        return self._run

    def calls_with(self, scenario: str) -> None:
        """Place the next calls with another scenario."""
        self._dials = scenario

    def answers_with(self, scenario: str) -> None:
        """Take the next calls with another scenario."""
        self._answers = scenario

    def expect(self) -> None:
        self._run = self.sipp.start(self._answers, self._server, pause_ms=TALK_MS, tone=self._tone)

    def dial(self, number: str) -> None:
        self._run = self.sipp.start(
            self._dials, self._server, dials=number, pause_ms=TALK_MS, tone=self._tone, challenge=CHALLENGE
        )

    def wait_incoming(self) -> None:
        self.run.wait_message(r"^INVITE sip:")

    def answer(self) -> None:
        """Its scenario does, a moment after it rang."""

    def wait_established(self) -> None:
        self.run.wait_message(r"^ACK sip:(?s:.)*^CSeq: \d+ ACK")

    def wait_tone(self, duration_s: float) -> audio.Tone:
        def enough() -> audio.Tone | None:
            # The last stream is this call's.
            for stream in [one for one in self._traffic.streams() if one.target[0] == self.sipp.address][-1:]:
                heard = self._traffic.heard(stream.target).sounding()
                if heard.duration_s >= duration_s:
                    return replace(audio.measure(heard), gaps_ms=(20 * stream.lost,) if stream.lost else ())
            return None

        return wait_until(enough, 15.0, f"{duration_s:g} s of sound to SIPp")

    def hangup(self) -> None:
        """Its scenario does, or the other party."""

    def wait_closed(self) -> None:
        self.run.wait_successful()
