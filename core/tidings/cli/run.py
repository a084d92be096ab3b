"""``run``."""

from __future__ import annotations

import os
import platform
import signal
from typing import TYPE_CHECKING

import click

from tidings import __version__
from tidings.cli.context import Context, pass_context
from tidings.cli.options import LIMIT
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from types import FrameType

    from tidings.relay.worker import Worker

log = escaping_logger(__name__)


@click.command()
@click.argument("exchanges", nargs=-1, metavar="[EXCHANGE]...")
@LIMIT
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text")
@pass_context
def run(context: Context, exchanges: tuple[str, ...], limit: int | None, log_format: str) -> None:
    """Keep publishing to every EXCHANGE named, or to all that are configured.

    SIGTERM and SIGINT finish the batch in hand. A lost broker or database is retried for ever.
    With --limit, each exchange ends after N events are sent.
    """
    from tidings.health.watching import watched  # noqa: PLC0415 - not needed for --help

    context.log_to_stderr(as_json=log_format == "json")
    worker = context.tidings.worker(exchanges, limit)
    log.info("%s %s", _who(), _carried(context, exchanges))
    _shut_down_on_signals(worker)
    with watched(context.tidings, worker):
        worker.run()


def _who() -> str:
    return f"tidings {__version__}, {platform.node()}:{os.getpid()},"


def _carried(context: Context, exchanges: tuple[str, ...]) -> str:
    """Return what is carried where: ``orders (rabbitmq), audit (jsonlines)``."""
    configured = context.tidings.configuration.exchanges
    names = dict.fromkeys(exchanges or configured)
    return "carries " + ", ".join(f"{name} ({configured[name].producer})" for name in names)


def _shut_down_on_signals(worker: Worker) -> None:
    def shut_down(_number: int, _frame: FrameType | None) -> None:
        worker.shut_down()

    signal.signal(signal.SIGTERM, shut_down)
    signal.signal(signal.SIGINT, shut_down)
