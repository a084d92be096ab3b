"""A batch is bounded in bytes, whatever the bodies: so is the relay's memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.event import listen

from tests.sql.databases import url_of
from tidings.event import NewEvent, StoredEvent
from tidings.sql.event_log import FETCHED_TOGETHER
from tidings.sql.reading import BATCH_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

    from tidings.sql.event_store import SqlAlchemyEventStore

MIB = 1024 * 1024
MOST_MEMORY = 150 * MIB

RELAY = """
import re, sys
from tidings.cli.main import main
try:
    main()
finally:
    # Not getrusage(), which begins with what the parent had.
    print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1], file=sys.stderr)
"""


def append(engine: Engine, store: SqlAlchemyEventStore, *bodies: object) -> None:
    for body in bodies:
        with engine.begin() as connection:
            store.append(connection, NewEvent("Sized", body))


def read_all(store: SqlAlchemyEventStore, limit: int = 1000) -> list[list[StoredEvent]]:
    """Read everything; return the batches."""
    batches: list[list[StoredEvent]] = []
    since = 0
    while events := store.all_stored_events_since(since, limit):
        batches.append(list(events))
        since = events[-1].event_id
    return batches


def test_a_batch_has_no_more_bytes_than_that_or_one_event(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    # What one INSERT may take is limited on MariaDB.
    alone = [] if engine.dialect.name == "mysql" else [9, 12]
    large = [number * MIB for number in (1, 3, 5, 1, 7, *alone, 1, 1)]
    sizes = [*large, *([10] * 30), 2 * MIB, *([50_000] * 200), 10]
    append(engine, store, *("x" * size for size in sizes))
    batches = read_all(store)
    assert [len(event.body) - 2 for batch in batches for event in batch] == sizes
    for batch in batches:
        assert len(batch) == 1 or sum(len(event.body) for event in batch) <= BATCH_BYTES
    assert len(batches) < 30


def test_metadata_counts_too(engine: Engine, store: SqlAlchemyEventStore) -> None:
    metadata = {"k": "x" * (BATCH_BYTES * 3 // 8)}
    for _ in range(4):
        with engine.begin() as connection:
            store.append(connection, NewEvent("Sized", 1, metadata=metadata))
    batches = read_all(store)
    assert [len(batch) for batch in batches] == [2, 2]
    assert all(e.metadata == f'{{"k":"{metadata["k"]}"}}' for batch in batches for e in batch)


def test_small_bodies_come_in_batches_of_the_size_that_was_asked_for(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("Sized", "x" * 300) for _ in range(2500)))
    assert [len(batch) for batch in read_all(store)] == [1000, 1000, 500]


def test_after_large_bodies_the_batches_grow_again(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    append(engine, store, *("x" * (BATCH_BYTES // 2) for _ in range(3)))
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("Sized", "x" * 300) for _ in range(4000)))
    assert len(read_all(store)[-2]) == 1000


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["x", "☃"], ids=["ascii", "snowman"])
def test_the_relay_takes_no_more_memory_than_that(
    engine: Engine, store: SqlAlchemyEventStore, tmp_path: Path, letter: str
) -> None:
    url = url_of(store).replace("+psycopg", "").replace("+pymysql", "")
    (tmp_path / "tidings.toml").write_text(
        f'[event_store]\nurl = "{url}"\n[exchanges.orders]\nproducer = "jsonlines"\n'
        '[producers.jsonlines]\npath = "orders.jsonl"\n'
    )
    append(engine, store, *[letter * (2 * MIB // len(letter.encode()))] * 60)
    relay = subprocess.run(
        [sys.executable, "-c", RELAY, "spread"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert relay.stdout == "60 notification(s) sent!\n", relay.stderr
    assert int(relay.stderr.split()[-1]) * 1024 < MOST_MEMORY


def test_a_text_is_measured_in_bytes(engine: Engine, store: SqlAlchemyEventStore) -> None:
    append(engine, store, "☃" * 2 * MIB, "☃" * 2 * MIB)
    assert [len(batch) for batch in read_all(store)] == [1, 1]


@pytest.fixture
def asked(store: SqlAlchemyEventStore) -> list[str]:
    """Give a list to which each statement is added that reads the table of events."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM event" in statement:
            statements.append(statement)

    store.newest_event_id()  # connects
    listen(store.database.engine, "before_cursor_execute", note)
    return statements


def test_large_bodies_of_one_size_are_read_by_one_statement_a_batch(
    engine: Engine, store: SqlAlchemyEventStore, asked: list[str]
) -> None:
    append(engine, store, *("x" * (BATCH_BYTES // 8 - 100) for _ in range(40)))
    batches = read_all(store)
    assert [len(batch) for batch in batches] == [8] * 5
    # Two more at first, to find out how many fit; and the one that finds nothing.
    assert len(asked) == len(batches) + 2 + 1


def test_large_bodies_of_many_sizes_are_read_by_one_statement_a_batch(
    engine: Engine, store: SqlAlchemyEventStore, asked: list[str]
) -> None:
    with engine.begin() as connection:
        sizes = [20_000, 30_000] * 150
        store.append(connection, *(NewEvent("Sized", "x" * size) for size in sizes))
    batches = read_all(store)
    assert len(batches) < 6
    assert len(asked) == len(batches) + 2 + 1


def test_body_and_metadata_together_are_no_more_than_that(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    text = "x" * (BATCH_BYTES // 10 - 100)
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("Sized", text, metadata={"k": text}),) * 10)
    assert [len(batch) for batch in read_all(store, 10)] == [5, 5]


def test_rows_behind_a_large_one_are_not_looked_at_in_vain(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        store.append(connection, *(NewEvent("Sized", "x" * 20_000) for _ in range(300)))
    with engine.connect() as connection:
        found = store.event_log.events_since(connection, 0, 1000, most_bytes=10_000)
    assert {event.body for event in found} == {None}
    assert len(found) <= FETCHED_TOGETHER
