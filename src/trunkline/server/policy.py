"""Whom Rust challenges and whom it never sheds: computed from users' handlers and lines, pushed when that changes.

The facade makes one `ChallengePolicy` and connects it to `Lines.on_change`. Providers never authenticate to their
customers, so their addresses and the tokens of our Contacts pass; everybody else is challenged before a request
reaches Python. What nobody is challenged for is bounded a source by `rate`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trunkline.server.line import Line
from trunkline.sip.endpoint import ChallengeMode, Endpoint

__all__ = ["ChallengePolicy", "Trust", "challenge_modes", "trust_of"]

EXEMPT_V4 = 16
EXEMPT_V6 = 48
"""The widest networks whose flood is not limited: a line that takes calls from anywhere opens no gate to everybody."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the lines let us trust."""

    networks: tuple[str, ...] = ()
    """In CIDR: where calls of lines come from."""
    tokens: tuple[str, ...] = ()
    """In our Contacts at providers."""

    @property
    def flood_exempt(self) -> tuple[str, ...]:
        """The networks whose requests are not rate-limited."""
        return tuple(network for network in self.networks if _is_narrow(network))


def trust_of(lines: Iterable[Line]) -> Trust:
    """Whom these lines let us trust."""
    networks: set[str] = set()
    tokens: set[str] = set()
    for line in lines:
        tokens.add(line.token)
        networks.update(str(network) for network in line.settings.networks)
        networks.update(str(ipaddress.ip_network(address)) for address in line.server.addresses)
    return Trust(tuple(sorted(networks)), tuple(sorted(tokens)))


def challenge_modes(*, asks_for_registrations: bool) -> Mapping[str, ChallengeMode]:
    """Whom Rust challenges, per method.

    Args:
        asks_for_registrations: Whether an `on_register_user` handler decides about REGISTER before its password does.
    """
    return {
        "REGISTER": "nobody" if asks_for_registrations else "everybody",
        "OPTIONS": "nobody",  # providers and proxies ask whether we live
        "*": "strangers",
    }


def _is_narrow(text: str) -> bool:
    network = ipaddress.ip_network(text)
    return network.prefixlen >= (EXEMPT_V4 if network.version == 4 else EXEMPT_V6)


class ChallengePolicy:
    """Keeps Rust's idea of whom to challenge up to date.

    Args:
        endpoint: Takes it.
        lines: All lines.
        realm: Ours.
        algorithm: "MD5" or "SHA-256".
        set_flood_exempt: Takes networks whose flood is not limited; None where the endpoint has no flood guard.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        lines: Iterable[Line],
        *,
        realm: str,
        algorithm: str = "MD5",
        set_flood_exempt: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._lines = lines
        self._realm = realm
        self._algorithm = algorithm
        self._set_flood_exempt = set_flood_exempt
        self._pushed: tuple[bool, Trust] | None = None
        self.asks_for_registrations = False

    def push(self) -> None:
        """Tell Rust, if anything has changed since it was told last."""
        trust = trust_of(self._lines)
        if self._pushed == (self.asks_for_registrations, trust):
            return
        self._pushed = (self.asks_for_registrations, trust)
        self._endpoint.driver.set_challenge(
            self._realm,
            challenge_modes(asks_for_registrations=self.asks_for_registrations),
            trust.networks,
            trust.tokens,
            algorithm=self._algorithm,
        )
        if self._set_flood_exempt is not None:
            self._set_flood_exempt(trust.flood_exempt)
