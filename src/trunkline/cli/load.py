"""Where a server of the command line comes from: a TOML file, or `module:attribute` in code.

Used by `serve`; `check` reads the file alone and imports no code.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from trunkline.errors import ConfigurationError
from trunkline.features.dialplan import DialPlan, Route
from trunkline.server.config import FileSettings, RouteOptions, load_file
from trunkline.server.server import SipServer

__all__ = ["load_server", "server_of"]


def load_server(source: str) -> SipServer:
    """The server that `source` names.

    Args:
        source: The path of a TOML file, or `module:attribute` of a `SipServer` or of a function that returns one.

    Raises:
        ConfigurationError: There is none, or it cannot work.
    """
    if source.endswith(".toml") or Path(source).is_file():
        return server_of(load_file(Path(source)))
    module_name, _, attribute = source.partition(":")
    if not attribute:
        raise ConfigurationError(source, "is no file; give the path of a TOML file, or module:server")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(source, f"cannot be imported: {error}") from error
    server = found if isinstance(found, SipServer) else found() if callable(found) else found
    if not isinstance(server, SipServer):
        raise ConfigurationError(source, f"is a {type(server).__name__}, not a SipServer")
    return server


def server_of(settings: FileSettings) -> SipServer:
    """A server with the users, lines and routes of a file."""
    server = SipServer(settings.server)
    for name, user in settings.users.items():
        server.add_user(name, **user.arguments())
    for name, line in settings.lines.items():
        server.add_line(name, **line.arguments())
    for name, group in settings.line_groups.items():
        server.add_line_group(name, **group.model_dump(exclude_unset=True))
    DialPlan([_rule(route) for route in settings.routes]).serve(server)
    return server


def _rule(route: RouteOptions) -> Route:
    return Route(
        to_user=route.to_user,
        to_line=route.to_line,
        to=[each.destination() for each in route.to] or None,
        from_=route.from_,
        number=re.compile(route.number),
        timeout_s=route.timeout_s,
    )
