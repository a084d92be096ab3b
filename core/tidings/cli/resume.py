"""``resume``."""

from __future__ import annotations

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.output import echo


@click.command()
@click.argument("exchange")
@pass_context
def resume(context: Context, exchange: str) -> None:
    """Let relays carry EXCHANGE again, after `tidings pause`."""
    from tidings.operations import pausing  # noqa: PLC0415 - not needed for --help

    name = context.exchange(exchange)
    if pausing.resume(context.tidings, name):
        echo(f"Exchange {name!r} is paused no longer.")
    else:
        echo(f"Exchange {name!r} was not paused.")
