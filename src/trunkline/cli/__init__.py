"""The command line: one command a file.

`main` is the entry point of the `trunkline` program. Exit status: 0 for success, 1 when something failed, 2 when it was asked wrongly or
the configuration is at fault.
"""

from __future__ import annotations

import sys

import click

from trunkline import __version__
from trunkline.cli.calls import calls
from trunkline.cli.check import check
from trunkline.cli.demo import demo
from trunkline.cli.serve import serve
from trunkline.errors import ConfigurationError, TrunklineError

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trunkline")
def commands() -> None:
    """Phones and provider lines, decided in Python."""


for command in (serve, demo, check, calls):
    commands.add_command(command)


def main() -> None:
    """Run the command line and exit; a configuration at fault is one line and status 2."""
    try:
        commands(standalone_mode=True)
    except ConfigurationError as error:
        click.echo(f"trunkline: {error}", err=True)
        sys.exit(2)
    except TrunklineError as error:
        click.echo(f"trunkline: {error}", err=True)
        sys.exit(1)
