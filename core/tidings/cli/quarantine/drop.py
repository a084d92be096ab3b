"""``quarantine drop``."""

from __future__ import annotations

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.options import EVENT_ID
from tidings.cli.output import echo
from tidings.errors import TidingsError


@click.command()
@click.argument("exchange")
@click.argument("event_id", metavar="ID", type=EVENT_ID)
@pass_context
def drop(context: Context, exchange: str, event_id: int) -> None:
    """Forget one event: EXCHANGE will never have it. It stays in the event store."""
    from tidings.operations.journal import note  # noqa: PLC0415 - not needed for --help

    tidings = context.tidings
    quarantine = tidings.quarantine()
    if exchange in tidings.configuration.exchanges:  # an outbox as its source is to know it, too
        quarantine = tidings.exchange_tracker(exchange)
    if not quarantine.drop_quarantined(exchange, event_id):
        raise TidingsError(f"Event {event_id} of exchange {exchange!r} is not in quarantine.")
    note(tidings, exchange, "dropped", f"event {event_id} left the quarantine unsent")
    echo(f"Event {event_id} of exchange {exchange!r} is dropped.")
