"""A mobile phone behind the provider, played by `trunkline.testing`'s agent on the host, steered like the other drivers.

The provider sends it what it does not know itself (`next_hop`), and takes its calls unchallenged at its mobile port. It rings when it
is called, plays its tone once it is answered, and hears by the agent's detector. Used by conftest.py's `mobile` fixture.
"""

from __future__ import annotations

import asyncio
from typing import Any

from peers import audio
from peers.loop import LoopThread
from peers.namespace import Namespace
from trunkline.sip.endpoint import Flow, NameAddr, Uri
from trunkline.testing.agent import Agent
from trunkline.testing.call import Ended, ScriptedCall
from trunkline.testing.referring import take_refers

NUMBER = "15559876"
WAIT_S = 10.0
FULL_SCALE_DBM0 = 3.14
"""What a sine of full scale measures (ITU-T G.711)."""


class Mobile:
    """A running mobile phone.

    Args:
        inside: the provider's namespace; it listens at the host's end of its link.
        tone_hz: what it plays.
        number: its own.
    """

    def __init__(self, inside: Namespace, tone_hz: float, number: str = NUMBER) -> None:
        self.number, self.tone_hz = number, tone_hz
        self.network: tuple[str, int] | None = None
        self._loop = LoopThread("mobile")
        self._current: ScriptedCall | None = None
        self.agent = self._loop.call(Agent, number, address=inside.host_address)
        try:
            self._loop.run(self.agent.start())
        except BaseException:
            self._loop.stop()
            raise

    @property
    def uri(self) -> str:
        """Where the provider sends its calls."""
        return f"sip:{self.agent.address}:{self.agent.port}"

    def take_refers(self) -> list[str]:
        """From now on take REFERs in its call and tell that they succeeded; the URIs that were asked for, as they come."""
        assert self._current is not None
        assert self._current.session is not None
        return self._loop.call(take_refers, self._current.session, 200)

    def dial(self, number: str) -> None:
        """Call a number by way of the provider, whose mobile side `network` is."""
        assert self.network is not None, "the provider is not known"
        self._current = self._loop.call(
            self.agent.place,
            Uri("sip", number, self.network[0], self.network[1]),
            Flow("udp", self.network),
            local=NameAddr(Uri("sip", self.number, "mobile.example"), "A Mobile"),
            remote=NameAddr(Uri("sip", number, "itsp.example")),
        )

    def wait_ringing(self, timeout_s: float = WAIT_S) -> int:
        """Wait until the other party rings, and return the status that says so."""
        return self._loop.run(self.current.wait_ringing(timeout_s)).status

    def wait_incoming(self, timeout_s: float = WAIT_S) -> ScriptedCall:
        """Wait until it is called, and ring."""
        self._current = self._loop.run(self.agent.next_call(timeout_s))
        self._loop.call(self._current.ring)
        return self._current

    def answer(self) -> None:
        """Answer the call that rings."""
        assert self._loop.call(self.current.answer), "the caller has given up"

    def reject(self, status: int) -> None:
        """Refuse the call that rings."""
        self._loop.call(self.current.reject, status)

    def wait_established(self, timeout_s: float = WAIT_S) -> None:
        """Wait until the call is answered and acknowledged, and play the tone."""
        self._loop.run(self.current.wait_answered(timeout_s))
        self._loop.call(self.current.play_tone, self.tone_hz)

    def hangup(self) -> None:
        """End the call, or refuse it, or give up."""
        self._loop.call(self.current.hangup)

    def wait_closed(self, timeout_s: float = WAIT_S) -> Ended:
        """Wait until the call is over, and say how."""
        return self._loop.run(self.current.wait_ended(timeout_s))

    def hold(self) -> None:
        """Put the call on hold by re-INVITE; done when it is agreed."""
        self._loop.run(self.current.hold())

    def resume(self) -> None:
        """Take the call off hold."""
        self._loop.run(self.current.resume())

    def dtmf(self, digits: str) -> None:
        """Send digits (RFC 4733)."""
        self._loop.call(self.current.send_digits, digits)

    @property
    def current(self) -> ScriptedCall:
        """The call that it is in or was last in."""
        assert self._current is not None, "there was no call"
        return self._current

    def call(self, function: Any, *args: Any, **options: Any) -> Any:
        """Call a function on its loop and return its result."""
        return self._loop.call(function, *args, **options)

    def wait_tone(self, duration_s: float, timeout_s: float = WAIT_S) -> audio.Tone:
        """Wait for sound, then hear it for so long."""
        heard = self._loop.run(self.current.hear_sound(duration_s, timeout_s=timeout_s), timeout_s)
        gaps_ms = (20 * heard.gaps,) if heard.gaps else ()
        level_dbfs = heard.level_dbm0 - FULL_SCALE_DBM0
        return audio.Tone(heard.frequency_hz, level_dbfs, heard.purity, heard.duration_s, gaps_ms)

    def wait_silent(self, for_s: float = 0.3, timeout_s: float = WAIT_S) -> None:
        """Wait until it has been sent no audio for so long."""
        self._loop.run(_hear_nothing(self.current, for_s), timeout_s)

    def wait_digits(self, wanted: str, timeout_s: float = WAIT_S) -> str:
        """Wait until it has been sent so many digits, and return them all."""
        return self._loop.run(_collect(self.current, len(wanted)), timeout_s)

    def stop(self) -> None:
        """Hang up and close its sockets."""
        self._loop.run(self.agent.stop())
        self._loop.stop()


async def _hear_nothing(call: ScriptedCall, for_s: float) -> None:
    while (await call.hear(for_s)).duration_s > 0:
        pass


async def _collect(call: ScriptedCall, count: int) -> str:
    digits = call.leg.heard().digits
    while len(digits) < count:
        await asyncio.sleep(0.05)
        digits += call.leg.heard().digits
    return digits
