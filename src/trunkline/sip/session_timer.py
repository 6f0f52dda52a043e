"""Session timers (RFC 4028): what both sides agree on how long a session lasts unless it is refreshed, and who refreshes it.

One `SessionTimer` a dialog, without clock or I/O: `invite.py`, `invite_session.py` and the test kit hand it requests,
responses and the time; it gives back headers and the next thing that is due. A side that cannot do timers gets none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from trunkline.sip.endpoint import Message, Parameterized, SipParseError, read_number

__all__ = ["Due", "SessionTimer", "SessionTimes", "requires", "supports"]

LOWEST_S = 90
"""No side may insist on less, or ask for less (RFC 4028 §4, §5)."""

HIGHEST_S = 7 * 24 * 3_600
"""What is believed at most of a Session-Expires or Min-SE; the RFC has no bound, and a timer needs one."""

MAX_TOO_BRIEF = 3
"""422 that are heeded in one dialog: a server that always wants more is not asked for ever."""

FAREWELL_MARGIN_S = 32.0
"""How long before the end an unrefreshed session is given up, or a third of its time where that is less (§10)."""

SHORTEST_S = 4
"""What is believed at least: a session that must be refreshed all the time is an attack."""

SHORTEST_RETRY_S = 4.0
"""A refresh that failed is tried again at half of the time that is left, until that is less than this."""

Header = tuple[str, str]

_AS_UAC = {"us": ";refresher=uac", "them": ";refresher=uas", None: ""}


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """What we ask for."""

    expires_s: int = 1_800
    """How long a session lasts without refresh; 0 for no timers at all, whatever the other side asks for."""
    min_se_s: int = LOWEST_S
    """The least that we agree to."""
    refresher: Literal["us", "them"] | None = None
    """Whom an INVITE of ours asks to refresh; whom the other side chooses unless given."""


class Due(Enum):
    """What a timer asks for."""

    REFRESH = "refresh"
    """It is ours to refresh the session."""
    FAREWELL = "farewell"
    """Nobody refreshed it in time: BYE (§10)."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A Session-Expires as it was written."""

    expires_s: int
    refresher: str | None


def supports(message: Message, option: str) -> bool:
    """Whether a message lists an option tag in Supported or Require."""
    return option in _tags(message, "Supported") or requires(message, option)


def requires(message: Message, option: str) -> bool:
    """Whether a message lists an option tag in Require."""
    return option in _tags(message, "Require")


def _tags(message: Message, name: str) -> list[str]:
    """The option tags of a header."""
    return [tag.lower() for tag in message.values(name)]


def _wanted(message: Message) -> _Wanted | None:
    """The Session-Expires of a message; None where it has none, or one that cannot be read."""
    written = message.header("Session-Expires")
    if written is None:
        return None
    try:
        value = Parameterized.parse(written)
    except SipParseError:
        return None
    seconds, refresher = read_number(value.token), (value.param("refresher") or "").lower()
    if seconds is None:
        return None
    return _Wanted(min(seconds, HIGHEST_S), refresher if refresher in ("uac", "uas") else None)


def _min_se_s(message: Message) -> int:
    """Their Min-SE; the RFC's lowest where they say nothing that can be read (§5)."""
    try:
        value = message.integer("Min-SE")
    except SipParseError:
        value = None
    return min(max(value or 0, LOWEST_S), HIGHEST_S)


class SessionTimer:
    """The timer of one dialog.

    Args:
        times: What we ask for.
    """

    def __init__(self, times: SessionTimes) -> None:
        self._times = times
        self._min_se_s = max(times.min_se_s, LOWEST_S)
        self._least_s = 0
        self._too_brief_left = MAX_TOO_BRIEF
        self._ours = True
        self._since_s = 0.0
        self._refresh_at_s = 0.0
        self.expires_s = 0
        """How long the session lasts without refresh; 0 while nothing is agreed."""

    @property
    def enabled(self) -> bool:
        """Whether we take part at all."""
        return self._times.expires_s > 0

    @property
    def refreshes(self) -> bool:
        """Whether refreshing is ours."""
        return self.expires_s > 0 and self._ours

    # --- requests of ours -------------------------------------------------------------------------------------------

    def asking(self) -> list[Header]:
        """The headers of an INVITE or UPDATE of ours (§7.1, §7.4). `Supported: timer` goes with them."""
        if not self.enabled:
            return []
        expires_s = max(self.expires_s or self._times.expires_s, self._least_s, self._min_se_s)
        # §7.4: who refreshes goes on doing so
        who = ("us" if self._ours else "them") if self.expires_s else self._times.refresher
        headers = [("Session-Expires", f"{expires_s}{_AS_UAC[who]}")]
        least_s = max(self._least_s, self._min_se_s)
        # §7.1: a Min-SE of 90 need not be said
        return [*headers, ("Min-SE", str(least_s))] if least_s > LOWEST_S else headers

    def too_brief(self, response: Message) -> bool:
        """Note a 422; whether the request is to be sent again with more (§7.3)."""
        least_s = _min_se_s(response)
        if (
            not self.enabled
            or not self._too_brief_left
            or response.header("Min-SE") is None
            or least_s <= self._least_s
        ):
            return False
        self._too_brief_left -= 1
        self._least_s = least_s
        return True

    def agreed(self, response: Message, now_s: float) -> None:
        """A 2xx to our INVITE or UPDATE: it says what holds from now on (§7.2)."""
        wanted = _wanted(response) if self.enabled else None
        if wanted is None:
            # §7.2: no Session-Expires, no expiry, even if there was one before
            self.expires_s = 0
            return
        self._stand(wanted.expires_s, wanted.refresher != "uas", now_s)

    def not_refreshed(self, now_s: float) -> None:
        """Our refresh was refused or could not be sent: it is tried again while there is time."""
        left_s = self._farewell_at_s - now_s
        self._refresh_at_s = now_s + left_s / 2 if left_s / 2 >= SHORTEST_RETRY_S else self._farewell_at_s

    # --- requests of theirs -----------------------------------------------------------------------------------------

    def refusal(self, request: Message) -> list[Header] | None:
        """The headers of the 422 that their INVITE or UPDATE gets; None where it asks for enough (§9).

        One that cannot do timers had a proxy write that Session-Expires, and would not understand 422. What stands, since
        their 2xx said it, is enough: a refresh that is refused would end the call.
        """
        wanted = _wanted(request) if self.enabled else None
        enough_s = min(self._min_se_s, self.expires_s or self._min_se_s)
        if wanted is None or wanted.expires_s >= enough_s or not supports(request, "timer"):
            return None
        return [("Min-SE", str(self._min_se_s))]

    def answering(self, request: Message, now_s: float) -> list[Header]:
        """Take what their INVITE or UPDATE asks for; the headers of our 2xx (§9, table 2)."""
        able = supports(request, "timer")
        wanted = _wanted(request) if self.enabled else None
        if wanted is None and not (self.enabled and able):
            self.expires_s = 0
            return []
        least_s = max(self._min_se_s, _min_se_s(request))
        asked_s = wanted.expires_s if wanted is not None else HIGHEST_S
        # §9: never more than they ask for, never less than their Min-SE
        expires_s = min(asked_s, max(self.expires_s or self._times.expires_s, least_s))
        theirs = able and wanted is not None and wanted.refresher == "uac"
        self._stand(expires_s, not theirs, now_s)
        headers = [("Session-Expires", f"{self.expires_s};refresher={'uac' if theirs else 'uas'}")]
        # §9: what they are to do must be understood; what we do needs no support of theirs
        return [("Require", "timer"), *headers] if theirs else headers

    # --- time -------------------------------------------------------------------------------------------------------

    def next(self) -> tuple[float, Due] | None:
        """When what is due; None while nothing is agreed."""
        if not self.expires_s:
            return None
        if self._ours and self._refresh_at_s < self._farewell_at_s:
            return self._refresh_at_s, Due.REFRESH
        return self._farewell_at_s, Due.FAREWELL

    def refreshing(self) -> None:
        """Our refresh is on its way: until its answer only the end is due."""
        self._refresh_at_s = self._farewell_at_s

    @property
    def _farewell_at_s(self) -> float:
        return self._since_s + self.expires_s - min(FAREWELL_MARGIN_S, self.expires_s / 3)

    def _stand(self, expires_s: int, ours: bool, now_s: float) -> None:
        self.expires_s = max(expires_s, SHORTEST_S)
        self._ours = ours
        self._since_s = now_s
        # §7.2, §10: at half of the time
        self._refresh_at_s = now_s + self.expires_s / 2
