"""Where the redirections of one attempt lead (RFC 3261 §8.1.3.4): Contacts by their q, none twice, a few at most.

`Attempt` asks after each failure. A peer for which none are followed has its 3xx told to the application, as moved.
"""

from __future__ import annotations

from trunkline.sip.dialog import request_uri
from trunkline.sip.endpoint import Message, NameAddr, SipParseError, Uri, read_q

__all__ = ["Redirections"]

MAX_CONTACTS = 10
"""Contacts of one 3xx that are looked at."""


class Redirections:
    """The targets that an attempt was sent on to.

    Args:
        target: Where it went first.
        limit: How many targets are tried besides; 0 for none.
    """

    def __init__(self, target: Uri, limit: int) -> None:
        self._seen = {request_uri(target)} if limit else set()
        self._left = limit
        self._waiting: list[Uri] = []

    def take(self, response: Message) -> None:
        """Note the Contacts of a 3xx: they are tried before those that an earlier one named."""
        if self._left == 0 or not 300 <= response.status < 400:
            return
        try:
            contacts = response.contacts[:MAX_CONTACTS]
        except SipParseError:
            return
        fresh = []
        for contact in sorted(contacts, key=_preference, reverse=True):
            # §8.1.3.4: no loop; a sips or tel URI names nobody that an INVITE can be sent to from here
            uri = request_uri(contact.uri)
            if contact.uri.scheme == "sip" and contact.uri.host and uri not in self._seen:
                self._seen.add(uri)
                fresh.append(contact.uri)
        self._waiting[:0] = fresh

    @property
    def left(self) -> int:
        """How many more may be tried."""
        return self._left

    def next(self) -> Uri | None:
        """The next one to try; None when none is left, or enough were tried."""
        if not self._waiting or self._left == 0:
            return None
        self._left -= 1
        return self._waiting.pop(0)


def _preference(contact: NameAddr) -> float:
    """The q of a Contact (§20.10); 1 where it has none that can be read."""
    text = contact.param("q")
    preference = read_q(text) if text is not None else None
    return 1.0 if preference is None else preference
