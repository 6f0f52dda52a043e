"""What we are called: our listeners' addresses, what peers are told of them, and which domains are ours.

Implements `calls.peers.Addresses` for calls, makes the Contact of lines' registrations, answers the registrar's
question which domains are ours, and says which flows a listener serves.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from trunkline.calls.peers import Party
from trunkline.constants import PeerType
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Flow, Listener, NameAddr, Uri

__all__ = ["TOKEN_PARAMETER", "OwnAddresses", "route_source"]

TOKEN_PARAMETER = "tl"
"""The URI parameter that carries a line's token where its provider rewrites user parts."""

SIP_PORT = 5060

Params = tuple[tuple[str, str | None], ...]


class Listening(Protocol):
    """An open listener: a `Listener` of the endpoint, or a test's."""

    @property
    def transport(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


def route_source(remote: str) -> str | None:
    """The address of this machine that packets to `remote` leave from; None without a route. Sends nothing."""
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.connect((remote, SIP_PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return None


class Met(NamedTuple):
    """Where a peer meets us."""

    host: str
    """Our address on this machine."""
    told: str
    """The address that it is told."""
    port: int


class OwnAddresses:
    """Our addresses, as peers are to be told them.

    Args:
        domains: The realm and further domains that are ours.
        advertise: For each address that we listen on (or that the system sends from) the one that peers are told,
        behind NAT. media_address: The local address to bind RTP on, for peers of its family; None for the one that
        signalling meets. line: Finds a line's settings by name. source: Which address of ours packets to a peer leave
        from.
    """

    def __init__(
        self,
        *,
        domains: Iterable[str],
        advertise: Mapping[str, str] | None = None,
        media_address: str | None = None,
        line: Callable[[str], LineSettings | None] = lambda name: None,
        source: Callable[[str], str | None] = route_source,
    ) -> None:
        self.domains = frozenset(domain.lower() for domain in domains)
        self._advertise = dict(advertise or {})
        self._media_address = media_address
        self._line = line
        self._source = source
        self._listeners: tuple[Listener | Listening, ...] = ()
        self._met: dict[object, Met] = {}

    def set_listeners(self, listeners: Sequence[Listener | Listening]) -> None:
        """Say which listeners are open."""
        self._listeners = tuple(listeners)
        self._met.clear()

    # --- what peers are told ----------------------------------------------------------------------------------------

    def contact(self, flow: Flow, party: Party, token: str) -> str:
        """Our Contact value for requests and responses over `flow`, carrying `token` where this party keeps it."""
        settings = self._settings(party)
        # RFC 5626 §4.3: requests of the dialog come back over the flow
        kept_flow = settings is not None and settings.outbound
        return self._written(flow, party, settings, token, (("ob", None),) if kept_flow else ())

    def contact_to_register(self, flow: Flow, party: Party, token: str) -> str:
        """Our Contact value for a REGISTER over `flow`, as a line's provider is to keep it."""
        return self._written(flow, party, self._settings(party), token, ())

    def _written(self, flow: Flow, party: Party, settings: LineSettings | None, token: str, last: Params) -> str:
        met = self._meets(flow)
        user, params = _place_token(party, settings, token)
        if flow.transport != "udp":
            params = (*params, ("transport", flow.transport))
        params = (*params, *last)
        port = None if met.port == SIP_PORT else met.port
        # a token of the peer's own stands in all its calls
        write = _kept_contact if party.accept_token == token else _contact
        return write(user, met.told, port, params)

    def media(self, flow: Flow) -> tuple[str, str]:
        """The local address to bind RTP on for a peer on `flow`, and the address to write into SDP."""
        bind = self._media_address
        if bind is None or (":" in bind) != (":" in flow.remote[0]):
            met = self._meets(flow)
            return met.host, met.told
        return bind, self._advertise.get(bind) or self._advertise.get("::" if ":" in bind else "0.0.0.0") or bind

    def _settings(self, party: Party) -> LineSettings | None:
        return self._line(party.name) if party.peer_type is PeerType.LINE else None

    def _meets(self, flow: Flow) -> Met:
        """Where a peer on `flow` meets us."""
        if flow.transport != "udp":
            return self._meet(flow)  # the local ports of connections are without number
        key = (flow.local, ":" in flow.remote[0])
        met = self._met.get(key)
        if met is None:
            met = self._meet(flow)
            if self._is_plain(flow):
                self._met[key] = met
        return met

    def _is_plain(self, flow: Flow) -> bool:
        """Whether our end of it can be said without asking the system for a route to the peer."""
        listener = self._listener(flow)
        ends = (flow.local and flow.local[0], listener and listener.host)
        return any(end and not _is_wildcard(end) for end in ends)

    def _meet(self, flow: Flow) -> Met:
        host = self._local_host(flow)
        return Met(host, self._public(host, flow), self._port(flow))

    def _public(self, host: str, flow: Flow) -> str:
        listener = self._listener(flow)
        bound = listener.host if listener is not None else host
        return self._advertise.get(host) or self._advertise.get(bound) or host

    def _local_host(self, flow: Flow) -> str:
        """The address of this machine that a peer on `flow` meets."""
        if flow.local is not None and not _is_wildcard(flow.local[0]):
            return flow.local[0]
        listener = self._listener(flow)
        if listener is not None and not _is_wildcard(listener.host):
            return listener.host
        unspecified = "::1" if ":" in flow.remote[0] else "127.0.0.1"
        return self._source(flow.remote[0]) or unspecified

    def _port(self, flow: Flow) -> int:
        # The local port of a connection that we opened is nothing that others can connect to.
        listener = self._listener(flow)
        if listener is not None:
            return listener.port
        return flow.local[1] if flow.local is not None else SIP_PORT

    def _listener(self, flow: Flow) -> Listener | Listening | None:
        """The listener of that transport and family; the one of the flow's own local address if there are several."""
        able = [listener for listener in self._listeners if _serves(listener, flow)]
        exact = [listener for listener in able if flow.local == (listener.host, listener.port)]
        same_port = [listener for listener in able if flow.local is not None and flow.local[1] == listener.port]
        return next(iter(exact or same_port or able), None)

    # --- what is ours -----------------------------------------------------------------------------------------------

    def reaches(self, flow: Flow) -> bool:
        """Whether a listener of ours has the transport and address family to send over `flow`."""
        return any(_serves(listener, flow) for listener in self._listeners)

    def listens(self, flow: Flow) -> bool:
        """Whether a listener of ours has the local address of `flow`; where it names none, whether one reaches it."""
        if flow.local is None:
            return self.reaches(flow)
        host, port = flow.local
        return any(
            _serves(listener, flow) and listener.port == port and (listener.host == host or _is_wildcard(listener.host))
            for listener in self._listeners
        )

    def is_ours(self, uri: Uri, flow: Flow) -> bool:
        """Whether a URI in a message that came over `flow` is in a domain of ours, or names an address of ours."""
        host = uri.host
        return host in self.domains or (bool(host) and _canonical(host) in self._own_hosts(flow))

    def _own_hosts(self, flow: Flow) -> set[str]:
        hosts = {listener.host for listener in self._listeners if not _is_wildcard(listener.host)}
        hosts |= {*self._advertise.values(), self._local_host(flow)}
        return {_canonical(host) for host in hosts}


def _contact(user: str, host: str, port: int | None, params: Params) -> str:
    return str(NameAddr(Uri("sip", user, host, port, params)))


_kept_contact = lru_cache(1_024)(_contact)


def _serves(listener: Listener | Listening, flow: Flow) -> bool:
    return listener.transport == flow.transport and (":" in listener.host) == (":" in flow.remote[0])


def _place_token(party: Party, settings: LineSettings | None, token: str) -> tuple[str, Params]:
    """The user part and parameters of a Contact that carries the token."""
    if settings is not None and settings.token_in == "parameter":
        # RFC 3323 §4.1.1: nothing in an anonymous call says whose account it is
        return "anonymous" if party.anonymous else settings.username, ((TOKEN_PARAMETER, token),)
    return token, ()


def _is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "")


def _canonical(host: str) -> str:
    """An address in its one form; a name in lower case. `localhost` is the loopback address."""
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()
