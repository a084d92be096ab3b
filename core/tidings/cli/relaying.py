"""``spread`` and ``run``."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context

if TYPE_CHECKING:
    from types import FrameType

    from tidings.relay.worker import Worker

LIMIT = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N notifications."
)


@click.command()
@click.argument("exchange", required=False)
@LIMIT
@pass_context
def spread(context: Context, exchange: str | None, limit: int | None) -> None:
    """Publish what EXCHANGE has not had yet, and return.

    EXCHANGE is the only configured exchange where none is named, else my-bc-app.
    """
    name = context.exchange(exchange)
    service = context.tidings.notification_service(name)
    sent = service.publish_notifications(name, limit)
    click.echo(f"{sent} notification(s) sent!")


@click.command()
@click.argument("exchanges", nargs=-1, metavar="[EXCHANGE]...")
@LIMIT
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text")
@pass_context
def run(context: Context, exchanges: tuple[str, ...], limit: int | None, log_format: str) -> None:
    """Keep publishing to every EXCHANGE named, or to all that are configured.

    SIGTERM and SIGINT finish the batch in hand. A lost broker or database is retried for ever.
    With --limit, each exchange ends after N notifications.
    """
    context.log_to_stderr(as_json=log_format == "json")
    worker = context.tidings.worker(exchanges, limit)
    _stop_on_signals(worker)
    worker.run()


def _stop_on_signals(worker: Worker) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
