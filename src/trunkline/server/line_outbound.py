"""Outbound registrations of a line (RFC 5626) and the routes of its requests (RFC 3261 §8.1.2, RFC 3608): pure functions.

`line_registration` builds its REGISTER and reads the answer with them; `routing` and `line_health` take the routes.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from random import Random

from trunkline.server.line_settings import LineSettings, split_host
from trunkline.sip.endpoint import Message, NameAddr, SipParseError, Uri

__all__ = [
    "OUTBOUND",
    "contact_parameters",
    "flow_timer_s",
    "keep_alive_s",
    "proxy_route",
    "routes",
    "service_route",
]

OUTBOUND = "outbound"
"""The option tag (RFC 5626 §11.6)."""

REG_ID = "1"
"""A line has one flow at a time."""

MAX_SERVICE_ROUTES = 8
"""Service-Route values that are kept."""

FLOW_TIMER_BOUNDS_S = (10, 3_600)
"""What a Flow-Timer may ask for."""

KEEP_ALIVE_S = {"udp": 25.0, "tcp": 120.0}
"""How often the way from the provider to us is kept open where it does not say: on UDP for NAT, on TCP as RFC 5626 §4.4.1."""

EARLY_SHARE = 0.2
"""Keep-alives go out this share of their time ahead of it, at random, so that many lines do not send at once."""


def contact_parameters(token: str) -> list[tuple[str, str | None]]:
    """What an outbound Contact carries: the instance and the flow of it (§4.2).

    Args:
        token: The line's, which outlives the process where there is a store; the instance is made of it (§4.1).
    """
    instance = uuid.uuid5(uuid.NAMESPACE_OID, token)
    return [("+sip.instance", f'"<urn:uuid:{instance}>"'), ("reg-id", REG_ID)]


def flow_timer_s(message: Message) -> int | None:
    """The seconds after which the server takes a silent flow for dead (§10); None where it names none."""
    try:
        asked = message.integer("Flow-Timer")
    except SipParseError:
        return None
    lowest, highest = FLOW_TIMER_BOUNDS_S
    return min(max(asked, lowest), highest) if asked else None


def keep_alive_s(transport: str, timer_s: int | None, random: Random) -> float:
    """How often to keep a flow alive: ahead of the server's timer (§4.4), else by transport.

    Args:
        transport: "udp" or "tcp".
        timer_s: The server's Flow-Timer, in seconds.
        random: The source of jitter.
    """
    usual_s = KEEP_ALIVE_S[transport]
    if timer_s is None and transport == "udp":
        return usual_s
    # §4.4.1: between 80 and 100 percent
    return min(usual_s, timer_s or usual_s) * (1 - EARLY_SHARE * random.random())


def proxy_route(settings: LineSettings) -> str | None:
    """The outbound proxy as a loose route, where it is another host than the registrar (RFC 3261 §8.1.2)."""
    if settings.outbound_proxy is None:
        return None
    host, port = split_host(settings.outbound_proxy)
    if (host.lower(), port) == (settings.aor_domain.lower(), settings.domain_port):
        return None
    params: list[tuple[str, str | None]] = [("lr", None)]
    if settings.transport is not None and settings.transport.value != "udp":
        params.insert(0, ("transport", settings.transport.value))
    return f"<{Uri('sip', None, host, port, params)}>"


def service_route(message: Message, proxy: str | None) -> tuple[str, ...]:
    """The Service-Route of a 2xx to REGISTER (RFC 3608 §6.1); () where there is none or it cannot be used.

    Args:
        message: The 2xx.
        proxy: Our outbound proxy's route; it is not named twice.
    """
    try:
        routes = [NameAddr.parse(value) for value in message.values("Service-Route")]
    except SipParseError:
        return ()
    if len(routes) > MAX_SERVICE_ROUTES or any(route.uri.param("lr") is None for route in routes):
        return ()  # strict routes would have to rewrite the Request-URI, and no registrar sends them
    if proxy is not None and routes and _same_host(routes[0].uri, NameAddr.parse(proxy).uri):
        del routes[0]
    return tuple(f"<{route.uri}>" for route in routes)


def _same_host(one: Uri, other: Uri) -> bool:
    return (one.host, one.port or 5060) == (other.host, other.port or 5060)


def routes(proxy: str | None, service: Sequence[str]) -> list[tuple[str, str]]:
    """The Route header fields of a line's request outside a dialog, in order."""
    return [("Route", value) for value in ([proxy] if proxy else []) + list(service)]
