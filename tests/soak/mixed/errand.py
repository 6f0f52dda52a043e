"""One thing that happens in the mixed soak: what its script is given, and how everything that it began is ended.

`mix` lists the scripts. A script returns a word for how it went; what it raises is a failure of the soak, and so is an errand that takes
too long.
"""

from __future__ import annotations

import asyncio
from random import Random

from tests.soak.mixed.people import ACCOUNT, PASSWORD, Guest, People, Provider
from trunkline.testing import CallRefused, ScriptedCall

__all__ = ["PATIENCE_S", "Errand"]

PATIENCE_S = 60.0
"""How long the server may take for one step: longer than 64*T1, on a busy machine."""

MOBILE = "15559876543"


class Errand:
    """What a script has at hand.

    Args:
        people: The peers.
        kind: Which script it is; numbers that are dialled begin with it.
        serial: Its number; it shows as the caller's name.
        random: Its own.
    """

    def __init__(self, people: People, kind: str, serial: int, random: Random) -> None:
        self.people = people
        self.kind = kind
        self.name = f"errand {serial}"
        self.random = random
        self._serial = serial
        self._calls: list[ScriptedCall] = []
        self._guests: list[Guest] = []
        self._arriving = people.expect(self.name)

    # --- who takes part -----------------------------------------------------------------------------------------------

    @property
    def alice(self) -> Guest:
        """A phone that meets no fault."""
        return self.people.phones["alice"]

    async def guest(self, *, registers_s: int = 0, password: str = PASSWORD) -> Guest:
        """A phone of a user that nobody else has meanwhile.

        Args:
            registers_s: What it registers for; 0 for not at all.
            password: Its password, perhaps a wrong one.
        """
        user = await self.people.guests.get()
        phone = await self.people.phone(user, password=password)
        self._guests.append(phone)
        if registers_s:
            await phone.register(registers_s)
        return phone

    # --- calls --------------------------------------------------------------------------------------------------------

    def number(self, target: str) -> str:
        """What is dialled so that the server calls this target."""
        return f"{self.kind}-{target}-{self._serial}"

    def dial(self, phone: Guest, target: str) -> ScriptedCall:
        """A phone calls."""
        return self.note(phone.dial(self.number(target), display_name=self.name))

    def dial_in(self, provider: Provider, target: str) -> ScriptedCall:
        """A mobile calls over a provider."""
        number = self.number(target)
        return self.note(provider.dial(ACCOUNT, number=number, caller_id=MOBILE, caller_name=self.name))

    def call_somehow(self, target: str | None = None) -> ScriptedCall:
        """One of the calls that no fault meets: from a phone to a phone or line, or from a line to a phone."""
        if self.random.random() < 0.4:
            provider = self.people.providers[self.random.choice(("steady", "named"))]
            return self.dial_in(provider, target or self.random.choice(("bob", "alice", "team")))
        return self.dial(self.alice, target or self.random.choice(("bob", "team", "steady", "named")))

    async def arrival(self) -> ScriptedCall:
        """The next call that is this errand's."""
        async with asyncio.timeout(PATIENCE_S):
            return self.note(await self._arriving.get())

    async def connect(self, near: ScriptedCall) -> ScriptedCall:
        """The call that a placed one leads to, ringing and then answered."""
        far = await self.arrival()
        far.ring()
        await self.pause(0.3)
        far.answer()
        await near.wait_answered(PATIENCE_S)
        # its ACK too: before that nothing may be offered (RFC 3261 §14.1)
        await far.wait_answered(PATIENCE_S)
        return far

    async def pause(self, longest_s: float) -> None:
        """Some time passes."""
        await asyncio.sleep(self.random.uniform(0.02, longest_s))

    async def hang_up(self, *calls: ScriptedCall) -> None:
        """One of these hangs up, and then all are over."""
        self.random.choice(calls).hangup()
        for call in calls:
            await call.wait_ended(PATIENCE_S)

    async def refused(self, near: ScriptedCall) -> int:
        """The status that a call fails with."""
        try:
            await near.wait_answered(PATIENCE_S)
        except CallRefused as error:
            return error.status
        return 200

    def note(self, call: ScriptedCall) -> ScriptedCall:
        """It is ended with the errand."""
        self._calls.append(call)
        return call

    # --- the end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End what is up, and have its guests go."""
        while not self._arriving.empty():
            self.note(self._arriving.get_nowait())
        self.people.expect_no_more(self.name)
        for call in self._calls:
            # who has vanished says nothing any more
            if not isinstance(call.agent, (Guest, Provider)) or call.agent.here:
                call.hangup()
        for phone in self._guests:
            await phone.leave()
            self.people.guests.put_nowait(phone.name)
