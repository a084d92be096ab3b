"""``init``."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.output import divert_foreign, echo
from tidings.cli.stores import event_stores
from tidings.errors import TidingsError

if TYPE_CHECKING:
    from tidings.bootstrap import Tidings


@click.command()
@click.option("--producer", default="jsonlines", metavar="NAME", show_default=True)
@click.option("--tables", is_flag=True, help="Only create the tables of an existing configuration.")
@pass_context
def init(context: Context, producer: str, *, tables: bool) -> None:
    """Write a commented tidings.toml, and create the tables."""
    from tidings import config  # noqa: PLC0415 - not needed for --help
    from tidings.cli.init_template import template  # noqa: PLC0415 - not needed for --help

    path = config.find_file(context.path, os.environ)
    if not tables:
        divert_foreign()
        text = template(producer)
        try:
            # Its owner's alone: passwords are written into it.
            with open(path, "x", encoding="utf-8", opener=_private) as file:
                file.write(text)
        except FileExistsError:
            raise TidingsError(
                f"{path} exists already, and was left as it is. "
                "`tidings init --tables` creates the tables that it names."
            ) from None
        except OSError as error:
            raise TidingsError(f"Cannot write {path}: {error.strerror}.") from error
        echo(f"{path} written.")
    _create_tables(context.tidings)
    echo("Tables ready.")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _create_tables(tidings: Tidings) -> None:
    for store in event_stores(tidings).values():
        with closing(store):
            store.create()
    tidings.tracker.create()
