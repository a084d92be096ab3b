"""``journal``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.options import COUNT, age
from tidings.cli.output import echo, echo_json
from tidings.config.relay import MOST_JOURNAL_ENTRIES

if TYPE_CHECKING:
    from tidings.interfaces import JournalEntry

USUALLY = 100


def moment(text: str) -> datetime:
    """Return the time that is meant: an age before now, or a time with its zone."""
    if re.fullmatch(r"[0-9]+[a-z]", text):
        return datetime.now(UTC) - age(text)
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{text!r} is neither an age nor a time; write 2h, 3d, or 2026-01-31T12:00:00Z."
        ) from error
    raise click.BadParameter(f"{text!r} has no time zone; write 2026-01-31T12:00:00Z.")


@click.command()
@click.argument("exchange", required=False)
@click.option(
    "--since", type=moment, metavar="TIME", help="From then on: 2h, 3d, or 2026-01-31T12:00:00Z."
)
@click.option("--limit", type=COUNT, metavar="N", help="The newest N.  [default: 100]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, for scripts.")
@click.option("--follow", is_flag=True, help="Go on with what happens, until interrupted.")
@pass_context
def journal(
    context: Context,
    exchange: str | None,
    since: datetime | None,
    limit: int | None,
    *,
    as_json: bool,
    follow: bool,
) -> None:
    """Show what happened to EXCHANGE, or to all, and who did it: the newest 100 entries.

    With --since, all from then on.
    """
    from tidings.operations import journal as operations  # noqa: PLC0415 - not needed for --help

    tidings = context.tidings
    if exchange is not None:
        operations.check_known(tidings, exchange)
    look = operations.followed if follow else operations.entries
    most = limit or (USUALLY if since is None else MOST_JOURNAL_ENTRIES)
    found = 0
    for entry in look(tidings, exchange, since, most):
        found += 1
        if as_json:
            echo_json(_as_json(entry), indent=None)
        else:
            echo(_line(entry))
    if not found and not as_json:
        echo("Nothing is in the journal.")


def _line(entry: JournalEntry) -> str:
    from tidings.relay.owner import label  # noqa: PLC0415 - not needed for --help

    again = f" ({entry.repeated} more like it were left out before)" if entry.repeated else ""
    detail = f": {entry.detail}" if entry.detail else ""
    return (
        f"{entry.noted_on:%Y-%m-%d %H:%M:%S} UTC  {entry.exchange_name or '-'}  "
        f"{label(entry.who)}  {entry.what}{detail}{again}"
    )


def _as_json(entry: JournalEntry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "noted_on": entry.noted_on.isoformat(),
        "exchange": entry.exchange_name or None,
        "who": entry.who,
        "what": entry.what,
        "detail": entry.detail,
        "repeated": entry.repeated,
    }
