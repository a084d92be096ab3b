"""``quarantine list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context, print_table
from tidings.cli.output import echo, echo_json

if TYPE_CHECKING:
    from tidings.interfaces import QuarantinedEvent


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@pass_context
def list_(context: Context, *, as_json: bool) -> None:
    """Show what is in quarantine, on every exchange, and why."""
    found = context.tidings.quarantine().quarantined_events()
    if as_json:
        echo_json({"quarantined": [_as_json(event) for event in found]})
        return
    if not found:
        echo("Nothing is in quarantine.")
        return
    print_table(
        ["exchange", "event", "type", "since", "reason"],
        [
            (
                event.exchange_name,
                event.event_id,
                event.type_name,
                event.quarantined_on.isoformat(timespec="seconds"),
                event.reason,
            )
            for event in found
        ],
    )


def _as_json(event: QuarantinedEvent) -> dict[str, object]:
    return {
        "exchange": event.exchange_name,
        "event_id": event.event_id,
        "type_name": event.type_name,
        "reason": event.reason,
        "quarantined_on": event.quarantined_on.isoformat(),
        "retry_asked": event.retry_asked,
    }
