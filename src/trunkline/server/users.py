"""Users: the phones' accounts, as the application, the configuration file or the store names them.

`auth` verifies passwords against them, `registrar` binds contacts to them, `routing` and `identify` turn them into
parties of a call. A password is turned into HA1 (RFC 7616 §3.4.2) at once and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline.calls.peers import Party
from trunkline.constants import PeerType
from trunkline.errors import ConfigurationError, UnknownPeer
from trunkline.sip.capabilities import Dtmf, Reliable, Srtp
from trunkline.sip.endpoint import Codec, digest_ha1
from trunkline.sip.session_timer import SessionTimes
from trunkline.storage.records import UserRecord

__all__ = ["DEFAULT_CODECS", "DEFAULT_MAX_CONTACTS", "User", "Users"]

DEFAULT_CODECS = (Codec("PCMA", 8000), Codec("PCMU", 8000), Codec("telephone-event", 8000, fmtp="0-16"))
"""What a peer may use where nothing is said."""

DEFAULT_MAX_CONTACTS = 10
"""Phones of one user that are registered at a time."""

SETTINGS = (
    "session_expires_s",
    "min_se_s",
    "follow_redirects",
    "rtcp_mux",
    "large_over_tcp",
    "dtmf",
    "quality_alarm_mos",
    "music_on_hold",
)
"""The fields that the store keeps together, as it does those of lines."""

MAX_NAME = 128
"""Characters of a name."""

BAD_NAME = 'a name is printable text without spaces and without @ : ; , < > "'


@dataclass(frozen=True, slots=True)
class User:
    """A phone's account.

    Its name is the user part of its address and the login of its digest. Made by `with_password`, or from HA1 values
    that somebody else keeps.
    """

    name: str
    realm: str
    ha1_md5: str = field(repr=False)
    """H(name:realm:password) in hex by MD5; "" where it is not known."""
    ha1_sha256: str = field(default="", repr=False)
    """The same by SHA-256."""
    display_name: str = ""
    codecs: tuple[Codec, ...] = DEFAULT_CODECS
    max_contacts: int = DEFAULT_MAX_CONTACTS
    media_timeout_s: float = 0.0
    """Silence after which its calls count as lost; 0 for never."""
    numbers: tuple[str, ...] = ()
    """What it may show as its caller id besides its name."""
    reliable: Reliable = "supported"
    """Whether provisional responses of its calls are acknowledged (RFC 3262)."""
    srtp: Srtp = "never"
    """Whether audio of its calls is SRTP (RFC 4568)."""
    srtp_in_clear: bool = False
    """Whether SRTP keys may cross signalling that is not encrypted."""
    session_expires_s: int | None = None
    """How long its calls last unless they are refreshed (RFC 4028); 0 for no timers, None for as the server has both times."""
    min_se_s: int = 90
    """The shortest session time that its phones may ask for."""
    follow_redirects: int = 0
    """How many targets of a 3xx of its phones are tried; 0 gives it to the application as moved."""
    rtcp_mux: bool = False
    """Whether its phones are offered one port for RTP and RTCP (RFC 5761)."""
    large_over_tcp: bool = True
    """Whether a request that is too large for UDP may go over TCP (RFC 3261 §18.1.1)."""
    quality_alarm_mos: float = 0.0
    """MOS below which the sound of its calls is told to be low; 0 for never."""
    music_on_hold: str = ""
    """The path of what others hear while one of its phones holds them; "" for nothing."""
    dtmf: Dtmf = "auto"
    """How digits go to its phones: auto, rfc4733, info or inband."""
    stored: bool = False
    """Added at run time: the store keeps it."""

    def __post_init__(self) -> None:
        key = f"users.{self.name}"
        if not _is_user_part(self.name):
            raise ConfigurationError(key, BAD_NAME)
        if self.max_contacts < 1:
            raise ConfigurationError(f"{key}.max_contacts", "at least one contact must be possible")
        if not self.codecs:
            raise ConfigurationError(f"{key}.codecs", "at least one codec is needed")

    @classmethod
    def with_password(
        cls,
        name: str,
        password: str,
        *,
        realm: str,
        display_name: str = "",
        codecs: Sequence[Codec] = DEFAULT_CODECS,
        max_contacts: int = DEFAULT_MAX_CONTACTS,
        media_timeout_s: float = 0.0,
        numbers: Sequence[str] = (),
        reliable: Reliable = "supported",
        srtp: Srtp = "never",
        srtp_in_clear: bool = False,
        stored: bool = False,
        **settings: Any,
    ) -> User:
        """The user whose digest answers are made from `password`; the password itself is not kept.

        Args:
            name: Its name.
            password: Its password.
            realm: Of the digest.
            display_name: As the field.
            codecs: As the field.
            max_contacts: As the field.
            media_timeout_s: As the field.
            numbers: As the field.
            reliable: As the field.
            srtp: As the field.
            srtp_in_clear: As the field.
            stored: As the field.
            settings: Further fields by name, those of `SETTINGS`.

        Raises:
            ConfigurationError: The name or another value cannot be used.
        """
        for problem in cls.problems(name, password):
            raise problem
        return cls(
            name,
            realm,
            digest_ha1(name, realm, password, "MD5"),
            digest_ha1(name, realm, password, "SHA-256"),
            display_name,
            tuple(codecs),
            max_contacts,
            media_timeout_s,
            tuple(numbers),
            reliable,
            srtp,
            srtp_in_clear,
            stored=stored,
            **settings,
        )

    @staticmethod
    def problems(name: str, password: str) -> Iterator[ConfigurationError]:
        """What is wrong with a name and a password."""
        if not _is_user_part(name):
            yield ConfigurationError(f"users.{name}", BAD_NAME)
        if not password:
            yield ConfigurationError(f"users.{name}.password", "an empty password lets everybody in")

    def ha1(self, algorithm: str) -> str:
        """H(name:realm:password) in hex for a digest algorithm; "" where it is not known."""
        return {"MD5": self.ha1_md5, "SHA-256": self.ha1_sha256}.get(algorithm.upper(), "")

    def party(self, *, nat: bool = False) -> Party:
        """The user as the peer of a call's channel."""
        return Party(
            PeerType.USER,
            self.name,
            self.codecs,
            nat=nat,
            media_timeout_s=self.media_timeout_s,
            reliable=self.reliable,
            timers=None if self.session_expires_s is None else SessionTimes(self.session_expires_s, self.min_se_s),
            follow_redirects=self.follow_redirects,
            rtcp_mux=self.rtcp_mux,
            large_over_tcp=self.large_over_tcp,
            quality_alarm_mos=self.quality_alarm_mos,
            dtmf=self.dtmf,
            srtp=self.srtp,
            srtp_in_clear=self.srtp_in_clear,
            music_on_hold=self.music_on_hold,
        )

    def record(self) -> UserRecord:
        """What the store keeps."""
        codecs = [codec_json(codec) for codec in self.codecs]
        return UserRecord(
            name=self.name,
            realm=self.realm,
            ha1_md5=self.ha1_md5,
            ha1_sha256=self.ha1_sha256,
            display_name=self.display_name,
            codecs=codecs,
            max_contacts=self.max_contacts,
            media_timeout_s=self.media_timeout_s,
            numbers=list(self.numbers),
            reliable=self.reliable,
            settings={name: getattr(self, name) for name in SETTINGS},
            srtp=self.srtp,
            srtp_in_clear=self.srtp_in_clear,
        )

    @classmethod
    def of_record(cls, record: UserRecord) -> User:
        """The user that the store kept."""
        settings: dict[str, Any] = dict(record.settings)
        return cls(
            record.name,
            record.realm,
            record.ha1_md5,
            record.ha1_sha256,
            record.display_name,
            tuple(codec_of_json(codec) for codec in record.codecs),
            record.max_contacts,
            record.media_timeout_s,
            tuple(record.numbers),
            reliable=_reliable(record.reliable),
            srtp=_srtp(record.srtp),
            srtp_in_clear=record.srtp_in_clear,
            stored=True,
            **{name: value for name, value in settings.items() if name in SETTINGS},
        )


def _reliable(text: str) -> Reliable:
    return text if text in ("never", "required") else "supported"  # type: ignore[return-value]


def _srtp(text: str) -> Srtp:
    return text if text in ("offered", "required") else "never"  # type: ignore[return-value]


def _is_user_part(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and text.isprintable() and not set(text) & set(' @:;,<>"')


def codec_json(codec: Codec) -> dict[str, object]:
    """A codec as plain types."""
    return {"name": codec.name, "clock_rate": codec.clock_rate, "channels": codec.channels, "fmtp": codec.fmtp}


def codec_of_json(value: object) -> Codec:
    """The codec that `codec_json` made that of."""
    fields = dict(value) if isinstance(value, dict) else {}
    return Codec(fields["name"], fields["clock_rate"], fields.get("channels", 1), fmtp=fields.get("fmtp"))


class Users:
    """All users, by name.

    Args:
        on_removed: Told of each user that is removed or replaced under another realm, for its bindings to go.
    """

    def __init__(self, on_removed: Callable[[User], None] = lambda user: None) -> None:
        self._by_name: dict[str, User] = {}
        self.on_removed = on_removed

    def add(self, user: User) -> None:
        """Add a user. ConfigurationError where the name is taken."""
        if user.name in self._by_name:
            raise ConfigurationError(f"users.{user.name}", "there is a user of that name already")
        self._by_name[user.name] = user

    def remove(self, name: str) -> User:
        """Remove a user; its bindings go with it. UnknownPeer where there is none."""
        user = self._by_name.pop(name, None)
        if user is None:
            raise UnknownPeer(f"no user {name}")
        self.on_removed(user)
        return user

    def find(self, name: str | None) -> User | None:
        """The user of that name. Names are compared by case, as user parts are (RFC 3261 §19.1.4)."""
        return self._by_name.get(name) if name else None

    def __getitem__(self, name: str) -> User:
        """The user of that name. UnknownPeer where there is none."""
        user = self._by_name.get(name)
        if user is None:
            raise UnknownPeer(f"no user {name}")
        return user

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[User]:
        return iter(list(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)
