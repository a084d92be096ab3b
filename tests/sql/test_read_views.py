"""MySQL and MariaDB: one statement may show n + 1 and not n, though both are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.sql.databases import url_of
from tests.sql.read_views import read_views
from tidings.event import NewEvent
from tidings.sql.commit_order import commit_order
from tidings.sql.event_log import EVENTS
from tidings.sql.outbox.table import outbox_log
from tidings.sql.reading import BATCH_BYTES
from tidings.sql.settings import Layout

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Engine

    from tidings.event import StoredEvent
    from tidings.sql.event_log import EventLog
    from tidings.sql.event_store import SqlAlchemyEventStore

SECONDS = 4.0


class Views:
    """The event log's query, whose statements each don't show what their read view has missed."""

    def __init__(self, event_log: EventLog, *missed: Collection[int]) -> None:
        self._event_log = event_log
        self._missed = list(missed)

    def __call__(self, connection: Connection, since: int, limit: int) -> list[StoredEvent]:
        missed = self._missed.pop(0)
        rows = self._event_log.events_since(connection, since, limit, BATCH_BYTES)
        return [row for row in rows if row.event_id not in missed]

    @property
    def left(self) -> int:
        return len(self._missed)


@pytest.fixture(params=["event", "outbox"])
def event_log(request: pytest.FixtureRequest, mariadb_store: SqlAlchemyEventStore) -> EventLog:
    """Give the event store's log and an outbox's, in the same database."""
    if request.param == "event":
        return EVENTS
    event_log = outbox_log("outbox", Layout.TIDINGS)
    with mariadb_store.database.autocommit() as connection:
        event_log.table.create(connection)
    return event_log


def insert(event_log: EventLog, engine: Engine, *, commit: bool = True) -> None:
    row = {"type_name": "A", "body": "1", "occurred_on": NewEvent("A", 1).occurred_on}
    with engine.connect() as connection:
        event_log.insert(connection, [row])
        if commit:
            connection.commit()


def ids(rows: list[StoredEvent]) -> list[int]:
    return [row.event_id for row in rows]


def test_at_a_gap_a_second_statement_is_asked(mariadb_engine: Engine, event_log: EventLog) -> None:
    for _ in range(3):
        insert(event_log, mariadb_engine)
    order, views = commit_order("mysql", event_log), Views(event_log, {2}, set())
    with mariadb_engine.connect() as connection:
        assert ids(order.rows_since(connection, views, 0, 10)) == [1, 2, 3]


def test_what_the_second_statement_shows_beyond_the_newest_seen_is_not_believed(
    mariadb_engine: Engine, event_log: EventLog
) -> None:
    for _ in range(3):
        insert(event_log, mariadb_engine)
    order = commit_order("mysql", event_log)

    class Later(Views):
        """Between the look at the newest id and this statement, two events more are committed."""

        @override
        def __call__(self, connection: Connection, since: int, limit: int) -> list[StoredEvent]:
            if self.left == 1:
                insert(event_log, mariadb_engine)
                insert(event_log, mariadb_engine)
            return super().__call__(connection, since, limit)

    with mariadb_engine.connect() as writing:
        connection = writing.execution_options(isolation_level="AUTOCOMMIT")
        assert ids(order.rows_since(connection, Later(event_log, {2}, {4}), 0, 10)) == [1, 2, 3]
        assert ids(order.rows_since(connection, Views(event_log, set()), 3, 10)) == [4, 5]


def test_an_id_that_was_rolled_back_is_passed_and_a_backlog_is_read_once(
    mariadb_engine: Engine, event_log: EventLog
) -> None:
    for _ in range(5):
        insert(event_log, mariadb_engine)
        insert(event_log, mariadb_engine, commit=False)
    order = commit_order("mysql", event_log)
    views = Views(event_log, *[set[int]()] * 4)
    with mariadb_engine.connect() as connection:
        given: list[int] = []
        while rows := order.rows_since(connection, views, given[-1] if given else 0, 2):
            given += ids(rows)
            if len(given) == 5:
                break
    assert given == [1, 3, 5, 7, 9]
    assert views.left == 0  # two for the first rows, then one for each


def test_nothing_is_lost_while_many_transactions_are_at_work(
    mariadb_store: SqlAlchemyEventStore,
) -> None:
    """The short form of ``python -m tests.sql.read_views``, which shows a plain reader's losses."""
    outcome = read_views(url_of(mariadb_store), mariadb_store, SECONDS)
    assert (outcome.lost_by_ours, outcome.out_of_order_by_ours) == ([], 0)
    assert outcome.stored > 100
