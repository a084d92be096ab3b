"""PostgreSQL: no look of a relay or of `tidings status` costs more because more is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.sql.databases import event_store, url_of
from tests.sql.test_replaced_store import X, append, execute
from tidings.relay.reports import passed_unmatched
from tidings.relay.standings import standings
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from tidings.sql.event_store import SqlAlchemyEventStore

COMPILED_ABOVE = 100_000
"""What PostgreSQL compiles before it runs it, which takes it longer than any look should."""

MANY = (
    "UPDATE pg_class SET reltuples = 1e9, relpages = 1, relallvisible = 1 "
    "WHERE relname IN ('event', 'event_pkey')"
)
"""Lets the planner take each page of these for a thousand million rows, and not look anew."""


@pytest.fixture
def asked() -> Iterator[list[tuple[str, Any]]]:
    """Give what databases are asked, with what it is asked with."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        found.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


def test_no_look_is_planned_as_more_than_a_look(
    postgresql_store: SqlAlchemyEventStore,
    postgresql_engine: Engine,
    asked: list[tuple[str, Any]],
) -> None:
    append(postgresql_store, 20)
    postgresql_store.prune(10)
    execute(postgresql_engine, "ANALYZE event, pruned_event")
    execute(postgresql_engine, MANY)
    tracker = SqlAlchemyTracker(SqlAlchemySettings(url=SecretStr(url_of(postgresql_store))))
    reader = event_store(url_of(postgresql_store))
    asked.clear()

    postgresql_store.check()
    assert list(standings({X: "its source"}, lambda: tracker, lambda _: reader))
    passed_unmatched(postgresql_store, ["None"], 20)
    postgresql_store.oldest_event_id()
    tracker.close()

    of_events = [each for each in asked if "FROM event" in each[0] or "JOIN event" in each[0]]
    assert len(of_events) > 5
    with postgresql_engine.connect() as connection:
        assert _cost(connection, "SELECT * FROM event") > COMPILED_ABOVE, "it knows better"
        costs = {each: _cost(connection, each, values) for each, values in of_events}
    assert max(costs.values()) < COMPILED_ABOVE, costs


def _cost(connection: Connection, statement: str, values: Any = None) -> float:
    """Return what PostgreSQL takes a statement for, in its own unit."""
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
    cost: float = plan[0]["Plan"]["Total Cost"]
    return cost
