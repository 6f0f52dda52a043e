"""The configuration: each option declared once, with its range and meaning.

Code, TOML file, environment and `trunkline check` share it: `SipServer` validates its keyword arguments by `ServerSettings`, `add_user` and
`add_line` by `UserOptions` and `LineOptions`; `load_file` reads all of them from a file. What is wrong is told as `ConfigurationError`, one
key each.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from trunkline.calls.destinations import MAX_DESTINATIONS
from trunkline.errors import ConfigurationError
from trunkline.server.codecs import DEFAULT_CODECS, codecs_named
from trunkline.server.environment import PREFIX, SpelledEnvironment
from trunkline.server.line_settings import RULE_LISTS, LineSettings
from trunkline.server.numbers import NumberRule, rule_of
from trunkline.server.option_addresses import advertised, local_address
from trunkline.server.option_values import (
    codec_names,
    expiry_bounds,
    hep_server,
    listen_url,
    metrics_url,
    music_file,
    parse_listen,
    parse_url,
    path_text,
    port_range,
    profile_name,
    session_expires,
)
from trunkline.server.options import Options
from trunkline.server.profile import profile, profile_names
from trunkline.server.route_options import DestinationOptions, GroupOptions, RouteOptions
from trunkline.server.users import DEFAULT_MAX_CONTACTS, User
from trunkline.sip.capabilities import Dtmf, Reliable, Srtp

__all__ = [
    "DestinationOptions",
    "FileSettings",
    "GroupOptions",
    "LineOptions",
    "RouteOptions",
    "ServerSettings",
    "UserOptions",
    "load_file",
    "parse_listen",
    "parse_url",
    "problems_in",
    "validated",
]

Given = TypeVar("Given")


def _or(given: Given | None, otherwise: Given) -> Given:
    return otherwise if given is None else given


Port = Annotated[int, Field(ge=1024, le=65_535)]
MusicFile = Annotated[str, BeforeValidator(path_text), AfterValidator(music_file)]
CodecNames = Annotated[tuple[str, ...], AfterValidator(codec_names)]
AlarmMos = Annotated[float, Field(ge=0, le=4)]


class ServerSettings(Options):
    """The options of a server."""

    realm: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\s\"@]+$")]
    """The domain of the users' addresses and the digest realm."""
    domains: tuple[str, ...] = ()
    """Further domains that are ours."""
    listen: tuple[Annotated[str, AfterValidator(listen_url)], ...] = ("udp://0.0.0.0:5060",)
    """Where to listen: `udp://ADDRESS:PORT`, `tcp://ADDRESS:PORT`; port 0 lets the system choose."""
    advertise: Annotated[dict[str, str], AfterValidator(advertised)] = {}
    """Public address by local address, for a server behind 1:1 NAT; `0.0.0.0` or `::` stands for all of a family."""
    user_agent: Annotated[str, Field(max_length=200)] = "trunkline"
    """The User-Agent and Server header field; empty sends none."""
    session_name: Annotated[str, Field(min_length=1, max_length=100)] = "-"
    """The `s=` line of our session descriptions."""
    codecs: CodecNames = DEFAULT_CODECS
    """What users and lines may use where they say nothing, in order of preference."""
    media_ports: Annotated[tuple[Port, Port], AfterValidator(port_range)] = (16384, 32767)
    """First and last UDP port of RTP and RTCP."""
    media_address: Annotated[str, AfterValidator(local_address)] | None = None
    """The local address to bind RTP on, for peers of its family; the one that signalling came in on unless given.
    Peers are told what `advertise` says of it."""
    media_workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Threads that relay media; 0 for one a core."""
    media_timeout_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """Silence after which a call counts as lost, where its description says that the party sends; 0 for never."""
    quality_alarm_mos: AlarmMos = 0.0
    """MOS (1 to 4.5, by the E-model) below which the sound of a call's leg is told by `on_quality_low`; 0 for never."""
    session_expires_s: Annotated[int, AfterValidator(session_expires)] = 1_800
    """How long a call lasts unless one side refreshes it (session timers, RFC 4028): 90 or more, 0 for no timers."""
    min_se_s: Annotated[int, Field(ge=90, le=86_400)] = 90
    """The shortest session time that a peer may ask for; less gets 422."""
    reliable: Reliable = "supported"
    """Whether provisional responses are acknowledged (PRACK, RFC 3262): `never`, where the peer can (`supported`), or
    `required`, which refuses calls of peers that cannot."""
    srtp: Srtp = "never"
    """Whether audio is SRTP with keys in the session description (SDES, RFC 4568): `never`, where the peer can (`offered`),
    or `required`, which refuses calls without. Each leg of a call for itself."""
    srtp_in_clear: bool = False
    """Whether SRTP keys may cross signalling that is not encrypted. Whoever reads the signalling can then listen; without
    it, `offered` offers plain RTP there, and `required` refuses the call."""
    music_on_hold: MusicFile = ""
    """The file that a party hears while the other one's phone holds it; whose phone holds says which. Without one a hold
    passes through as it is."""
    registration_expiry_s: Annotated[tuple[int, int, int], AfterValidator(expiry_bounds)] = (60, 3600, 7200)
    """Lowest, default and highest registration time of users, in seconds."""
    digest_algorithm: Annotated[str, Field(pattern="^(MD5|SHA-256)$")] = "MD5"
    """What our challenges name; many phones know MD5 alone."""
    storage: Path | None = None
    """The SQLite file for what changes at run time; in memory unless given."""
    message_bytes: Annotated[int, Field(ge=0, le=60_000)] = 16_384
    """Size of a message's body that is taken; longer ones get 413."""
    stored_messages: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Messages that may wait for one user who is away; 0 keeps none."""
    stored_messages_s: Annotated[float, Field(ge=1, le=31_536_000)] = 604_800.0
    """How long a message waits for its user, in seconds."""
    lamps_show_party: bool = False
    """Whether busy lamps tell who is at the other end of a user's call."""
    stop_timeout_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """How long `stop` waits for calls to end and lines to be unregistered."""
    decision_timeout_s: Annotated[float, Field(ge=1, le=3_600)] = 180.0
    """How long an incoming call waits for a decision."""
    handler_threads: Annotated[int, Field(ge=1, le=1_000)] = 32
    """Threads for plain functions that decide about calls and registrations, and as many for all other plain functions. A
    handler waits for a free one; while more than 5,000 wait, new calls get 503."""
    flood_rate: Annotated[float, Field(gt=0)] = 500.0
    """Packets a second that one address may send; those of lines are not counted."""
    flood_burst: Annotated[float, Field(gt=0)] = 2_000.0
    """Packets that one address may send at once."""
    emergency_numbers: tuple[Annotated[str, Field(pattern=r"^\+?[0-9*#]{2,16}$")], ...] = ("112", "911")
    """Numbers that no limit of a line or group counts for, and that all lines are tried for. Those two are emergency
    numbers to every mobile phone (3GPP TS 22.101 §10.1.1); give all that your country has."""
    emergency_line: str | None = None
    """The line or line group that emergency calls go through first; without it, what the route says alone."""
    node: Annotated[int, Field(ge=0, le=65_535)] = 0
    """This machine's number, carried in every token that it mints."""
    recorded_entries: Annotated[int, Field(ge=100, le=10_000_000)] = 2_000
    """Messages and events that the recorder keeps; an event keeps its call, some kilobytes."""
    call_records_days: Annotated[int, Field(ge=0, le=36_500)] = 365
    """How long the records of calls stay in the file of `storage`; 0 keeps none."""
    hep: Annotated[str, AfterValidator(hep_server)] | None = None
    """The capture server (Homer) that gets every SIP message as HEP version 3: `udp://ADDRESS:PORT`; none unless given."""
    hep_agent_id: Annotated[int, Field(ge=0, le=4_294_967_295)] = 0
    """The number that the capture server knows us by."""
    hep_password: SecretStr | None = None
    """Proves us to a capture server that asks for one."""
    metrics: Annotated[str, AfterValidator(metrics_url)] | None = None
    """Where Prometheus reads `/metrics`: `http://ADDRESS:PORT`, port 0 lets the system choose; nowhere unless given."""


class UserOptions(Options):
    """The options of a user."""

    password: SecretStr
    """What its phones answer challenges with; kept as HA1 alone."""
    display_name: Annotated[str, Field(max_length=200)] = ""
    """The caller's name where the INVITE has none."""
    codecs: CodecNames | None = None
    """As the server's unless given."""
    max_contacts: Annotated[int, Field(ge=1, le=100)] = DEFAULT_MAX_CONTACTS
    """Phones that may be registered at a time."""
    numbers: tuple[
        Annotated[str, Field(pattern=r"^[+*#0-9A-Za-z._-]*[0-9A-Za-z][+*#0-9A-Za-z._-]*$", max_length=128)], ...
    ] = ()
    """The caller ids that its phones may show besides its name; what else their From says is replaced by the name."""
    media_timeout_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """As the server's unless given."""
    quality_alarm_mos: AlarmMos | None = None
    """As the server's unless given."""
    reliable: Reliable | None = None
    """Whether provisional responses of its calls are acknowledged; as the server's unless given."""
    session_expires_s: Annotated[int, AfterValidator(session_expires)] | None = None
    """As the server's unless given."""
    min_se_s: Annotated[int, Field(ge=90, le=86_400)] | None = None
    """As the server's unless given."""
    follow_redirects: Annotated[int, Field(ge=0, le=10)] = 0
    """How many targets of a 3xx of its phones are tried; 0 gives it to the application as moved."""
    rtcp_mux: bool = False
    """Whether its phones are offered one port for RTP and RTCP (RFC 5761); what they offer is taken in any case."""
    large_over_tcp: bool = True
    """Whether a request that is too large for UDP may go over TCP."""
    dtmf: Dtmf = "auto"
    """How digits go to its phones: by RFC 4733 where that is agreed, else as tones (`auto`), always agreeing to RFC 4733
    (`rfc4733`), by INFO (`info`), or as tones (`inband`)."""
    srtp: Srtp | None = None
    """Whether audio of its calls is SRTP; as the server's unless given."""
    srtp_in_clear: bool | None = None
    """Whether SRTP keys may cross signalling that is not encrypted; as the server's unless given."""
    music_on_hold: MusicFile | None = None
    """The file that others hear while one of its phones holds them; as the server's unless given, "" for nothing."""

    def user(self, name: str, server: ServerSettings, *, stored: bool = False) -> User:
        """The user of these options. ConfigurationError where the name or another value cannot be used.

        Args:
            name: Its name.
            server: Says what they leave open.
            stored: Whether the store keeps it.
        """
        return User.with_password(
            name,
            self.password.get_secret_value(),
            realm=server.realm,
            display_name=self.display_name,
            codecs=codecs_named(self.codecs or server.codecs, key=f"users.{name}.codecs"),
            max_contacts=self.max_contacts,
            media_timeout_s=_or(self.media_timeout_s, server.media_timeout_s),
            quality_alarm_mos=_or(self.quality_alarm_mos, server.quality_alarm_mos),
            numbers=self.numbers,
            reliable=self.reliable or server.reliable,
            srtp=self.srtp or server.srtp,
            srtp_in_clear=server.srtp_in_clear if self.srtp_in_clear is None else self.srtp_in_clear,
            stored=stored,
            session_expires_s=_or(self.session_expires_s, server.session_expires_s),
            min_se_s=_or(self.min_se_s, server.min_se_s),
            follow_redirects=self.follow_redirects,
            rtcp_mux=self.rtcp_mux,
            large_over_tcp=self.large_over_tcp,
            music_on_hold=_or(self.music_on_hold, server.music_on_hold),
            dtmf=self.dtmf,
        )

    def arguments(self) -> dict[str, Any]:
        """As keyword arguments of `SipServer.add_user`."""
        return {**self.model_dump(exclude_unset=True), "password": self.password.get_secret_value()}


def _line_fields() -> dict[str, Any]:
    """The fields of `LineSettings` as options: names for codecs, a secret for the password."""
    replaced = {
        "codecs": (CodecNames | None, None),
        "password": (SecretStr | None, None),
        "profile": (Annotated[str, AfterValidator(profile_name)] | None, None),
        "media_timeout_s": (Annotated[float, Field(ge=0, le=86_400)] | None, None),
        "quality_alarm_mos": (AlarmMos | None, None),
        "session_expires_s": (Annotated[int, AfterValidator(session_expires)] | None, None),
        "reliable": (Reliable | None, None),
        "srtp": (Srtp | None, None),
        "srtp_in_clear": (bool | None, None),
        "min_se_s": (Annotated[int, Field(ge=90, le=86_400)] | None, None),
        "music_on_hold": (MusicFile | None, None),
    }
    hints = get_type_hints(LineSettings)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(LineSettings):
        if field.name not in ("name", "stored"):
            default = ... if field.default is dataclasses.MISSING else field.default
            kind, default = replaced.get(field.name, (hints[field.name], default))
            # an alias, since pydantic's classes have a method `register`
            fields[f"{field.name}_"] = (kind, Field(default, alias=field.name))
    return fields


_OF_SERVER = (
    "media_timeout_s",
    "quality_alarm_mos",
    "session_expires_s",
    "min_se_s",
    "reliable",
    "srtp",
    "srtp_in_clear",
    "music_on_hold",
)
"""What a line has from the server where it says nothing."""


class LineOptionsBase(Options):
    """The options of a line: the fields of `LineSettings`, as `LineOptions` has them."""

    @model_validator(mode="before")
    @classmethod
    def _over_profile(cls, values: Any) -> Any:
        """What is given goes before what the profile has."""
        name = values.get("profile") if isinstance(values, Mapping) else None
        return {**profile(name).settings, **values} if name in profile_names() else values

    def values(self, name: str, server: ServerSettings) -> dict[str, Any]:
        """The fields of the `LineSettings` of that name, but for the name; `server` says what is left open."""
        values = self.arguments()
        values["codecs"] = codecs_named(values.get("codecs") or server.codecs, key=f"lines.{name}.codecs")
        for key in values.keys() & set(RULE_LISTS):
            values[key] = tuple(rule_of(rule) for rule in values[key])
        for key in _OF_SERVER:
            if values.get(key) is None:
                values[key] = getattr(server, key)
        return values

    def arguments(self) -> dict[str, Any]:
        """As keyword arguments of `SipServer.add_line`."""
        values = self.model_dump(exclude_unset=True, by_alias=True)
        password = values.get("password")
        return {**values, "password": password.get_secret_value()} if password is not None else values


if TYPE_CHECKING:
    LineOptions = LineOptionsBase
else:
    LineOptions = create_model("LineOptions", __base__=LineOptionsBase, **_line_fields())


class FileSettings(BaseSettings):
    """A whole configuration file; the environment goes before it (`TRUNKLINE_LINES__ITSP__PASSWORD=…`)."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", hide_input_in_errors=True
    )

    server: ServerSettings
    users: dict[str, UserOptions] = {}
    lines: dict[str, LineOptions] = {}
    line_groups: dict[str, GroupOptions] = {}
    routes: tuple[RouteOptions, ...] = ()


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], values: Mapping[str, Any], *, key: str = "") -> Model:
    """An option class made of keyword arguments.

    Args:
        model: The class.
        values: The arguments.
        key: What the errors' keys begin with, as `lines.itsp`.

    Raises:
        ConfigurationError: The first that is wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise next(_explained(error, model, key)) from None


def load_file(path: Path) -> FileSettings:
    """Read a TOML file, with the environment before it.

    Raises:
        ConfigurationError: It cannot be read, or the first key that is wrong.
    """
    settings, problems = _load(path)
    if settings is None:
        raise problems[0]
    return settings


def problems_in(path: Path) -> list[ConfigurationError]:
    """Everything that is wrong with a TOML file by itself."""
    return _load(path)[1]


def _load(path: Path) -> tuple[FileSettings | None, list[ConfigurationError]]:
    class Here(FileSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            file = TomlConfigSettingsSource(settings_cls, path)
            return SpelledEnvironment(env_settings, file), file

    try:
        path.open("rb").close()
        settings = Here()  # type: ignore[call-arg]
    except OSError as error:
        return None, [ConfigurationError(str(path), f"cannot be read: {error.strerror}")]
    except tomllib.TOMLDecodeError as error:
        return None, [ConfigurationError(str(path), f"is no valid TOML: {error}")]
    except ValidationError as error:
        return None, list(_explained(error, FileSettings, ""))
    problems = list(_inconsistent(settings))
    return (None if problems else settings), problems


def _inconsistent(settings: FileSettings) -> Iterator[ConfigurationError]:
    """What single keys do not show, and what the classes that are made of them refuse."""
    for login, user in settings.users.items():
        yield from User.problems(login, user.password.get_secret_value())
    for title, line in settings.lines.items():
        yield from LineSettings.problems(title, **line.values(title, settings.server))
    ways = {**settings.lines, **settings.line_groups}
    for name, options in settings.line_groups.items():
        yield from _wrong_group(name, options, settings)
    if settings.server.emergency_line is not None:
        yield from _unknown("server.emergency_line", "line", settings.server.emergency_line, ways)
    for number, route in enumerate(settings.routes, 1):
        key = f"routes.{number}"
        if sum((route.to_user is not None, route.to_line is not None, bool(route.to))) != 1:
            yield ConfigurationError(key, "needs exactly one of to_user, to_line and to")
        try:
            re.compile(route.number)
        except re.error as error:
            yield ConfigurationError(f"{key}.number", f"is no regular expression: {error}")
        named = list(route.named())
        if len(named) > MAX_DESTINATIONS:
            yield ConfigurationError(f"{key}.to", f"more than {MAX_DESTINATIONS} destinations")
        for part, to_user, to_line in named:
            yield from _unknown(f"{key}.{part}user", "user", to_user, settings.users)
            yield from _unknown(f"{key}.{part}line", "line", to_line, ways)


def _wrong_group(name: str, options: GroupOptions, settings: FileSettings) -> Iterator[ConfigurationError]:
    if name in settings.lines:
        yield ConfigurationError(f"line_groups.{name}", "there is a line of that name")
    for line in options.lines:
        yield from _unknown(f"line_groups.{name}.lines", "line", line, settings.lines)
    try:
        options.group(name)
    except ConfigurationError as error:
        yield error


def _unknown(key: str, kind: str, name: str | None, known: Mapping[str, Any]) -> Iterator[ConfigurationError]:
    if name is not None and name not in known:
        yield ConfigurationError(key, f"there is no {kind} {name}{_meant(name, known)}")


def _explained(error: ValidationError, model: type[BaseModel], prefix: str) -> Iterator[ConfigurationError]:
    for problem in error.errors(include_input=False, include_url=False):
        path = [str(part + 1) if isinstance(part, int) else str(part) for part in problem["loc"]]
        key = ".".join([prefix, *path] if prefix else path) or "configuration"
        kind = problem["type"]
        if kind == "extra_forbidden":
            known = _fields_at(model, problem["loc"][:-1])
            yield ConfigurationError(key, f"unknown key{_meant(path[-1], known) or '; known are ' + ', '.join(known)}")
        elif kind == "unexpected_keyword_argument":
            # the one dataclass among the options
            yield ConfigurationError(key, f"unknown key{_meant(path[-1], NumberRule.__dataclass_fields__)}")
        elif kind == "missing":
            yield ConfigurationError(key, "is missing")
        else:
            yield ConfigurationError(key, problem["msg"].removeprefix("Value error, "))


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that are known at a place of the configuration."""
    inner: dict[str, type[BaseModel]] = {
        "server": ServerSettings,
        "users": UserOptions,
        "lines": LineOptions,
        "line_groups": GroupOptions,
        "routes": DestinationOptions if "to" in location or "at_once" in location else RouteOptions,
    }
    at = inner.get(str(location[0]), model) if location else model
    return [field.alias or name for name, field in at.model_fields.items()]


def _meant(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""
