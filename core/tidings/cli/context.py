"""What all commands share: where the configuration is, and how to speak."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING

import click
from typing_extensions import override

from tidings.cli.output import divert_foreign, echo
from tidings.shown import shown, shown_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidings.bootstrap import Tidings


@dataclass
class Context:
    """The global options, and what they lead to."""

    path: str | None
    debug: bool

    @cached_property
    def tidings(self) -> Tidings:
        """What the configuration describes; closed as the command ends."""
        from tidings.bootstrap import Tidings  # noqa: PLC0415 - not needed for --help

        divert_foreign()
        tidings = Tidings.from_file(self.path)
        click.get_current_context().call_on_close(tidings.close)
        return tidings

    def exchange(self, name: str | None) -> str:
        """Return the exchange that a command is about; an error if it is not configured."""
        chosen = name or self.tidings.default_exchange()
        self.tidings.configuration.exchange(chosen)
        return chosen

    def log_to_stderr(self, *, as_json: bool = False, level: int = logging.INFO) -> None:
        """Show tidings' log lines; those of the broker's libraries too, with ``--debug``.

        Those libraries log as errors what we expect, handle, and tell in a sentence of our own.
        """
        handler = logging.StreamHandler()
        handler.setFormatter(_JsonLines() if as_json else _Plain())
        logger = logging.getLogger("tidings")
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.DEBUG if self.debug else level)
        logging.getLogger().handlers = [handler if self.debug else logging.NullHandler()]


pass_context = click.make_pass_decorator(Context)

_WIDEST = 10_000


class Group(click.Group):
    """Commands with a hint if one is misspelt, and whole sentences in the help."""

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the closest one."""
        from tidings.config import did_you_mean  # noqa: PLC0415 - not needed for --help

        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-"):
            hint = did_you_mean(args[0], names)
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its first sentence."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(_WIDEST)) for name, each in commands if each]
            )


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people; numbers stand to the right."""
    from rich.console import Console  # noqa: PLC0415 - it is slow to import
    from rich.table import Table  # noqa: PLC0415 - it is slow to import
    from rich.text import Text  # noqa: PLC0415 - it is slow to import

    lines = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False)
    for title, cells in zip_longest(titles, zip(*lines, strict=True)):
        numbers = any(isinstance(cell, int | float) for cell in cells or ())
        table.add_column(title, justify="right" if numbers else "left")
    for row in lines:
        # As text: what others wrote must not be taken for rich's markup.
        table.add_row(*(Text("-" if cell in (None, "") else shown(cell)) for cell in row))
    # Names stay whole, in one line, also if a terminal then folds it.
    console = Console(width=_WIDEST, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        echo(line.rstrip())


class _Plain(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{when} {record.levelname.lower()}: {shown(record.getMessage())}"
        if not record.exc_info:
            return text
        traceback = self.formatException(record.exc_info).split("\n")
        return "\n".join([text, *map(shown, traceback)])


class _JsonLines(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return shown_json(json.dumps(line, ensure_ascii=False))
