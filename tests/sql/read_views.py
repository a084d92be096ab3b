"""MySQL and MariaDB: many transactions at work, and what a plain reader beside ours is given.

    python -m tests.sql.read_views --minutes 20

MariaDB's read view is put together while transactions commit, and the more transactions are at
work, the longer that takes. So idle transactions stand around that have written something, and
the writers have written before they append, as applications do. One writer is an application that
calls `append`. The others run inside the server what `append` sends. Both readers read the same
events.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.event import listen, remove

from tests.servers import MariaDB, new_directory
from tests.sql.databases import application_engine, event_store
from tests.sql.soak import naive_reader
from tests.sql.waiting import Beside
from tidings.event import NewEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings.sql.event_store import SqlAlchemyEventStore

WRITERS = 6
IDLE = 20
ROLLBACKS = 20
"""One of so many transactions is rolled back, which leaves a gap for ever."""

# Inside the server, so that thousands commit in a second.
_WRITE = """
    CREATE PROCEDURE write_events(writer int) BEGIN
        DECLARE written int DEFAULT 0;
        WHILE written < 200 DO
            SET written = written + 1;
            START TRANSACTION;
            UPDATE work SET n = n + 1 WHERE id = writer;
            {append};
            IF MOD(written, {rollbacks}) THEN COMMIT; ELSE ROLLBACK; END IF;
        END WHILE;
    END
"""


@dataclass
class Reader:
    """One reader's way, and what it was given."""

    read: Callable[[int], Sequence[int]]
    given: array[int] = field(default_factory=lambda: array("q"))
    reads: int = 0

    def follow(self, finished: threading.Event) -> None:
        """Read on from what was given last, until all is read after the writers have finished."""
        position = 0
        while True:
            last_look = finished.is_set()
            ids = self.read(position)
            self.reads += 1
            self.given.extend(ids)
            if ids:
                position = ids[-1]
            elif last_look:
                return


@dataclass(frozen=True)
class Outcome:
    """How many were committed, and which of them each reader was never given."""

    stored: int
    plain_reads: int
    lost_by_plain_reader: list[int]
    our_reads: int
    lost_by_ours: list[int]
    out_of_order_by_ours: int


def read_views(url: str, store: SqlAlchemyEventStore, seconds: float) -> Outcome:
    """Let the writers write for so long, in an empty database with our tables."""
    engine = application_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE work (id int PRIMARY KEY, n int) ENGINE = InnoDB"))
        for number in range(WRITERS + IDLE):
            connection.execute(text(f"INSERT INTO work VALUES ({number}, 0)"))
        append = _what_append_sends(connection, store)
        connection.exec_driver_sql(_WRITE.format(append=append, rollbacks=ROLLBACKS))
    plain_reader = naive_reader(engine)
    plain = Reader(lambda since: [row[0] for row in plain_reader(since)])
    ours = Reader(lambda since: [e.event_id for e in store.all_stored_events_since(since, 1000)])
    finished = threading.Event()
    with ExitStack() as idle:
        for number in range(IDLE):
            _work(idle.enter_context(engine.connect()), WRITERS + number)
        end = time.monotonic() + seconds
        writers = [
            Beside(lambda number=number: _write(engine, number, end))  # type: ignore[misc]  # a lambda in a loop
            for number in range(1, WRITERS)
        ]
        writers.append(Beside(lambda: _append(engine, store, 0, end)))
        readers = [Beside(lambda each=each: each.follow(finished)) for each in (plain, ours)]  # type: ignore[misc]  # as above
        try:
            for writer in writers:
                writer.result(seconds + 60)
        finally:
            finished.set()
        for reader in readers:
            reader.result()
    stored = 0
    lost: tuple[list[int], list[int]] = [], []
    for ids in _stored(engine):
        stored += len(ids)
        for each, who in zip(lost, (plain, ours), strict=True):
            given = who.given
            near = set(given[bisect_left(given, ids[0]) : bisect_right(given, ids[-1])])
            each += [event_id for event_id in ids if event_id not in near]
    turned = sum(later <= earlier for earlier, later in pairwise(ours.given))
    return Outcome(stored, plain.reads, lost[0], ours.reads, lost[1], turned)


def _stored(engine: Engine) -> Iterator[Sequence[int]]:
    """Give what is committed, in turns: millions are too many at once."""
    query = text("SELECT event_id FROM event WHERE event_id > :last ORDER BY event_id LIMIT 50000")
    last = 0
    with engine.connect() as connection:
        while ids := connection.execute(query, {"last": last}).scalars().all():
            yield ids
            last = ids[-1]


def _what_append_sends(connection: Connection, store: SqlAlchemyEventStore) -> str:
    """Let `append` append an event, and return its statements as the server got them."""
    sent: list[str] = []

    def sending(_c: object, cursor: Any, statement: str, parameters: object, *_: object) -> None:
        sent.append(cursor.mogrify(statement, parameters))

    with connection.begin_nested() as undone:
        listen(connection, "before_cursor_execute", sending)
        store.append(connection, NewEvent("Worked", 1))
        remove(connection, "before_cursor_execute", sending)
        undone.rollback()
    return ";\n".join(sent)


def _work(connection: Connection, row: int) -> None:
    connection.execute(text(f"UPDATE work SET n = n + 1 WHERE id = {row}"))


def _write(engine: Engine, number: int, end: float) -> None:
    with engine.connect() as connection:
        while True:  # once at least, however late it is
            connection.execute(text(f"CALL write_events({number})"))
            if time.monotonic() >= end:
                return


def _append(engine: Engine, store: SqlAlchemyEventStore, row: int, end: float) -> None:
    with engine.connect() as connection:
        for number in count():
            _work(connection, row)
            store.append(connection, NewEvent("Worked", number))
            if number % ROLLBACKS == ROLLBACKS - 1:
                connection.rollback()
            else:
                connection.commit()
            if time.monotonic() >= end:
                return


def main() -> None:
    """Start a MariaDB of our own, or take the one that is given, and show the outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    arguments = parser.parse_args()
    # Many commits a second, which need not survive anything.
    settings = ["innodb-flush-log-at-trx-commit=0"]
    server = MariaDB(new_directory(), settings=settings)
    server.start()
    try:
        url = server.new_database()
        store = event_store(url)
        store.create()
        sys.stdout.write(f"{read_views(url, store, arguments.minutes * 60)}\n")
        store.close()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
