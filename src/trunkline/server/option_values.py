"""What single options may be: checks that are more than a range, for `config`. Each gives the value back, or says what would do."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from trunkline.errors import ConfigurationError
from trunkline.server.codecs import codecs_named
from trunkline.server.option_addresses import is_address
from trunkline.server.profile import profile

__all__ = [
    "codec_names",
    "expiry_bounds",
    "hep_server",
    "listen_url",
    "metrics_url",
    "music_file",
    "parse_listen",
    "parse_url",
    "path_text",
    "port_range",
    "profile_name",
    "session_expires",
]

TRANSPORTS = ("udp", "tcp")
DEFAULT_SIP_PORT = 5060


def parse_url(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of `SCHEME://ADDRESS:PORT`, all three given. ValueError for anything else."""
    parts = urlsplit(url)
    if not parts.hostname or parts.port is None or parts.path or parts.query or parts.username is not None:
        raise ValueError(f"{url!r} needs the form {parts.scheme or 'SCHEME'}://ADDRESS:PORT")
    return parts.scheme, parts.hostname, parts.port


def parse_listen(url: str) -> tuple[str, str, int]:
    """Transport, host and port of a listening URL such as `udp://0.0.0.0:5060` or `tcp://[::]:5060`.

    Raises:
        ValueError: It is none; the text says what would be right.
    """
    parts = urlsplit(url)
    if parts.scheme not in TRANSPORTS:
        raise ValueError(f"{url!r} needs a transport in front: udp://{url.rpartition('//')[2]} or tcp://…")
    if not parts.hostname or parts.path or parts.query:
        raise ValueError(f"{url!r} needs the form {parts.scheme}://ADDRESS:PORT")
    return parts.scheme, parts.hostname, DEFAULT_SIP_PORT if parts.port is None else parts.port


def listen_url(url: str) -> str:
    """A listening URL as it is. ValueError where it is none."""
    parse_listen(url)
    return url


def hep_server(url: str) -> str:
    """The URL of a capture server as it is. ValueError where it is none."""
    scheme, host, _ = parse_url(url)
    if scheme != "udp" or not is_address(host):
        raise ValueError(f"{url!r} is no capture server: udp://ADDRESS:PORT with a literal address is needed")
    return url


def metrics_url(url: str) -> str:
    """Where metrics are served, as it is. ValueError where it cannot be."""
    scheme, host, _ = parse_url(url)
    if scheme != "http" or not is_address(host):
        raise ValueError(f"{url!r} needs the form http://ADDRESS:PORT, with an address of this machine")
    return url


def codec_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as they are. ValueError where one is of no codec."""
    try:
        codecs_named(names)
    except ConfigurationError as error:
        raise ValueError(error.problem) from error
    return names


def port_range(ports: tuple[int, int]) -> tuple[int, int]:
    """First and last port as they are. ValueError where no call fits between."""
    first, last = ports
    if last - first < 3:
        raise ValueError("the last port must lie at least 3 above the first: a call takes 4")
    return ports


def expiry_bounds(bounds: tuple[int, int, int]) -> tuple[int, int, int]:
    """Lowest, default and highest time as they are. ValueError where they are not in this order."""
    lowest, usual, highest = bounds
    if lowest < 1:
        raise ValueError("a registration lasts at least a second")
    if not lowest <= usual <= highest:
        raise ValueError("the three values are lowest, default and highest, in this order")
    return bounds


def profile_name(name: str) -> str:
    """The full name of a profile. ValueError where there is none of that name."""
    return profile(name).name


def session_expires(seconds: int) -> int:
    """A session time as it is. ValueError where no session can last so long, or so short."""
    # RFC 4028 §4: no session expires sooner
    if seconds and not 90 <= seconds <= 86_400:
        raise ValueError("90 to 86400 seconds, or 0 for no session timers")
    return seconds


def path_text(path: object) -> object:
    """A path as text; anything else as it is."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def music_file(path: str) -> str:
    """The path of a file that can be read, or "". ValueError where it cannot."""
    if path:
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    return path
