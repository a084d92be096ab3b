"""``demo``."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidings.cli.output import echo, echo_json
from tidings.errors import MissingLibraryError, TidingsError
from tidings.plugins.installing import install_command

if TYPE_CHECKING:
    from tidings.demo.story import Outcome, Stage
    from tidings.event import NewEvent

SHOWN = 3


@click.command()
@click.argument("repository", default=".", type=click.Path(path_type=Path))
def demo(repository: Path) -> None:
    """Carry a git repository's commits, as domain events, to another process over ZeroMQ.

    The relay is stopped halfway and started again; the demo shows that nothing was lost or sent
    twice. REPOSITORY is this folder if none is named. Nothing in it is changed.
    """
    from tidings.demo.commits import commit_events  # noqa: PLC0415 - only for the demo
    from tidings.demo.story import Stage  # noqa: PLC0415 - only for the demo

    if importlib.util.find_spec("zmq") is None:
        raise MissingLibraryError(f"The demo needs ZeroMQ: {install_command('tidings[zeromq]')}")
    events = list(commit_events(repository))
    if len(events) < 2:  # noqa: PLR2004 - there must be a half
        raise TidingsError(f"{repository} has {len(events)} commit(s); the demo needs two or more.")
    with tempfile.TemporaryDirectory(prefix="tidings-demo-") as folder:
        stage = Stage(Path(folder))
        try:
            outcome = _play(stage, events)
        finally:
            stage.clear()
    _conclude(outcome)


def _play(stage: Stage, events: list[NewEvent]) -> Outcome:
    from tidings.demo.story import EXCHANGE, Outcome  # noqa: PLC0415 - only for the demo

    count, half = len(events), len(events) // 2
    stage.write_configuration()
    stage.tidings("init", "--tables")
    stage.tidings("append", stdin=b"".join(_line(event) for event in events))
    echo(f"{count} commits are stored as CommitRecorded events in SQLite.")
    listener = stage.start("listen", EXCHANGE, "--as", "app", "--count", str(count))
    echo("A subscriber, `tidings listen`, waits in another process.")
    stage.tidings("run", "--limit", str(half))
    behind = json.loads(stage.tidings("status", "--json"))["exchanges"][0]["events_behind"]
    echo(f"The relay is stopped halfway: {half} events sent, {behind} to go.")
    stage.tidings("run", "--limit", str(count - half))
    echo("The relay is started again, and sends the rest.")
    lines = listener.received()
    for line in lines[:SHOWN]:
        echo_json(line, indent=None)
    echo(f"… and {max(len(lines) - SHOWN, 0)} more lines like these.")
    return Outcome([event.body["sha"] for event in events], [li["body"]["sha"] for li in lines])


def _conclude(outcome: Outcome) -> None:
    order = "in order" if outcome.in_order else "OUT OF ORDER"
    echo(
        f"{len(outcome.stored)} stored, {len(outcome.arrived)} arrived {order}: "
        f"{outcome.lost} lost, {outcome.twice} sent twice."
    )
    if outcome.lost or outcome.twice or not outcome.in_order:
        raise TidingsError("The demo found events lost, repeated or out of order.")


def _line(event: NewEvent) -> bytes:
    fields = {
        "type_name": event.type_name,
        "body": event.body,
        "occurred_on": event.occurred_on.isoformat(),
    }
    return json.dumps(fields).encode() + b"\n"
