"""What all commands share: where the configuration is, and how to speak."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidings.bootstrap import Tidings
    from tidings.interfaces import EventStore


@dataclass
class Context:
    """The global options, and what they lead to."""

    path: str | None
    debug: bool

    @cached_property
    def tidings(self) -> Tidings:
        """What the configuration describes."""
        from tidings.bootstrap import bootstrap  # noqa: PLC0415 - not needed for --help

        return bootstrap(self.path)

    def exchange(self, name: str | None) -> str:
        """Return the exchange that a command is about; an error where it is not configured."""
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


@contextmanager
def checked(store: EventStore) -> Iterator[EventStore]:
    """Check ``store``, give it, and close it."""
    try:
        store.check()
        yield store
    finally:
        store.close()


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people; numbers stand to the right. In a pipe no line is folded."""
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
        table.add_row(*(Text("-" if cell in (None, "") else str(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def echo_json(value: Any) -> None:
    """Print ``value`` as JSON for scripts."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{when} {record.levelname.lower()}: {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
