"""`trunkline check`: says in words what is wrong with a configuration and with the machine it is to run on."""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from trunkline.server.config import FileSettings, load_file, parse_listen, problems_in
from trunkline.server.live_check import Finding, findings
from trunkline.server.live_probe import look
from trunkline.server.ports import listen_error, try_to_bind

__all__ = ["check"]

FILES_PER_CALL = 4
"""Sockets of one call: RTP and RTCP on two legs."""
SPARE_FILES = 200
"""Files for listeners, connections and the database."""


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--live", is_flag=True, help="Ask the lines' providers too; nothing is registered or changed.")
def check(config: Path, live: bool) -> None:
    """Explain CONFIG, a TOML file, and what on this machine stands in its way.

    Every problem is one line. Exit status 0 when there is none, 2 otherwise.
    """
    wrong = problems_in(config)
    for problem in wrong:
        click.echo(f"✗ {problem}")
    if wrong:
        sys.exit(2)
    settings = load_file(config)
    problems = 0
    for question in LIVE_QUESTIONS if live else QUESTIONS:
        for fine, text in question(settings):
            click.echo(f"{'✓' if fine else '✗'} {text}")
            problems += not fine
    sys.exit(2 if problems else 0)


def _listeners(settings: FileSettings) -> Iterator[Finding]:
    for url in settings.server.listen:
        transport, host, port = parse_listen(url)
        error = try_to_bind(transport, host, port)
        if error is None:
            yield True, f"{url}: free"
        else:
            yield False, str(listen_error(url, transport, port, error))


def _media(settings: FileSettings) -> Iterator[Finding]:
    first, last = settings.server.media_ports
    calls = (last - first + 1) // FILES_PER_CALL
    yield True, f"media_ports {first}-{last}: room for {calls} calls"
    address = settings.server.media_address
    if address is not None and try_to_bind("udp", address, 0) is not None:
        yield False, f"media_address: this machine has no address {address} (public ones belong into advertise)"
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < calls * FILES_PER_CALL + SPARE_FILES:
        held = max((soft - SPARE_FILES) // FILES_PER_CALL, 0)
        yield True, f"open files: the limit of {soft} (ulimit -n) allows {held} calls at once"


def _storage(settings: FileSettings) -> Iterator[Finding]:
    path = settings.server.storage
    if path is None:
        yield True, "storage: in memory; registrations are forgotten at a restart (set storage to keep them)"
    elif path.is_dir():
        yield False, f"storage: {path} is a directory; name a file in it"
    elif not path.parent.is_dir():
        yield False, f"storage: the directory {path.parent} does not exist"
    else:
        error = _cannot_write(path)
        yield error is None, f"storage: {path}" if error is None else f"storage: {error}"


def _cannot_write(path: Path) -> str | None:
    """What stands in the way of writing a database there: it needs its directory too, for the log beside it."""
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        return f"nothing can be written into {path.parent}: {error.strerror}"
    try:
        if path.exists():
            path.open("r+b").close()
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    return None


def _peers(settings: FileSettings) -> Iterator[Finding]:
    lines = settings.lines
    yield True, f"{len(settings.users)} users, {len(lines)} lines, {len(settings.routes)} routes"
    yield from _emergencies(settings)
    if lines and not any(route.to_user or route.to for route in settings.routes):
        yield True, "no route has to_user: calls from lines ring only users whose name was dialled"


def _emergencies(settings: FileSettings) -> Iterator[Finding]:
    server = settings.server
    if settings.lines and server.emergency_numbers:
        way = f"through {server.emergency_line} first" if server.emergency_line else "where the routes send them"
        yield True, f"emergency_numbers {', '.join(server.emergency_numbers)}: {way}"


def _live(settings: FileSettings) -> Iterator[Finding]:
    return findings(settings, asyncio.run(look(settings)))


Question = Callable[[FileSettings], Iterator[Finding]]

QUESTIONS: tuple[Question, ...] = (_listeners, _media, _storage, _peers)
LIVE_QUESTIONS: tuple[Question, ...] = (_media, _storage, _peers, _live)
"""A live look opens the listeners itself."""
