"""What is configured about a line: an account at a provider, frozen and checked.

The application, the configuration file or the store makes `LineSettings`; `line.Line` is the live object beside them.
Every rule about which values go together stands here and is told as a `ConfigurationError` that names the key.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trunkline.constants import Transport
from trunkline.errors import ConfigurationError
from trunkline.server.users import DEFAULT_CODECS, codec_json, codec_of_json
from trunkline.sip.capabilities import Reliable
from trunkline.sip.endpoint import Codec
from trunkline.storage.records import LineRecord

__all__ = ["FromUser", "HostPort", "LineSettings", "TokenPlace", "split_host"]

TokenPlace = Literal["user", "parameter"]
"""Where our Contact carries the line's token: providers rewrite the one and strip the other."""

FromUser = Literal["account", "caller"]
"""Whose number stands in From: one provider wants the account, the next one the caller."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HostPort = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class LineSettings:
    """An account at an IP telephony provider."""

    name: str
    username: str
    """The account: the user part of its address, and of From where `from_user` says so."""
    server: str
    """The registrar and proxy: a name or address, with `:port` if it is not 5060."""
    password: str | None = field(default=None, repr=False)
    """Of its digest; a line without one cannot answer a challenge."""
    auth_username: str | None = None
    """The digest login where it is not `username`."""
    domain: str | None = None
    """The domain of the account's address where it is not `server`."""
    outbound_proxy: str | None = None
    """Where requests are sent to instead of `server`: a name or address, with `:port` if it is not 5060."""
    transport: Transport = Transport.UDP
    """What its requests go over."""
    register: bool = True
    """Whether it registers; a line that doesn't is usable at once (a trunk by address)."""
    expires_s: int = 1_800
    """The registration time that is asked for."""
    token_in: TokenPlace = "user"
    """Where our Contact carries the line's token: as its user part, or as its parameter `tl`."""
    accept_from: tuple[str, ...] = ()
    """Networks (CIDR) that calls of this line come from, besides its server's addresses."""
    numbers: tuple[str, ...] = ()
    """Called numbers that are this line's, besides `username`; for providers that several lines share."""
    codecs: tuple[Codec, ...] = DEFAULT_CODECS
    """What its calls may use, in order of preference; as the server's unless the option is given."""
    display_name: str = ""
    """The name in From where the call brings none."""
    from_user: FromUser = "account"
    """Whose number stands in From: the account's, or the caller's."""
    from_domain: str | None = None
    """The domain of From where it is not `domain`."""
    user_phone: bool = False
    """Whether called numbers are marked `user=phone` (RFC 3261 §19.1.1)."""
    asserted_identity: bool = False
    """Whether the caller's number goes out in P-Asserted-Identity (RFC 3325), for providers that trust us with it."""
    privacy: bool = False
    """Whether From is anonymous, with `Privacy: id` (RFC 3323)."""
    max_calls: int | None = None
    """Calls over it at a time; None for no limit."""
    media_timeout_s: float = 0.0
    """Silence after which its calls count as lost, 0 for never; as the server's unless the option is given."""
    session_expires_s: int = 1_800
    """How long its calls last unless they are refreshed (RFC 4028), 0 for no timers; as the server's unless given."""
    min_se_s: int = 90
    """The shortest session time that the provider may ask for; as the server's unless given."""
    reliable: Reliable = "supported"
    """Whether provisional responses are acknowledged (RFC 3262): never, supported or required; as the server's unless
    given."""
    follow_redirects: int = 0
    """How many targets of a 3xx are tried, in the order of their q; 0 gives it to the application as moved."""
    stored: bool = False
    """Added at run time: the store keeps it."""

    def __post_init__(self) -> None:
        for problem in self._wrong():
            raise problem

    @classmethod
    def problems(cls, name: str, **values: Any) -> list[ConfigurationError]:
        """Everything that is wrong with values of which no `LineSettings` can be made."""
        draft = object.__new__(cls)
        for each in dataclasses.fields(cls):
            object.__setattr__(draft, each.name, values.get(each.name, each.default))
        object.__setattr__(draft, "name", name)
        return list(draft._wrong())

    def _wrong(self) -> Iterator[ConfigurationError]:
        for key, good, problem in self._rules():
            if not good:
                yield ConfigurationError(f"lines.{self.name}.{key}", problem)

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """Key, whether it is right, and what would be."""
        proxy = self.outbound_proxy
        yield "name", _is_name(self.name), "a name of printable characters without spaces is needed"
        yield "username", _is_name(self.username), "the account's name is needed, without spaces"
        server = "a name or address is needed, as sip.example.com or 192.0.2.1:5080"
        yield "server", _is_host_port(self.server), server
        yield "outbound_proxy", proxy is None or _is_host_port(proxy), "a name or address is needed, maybe with :port"
        yield "expires_s", 10 <= self.expires_s <= 86_400, "10 to 86400 seconds are sensible"
        yield "codecs", bool(self.codecs), "at least one codec is needed"
        yield "max_calls", self.max_calls is None or self.max_calls > 0, "a positive number is needed, or none"
        yield "follow_redirects", 0 <= self.follow_redirects <= 10, "0 to 10 targets are sensible"
        yield "token_in", self.token_in in ("user", "parameter"), 'either "user" or "parameter"'
        yield "from_user", self.from_user in ("account", "caller"), 'either "account" or "caller"'
        for network in self.accept_from:
            yield "accept_from", _network(network) is not None, f"{network} is no network, as 198.51.100.0/24"

    @property
    def networks(self) -> tuple[Network, ...]:
        """`accept_from`, parsed."""
        return tuple(network for network in map(_network, self.accept_from) if network is not None)

    @property
    def aor_domain(self) -> str:
        """The domain of the account's address."""
        return self.domain or split_host(self.server)[0]

    @property
    def domain_port(self) -> int | None:
        """The port that goes with `aor_domain` in a Request-URI: the server's, where the domain is the server."""
        return split_host(self.server)[1] if self.domain is None else None

    @property
    def next_hop(self) -> HostPort:
        """Whom requests are sent to: the outbound proxy, or else the server."""
        return split_host(self.outbound_proxy or self.server)

    def record(self) -> LineRecord:
        """What the store keeps."""
        settings = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in _NOT_IN_JSON}
        settings["codecs"] = [codec_json(codec) for codec in self.codecs]
        settings["transport"] = self.transport.value
        return LineRecord(self.name, self.password, settings)

    @classmethod
    def of_record(cls, record: LineRecord) -> LineSettings:
        """The settings that the store kept. ConfigurationError where they are not valid any more."""
        settings: dict[str, object] = dict(record.settings)
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in settings.items() if key in known}
        values.update(_from_json(settings))
        return cls(name=record.name, password=record.password, stored=True, **values)  # type: ignore[arg-type]


_NOT_IN_JSON = frozenset({"name", "password", "stored"})


def _from_json(settings: Mapping[str, object]) -> dict[str, object]:
    """The values that JSON holds in another type."""
    codecs = settings.get("codecs")
    values: dict[str, object] = {key: tuple(_list(settings.get(key))) for key in ("accept_from", "numbers")}
    if isinstance(codecs, list):
        values["codecs"] = tuple(codec_of_json(codec) for codec in codecs)
    values["transport"] = Transport(settings.get("transport", "udp"))
    return values


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def split_host(text: str) -> HostPort:
    """Host (IPv6 without brackets) and port of `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest[1:]) if rest[1:].isdigit() else None
    if text.count(":") > 1:
        return text, None
    host, _, port = text.partition(":")
    return host, int(port) if port.isdigit() else None


def _is_host_port(text: str) -> bool:
    host, port = split_host(text)
    if not host or any(letter in host for letter in " /@;?<>,\"'") or not host.isprintable():
        return False
    has_port = text.rpartition("]")[2].count(":") == 1
    return (port is not None and 0 < port < 65_536) if has_port else True


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 128 and text.isprintable() and not set(text) & set(' <>"')


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
