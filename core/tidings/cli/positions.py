"""``replay`` and ``prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, checked, pass_context
from tidings.cli.numbers import COUNT, EVENT_ID, age
from tidings.cli.output import echo
from tidings.errors import TidingsError
from tidings.interfaces import Capability

if TYPE_CHECKING:
    from datetime import timedelta

    from tidings.operations.positions import Replayed


@click.command()
@click.argument("exchange")
@click.option("--from", "from_id", type=EVENT_ID, metavar="ID", help="From that event.")
@click.option("--all", "everything", is_flag=True, help="From the first event.")
@click.option("--skip", is_flag=True, help="Also if events that were never sent are passed.")
@pass_context
def replay(
    context: Context, exchange: str, from_id: int | None, *, everything: bool, skip: bool
) -> None:
    """Let EXCHANGE have its events again, from an id or from the first.

    No other exchange notices. A running relay goes on from there by itself. Ahead of what the
    exchange has had, it passes events that were never sent, and is refused without --skip. It is
    refused, too, if the position is not one of this event store: then nothing says what was sent.
    """
    from tidings.operations import positions as operations  # noqa: PLC0415 - not for --help

    if everything == (from_id is not None):
        raise click.UsageError("Say either --from ID or --all.")
    name = context.exchange(exchange)
    tidings = context.tidings
    after = 0 if from_id is None else from_id - 1
    found = operations.replay(tidings, name, after, skip=skip)
    echo(_replayed(name, found))
    if after > found.newest:
        echo(
            f"The newest event in the event store is {found.newest or '-'}: what is recorded "
            f"before event {after + 1} is not sent."
        )
    if found.gone:
        echo(found.gone)


def _replayed(name: str, found: Replayed) -> str:
    from tidings.relay.lag import counted  # noqa: PLC0415 - not needed for --help

    had, after, passed = found.had, found.after, found.passed
    count = counted(found.count)
    if had is not None and after <= had:
        return f"Exchange {name!r} gets every event from {after + 1} again: {count} event(s)."
    left_out = ""
    if passed > 0 and had is None:
        left_out = f"; of {counted(passed)} event(s) before that nothing says that they were sent"
    elif passed > 0:
        left_out = f"; {counted(passed)} event(s) before that were never sent"
    return f"Exchange {name!r} goes on from event {after + 1}: {count} event(s){left_out}."


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
