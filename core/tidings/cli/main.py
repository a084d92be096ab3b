"""The command's entrance: global options, commands loaded when they are called, errors."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

import click

from tidings import __version__
from tidings.cli.context import Context
from tidings.errors import ConfigurationError, TidingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS: Final[Mapping[str, str]] = {
    "init": "setup",
    "schema": "setup",
    "check": "setup",
    "append": "events",
    "listen": "events",
    "spread": "relaying",
    "run": "relaying",
    "status": "positions",
    "replay": "positions",
    "prune": "positions",
    "quarantine": "quarantine",
    "plugins": "plugins",
    "new-plugin": "new_plugin",
    "demo": "demo",
}
"""Each command, and the module of this package that holds it."""

FAILED, WRONG_USE = 1, 2


class _Commands(click.Group):
    """Imports a command's module when that command is called, or helped with."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tidings.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    metavar="FILE",
    help="The configuration file.  [default: $TIDINGS_CONFIG, else tidings.toml]",
)
@click.option("--debug", is_flag=True, help="Show tracebacks, and log in detail.")
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def tidings(ctx: click.Context, path: str | None, *, debug: bool) -> None:
    """Carry the domain events of your database to a message broker: in order, none lost."""
    ctx.obj = context = Context(path=path, debug=debug)
    context.log_to_stderr(level=logging.WARNING)


def main() -> None:
    """Run the command line; exit with 0, 1 (it failed) or 2 (wrong use, or configuration)."""
    debug = "--debug" in sys.argv
    try:
        code = tidings.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has gone; Python must not try to flush it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except TidingsError as error:
        if debug:
            raise
        for line in str(error).splitlines():
            click.echo(f"Error: {line}", err=True)
        sys.exit(WRONG_USE if isinstance(error, ConfigurationError) else FAILED)
