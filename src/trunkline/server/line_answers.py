"""What a provider's answer to our REGISTER means: pure functions from messages to values.

`line_registration` calls them: the granted time, when to refresh, which kind of failure it was and how it is said in
words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from trunkline.explanation import Explanation
from trunkline.server.line_states import Happening
from trunkline.server.registration import expires_of
from trunkline.sip.endpoint import Challenge, Message, NameAddr, SipParseError
from trunkline.sip.request import Failure
from trunkline.sip.shown import shown_answer

__all__ = ["Cause", "LineFailure", "classify", "granted_s", "refresh_in_s"]

MAX_MIN_EXPIRES_S = 86_400
"""The longest Min-Expires that is asked for."""

EARLY_SHARE = 0.9
EARLY_S = 30.0


class Cause(Enum):
    """Which part of a REGISTER of ours failed."""

    ANSWER = auto()
    """The provider answered; its status says why."""
    SILENCE = auto()
    TRANSPORT = auto()
    NAME = auto()
    """No server was found."""
    CHALLENGE = auto()
    """The provider asks for an authentication that we cannot do."""
    NO_PASSWORD = auto()
    """It asks for a password and there is none."""


@dataclass(frozen=True, slots=True)
class LineFailure:
    """Why a REGISTER of ours did not succeed."""

    kind: Happening
    status: int
    """What the provider answered; 0 when it did not answer."""
    reason: str
    """In words."""
    retry_after_s: float | None = None
    min_expires_s: int | None = None
    """With `TOO_BRIEF`: what is to be asked for."""
    cause: Cause = Cause.ANSWER
    said: str = ""
    """The provider's own words, or the system's."""
    explanation: Explanation | None = None
    """What was sent, what came back, what to change."""

    @property
    def elsewhere(self) -> bool:
        """Whether another address of the provider may do better (RFC 3263 §4.3)."""
        return self.status in (0, 503)


_EXPLAINED = {
    403: "the provider refuses this account",
    404: "the provider does not know this account",
    408: "something behind the provider does not answer",
    480: "the provider is not ready",
    500: "the provider has an error of its own",
    503: "the provider is overloaded or under maintenance",
}


def classify(failure: Failure, asked_s: int) -> LineFailure:
    """Which kind of failure it is, and how it is said.

    Args:
        failure: What became of the REGISTER.
        asked_s: The expiry that it asked for.
    """
    message = failure.message
    if message is None:
        silent = failure.status == 408
        words = "no answer from the provider" if silent else f"the provider cannot be reached: {failure.reason}"
        cause = Cause.SILENCE if silent else Cause.TRANSPORT
        return LineFailure(Happening.FAILED, 0, words, cause=cause, said=failure.reason)
    said = shown_answer(message)
    minimum = _integer(message, "Min-Expires") if failure.status == 423 else None
    if minimum is not None and asked_s < minimum <= MAX_MIN_EXPIRES_S:
        return LineFailure(
            Happening.TOO_BRIEF, 423, f"at least {minimum} s are to be asked for", min_expires_s=minimum, said=said
        )
    kind = Happening.REFUSED if failure.status in (401, 403, 407) else Happening.FAILED
    words, pause_s = _words(failure.status, failure.reason, message), message.retry_after_s
    unable = failure.status in (401, 407) and not _is_supported(message)
    cause = Cause.CHALLENGE if unable else Cause.ANSWER
    return LineFailure(kind, failure.status, words, pause_s, cause=cause, said=said)


def _words(status: int, phrase: str, message: Message) -> str:
    if status in (401, 407):
        return f"{phrase}: {_challenge_words(message)}"
    if 300 <= status < 400:
        return f"{phrase}: the provider wants us at {(message.header('Contact') or 'another address')[:200]}"
    explained = _EXPLAINED.get(status)
    return f"{phrase}: {explained}" if explained else phrase


def _challenge_words(message: Message) -> str:
    if _is_supported(message):
        return "the provider does not take the user name or password"
    return "the provider asks for an authentication that is not supported"


def _is_supported(message: Message) -> bool:
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        for value in message.lines(name):
            try:
                if Challenge.parse(value).supported:
                    return True
            except SipParseError:
                continue
    return False


def granted_s(message: Message, *, token: str, contact: NameAddr, asked_s: int) -> int:
    """How long a 2xx to REGISTER lasts: by the expiry of our own Contact among several (RFC 3261 §10.2.4).

    Args:
        message: The 2xx.
        token: The line's; our Contact has it in its user part or as `tl`, whatever else the provider rewrote.
        contact: What we registered.
        asked_s: Stands in where the answer says nothing.
    """
    try:
        listed = message.contacts
    except SipParseError:
        listed = []
    own = [other for other in listed if token in (other.uri.user, other.uri.param("tl"))]
    own = own or [other for other in listed if other.uri == contact.uri]
    granted = [expires_of(other.param("expires")) for other in own]
    granted.append(expires_of(message.header("Expires")))
    return next((seconds for seconds in granted if seconds is not None), asked_s)


def refresh_in_s(granted: float) -> float:
    """When to refresh: after 90% or 30 s ahead, whichever is earlier, yet never before half the time is over."""
    return max(granted / 2, min(granted * EARLY_SHARE, granted - EARLY_S))


def _integer(message: Message, name: str) -> int | None:
    try:
        return message.integer(name)
    except SipParseError:
        return None
