"""The writing side: events beside plain INSERTs of the same rows, in transactions of one each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import SecretStr
from sqlalchemy import create_engine, event, insert
from sqlalchemy.orm import Session

from benchmarks import servers
from benchmarks.measuring import Sample, Spread, cpu_seconds
from benchmarks.stored import new_event
from benchmarks.tables import show, spread
from tidings import record
from tidings.sql.append import event_row
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings, sqlalchemy_url
from tidings.sql.tables import event as event_table
from tidings.sql.tables import wake_up_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from tidings import EventStore

Samples: TypeAlias = "dict[Write, list[Sample]]"
Write: TypeAlias = "Callable[[EventStore, Engine, int], None]"

WRITERS = (1, 8)
SLICE = 40
"""Transactions of a slice. Slices of all ways follow each other closely: disks and neighbours
change their pace from second to second."""


def run(kinds: tuple[str, ...], slices: int, folder: Path) -> None:
    """Measure, and print a table for each number of writers."""
    for writers in WRITERS:
        rows: list[Sequence[str]] = []
        for kind in kinds:
            with servers.database(kind, folder) as new_database:
                samples = _measure(kind, new_database, writers, slices)
                rows += (_row(kind, samples, *pair) for pair in PAIRS if pair[0] in samples)
        columns = ("", "time", "CPU", "ms", "plain, ms", "CPU µs", "plain, CPU µs")
        title = f"{writers} writer(s), transactions of one event, {slices} x {SLICE} of each way"
        show(title, columns, rows)


def _row(kind: str, samples: Samples, ours: Write, plain: Write) -> Sequence[str]:
    pairs = list(zip(samples[ours], samples[plain], strict=True))
    return (
        f"{kind}: {NAMES[ours]} / {NAMES[plain]}",
        spread(Spread.of_half(b.rate / a.rate for a, b in pairs)),
        spread(Spread.of_half(a.cpu_per_event / b.cpu_per_event for a, b in pairs)),
        *(f"{median(1000 / run.rate for run in runs):.2f}" for runs in zip(*pairs, strict=True)),
        *(
            f"{median(run.cpu_per_event * 1e6 for run in runs):.0f}"
            for runs in zip(*pairs, strict=True)
        ),
    )


def _measure(kind: str, new_database: Callable[[], str], writers: int, slices: int) -> Samples:
    """Write in every way that this kind of database has, a slice of each in turn."""
    with ExitStack() as stack:
        usual = stack.enter_context(_place(new_database(), writers))
        places = dict.fromkeys((_plain, _append, _plain_on_session, _record), usual)
        if kind == "postgresql":
            woken = stack.enter_context(_place(new_database(), writers, wake_up=True))
            places[_append_and_wake] = woken
        samples: Samples = {way: [] for way in places}
        for number in range(slices + 1):
            for way, (store, engine) in places.items():
                sample = _slice(store, engine, way, writers)
                if number:  # the first ones open connections and compile statements
                    samples[way].append(sample)
    return samples


@contextmanager
def _place(
    database_url: str, writers: int, *, wake_up: bool = False
) -> Iterator[tuple[EventStore, Engine]]:
    """Give an event store and the application's engine for it; if it wakes, somebody listens."""
    settings = SqlAlchemySettings(url=SecretStr(database_url), wake_up=wake_up)
    engine = _engine(database_url, writers)
    with closing(SqlAlchemyEventStore(settings)) as store, ExitStack() as stack:
        store.create()
        stack.callback(engine.dispose)
        if wake_up:
            listener = stack.enter_context(engine.connect())
            listener.exec_driver_sql(f'LISTEN "{wake_up_channel(event_table)}"')
            listener.commit()
        yield store, engine


def _slice(store: EventStore, engine: Engine, write: Write, writers: int) -> Sample:
    def write_share() -> None:
        for number in range(SLICE // writers):
            write(store, engine, number)

    began, cpu = time.perf_counter(), cpu_seconds()
    with ThreadPoolExecutor(writers) as pool:
        for done in [pool.submit(write_share) for _ in range(writers)]:
            done.result()
    return Sample(SLICE, time.perf_counter() - began, cpu_seconds() - cpu, 0)


def _append(store: EventStore, engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        store.append(connection, new_event(number))


def _append_and_wake(store: EventStore, engine: Engine, number: int) -> None:
    _append(store, engine, number)


def _plain(_store: EventStore, engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        connection.execute(_INSERT, event_row(new_event(number)))


def _record(_store: EventStore, engine: Engine, number: int) -> None:
    with Session(engine) as session, session.begin():
        record(session, new_event(number))


def _plain_on_session(_store: EventStore, engine: Engine, number: int) -> None:
    with Session(engine) as session, session.begin():
        session.connection().execute(_INSERT, event_row(new_event(number)))


NAMES: dict[Write, str] = {
    _plain: "INSERT on a connection",
    _append: "append",
    _append_and_wake: "append with wake_up",
    _plain_on_session: "INSERT on a session",
    _record: "record",
}
PAIRS = ((_append, _plain), (_record, _plain_on_session), (_append_and_wake, _append))

_INSERT = insert(event_table).inline()


def _engine(database_url: str, writers: int) -> Engine:
    """Return the application's own engine, with what eight writers need on SQLite."""
    url = sqlalchemy_url(SecretStr(database_url))
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=writers)
    engine = create_engine(url, pool_size=writers, connect_args={"timeout": 60})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
