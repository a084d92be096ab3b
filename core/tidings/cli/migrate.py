"""``migrate``."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from tidings import __version__
from tidings.cli.context import Context, pass_context
from tidings.cli.output import echo
from tidings.cli.statements import as_text, each_once
from tidings.cli.stores import event_stores
from tidings.interfaces import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.bootstrap import Tidings


@click.command()
@click.option("--sql", is_flag=True, help="Only print the statements, for those who run them.")
@pass_context
def migrate(context: Context, *, sql: bool) -> None:
    """Bring the tables of an older tidings to this one's. Stop every relay first.

    Events, positions and everything else stays as it is. May be run again, and by several at once.
    """
    from tidings.operations.journal import note  # noqa: PLC0415 - not needed for --help

    tidings = context.tidings
    statements = each_once(_migrated(tidings, dry_run=sql))
    if sql and statements:
        for line in as_text(statements).splitlines():
            echo(line)
    elif statements:
        note(tidings, "", "migrated", f"by tidings {__version__}")
        echo("Tables migrated.")
    else:
        echo("Nothing to do: the tables are of this version.", err=sql)


def _migrated(tidings: Tidings, *, dry_run: bool) -> Iterator[str]:
    """Migrate each part that has tables; yield the statements of each."""
    for store in event_stores(tidings).values():
        if Capability.SCHEMA in store.capabilities:
            with closing(store):
                yield store.migrate(dry_run=dry_run)
    if Capability.SCHEMA in tidings.tracker.capabilities:
        yield tidings.tracker.migrate(dry_run=dry_run)
