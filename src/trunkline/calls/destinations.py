"""Whom an application wants called: a user, a line's number, several at once, several in turn.

`accept(to=…)` and `dial(to=…)` take them. `wanted` makes of them what the layers below place: a `Placing` for each user
and line, put together by `Several`; `plan` turns that into steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trunkline.calls.peers import Placing
from trunkline.constants import PeerType

__all__ = ["MAX_DESTINATIONS", "AtOnce", "Destination", "Several", "ToLine", "ToUser", "Wanted", "placings", "wanted"]

MAX_DESTINATIONS = 64
"""Users and lines of one placing: each holds a transaction, and those that ring at once ring together."""


@dataclass(frozen=True, slots=True)
class ToUser:
    """A user, all of whose phones ring.

    Args:
        name: The user.
        timeout_s: Seconds that it may ring before it counts as failed; None for as long as the whole placing may.
    """

    name: str
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class ToLine:
    """A number, called through a line or a line group.

    Args:
        name: The line or the group.
        dial_number: The number; what the call was placed for where it is not given.
        timeout_s: Seconds until it counts as failed; None for as long as the whole placing may take.
    """

    name: str
    dial_number: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, init=False)
class AtOnce:
    """Several destinations that ring together; whoever answers first has the call.

    A list among them is tried in turn while the others ring.

    Args:
        parts: The destinations.
        timeout_s: Seconds until all of them count as failed; None for as long as the whole placing may take.

    Example:
        await call.accept(to=[ToUser("alice", timeout_s=15), AtOnce(ToUser("bob"), ToLine("trunks", "+15550100"))])
    """

    parts: tuple[Destination, ...]
    timeout_s: float | None

    def __init__(self, *parts: Destination, timeout_s: float | None = None) -> None:
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "timeout_s", timeout_s)


Destination: TypeAlias = "ToUser | ToLine | AtOnce | Sequence[Destination]"
"""Whom to call. A list is tried in turn: the next when one has failed or its time is over."""


@dataclass(frozen=True, slots=True)
class Several:
    """Several that are placed together or one after the other."""

    parts: tuple[Wanted, ...]
    at_once: bool
    timeout_s: float | None = None


Wanted: TypeAlias = "Placing | Several"


def wanted(to: Destination, said: Placing) -> Wanted:
    """What is to be placed.

    Args:
        to: What the application wrote.
        said: What it said of the call, for every destination alike; its peer is left out of account, and its number where
            a destination names one of its own.

    Raises:
        ValueError: There is nobody in it, or too many, a time limit is not positive, or it is no destination.
    """

    def made(part: Destination) -> Wanted:
        if isinstance(part, ToUser):
            return _limited(said._replace(peer_type=PeerType.USER, peer_name=part.name), part.timeout_s)
        if isinstance(part, ToLine):
            number = said.dial_number if part.dial_number is None else part.dial_number
            to_line = said._replace(peer_type=PeerType.LINE, peer_name=part.name, dial_number=number)
            return _limited(to_line, part.timeout_s)
        at_once = isinstance(part, AtOnce)
        if not at_once and (isinstance(part, str) or not isinstance(part, Sequence)):
            raise ValueError(f"to: {part!r} is no destination; ToUser, ToLine, AtOnce and lists of them are")
        parts = part.parts if isinstance(part, AtOnce) else part
        if not parts:
            raise ValueError("to: there is nobody to call")
        limit = part.timeout_s if isinstance(part, AtOnce) else None
        return Several(tuple(made(each) for each in parts), at_once, _limit(limit))

    whole = made(to)
    if sum(1 for _ in placings(whole)) > MAX_DESTINATIONS:
        raise ValueError(f"to: more than {MAX_DESTINATIONS} destinations")
    return whole


def placings(of: Wanted) -> Iterator[Placing]:
    """All users and lines in it, in the order in which they were written."""
    if isinstance(of, Placing):
        yield of
    else:
        for part in of.parts:
            yield from placings(part)


def _limited(placing: Placing, timeout_s: float | None) -> Wanted:
    return placing if timeout_s is None else Several((placing,), at_once=True, timeout_s=_limit(timeout_s))


def _limit(timeout_s: float | None) -> float | None:
    if timeout_s is not None and timeout_s <= 0:
        raise ValueError("timeout_s: must be more than 0")
    return timeout_s
