"""``spread``."""

from __future__ import annotations

import click

from tidings import standard_output
from tidings.cli.context import Context, pass_context
from tidings.cli.options import LIMIT
from tidings.cli.output import echo


@click.command()
@click.argument("exchange", required=False)
@LIMIT
@pass_context
def spread(context: Context, exchange: str | None, limit: int | None) -> None:
    """Publish what EXCHANGE has not had yet, and return.

    EXCHANGE is the only configured exchange if none is named, else my-bc-app.
    """
    name = context.exchange(exchange)
    service = context.tidings.notification_service(name)
    sent = service.publish_notifications(name, limit)
    echo(f"{sent} notification(s) sent!", err=standard_output.holds_data())
