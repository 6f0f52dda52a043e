"""What a real provider does not accept, for the test kit's provider: the facts of a line profile, checked on an INVITE.

`Itsp` asks it about each INVITE of an account whose password is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from trunkline.server.profile import Refusal
from trunkline.sip.endpoint import Message, NameAddr, SipParseError

__all__ = ["refusal_of"]


def refusal_of(message: Message, refusals: Iterable[Refusal]) -> Refusal | None:
    """The first of the provider's rules that an INVITE breaks; None where it breaks none."""
    anonymous = "id" in message.privacy
    return next((each for each in refusals if _asked(each, anonymous) and not _kept(message, each)), None)


def _asked(refusal: Refusal, anonymous: bool) -> bool:
    return refusal.anonymous is None or refusal.anonymous is anonymous


def _kept(message: Message, refusal: Refusal) -> bool:
    number = next((user for place in refusal.of if (user := _user(message, place)) is not None), "")
    return re.fullmatch(refusal.matches, number) is not None


def _user(message: Message, place: str) -> str | None:
    """The user part that stands there; None where there is nothing."""
    if place == "request-uri":
        return message.uri.user
    try:
        return next((NameAddr.parse(value).uri.user for value in message.values(place)), None)
    except SipParseError:
        return None
