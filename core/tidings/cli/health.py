"""``health``."""

from __future__ import annotations

import click

from tidings.cli.context import Context, pass_context
from tidings.errors import ConfigurationError

_WORDS = ["live", "ready", "started"]


@click.command()
@click.option("--is", "word", type=click.Choice(_WORDS), default="live", help="What to ask for.")
@pass_context
def health(context: Context, word: str) -> None:
    """Ask the relay that runs here whether it is live; exit with 1 if it isn't.

    Asks at the address that `http` in [relay] says, as an orchestrator without HTTP would.
    """
    from tidings.health.asking import ask  # noqa: PLC0415 - not needed for --help

    address = context.tidings.configuration.relay.http_address
    if address is None:
        raise ConfigurationError(
            ['relay.http: missing, and the relay is asked there. Add http = "127.0.0.1:9464".']
        )
    ask(address, word)
