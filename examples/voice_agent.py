"""A voice agent: it hears a caller out, thinks in a thread, answers while it still thinks, and is silent when it is interrupted.

Its model is a parrot; put yours into `think`. Run it with `trunkline serve examples.voice_agent:server`, and call anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator

from trunkline import CallEnded, CallSession, SipServer
from trunkline.hearing_events import SpeechStarted, SpeechStopped
from trunkline.media.stream import AudioStream

log = logging.getLogger("voice_agent")

RATE = 16_000
FRAMES_PER_S = 50
LONGEST_S = 20
"""What is remembered of a caller who does not stop."""
AROUND_S = 0.4
"""Speech is told to have ended 200 ms after it did, and begins a little before it is known."""

server = SipServer(realm="pbx.example", listen=["udp://0.0.0.0:5060"])
server.add_user("alice", password=os.environ.get("ALICE_PASSWORD", "change me"))


def parrot(said: bytes) -> bytes:
    """The model: int16 samples of what a caller said in, what is answered out. It may take its time: no loop waits for it."""
    return said


async def think(said: bytes) -> AsyncIterator[bytes]:
    """The answer in pieces as they are ready; a model that streams gives its first one early."""
    answer = await asyncio.to_thread(parrot, said)
    for begin in range(0, len(answer), RATE // 5):
        yield answer[begin : begin + RATE // 5]


class Agent:
    """What is said to one caller, and what was heard of him."""

    def __init__(self, call: CallSession, audio: AudioStream) -> None:
        self._call, self._audio = call, audio
        self._heard: deque[bytes] = deque(maxlen=LONGEST_S * FRAMES_PER_S)
        self._answer: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Remember the last seconds, to the end of the call. Nothing here may take long: a second unread is lost."""
        try:
            async for frame in self._audio:
                self._heard.append(bytes(frame))
        finally:
            self.interrupt()

    def interrupt(self) -> None:
        """Think and say no more of the present answer: what waits to be said is forgotten."""
        if self._answer is not None and not self._answer.done():
            log.info("call %d: interrupted", self._call.id)
            self._answer.cancel()
            self._audio.clear()

    def answer(self, spoken_s: float) -> None:
        """Answer what was said in the last seconds."""
        self.interrupt()
        frames = int((spoken_s + AROUND_S) * FRAMES_PER_S)
        self._answer = asyncio.create_task(self._say(b"".join(list(self._heard)[-frames:])))

    async def _say(self, said: bytes) -> None:
        try:
            async for piece in think(said):
                await self._audio.write(piece)
        except CallEnded:
            return
        if await self._audio.played(self._audio.mark()):
            log.info("call %d: answered", self._call.id)


agents: dict[int, Agent] = {}


@server.on_incoming_call
async def receive(call: CallSession) -> None:
    """One coroutine a call: it listens until the caller hangs up."""
    await call.answer()
    async with call.audio(sample_rate=RATE) as audio:
        agents[call.id] = Agent(call, audio)
        call.watch_speech()
        try:
            await agents[call.id].listen()
        finally:
            del agents[call.id]


@server.on_speech_started
async def speaks(event: SpeechStarted) -> None:
    """Barge-in."""
    if agent := agents.get(event.call.id):
        agent.interrupt()


@server.on_speech_stopped
async def has_spoken(event: SpeechStopped) -> None:
    """The caller's turn is over."""
    if agent := agents.get(event.call.id):
        agent.answer(event.duration_s)
