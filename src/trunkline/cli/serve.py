"""`trunkline serve`: run a server until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import click

from trunkline.cli.load import load_server
from trunkline.server.server import SipServer
from trunkline.trace.log import JsonLines

__all__ = ["serve"]

log = logging.getLogger("trunkline")


@click.command()
@click.argument("source")
@click.option("--messages", is_flag=True, help="Log every SIP message by its first line.")
@click.option("--pcap", type=click.Path(dir_okay=False, path_type=Path), help="Write every SIP message to this file.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Log lines for people, or one JSON object a line for log collectors.",
)
def serve(source: str, messages: bool, pcap: Path | None, log_format: str) -> None:
    """Run the server that SOURCE describes: a TOML file, or module:server in code.

    SIGTERM and SIGINT end the calls, unregister the lines and stop; a second one stops at once.
    """
    _log_to_stderr(log_format)
    if messages:
        logging.getLogger("trunkline.messages").setLevel(logging.DEBUG)
    server = load_server(source)
    if messages or pcap is not None:
        server.trace(pcap)
    asyncio.run(_serve(server))


def _log_to_stderr(log_format: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])


async def _serve(server: SipServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stop)
    async with server:
        for url in server.listening:
            log.info("listening on %s", url)
        await stop.wait()
        log.info("stopping: calls are ended and lines unregistered")
    log.info("stopped")


def _stop(stop: asyncio.Event) -> None:
    if stop.is_set():
        raise SystemExit(1)
    stop.set()
