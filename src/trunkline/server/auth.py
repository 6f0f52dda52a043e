"""Who a request's digest credentials prove (RFC 3261 §22.4), after Rust has found the nonce to be ours and fresh.

`registrar` and `identify` ask. An unknown user costs the same arithmetic as a known one with a wrong password and gets
the same answer, so that nobody learns from time or status which names exist.
"""

from __future__ import annotations

import secrets

from trunkline.server.registration import Fault
from trunkline.server.users import User, Users
from trunkline.sip.endpoint import Credentials, Endpoint, RequestReceived

__all__ = ["Authenticator"]


class Authenticator:
    """Verifies digest answers of users.

    Args:
        endpoint: Sends challenges.
        users: Whose passwords are known.
        realm: Ours.
        algorithm: The one that our challenges name, "MD5" or "SHA-256".
    """

    def __init__(self, endpoint: Endpoint, users: Users, *, realm: str, algorithm: str = "MD5") -> None:
        self._endpoint = endpoint
        self._users = users
        self.realm = realm
        self.algorithm = algorithm
        self._decoy = secrets.token_hex(32 if algorithm == "SHA-256" else 16)

    def proves(self, request: RequestReceived) -> User | None:
        """The user whose password the credentials prove; None where they prove nobody."""
        credentials = request.credentials
        if credentials is None:
            return None
        user = self._users.find(credentials.username)
        ha1 = self._ha1(user, credentials)
        # The decoy is verified too: an unknown user takes as long as a wrong password.
        proven = credentials.verify(ha1 or self._decoy, request.message.method)
        return user if proven and ha1 else None

    def fault_of(self, request: RequestReceived) -> Fault:
        """Which of its credentials prove nobody, for our own log: the other side gets the same answer for each."""
        credentials = request.credentials
        if credentials is None or self._users.find(credentials.username) is None:
            return Fault.UNKNOWN_USER
        if credentials.realm != self.realm:
            return Fault.REALM
        return Fault.ALGORITHM if credentials.algorithm.upper() != self.algorithm else Fault.PASSWORD

    def challenge(self, request: RequestReceived) -> None:
        """Ask for credentials (401); stale where they came with a nonce that is ours no more."""
        # RFC 7616 §3.3: Rust keeps credentials with a foreign or old nonce back.
        stale = request.credentials is None and bool(request.message.header("Authorization"))
        self._endpoint.driver.challenge(request.tx, stale=stale)

    def _ha1(self, user: User | None, credentials: Credentials) -> str:
        known = user is not None and user.realm == self.realm == credentials.realm
        if user is None or not known or credentials.algorithm.upper() != self.algorithm:
            return ""
        return user.ha1(self.algorithm)
