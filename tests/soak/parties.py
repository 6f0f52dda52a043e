"""The parties of the soak, and the process that they have to themselves: what they remember of their calls is not the server's memory.

`crowd` starts it as `python -m tests.soak.parties` and speaks to it in lines of JSON. It says where its parties are, hears where the
server is, and then places the calls with the numbers that it is given, each to its end; it answers with null, or with what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from tests.soak.party import Call, Heard, Party
from tests.soak.scripts import KINDS, MIX

AT_ONCE = 60
"""Calls that go on at a time; a fifth of them wait for 64*T1. So few that the first 4,000 take longer than timer D."""


class Parties:
    """Who calls and who is called."""

    def __init__(self) -> None:
        self.caller = Party("15550100")
        self.phone = Party("alice")
        self.callee = Party("callee", self._invited)
        self._meetings: dict[str, asyncio.Future[Call]] = {}
        self._scripts: set[asyncio.Task[None]] = set()

    @property
    def all(self) -> tuple[Party, Party, Party]:
        """Each of them."""
        return self.caller, self.callee, self.phone

    async def open(self) -> None:
        """Open their sockets."""
        await self.caller.open("127.0.0.1")
        await self.callee.open("127.0.0.1")
        # by another address: who calls from a line's is believed without a proof
        await self.phone.open("127.0.0.2")

    async def place(self, numbers: Iterable[int]) -> None:
        """Place the calls with these numbers, many at once, each to its end."""
        left = iter(numbers)

        async def work() -> None:
            for number in left:
                await self._place(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    async def _place(self, number: int) -> None:
        kind = MIX[number % len(MIX)]
        dialled = f"{kind}-{number}"
        party = self.phone if KINDS[kind].from_phone else self.caller
        meeting = self._meetings[dialled] = asyncio.get_running_loop().create_future()
        call = party.call(dialled)
        try:
            await KINDS[kind].caller(call, meeting)
        except Exception as error:
            error.add_note(f"in the call to {dialled}")
            raise
        finally:
            del self._meetings[dialled]
            party.finish(call)

    def _invited(self, call: Call, invite: Heard) -> None:
        if invite.uri.removeprefix("sip:").partition("@")[0] not in self._meetings:
            self.callee.late += 1  # a repeat from long ago
            return
        task = asyncio.get_running_loop().create_task(self._answer(call, invite))
        self._scripts.add(task)
        task.add_done_callback(self._scripts.discard)

    async def _answer(self, call: Call, invite: Heard) -> None:
        dialled = invite.uri.removeprefix("sip:").partition("@")[0]
        meeting = self._meetings[dialled]
        try:
            await KINDS[dialled.partition("-")[0]].callee(call, invite)
        except Exception as error:
            if not meeting.done():
                meeting.set_exception(error)
        else:
            if not meeting.done():
                meeting.set_result(call)
        finally:
            self.callee.finish(call)


def _say(words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


async def _hear() -> Any:
    """The next order; None when whoever gives them is gone."""
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else None


async def main() -> None:
    """Do what the lines on standard input say, until there are no more."""
    parties = Parties()
    await parties.open()
    _say([(party.host, party.port) for party in parties.all])
    host, port = await _hear()
    for party in parties.all:
        party.server = (host, port)
    while (numbers := await _hear()) is not None:
        try:
            await parties.place(range(*numbers))
        except Exception:
            _say(traceback.format_exc())
        else:
            _say(None)


if __name__ == "__main__":
    asyncio.run(main())
