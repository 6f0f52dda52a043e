"""Voicemail: callers leave messages, users listen to them from a phone, and their phones show how many wait (RFC 3842).

An application calls `leave` where nobody answered, and `listen` where a user dials his mailbox. `features.mailboxes` keeps the messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import io
import logging
import math
import wave
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trunkline import AudioError, CallEnded, ConfigurationError, StorageError, TrunklineError, UnknownPeer
from trunkline.events import RegisterUserSuccess
from trunkline.features.asking import Prompt, answer, ask, say
from trunkline.features.listening import Listened, Listening, VoicemailPrompts
from trunkline.features.mailboxes import Counts, Draft, Mailboxes, MailboxFull
from trunkline.hearing_events import SpeechStarted, SpeechStopped

if TYPE_CHECKING:
    from trunkline import CallSession, SipServer
    from trunkline.features.mailboxes import VoiceMessage

__all__ = ["Left", "LeftEnd", "Voicemail"]

T = TypeVar("T")

log = logging.getLogger("trunkline.features")

WRONG_PINS = 10
"""Wrong PINs after which a mailbox is locked, however many calls they came in."""
LOCKED_S = 900.0
LOOK_S = 0.5
"""How often it is looked whether a caller is silent."""


class LeftEnd(Enum):
    """How the recording of a message ended."""

    KEY = "key"
    """The caller pressed # or *."""
    SILENCE = "silence"
    """The caller said nothing any more."""
    TOO_LONG = "too_long"
    """The message was as long as one may be."""
    HUNG_UP = "hung_up"
    """The caller hung up."""
    FULL = "full"
    """Nothing was recorded: the mailbox is full."""
    FAILED = "failed"
    """Nothing was recorded: the disk, or the prompt of the greeting's end, did not let it; the log says why."""


@dataclass(frozen=True, slots=True)
class Left:
    """What became of a caller who was to leave a message."""

    end: LeftEnd
    message: VoiceMessage | None
    """The message; None where nothing was recorded, or too little to be one."""


@dataclass(slots=True)
class _Box:
    """What is known of a user's mailbox."""

    pin: str = field(repr=False)
    greeting: Prompt
    wrong: int = 0
    locked_until_s: float = 0.0


class Voicemail:
    """The mailboxes of a server's users.

    Args:
        server: Whose users they are; their phones are told what waits when they register and whenever that changes.
        folder: Where messages are kept.
        prompts: What is said.
        max_message_s: How long a message may be, 1 to 3600 seconds.
        min_message_s: How long it has to be.
        silence_s: Seconds of silence that end it, 1 to 60.
        max_messages: Of one mailbox.
        max_bytes: Of one mailbox's recordings.

    Raises:
        ConfigurationError: A number is out of range.

    Example:
        voicemail = Voicemail(server, "voicemail", VoicemailPrompts(greeting="greeting.wav"))
        voicemail.add_box("alice", pin="2468")

        @server.on_incoming_call
        async def route(call):
            if call.dial_number == "*97":
                await voicemail.listen(call, call.from_peer_name)
            else:
                await voicemail.leave(call, "alice")
            call.close()
    """

    def __init__(
        self,
        server: SipServer,
        folder: Path | str,
        prompts: VoicemailPrompts | None = None,
        *,
        max_message_s: float = 180.0,
        min_message_s: float = 1.0,
        silence_s: float = 5.0,
        max_messages: int = 100,
        max_bytes: int = 200_000_000,
    ) -> None:
        check("max_message_s", max_message_s, 1, 3_600)
        check("min_message_s", min_message_s, 0, max_message_s)
        check("silence_s", silence_s, 1, 60)
        check("max_messages", max_messages, 1, 10_000)
        self.mailboxes = Mailboxes(folder, max_messages=max_messages, max_bytes=max_bytes)
        """Where the messages are, for whoever shows them elsewhere."""
        self._server = server
        self._prompts = prompts or VoicemailPrompts()
        self._max_message_s = max_message_s
        self._min_message_s = min_message_s
        self._silence_s = silence_s
        self._boxes: dict[str, _Box] = {}
        self._speakers: dict[int, Callable[[bool], None]] = {}
        server.on_register_user_success(self._registered)
        server.on_speech_started(self._started)
        server.on_speech_stopped(self._stopped)

    def add_box(self, user: str, *, pin: str, greeting: Prompt = None) -> None:
        """Give a user a mailbox. What was left in it before is still there.

        Args:
            user: The user.
            pin: 4 to 12 digits; asked for whenever the mailbox is listened to.
            greeting: What callers hear instead of the greeting of `prompts`.

        Raises:
            ConfigurationError: The PIN is none, or the user has a mailbox.
        """
        if not 4 <= len(pin) <= 12 or not (pin.isascii() and pin.isdigit()):
            raise ConfigurationError(f"{user}.pin", "4 to 12 digits")
        if user in self._boxes:
            raise ConfigurationError(user, "there is a mailbox of that user already")
        self._boxes[user] = _Box(pin, greeting)

    def remove_box(self, user: str) -> None:
        """Have a user's mailbox take and tell nothing any more; its messages stay on the disk. UnknownPeer where there is none."""
        self._box(user)
        del self._boxes[user]

    async def counts(self, user: str) -> Counts:
        """How many messages a user has. StorageError where they cannot be read, UnknownPeer where there is no mailbox."""
        self._box(user)
        return await self._on_thread(self.mailboxes.counts, user)

    async def show(self, user: str) -> None:
        """Have the user's phones show what waits; done by itself whenever that changes here.

        Raises:
            StorageError: The messages cannot be read.
            UnknownPeer: There is no such mailbox.
        """
        counts = await self.counts(user)
        # the mailbox may outlive its user, and the call the server
        with contextlib.suppress(TrunklineError):
            self._server.set_message_waiting(user, new=counts.new, old=counts.saved)

    # --- leaving a message ------------------------------------------------------------------------------------------

    async def leave(self, call: CallSession, user: str) -> Left:
        """Greet a caller and record what he says, to its end by #, silence, hanging up, or length. The call is not closed.

        Args:
            call: The caller's; it is answered if it is not.
            user: For whom.

        Raises:
            CallEnded: The caller hung up before anything was recorded.
            UnknownPeer: The user has no mailbox.
        """
        box = self._box(user)
        await answer(call)
        try:
            draft = await self._on_thread(
                self._begin, user, call.caller_id if not call.anonymous else "", call.caller_name
            )
        except MailboxFull:
            await say(call, self._prompts.full)
            return Left(LeftEnd.FULL, None)
        except StorageError as error:
            log.error("call %d: %s", call.id, error)
            return Left(LeftEnd.FAILED, None)
        kept = False
        try:
            await self._greet(call, box.greeting or self._prompts.greeting)
            end, lasted_s = await self._record(call, draft)
            if lasted_s >= self._min_message_s:
                message = await self._on_thread(self.mailboxes.keep, draft, lasted_s)
                kept = True
                await self.show(user)
                return Left(end, message)
            return Left(end, None)
        except (AudioError, StorageError) as error:
            log.error("call %d: no message could be left: %s", call.id, error)
            return Left(LeftEnd.FAILED, None)
        finally:
            if not kept:
                await asyncio.shield(self._on_thread(self.mailboxes.drop, draft))

    def _begin(self, user: str, caller_id: str, caller_name: str) -> Draft:
        return self.mailboxes.begin(user, caller_id=caller_id, caller_name=caller_name)

    async def _greet(self, call: CallSession, greeting: Prompt) -> None:
        """Say the greeting, which a key cuts short, and the tone."""
        await ask(call, greeting, timeout_s=0)
        await call.play(tone())

    async def _record(self, call: CallSession, draft: Draft) -> tuple[LeftEnd, float]:
        """Record until it ends; how, and how many seconds were recorded."""
        loop = asyncio.get_running_loop()
        with self._listening(call) as quiet:
            async with call.record(draft.recording, encoding="pcm"):
                began_s = loop.time()
                key = asyncio.ensure_future(self._key(call))
                try:
                    end = await self._end(key, quiet, began_s)
                finally:
                    key.cancel()
                    await asyncio.gather(key, return_exceptions=True)
                lasted_s = loop.time() - began_s
        if end is LeftEnd.SILENCE and not quiet.spoke:
            return end, 0.0
        return end, lasted_s

    async def _key(self, call: CallSession) -> LeftEnd:
        try:
            while True:
                if await call.gather(max_digits=1, terminator="", timeout_s=60) in ("#", "*"):
                    return LeftEnd.KEY
        except CallEnded:
            return LeftEnd.HUNG_UP

    async def _end(self, key: asyncio.Future[LeftEnd], quiet: _Quiet, began_s: float) -> LeftEnd:
        """How the message ends."""
        loop = asyncio.get_running_loop()
        longest_s = began_s + self._max_message_s
        while True:
            until_s = min(longest_s, quiet.since_s + self._silence_s)
            await asyncio.wait((key,), timeout=min(max(until_s - loop.time(), 0.01), LOOK_S))
            if key.done():
                return key.result()
            if loop.time() >= longest_s:
                return LeftEnd.TOO_LONG
            if loop.time() >= quiet.since_s + self._silence_s:
                return LeftEnd.SILENCE

    @contextlib.contextmanager
    def _listening(self, call: CallSession) -> Iterator[_Quiet]:
        """Know since when the caller says nothing."""
        quiet = _Quiet(asyncio.get_running_loop().time())
        self._speakers[call.id] = quiet.hear
        try:
            call.watch_speech()
            yield quiet
        finally:
            self._speakers.pop(call.id, None)
            with contextlib.suppress(CallEnded):
                call.watch_speech(False)

    # --- listening to it --------------------------------------------------------------------------------------------

    async def listen(self, call: CallSession, user: str) -> Listened:
        """Ask for the PIN and play the user's messages, new ones first. The call is not closed.

        While it plays: 1 once more, 2 keep, 3 delete, # the next, 0 how many there are, * the end.

        Args:
            call: Whose phone listens; it is answered if it is not.
            user: Whose messages.

        Raises:
            CallEnded: He hung up meanwhile; what was kept and deleted stays so.
            StorageError: The messages cannot be read.
            UnknownPeer: The user has no mailbox.
        """
        box = self._box(user)
        await answer(call)
        if not await self._proves(call, box):
            await say(call, self._prompts.goodbye)
            return Listened(False)
        listening = Listening(call, user, self.mailboxes, self._prompts)
        try:
            return await listening.run()
        finally:
            await self.show(user)

    async def _proves(self, call: CallSession, box: _Box) -> bool:
        """Whether the PIN is known: three times a call, ten times in a row altogether."""
        loop = asyncio.get_running_loop()
        for _ in range(3):
            if loop.time() < box.locked_until_s:
                return False
            given = await self._pin(call)
            if given and hmac.compare_digest(given.encode(), box.pin.encode()):
                box.wrong = 0
                return True
            box.wrong += 1
            if box.wrong >= WRONG_PINS:
                box.wrong, box.locked_until_s = 0, loop.time() + LOCKED_S
                log.warning("call %d: a mailbox is locked for %g s: too many wrong PINs", call.id, LOCKED_S)
            await say(call, self._prompts.wrong_pin)
        return False

    async def _pin(self, call: CallSession) -> str:
        first = await ask(call, self._prompts.pin, timeout_s=8)
        if first in ("", "#"):
            return ""
        return first + await call.gather(max_digits=11, terminator="#", timeout_s=4)

    # --- from the server --------------------------------------------------------------------------------------------

    async def _registered(self, event: RegisterUserSuccess) -> None:
        if event.user in self._boxes and not event.refresh:
            await self.show(event.user)

    async def _started(self, event: SpeechStarted) -> None:
        self._heard(event.call, True)

    async def _stopped(self, event: SpeechStopped) -> None:
        self._heard(event.call, False)

    def _heard(self, call: CallSession, speaks: bool) -> None:
        speaker = self._speakers.get(call.id)
        if speaker is not None:
            speaker(speaks)

    def _box(self, user: str) -> _Box:
        if user not in self._boxes:
            raise UnknownPeer(f"no mailbox of {user}")
        return self._boxes[user]

    async def _on_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.to_thread(work, *args)


class _Quiet:
    """Since when a caller says nothing; never while he speaks."""

    def __init__(self, now_s: float) -> None:
        self.since_s = now_s
        self.spoke = False

    def hear(self, speaks: bool) -> None:
        self.spoke = True
        self.since_s = math.inf if speaks else asyncio.get_running_loop().time()


@lru_cache
def tone() -> bytes:
    """The tone after which a caller speaks: 1000 Hz for 0.4 s, at -12 dBm0."""
    rate, peak = 8_000, 5_700
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(array("h", (int(peak * math.sin(math.tau * n / 8)) for n in range(rate * 2 // 5))).tobytes())
    return file.getvalue()


def check(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number that is out of its range. ConfigurationError names it."""
    if not least <= value <= most:
        raise ConfigurationError(name, f"{least:g} to {most:g}, not {value}")
