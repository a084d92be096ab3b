"""``replay``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.options import EVENT_ID
from tidings.cli.output import echo

if TYPE_CHECKING:
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
    elif found.awaited is not None:
        left_out = f"; event {found.awaited.missing_id}, if it is committed, is never sent"
    return f"Exchange {name!r} goes on from event {after + 1}: {count} event(s){left_out}."
