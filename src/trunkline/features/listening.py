"""How a user listens to voice messages from a phone: what is said, and what each key does.

`features.voicemail` makes a `Listening` once the PIN is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.features.asking import Prompt, ask, say
from trunkline.features.mailboxes import Counts, Mailboxes

if TYPE_CHECKING:
    from trunkline import CallSession
    from trunkline.features.mailboxes import VoiceMessage

__all__ = ["Listened", "Listening", "VoicemailPrompts"]

log = logging.getLogger("trunkline.features")

MAX_KEYS = 1_000
"""Keys of one call."""
UNANSWERED = 3
"""How often in a row it asks without an answer."""


def _silent(counts: Counts) -> Sequence[str | Path | bytes]:
    return ()


@dataclass(frozen=True, slots=True)
class VoicemailPrompts:
    """What voicemail says; what is None is left out.

    Attributes:
        greeting: To a caller, before the tone.
        full: To a caller whose message finds no room.
        pin: Asks for the PIN.
        wrong_pin: It was another one.
        counts: Makes of the counts what tells them: "you have", "two", "new messages".
        keys: Says which key does what, after each message.
        saved: The message is kept.
        deleted: It is deleted.
        no_more: There are no more messages.
        goodbye: The end.
    """

    greeting: Prompt = None
    full: Prompt = None
    pin: Prompt = None
    wrong_pin: Prompt = None
    counts: Callable[[Counts], Sequence[str | Path | bytes]] = _silent
    keys: Prompt = None
    saved: Prompt = None
    deleted: Prompt = None
    no_more: Prompt = None
    goodbye: Prompt = None


@dataclass(frozen=True, slots=True)
class Listened:
    """What a user did with his messages."""

    proven: bool
    """Whether the PIN was right; without it nothing was played."""
    heard: int = 0
    kept: int = 0
    deleted: int = 0


class Listening:
    """One user who listens to the messages that are there when it begins.

    Args:
        call: Whose phone listens.
        user: Whose messages.
        mailboxes: Where they are.
        prompts: What is said.
    """

    def __init__(self, call: CallSession, user: str, mailboxes: Mailboxes, prompts: VoicemailPrompts) -> None:
        self._call = call
        self._user = user
        self._mailboxes = mailboxes
        self._prompts = prompts
        self._keys = 0
        self._heard = self._kept = self._deleted = 0

    async def run(self) -> Listened:
        """Play them one after another.

        Raises:
            CallEnded: He hung up.
            StorageError: They cannot be read or changed.
        """
        await self._tell_counts()
        for message in await asyncio.to_thread(self._mailboxes.messages, self._user):
            self._heard += 1
            if not await self._one(message):
                break
        else:
            await say(self._call, self._prompts.no_more)
        await say(self._call, self._prompts.goodbye)
        return Listened(True, self._heard, self._kept, self._deleted)

    async def _tell_counts(self) -> None:
        counts = await asyncio.to_thread(self._mailboxes.counts, self._user)
        await say(self._call, self._prompts.counts(counts))

    async def _one(self, message: VoiceMessage) -> bool:
        """Play one message until a key says what becomes of it; whether there is to be another."""
        said: Prompt = message.path
        unanswered = 0
        while self._keys < MAX_KEYS and unanswered < UNANSWERED:
            key = await ask(self._call, said, timeout_s=0.1) or await ask(self._call, self._prompts.keys, timeout_s=5)
            self._keys += 1
            said, unanswered = None, 0 if key else unanswered + 1
            match key:
                case "1":
                    said = message.path
                case "2":
                    await self._keep(message)
                    return True
                case "3":
                    await self._delete(message)
                    return True
                case "#":
                    return True
                case "0":
                    await self._tell_counts()
                case "*":
                    return False
        return False

    async def _keep(self, message: VoiceMessage) -> None:
        await asyncio.to_thread(self._mailboxes.save, self._user, message)
        self._kept += 1
        await say(self._call, self._prompts.saved)

    async def _delete(self, message: VoiceMessage) -> None:
        await asyncio.to_thread(self._mailboxes.delete, self._user, message)
        self._deleted += 1
        await say(self._call, self._prompts.deleted)
