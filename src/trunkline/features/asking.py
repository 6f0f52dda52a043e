"""What the features say to a caller, what they ask, and whom they have him talk to.

Menu, queue, voicemail and parking use it. A prompt that cannot be played is told in the log and left out: a missing file costs a
caller the words, not the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from trunkline import AtOnce, AudioError, CallFailed, CallState, ToLine, ToUser

if TYPE_CHECKING:
    from trunkline import CallSession

__all__ = ["Prompt", "To", "answer", "ask", "ringback", "say", "talk"]

log = logging.getLogger("trunkline.features")

Prompt: TypeAlias = "str | Path | bytes | Sequence[str | Path | bytes] | None"
"""Audio as `CallSession.play` takes it, several one after another, or None for nothing."""

To: TypeAlias = "ToUser | ToLine | AtOnce | Sequence[To]"
"""Whom to call, as `CallSession.accept` takes it."""


def parts(prompt: Prompt) -> tuple[str | Path | bytes, ...]:
    """The pieces of a prompt."""
    if prompt is None:
        return ()
    return (prompt,) if isinstance(prompt, str | Path | bytes) else tuple(prompt)


async def answer(call: CallSession) -> None:
    """Answer the call, unless it is answered.

    Raises:
        CallEnded: The caller has gone.
    """
    if call.state is not CallState.ANSWERED:
        await call.answer()


async def say(call: CallSession, prompt: Prompt) -> None:
    """Play a prompt to its end.

    Raises:
        CallEnded: The caller has gone.
    """
    for audio in parts(prompt):
        with _logged(call):
            await call.play(audio)


async def ask(call: CallSession, prompt: Prompt, *, timeout_s: float) -> str:
    """Play a prompt, which a digit ends, and wait for one.

    Args:
        call: The caller's.
        prompt: What is said.
        timeout_s: Seconds from the end of the prompt.

    Returns:
        The digit; "" where none came.

    Raises:
        CallEnded: The caller has gone.
    """
    for audio in parts(prompt):
        with _logged(call):
            digit = await call.gather(audio, max_digits=1, terminator="", timeout_s=0)
            if digit:
                return digit
    return await call.gather(max_digits=1, terminator="", timeout_s=timeout_s)


@contextlib.contextmanager
def _logged(call: CallSession) -> Iterator[None]:
    try:
        yield
    except AudioError as error:
        log.error("call %d: a prompt is left out: %s", call.id, error)


@contextlib.asynccontextmanager
async def ringback(call: CallSession, country: str) -> AsyncIterator[None]:
    """Have an answered caller hear ringing, where a tone of that plan is wanted.

    Args:
        call: The caller's.
        country: As `CallSession.play_tone` takes it; "" for silence.
    """
    ringing = asyncio.ensure_future(call.play_tone("ringback", country=country)) if country else None
    try:
        yield
    finally:
        if ringing is not None:
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)


async def talk(call: CallSession, to: To, *, timeout_s: float, country: str = "") -> bool:
    """Call somebody, and have the caller talk to whoever answers.

    Args:
        call: The caller's, answered.
        to: Whom.
        timeout_s: Seconds until it is given up.
        country: Of the ringing tone; "" for none.

    Returns:
        Whether they talked; they have parted then.

    Raises:
        CallEnded: The caller has gone before.
    """
    try:
        async with ringback(call, country):
            phone = await call.dial(to, timeout_s=timeout_s)
    except CallFailed as failure:
        log.info("call %d: nobody took it: %s", call.id, failure)
        return False
    try:
        await call.bridge(phone)
    except CallFailed as failure:
        log.info("call %d: %s", call.id, failure)
        return False
    finally:
        phone.close()
    return True
