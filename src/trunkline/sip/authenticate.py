"""Answering digest challenges (RFC 3261 §22.2, RFC 7616): the credentials of an account and how they meet a challenge.

Used by `request.py` for every request of ours. The arithmetic is the extension's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trunkline.sip.endpoint import Challenge, Message, SipParseError

MAX_CHALLENGES = 8
"""Challenges looked at in one response; a list longer than this is an attack."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An account at another server: the login name and the password or its HA1. Its repr shows neither secret."""

    username: str
    password: str | None = field(default=None, repr=False)
    ha1: str | None = field(default=None, repr=False)
    """H(username:realm:password) in hex, instead of the password; of the algorithm that the server asks for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The header that answers a challenge."""

    name: str
    value: str
    nonce: str
    stale: bool
    """The server took the password and refused the nonce alone (RFC 7616 §3.3): answering once more is no guess."""


def answer_challenge(
    response: Message, credentials: ClientCredentials, *, method: str, uri: str, cnonce: str
) -> Answer | None:
    """The answer to the first challenge of a 401 or 407 that we can compute; None when there is none.

    Args:
        response: The 401 or 407.
        credentials: Whose password answers.
        method: Of the request that is sent again.
        uri: Its Request-URI.
        cnonce: Fresh random text.
    """
    proxy = response.status == 407
    for value in response.lines("Proxy-Authenticate" if proxy else "WWW-Authenticate")[:MAX_CHALLENGES]:
        try:
            challenge = Challenge.parse(value)
        except SipParseError:
            continue  # another scheme: RFC 7616 §3.7 lets a server offer several
        if challenge.supported:
            text = challenge.authorize(
                username=credentials.username,
                password=credentials.password,
                ha1=credentials.ha1,
                method=method,
                uri=uri,
                cnonce=cnonce,
            )
            name = "Proxy-Authorization" if proxy else "Authorization"
            return Answer(name, text, challenge.nonce, challenge.stale)
    return None
