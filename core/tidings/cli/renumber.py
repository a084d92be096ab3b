"""``renumber``."""

from __future__ import annotations

from contextlib import closing

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.output import echo
from tidings.cli.stores import event_stores
from tidings.interfaces import Capability


@click.command()
@pass_context
def renumber(context: Context) -> None:
    """Give events new ids that PostgreSQL gave ids which exchanges have passed.

    For a sequence that was set back: it is set right as well. Writers wait meanwhile. An exchange
    that has had such an event already gets it again.
    """
    from tidings.operations.journal import note  # noqa: PLC0415 - not needed for --help

    for what, store in event_stores(context.tidings).items():
        if Capability.RENUMBER in store.capabilities:
            with closing(store):
                ids = store.renumber()
            if ids:
                note(context.tidings, "", "renumbered", f"{what}: {len(ids)} event(s)")
            had = f", which had {', '.join(map(str, ids))}" if ids else ""
            echo(f"{what}: {len(ids)} event(s) got new ids{had}.")
