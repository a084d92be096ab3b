"""Databases with events in them, and relays that read those."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import Integer, String, bindparam, case, cast, insert, literal, select, text

from tidings import NewEvent, Tidings
from tidings.config import parse
from tidings.plugins.registry import PluginRegistry
from tidings.relay.owner import Owner
from tidings.relay.run import Run, running
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tables import event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.sql.dml import Insert

    from tidings import EventStore, NotificationMessage, StoredEvent

BODY_BYTES = 300
BATCH = 5000
TRANSACTION_BYTES = 30_000_000
"""Bodies that one transaction stores: enough to be fast, little enough for any log."""
WARM_UP = 200
"""Events that are relayed before the clock starts: connections are open then, statements known."""

TYPES = ("OrderPlaced", "OrderPaid", "OrderShipped")


def configured(
    database_url: str,
    exchange_names: Sequence[str] = ("benchmark",),
    producer: str = "jsonlines",
    settings: Mapping[str, Any] | None = None,
) -> Tidings:
    """Return what a configuration file with these settings would describe."""
    configuration, problems = parse(
        {
            "event_store": {"backend": "sqlalchemy", "url": database_url},
            "exchanges": {name: {"producer": producer} for name in exchange_names},
            "producers": {producer: dict(settings or {})},
        }
    )
    tidings = Tidings(configuration, PluginRegistry())
    if problems := problems + tidings.problems():
        raise RuntimeError(f"The benchmark's own configuration is wrong: {problems}")
    return tidings


def new_event(number: int, body_bytes: int = BODY_BYTES) -> NewEvent:
    """Return an event whose body takes so many bytes as JSON."""
    text = "x" * (body_bytes - len('{"text":""}'))
    return NewEvent(
        TYPES[number % len(TYPES)], {"text": text}, aggregate_id=f"order-{number // len(TYPES)}"
    )


def fill(database_url: str, count: int, body_bytes: int = BODY_BYTES) -> None:
    """Make the tables if they are missing, and store ``count`` more events.

    They are those of :func:`new_event`. Of each transaction's the store appends the first one, and
    the database makes the others itself: ten million take a minute or so. Afterwards the database
    has done its housekeeping, lest it do it in somebody's measurement.
    """
    together = max(TRANSACTION_BYTES // body_bytes, 1)
    generate = _generate()
    with _sql_store(database_url) as store:
        store.create()
        for first in range(0, count, together):
            last = min(first + together, count) - 1
            with store.transaction() as transaction:
                pattern = new_event(first, body_bytes)
                store.append(transaction, pattern)
                if first < last:
                    _allow_recursion(transaction, together)
                    same = {"body": pattern.body_text(), "occurred_on": pattern.occurred_on}
                    transaction.execute(generate, {"first": first + 1, "last": last, **same})
        with store.database.autocommit() as connection:
            if housekeeping := _HOUSEKEEPING.get(connection.dialect.name):
                connection.exec_driver_sql(housekeeping)


def position_before_last(database_url: str, count: int) -> int:
    """Return the id after which ``count`` events are stored; 0 if there are no more."""
    newest = select(event.c.event_id).order_by(event.c.event_id.desc())
    with _sql_store(database_url) as store, store.database.autocommit() as connection:
        return connection.execute(newest.offset(count).limit(1)).scalar() or 0


def connections(database_url: str) -> int:
    """Return how many connections to the database there are, but for the one that asks."""
    with _sql_store(database_url) as store, store.database.autocommit() as connection:
        query = _CONNECTIONS.get(store.database.dialect_name)
        return 0 if query is None else connection.execute(text(query)).scalar_one() - 1


_CONNECTIONS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = database()",
}


@contextmanager
def relaying(
    exchange_name: str,
    database_url: str,
    producer: str,
    settings: Mapping[str, Any],
    *,
    after: int = 0,
    count: int = sys.maxsize,
    warm_up: int = WARM_UP,
) -> Iterator[Callable[[], int]]:
    """Give what relays stored events: read, serialized, sent, accepted, tracked.

    They are those with greater ids than ``after``: the first to warm up, then up to ``count``.
    """
    with configured(database_url, [exchange_name], producer, settings) as tidings:
        if after:
            tidings.tracker.replay(exchange_name, after)
        with running(tidings.route(exchange_name), Owner()) as run:
            relay_on(run, warm_up)
            yield lambda: relay_on(run, count)


def relay_on(run: Run, count: int) -> int:
    """Relay up to ``count`` more events; return how many there were, all tracked by now."""
    before = run.accepted_count
    while (left := before + count - run.sent_count) and run.step(left):
        pass
    run.flush()
    return run.accepted_count - before


def messages(database_url: str, count: int) -> Iterator[tuple[StoredEvent, NotificationMessage]]:
    """Give the first stored events, as a relay would serialize them."""
    with configured(database_url) as tidings:
        serializer = tidings.serializer("benchmark")
        store = tidings.event_store()
        for event in _events(store, count):
            yield event, serializer.serialize(event)
        store.close()


def _events(store: EventStore, count: int) -> Iterator[StoredEvent]:
    last = 0
    while count and (events := store.all_stored_events_since(last, min(count, BATCH))):
        yield from events
        last = events[-1].event_id
        count -= len(events)


@contextmanager
def _sql_store(database_url: str) -> Iterator[SqlAlchemyEventStore]:
    store = SqlAlchemyEventStore(SqlAlchemySettings(url=SecretStr(database_url)))
    yield store
    store.close()


_HOUSEKEEPING = {
    "postgresql": f"VACUUM (ANALYZE) {event.name}",
    "sqlite": "PRAGMA wal_checkpoint(TRUNCATE)",
}


def _generate() -> Insert:
    """Return the statement that stores the events from number ``first`` to ``last``."""
    first = select(bindparam("first", type_=Integer).label("number"))
    numbers = first.cte("numbers", recursive=True)
    numbers = numbers.union_all(
        select(numbers.c.number + 1).where(numbers.c.number < bindparam("last"))
    )
    number = numbers.c.number
    values = {
        "type_name": case(
            *((number % len(TYPES) == place, literal(name)) for place, name in enumerate(TYPES))
        ),
        "body": bindparam("body", type_=event.c.body.type),
        "occurred_on": bindparam("occurred_on", type_=event.c.occurred_on.type),
        "aggregate_id": literal("order-").concat(cast(number // len(TYPES), String(20))),
    }
    return insert(event).from_select(list(values), select(*values.values()).select_from(numbers))


def _allow_recursion(connection: Connection, rows: int) -> None:
    # The others set no limit; MariaDB would end the rows at its own without a word.
    if connection.dialect.name == "mysql":
        is_mariadb = getattr(connection.dialect, "is_mariadb", False)
        limit = "max_recursive_iterations" if is_mariadb else "cte_max_recursion_depth"
        connection.exec_driver_sql(f"SET SESSION {limit} = {rows}")
