"""``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context, print_table
from tidings.cli.output import echo
from tidings.relay.lag import MOST_COUNTED
from tidings.relay.owner import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.operations.state import State
    from tidings.operations.status import Status

_MINUTE = 60
_UNITS = ((86400, "d"), (3600, "h"), (_MINUTE, "min"))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@click.option("--fail", is_flag=True, help="Exit with 1 if an exchange can send nothing.")
@pass_context
def status(context: Context, *, as_json: bool, fail: bool) -> None:
    """Show how far each exchange has got, and what is wrong with it."""
    from tidings.operations.status import (  # noqa: PLC0415 - not needed for --help
        status_json,
        statuses,
    )

    found = statuses(context.tidings)
    if as_json:
        for line in status_json(found).split("\n"):
            echo(line)
    else:
        _show(found)
    if fail and any(state.is_broken for _, state in found):
        raise click.exceptions.Exit(1)


def _show(found: Sequence[tuple[Status, State]]) -> None:
    if not found:
        echo("No exchange is configured: add [exchanges.NAME].")
        return
    print_table(
        ["exchange", "producer", "state", "sent", "newest", "behind", "late", "relay"],
        [
            (
                row.exchange,
                row.producer,
                row.state,
                row.last_published_id,
                row.newest_event_id,
                _behind(row),
                row.seconds_behind if row.seconds_behind is None else _late(row.seconds_behind),
                row.relay and label(row.relay),
            )
            for row, _ in found
        ],
    )
    for row, state in found:
        for sentence in _sentences(row, state):
            echo(f"{row.exchange}: {sentence}")


def _sentences(row: Status, state: State) -> list[str]:
    found = []
    if said := state.sentence():
        found.append(said)
    if row.hold:
        found.append(
            f"waits for event {row.hold['missing_id']}, which "
            f"{row.hold['holder']} may still commit (open for {row.hold['seconds']:.0f} s)."
        )
    if row.events_behind is not None and not row.events_behind_is_exact:
        found.append(
            f"more than {MOST_COUNTED} events are behind, by their ids at most {row.events_behind}."
        )
    if row.standbys:
        found.append(f"standing by: {', '.join(map(label, row.standbys))}.")
    if row.passed_unmatched:
        found.append(
            f"none of the newest {row.passed_unmatched} event(s) that it has passed is of a type "
            "in its `events`, so that none was sent. Are they spelt as the type names are?"
        )
    if row.quarantined:
        found.append(f"{row.quarantined} event(s) in quarantine (`tidings quarantine list`).")
    return found


def _behind(row: Status) -> int | str | None:
    if row.events_behind is None or row.events_behind_is_exact:
        return row.events_behind
    return f">{MOST_COUNTED}"


def _late(seconds: float) -> str:
    """Return how late the oldest unsent event is, in the unit that fits."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds else "0 s"
    length, unit = next(each for each in _UNITS if seconds >= each[0])
    return f"{seconds / length:.0f} {unit}"
