"""``pause``."""

from __future__ import annotations

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.output import echo


@click.command()
@click.argument("exchange")
@click.option("--reason", metavar="TEXT", help="Why, for those who see it stand still.")
@pass_context
def pause(context: Context, exchange: str, reason: str | None) -> None:
    """Let no relay carry EXCHANGE until `tidings resume`.

    A running relay finishes what is in flight, within about a second, and gives the exchange back.
    Restarts change nothing; events go on being recorded.
    """
    from tidings.operations import pausing  # noqa: PLC0415 - not needed for --help

    name = context.exchange(exchange)
    is_new = pausing.pause(context.tidings, name, reason)
    already = "" if is_new else " already, and stays so for the reason that was given first"
    echo(f"Exchange {name!r} is paused{already}. `tidings resume {name}` lets it go on.")
