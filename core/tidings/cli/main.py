"""The command's entrance: global options, commands loaded when they are called, errors."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click
from typing_extensions import override

from tidings import __version__
from tidings.blame import is_of_a_plugin
from tidings.cli.context import Context, Group
from tidings.cli.exit_codes import INTERRUPTED, TERMINATED, exit_code
from tidings.cli.output import OutputError, echo, give_up_output, open_streams, sentences, telling
from tidings.errors import OutputClosedError, TidingsError

if TYPE_CHECKING:
    from types import FrameType

COMMANDS: Final = (
    "init",
    "schema",
    "migrate",
    "check",
    "append",
    "listen",
    "spread",
    "run",
    "status",
    "journal",
    "health",
    "pause",
    "resume",
    "replay",
    "prune",
    "renumber",
    "quarantine",
    "plugins",
    "new-plugin",
    "demo",
)
"""The commands, as the help lists them; each is in the module of its name."""


class _Commands(Group):
    """Imports a command's module when that command is called, or helped with."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"tidings.cli.{name}"), name)
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
    open_streams()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # What SIGINT does; and the system's own way is none for a container's first process.
        signal.signal(signal.SIGTERM, _terminate)
    try:
        code = tidings.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        with telling():
            error.show()
        sys.exit(error.exit_code)
    except _TerminatedError:
        sys.exit(TERMINATED)
    except (click.Abort, KeyboardInterrupt) as interrupt:
        # Click tells of an interrupt, whichever it was, by an exception of its own.
        terminated = isinstance(interrupt.__context__ or interrupt.__cause__, _TerminatedError)
        sys.exit(TERMINATED if terminated else INTERRUPTED)
    except Exception as error:
        if isinstance(error, OutputError | OutputClosedError):
            give_up_output()
        # What nobody raised on purpose is a fault of ours, if no plugin had a part in it.
        if debug or not (isinstance(error, TidingsError) or is_of_a_plugin(error)):
            raise
        for sentence in sentences(error):
            echo(f"Error: {sentence}", err=True)
        sys.exit(exit_code(error))


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM: everything is let go of, as after SIGINT."""


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _TerminatedError
