"""``prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.options import COUNT, age
from tidings.cli.output import echo
from tidings.cli.stores import checked
from tidings.errors import TidingsError
from tidings.interfaces import Capability

if TYPE_CHECKING:
    from datetime import timedelta


@click.command()
@click.option(
    "--older-than", type=age, metavar="AGE", help="Events older than 30d, 12h, 90m or 2w."
)
@click.option("--keep", type=COUNT, metavar="N", help="All but the newest N.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@pass_context
def prune(
    context: Context, older_than: timedelta | None, keep: int | None, *, dry_run: bool
) -> None:
    """Delete events that every exchange has had; never the newest."""
    from tidings.operations import positions as operations  # noqa: PLC0415 - not for --help

    if (older_than is None) == (keep is None):
        raise click.UsageError("Say either --older-than AGE or --keep N.")
    tidings = context.tidings
    store = tidings.event_store()
    if Capability.PRUNE not in store.capabilities:
        backend, *_ = tidings.configuration.store_part()
        raise TidingsError(f"The event store {backend!r} cannot be pruned.")
    with checked(store):
        pruned = operations.prune(tidings, store, older_than=older_than, keep=keep, dry_run=dry_run)
    echo(f"{pruned.events} event(s) {'would be deleted' if dry_run else 'deleted'}.")
    if pruned.awaited_by:
        echo(f"Others stay: exchange {pruned.awaited_by!r} has not had them yet.")
    for name in pruned.set_back:
        echo(
            f"Exchange {name!r} was replayed meanwhile, or has just begun: it does not get those "
            "that were deleted."
        )
    if pruned.events:
        echo(
            f"Every exchange known here has had them: {', '.join(pruned.exchanges)}. One that only "
            "another configuration names, and that has not run yet, is not known here, and does "
            "not get them."
        )
