"""What an application says of a call that is to be placed or answered, checked before anything of it is sent.

`CallSession` and `server.originating` ask here; what is wrong is a `ValueError` that names the argument.
"""

from __future__ import annotations

import re

from trunkline.calls.destinations import Destination, ToLine, ToUser, Wanted, placings, wanted
from trunkline.calls.peers import Placing

__all__ = ["MAX_REDIRECTS", "check_line", "checked_wanted", "one_destination"]

MAX_REDIRECTS = 10
"""Targets of redirections that one call may follow."""

_BREAKS = re.compile(r"[\r\n\x00]")


def check_line(argument: str, text: str | None) -> None:
    """ValueError where a text cannot stand in one line of a message: it has CR, LF or NUL, or is no Unicode."""
    if text and (_BREAKS.search(text) or not (text.isascii() or _encodes(text))):
        raise ValueError(f"{argument}: has a line break, or another character that no message can carry")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_wanted(to: Destination, said: Placing) -> Wanted:
    """What is to be placed. ValueError where it is nothing that can be placed, or a text has a line break.

    Args:
        to: Where to.
        said: What the application said of the call, for every destination alike.
    """
    whole = wanted(to, said)
    if not 0 <= (said.follow_redirects or 0) <= MAX_REDIRECTS:
        raise ValueError(f"follow_redirects: 0 to {MAX_REDIRECTS} targets are sensible")
    check_line("caller_name", said.caller_name)
    check_line("caller_id", said.caller_id)
    for placing in placings(whole):
        check_line("dial_number", placing.dial_number)
    return whole


def one_destination(to_user: str | None, to_line: str | None, to: Destination | None) -> Destination:
    """The destination of which exactly one is given, or a ValueError."""
    if (to_user, to_line, to).count(None) != 2:
        raise ValueError("exactly one of to_user, to_line and to is to be given")
    if to is not None:
        return to
    return ToUser(to_user) if to_user is not None else ToLine(to_line or "")
