"""``status``, ``replay`` and ``prune``."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from tidings.cli.context import Context, checked, echo_json, pass_context, print_table
from tidings.errors import TidingsError
from tidings.interfaces import Quarantine

if TYPE_CHECKING:
    from tidings.bootstrap import Tidings
    from tidings.interfaces import EventStore, TrackedExchange


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True, slots=True)
class _Status:
    exchange: str
    producer: str
    last_published_id: int | None
    newest_event_id: int | None
    events_behind: int
    seconds_behind: float
    relay: str | None
    hold: dict[str, Any] | None
    stopped_by: dict[str, Any] | None
    quarantined: int


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@pass_context
def status(context: Context, *, as_json: bool) -> None:
    """Show how far each exchange has got."""
    tidings = context.tidings
    tracked = {row.exchange_name: row for row in tidings.tracker.tracked_exchanges()}
    quarantined = _quarantined(tidings)
    rows = []
    for name in tidings.configuration.exchanges:
        with checked(tidings.event_store(name)) as store:
            rows.append(_status(tidings, store, name, tracked.get(name), quarantined[name]))
    if as_json:
        echo_json({"exchanges": [asdict(row) for row in rows]})
    else:
        _show(rows)


@click.command()
@click.argument("exchange")
@click.option(
    "--from", "from_id", type=click.IntRange(min=1), metavar="ID", help="From that event."
)
@click.option("--all", "everything", is_flag=True, help="From the first event.")
@pass_context
def replay(context: Context, exchange: str, from_id: int | None, *, everything: bool) -> None:
    """Let EXCHANGE have its events again, from an id or from the first.

    No other exchange notices. A running relay goes on from there by itself.
    """
    if everything == (from_id is not None):
        raise click.UsageError("Say either --from ID or --all.")
    name = context.exchange(exchange)
    after = 0 if from_id is None else from_id - 1
    context.tidings.exchange_tracker(name).replay(name, after)
    with checked(context.tidings.event_store(name)) as store:
        count = store.count_stored_events_since(after)
    click.echo(f"Exchange {name!r} gets every event from {after + 1} again: {count} event(s).")


@click.command()
@click.option("--older-than", metavar="AGE", help="Events older than 30d, 12h, 90m or 2w.")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="All but the newest N.")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
@pass_context
def prune(context: Context, older_than: str | None, keep: int | None, *, dry_run: bool) -> None:
    """Delete events that every exchange has had; never the newest."""
    from tidings.sql import SqlAlchemyEventStore  # noqa: PLC0415 - SQLAlchemy is slow to import
    from tidings.sql import prune as prune_store  # noqa: PLC0415 - SQLAlchemy is slow to import

    if (older_than is None) == (keep is None):
        raise click.UsageError("Say either --older-than AGE or --keep N.")
    age = None if older_than is None else _age(older_than)
    tidings = context.tidings
    store = tidings.event_store()
    if not isinstance(store, SqlAlchemyEventStore):
        raise TidingsError("Only the event store `sqlalchemy` can be pruned.")
    sources = {name: exchange.source for name, exchange in tidings.configuration.exchanges.items()}
    with checked(store):
        pruned = prune_store(
            store,
            tidings.tracker,
            [name for name, source in sources.items() if source is None],
            elsewhere=[name for name, source in sources.items() if source is not None],
            older_than=age,
            keep=keep,
            dry_run=dry_run,
        )
    click.echo(f"{pruned.events} event(s) {'would be deleted' if dry_run else 'deleted'}.")
    if pruned.awaited_by:
        click.echo(f"Others stay: exchange {pruned.awaited_by!r} has not had them yet.")


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if not match:
        raise click.BadParameter(
            f"{text!r} is no age; write 30d, 12h, 90m or 2w.", param_hint="--older-than"
        )
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def _quarantined(tidings: Tidings) -> Counter[str]:
    keeper = tidings.tracker
    if not isinstance(keeper, Quarantine):
        return Counter()
    return Counter(event.exchange_name for event in keeper.quarantined_events())


def _status(
    tidings: Tidings,
    store: EventStore,
    name: str,
    row: TrackedExchange | None,
    quarantined: int,
) -> _Status:
    position = row.position.event_id if row else 0
    unpublished = store.all_stored_events_since(position, 1)
    hold = store.hold()
    seconds = hold.seconds if hold else 0.0
    if unpublished:
        seconds = (datetime.now(UTC) - unpublished[0].occurred_on).total_seconds()
    return _Status(
        exchange=name,
        producer=tidings.configuration.exchange(name).producer,
        last_published_id=position or None,
        newest_event_id=store.newest_event_id(),
        events_behind=store.count_stored_events_since(position),
        seconds_behind=round(max(seconds, 0.0), 3),
        relay=row.owner if row else None,
        hold=hold._asdict() if hold else None,
        stopped_by=_stopped_by(row),
        quarantined=quarantined,
    )


def _stopped_by(row: TrackedExchange | None) -> dict[str, Any] | None:
    if row is None or row.stop is None:
        return None
    stop = row.stop
    when = stop.stopped_on.isoformat(timespec="seconds")
    return {"event_id": stop.event_id, "reason": stop.reason, "stopped_on": when}


def _show(rows: list[_Status]) -> None:
    if not rows:
        click.echo("No exchange is configured: add [exchanges.NAME].")
        return
    print_table(
        ["exchange", "producer", "last published", "newest event", "behind", "seconds", "relay"],
        [
            (
                row.exchange,
                row.producer,
                row.last_published_id,
                row.newest_event_id,
                row.events_behind,
                round(row.seconds_behind, 1),
                row.relay,
            )
            for row in rows
        ],
    )
    for row in rows:
        if row.hold:
            click.echo(
                f"{row.exchange}: waits for event {row.hold['missing_id']}, which "
                f"{row.hold['holder']} may still commit (open for {row.hold['seconds']:.0f} s)."
            )
        if row.stopped_by:
            event = row.stopped_by["event_id"] or "that its broker does not name"
            click.echo(f"{row.exchange}: stopped by event {event}: {row.stopped_by['reason']}")
        if row.quarantined:
            click.echo(
                f"{row.exchange}: {row.quarantined} event(s) in quarantine "
                "(`tidings quarantine list`)."
            )
