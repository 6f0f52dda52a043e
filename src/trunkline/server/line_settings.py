"""What is configured about a line: an account at a provider, frozen and checked.

The application, the configuration file or the store makes `LineSettings`; `line.Line` is the live object beside them.
Every rule about which values go together stands here and is told as a `ConfigurationError` that names the key.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, get_args

from trunkline.calls.headers import header_problem, is_identity, name_problem
from trunkline.calls.peers import TransferHow
from trunkline.constants import Transport
from trunkline.errors import ConfigurationError
from trunkline.server.numbers import NumberRule, is_country, rule_of
from trunkline.server.users import DEFAULT_CODECS, codec_json, codec_of_json
from trunkline.sip.capabilities import Dtmf, Reliable, Srtp
from trunkline.sip.endpoint import Codec
from trunkline.storage.records import LineRecord

__all__ = [
    "ANYWHERE",
    "RULE_LISTS",
    "AnonymousFrom",
    "AnonymousIdentity",
    "CallerIdSource",
    "DialledSource",
    "ForwardingHeader",
    "FromUser",
    "HostPort",
    "LineSettings",
    "TokenPlace",
    "added_header",
    "split_host",
]

TokenPlace = Literal["user", "parameter"]
"""Where our Contact carries the line's token: providers rewrite the one and strip the other."""

FromUser = Literal["account", "caller"]
"""Whose number stands in From: one provider wants the account, the next one the caller."""

ANYWHERE = "anywhere"
"""In `accept_from`: every address."""

EVERYTHING = ("0.0.0.0/0", "::/0")
AnonymousFrom = Literal["anonymous", "account"]
"""Who stands in From of an anonymous call."""

AnonymousIdentity = Literal["asserted", "all", "none"]
"""Which identity headers of a line an anonymous call keeps, for the provider alone to read."""

ForwardingHeader = Literal["none", "diversion", "history-info"]
"""What tells a provider that a call was forwarded."""

DialledSource = Literal["auto", "request-uri", "to", "p-called-party-id"]
"""Where the called number of an incoming call stands."""

CallerIdSource = Literal["p-asserted-identity", "remote-party-id", "from"]
"""Where the caller's number of an incoming call stands."""

RULE_LISTS = ("dialled_in", "dialled_out", "caller_ids_in", "caller_ids_out")
"""The settings that are lists of number rules."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HostPort = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class LineSettings:
    """An account at an IP telephony provider."""

    name: str
    username: str
    """The account: the user part of its address, and of From where `from_user` says so."""
    server: str
    """The registrar and proxy: a name or address, with `:port` if SRV is not to be asked."""
    password: str | None = field(default=None, repr=False)
    """Of its digest; a line without one cannot answer a challenge."""
    auth_username: str | None = None
    """The digest login where it is not `username`."""
    domain: str | None = None
    """The domain of the account's address where it is not `server`."""
    outbound_proxy: str | None = None
    """Where requests are sent to instead of `server`: a name or address, with `:port` if SRV is not to be asked. Where it
    is another host than the account's domain, it is also named in a Route header (RFC 3261 §8.1.2)."""
    transport: Transport | None = None
    """What its requests go over; as the provider's DNS says unless given (RFC 3263), and UDP where that says nothing."""
    register: bool = True
    """Whether it registers; a line that doesn't is usable at once (a trunk by address)."""
    expires_s: int = 1_800
    """The registration time that is asked for."""
    outbound: bool = False
    """Whether it registers as RFC 5626 says: calls come back over the flow that it keeps open."""
    ping_interval_s: float = 30.0
    """How often each of its servers is asked by OPTIONS whether it lives; 0 for never."""
    ping_down_after: int = 3
    """Pings in a row without an answer (or with 503) that take a server down."""
    ping_up_after: int = 2
    """Pings in a row with an answer that bring it back."""
    token_in: TokenPlace = "user"
    """Where our Contact carries the line's token: as its user part, or as its parameter `tl`."""
    accept_from: tuple[str, ...] = ()
    """Networks (CIDR) that calls of this line come from, besides its server's addresses. **Dangerous:** `anywhere` makes it
    a catch-all line, which takes calls of every stranger that no other line is for."""
    numbers: tuple[str, ...] = ()
    """Called numbers that are this line's, besides `username`; for providers that several lines share."""
    codecs: tuple[Codec, ...] = DEFAULT_CODECS
    """What its calls may use, in order of preference; as the server's unless the option is given."""
    display_name: str = ""
    """The name in From where the call brings none."""
    caller_id: str = ""
    """The caller's number where the call brings none; `username` unless given."""
    from_user: FromUser = "account"
    """Whose number stands in From: the account's, or the caller's."""
    from_domain: str | None = None
    """The domain of From where it is not `domain`."""
    user_phone: bool = False
    """Whether telephone numbers are marked `user=phone` (RFC 3261 §19.1.1): in Request-URI, To, From and the identity headers."""
    asserted_identity: bool = False
    """Whether the caller's number goes out in P-Asserted-Identity (RFC 3325), for providers that trust us with it."""
    preferred_identity: bool = False
    """Whether it goes out in P-Preferred-Identity (RFC 3325 §9.2), for providers that let their accounts choose."""
    remote_party_id: bool = False
    """Whether it goes out in Remote-Party-ID, for providers that know nothing newer."""
    privacy: bool = False
    """Whether calls are anonymous unless they say otherwise: From is, and there is `Privacy: id` (RFC 3323, RFC 3325)."""
    anonymous_from: AnonymousFrom = "anonymous"
    """Who stands in From of an anonymous call; `"account"` for providers that refuse what is not their account."""
    anonymous_identity: AnonymousIdentity = "asserted"
    """Which identity headers an anonymous call keeps, for the provider alone: P-Asserted-Identity, all that are on, or
    none."""
    forwarding_header: ForwardingHeader = "none"
    """What tells the provider that a call which came in over a line goes out again: Diversion (RFC 5806) or History-Info
    (RFC 7044)."""
    country: str = ""
    """Where its numbers without country code are, for number rules: a code as `DE`."""
    dialled_in: tuple[NumberRule, ...] = ()
    """Number rules for the called numbers of calls that come in."""
    dialled_out: tuple[NumberRule, ...] = ()
    """Number rules for the called numbers of calls that go out."""
    caller_ids_in: tuple[NumberRule, ...] = ()
    """Number rules for the callers' numbers of calls that come in."""
    caller_ids_out: tuple[NumberRule, ...] = ()
    """Number rules for the callers' numbers, and those of who forwarded, of calls that go out."""
    dialled_from: DialledSource = "auto"
    """Where the called number of an incoming call stands; `"auto"` looks into the Request-URI, and into To where that has
    the line's own Contact."""
    caller_id_from: tuple[CallerIdSource, ...] = ("p-asserted-identity", "remote-party-id", "from")
    """Where the caller's number of an incoming call stands; the first that is there counts."""
    headers_passed: tuple[str, ...] = ()
    """Names of header fields that an INVITE takes along from one leg to the other: from this line to a user, from a user to
    this line; between two lines, those that both have."""
    headers_added: tuple[str, ...] = ()
    """Header fields of each INVITE over the line, as `X-Account: 7`."""
    headers_removed: tuple[str, ...] = ()
    """Names of header fields that no INVITE over the line has, whoever sets them."""
    profile: str | None = None
    """The preset that its other settings come from where they are not given, as `sipgate@1`."""
    max_calls: int | None = None
    """Calls over it at a time; None for no limit."""
    calls_per_second: float | None = None
    """Calls a second that are placed over it; None for no limit."""
    media_timeout_s: float = 0.0
    """Silence after which its calls count as lost, 0 for never; as the server's unless the option is given."""
    quality_alarm_mos: float = 0.0
    """MOS below which the sound of its calls is told to be low, 0 for never; as the server's unless the option is given."""
    session_expires_s: int = 1_800
    """How long its calls last unless they are refreshed (RFC 4028), 0 for no timers; as the server's unless given."""
    min_se_s: int = 90
    """The shortest session time that the provider may ask for; as the server's unless given."""
    reliable: Reliable = "supported"
    """Whether provisional responses are acknowledged (RFC 3262): never, supported or required; as the server's unless
    given."""
    srtp: Srtp = "never"
    """Whether audio of its calls is SRTP (RFC 4568): never, offered or required; as the server's unless given."""
    srtp_in_clear: bool = False
    """Whether SRTP keys may cross signalling that is not encrypted, where whoever reads it can listen; as the server's
    unless given."""
    follow_redirects: int = 0
    """How many targets of a 3xx are tried, in the order of their q; 0 gives it to the application as moved."""
    rtcp_mux: bool = False
    """Whether the provider is offered one port for RTP and RTCP (RFC 5761); what it offers is taken in any case."""
    large_over_tcp: bool = True
    """Whether a request that is too large for UDP may go over TCP (RFC 3261 §18.1.1); `False` for providers whose TCP port
    swallows what it is sent."""
    transfer: TransferHow = "inside"
    """Who carries out the transfers of its calls: the server, so that the provider never sees them, or with `"refer"` the
    provider, by REFER, where its party is to talk to a number outside."""
    dtmf: Dtmf = "auto"
    """How digits go to the provider: by RFC 4733 where that is agreed, else as tones (`auto`), always agreeing to RFC 4733
    (`rfc4733`), by INFO (`info`), or as tones (`inband`)."""
    message_waiting: bool = False
    """Whether the provider is asked, by SUBSCRIBE, to tell of the voice messages that wait at its account (RFC 3842)."""
    music_on_hold: str = ""
    """The file that others hear while this line's party holds them; as the server's unless given, "" for nothing."""
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
        rate = self.calls_per_second
        yield "calls_per_second", rate is None or rate > 0, "a positive number is needed, or none"
        yield "follow_redirects", 0 <= self.follow_redirects <= 10, "0 to 10 targets are sensible"
        yield "token_in", self.token_in in ("user", "parameter"), 'either "user" or "parameter"'
        yield "from_user", self.from_user in ("account", "caller"), 'either "account" or "caller"'
        yield "ping_interval_s", _is_pause(self.ping_interval_s), "2 to 3600 seconds are sensible, or 0 for no pings"
        yield "ping_down_after", 1 <= self.ping_down_after <= 100, "1 to 100 pings are sensible"
        yield "ping_up_after", 1 <= self.ping_up_after <= 100, "1 to 100 pings are sensible"
        yield "country", not self.country or is_country(self.country), f"{self.country} is no country code, as DE"
        for key, choices in _CHOICES.items():
            yield key, getattr(self, key) in choices, "either " + " or ".join(f'"{choice}"' for choice in choices)
        for source in self.caller_id_from:
            known = get_args(CallerIdSource)
            yield "caller_id_from", source in known, f"{source} is none of {', '.join(known)}"
        for key, problem in self._header_rules():
            yield key, not problem, problem
        for network in self.accept_from:
            problem = f"{network} is no network, as 198.51.100.0/24, and not {ANYWHERE}"
            yield "accept_from", network == ANYWHERE or _network(network) is not None, problem

    def _header_rules(self) -> Iterator[tuple[str, str]]:
        for name in self.headers_passed:
            yield "headers_passed", name_problem(name)
        for line in self.headers_added:
            yield "headers_added", header_problem(*added_header(line))
        for name in self.headers_removed:
            yield "headers_removed", "" if is_identity(name) else name_problem(name)

    @property
    def networks(self) -> tuple[Network, ...]:
        """`accept_from`, parsed."""
        texts = [text for each in self.accept_from for text in (EVERYTHING if each == ANYWHERE else (each,))]
        return tuple(network for network in map(_network, texts) if network is not None)

    @property
    def catches_all(self) -> bool:
        """Whether it takes calls from any address of a family."""
        return any(network.prefixlen == 0 for network in self.networks)

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
        settings["transport"] = self.transport.value if self.transport is not None else None
        for key in RULE_LISTS:
            settings[key] = [rule.data() for rule in getattr(self, key)]
        return LineRecord(self.name, self.password, settings)

    @classmethod
    def of_record(cls, record: LineRecord) -> LineSettings:
        """The settings that the store kept. ConfigurationError where they are not valid any more."""
        settings: dict[str, object] = dict(record.settings)
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in settings.items() if key in known}
        try:
            values.update(_from_json(settings))
        except ValueError as error:
            raise ConfigurationError(f"lines.{record.name}", str(error)) from error
        return cls(name=record.name, password=record.password, stored=True, **values)  # type: ignore[arg-type]


_NOT_IN_JSON = frozenset({"name", "password", "stored"})

_LISTS = ("accept_from", "numbers", "caller_id_from", "headers_passed", "headers_added", "headers_removed")

_CHOICES: dict[str, tuple[str, ...]] = {
    "anonymous_from": get_args(AnonymousFrom),
    "anonymous_identity": get_args(AnonymousIdentity),
    "forwarding_header": get_args(ForwardingHeader),
    "dialled_from": get_args(DialledSource),
    "transfer": get_args(TransferHow),
    "dtmf": get_args(Dtmf),
}


def added_header(line: str) -> tuple[str, str]:
    """Name and value of a header line; the name is "" where there is no colon."""
    name, colon, value = line.partition(":")
    return (name.strip(), value.strip()) if colon else ("", line)


def _from_json(settings: Mapping[str, object]) -> dict[str, object]:
    """The values that JSON holds in another type."""
    codecs = settings.get("codecs")
    values: dict[str, object] = {key: tuple(_list(settings[key])) for key in _LISTS if key in settings}
    for key in RULE_LISTS:
        values[key] = tuple(rule_of(rule) for rule in _list(settings.get(key)) if isinstance(rule, dict))
    if isinstance(codecs, list):
        values["codecs"] = tuple(codec_of_json(codec) for codec in codecs)
    transport = settings.get("transport")
    values["transport"] = Transport(transport) if transport is not None else None
    return values


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


@lru_cache(1_024)
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


def _is_pause(seconds: float) -> bool:
    return seconds == 0 or 2 <= seconds <= 3_600


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
