"""``quarantine``: what exchanges have passed because it can never be sent."""

from __future__ import annotations

import click

from tidings.cli.context import Group
from tidings.cli.quarantine.drop import drop
from tidings.cli.quarantine.list import list_
from tidings.cli.quarantine.retry import retry


@click.group(cls=Group, commands=[list_, retry, drop])
def quarantine() -> None:
    """Deal with events that an exchange has passed because they cannot be sent.

    They get there if the exchange says on_poison = "quarantine".
    """
