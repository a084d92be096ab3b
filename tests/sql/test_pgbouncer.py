"""PostgreSQL behind a pooler that gives each transaction another connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text
from sqlalchemy.orm import Session

from tests.conftest import Factory, servers
from tests.servers import PgBouncer, PostgreSQL
from tests.sql.databases import application_engine, event_store
from tidings import record
from tidings.errors import StoreUnavailableError
from tidings.event import NewEvent
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.given import DatabaseServer

MODES = {
    "as-it-is": (),
    # From 1.21 on it can let several connections share what one has prepared.
    "prepares-nothing": ("max_prepared_statements = 0",),
    "prepares": ("max_prepared_statements = 100",),
}
POSSIBLE = list(MODES) if PgBouncer.version() >= (1, 21) else ["as-it-is"]


@pytest.fixture(params=POSSIBLE)
def pgbouncer(
    request: pytest.FixtureRequest,
    postgresql: DatabaseServer,
    server_lacks: Callable[[str], None],
) -> Iterator[tuple[str, Engine]]:
    """Give the URL of an empty database through PgBouncer, and an engine past it."""
    if len(POSSIBLE) < len(MODES):
        server_lacks("PgBouncer lets no prepared statement through (from 1.21 on)")
    with servers(PgBouncer) as start:
        url = postgresql.new_database()
        pooler = start(before=url, settings=MODES[request.param])
        engine = application_engine(url)
        yield pooler.through(url), engine
        engine.dispose()


def role_setting(engine: Engine, setting: str) -> None:
    """Give the engine's database a setting that every new session begins with."""
    with engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET {setting}"))


def test_events_go_in_and_out_through_the_pooler(pgbouncer: tuple[str, Engine]) -> None:
    url, past_it = pgbouncer
    store = event_store(url)
    store.create()
    store.check()
    for _many_times_enough_to_be_prepared in range(12):
        with store.transaction() as connection:
            store.append(connection, NewEvent("A", {}), NewEvent("B", {}))
        assert store.all_stored_events_since(0, 100)

    assert [e.event_id for e in store.all_stored_events_since(0, 100)] == list(range(1, 25))
    assert store.hold() is None
    with past_it.connect() as connection:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidings'"
        seen = connection.execute(text(sessions)).scalar_one()
    assert seen >= 1, "nothing went through the pooler: the test shows nothing"
    store.close()


def test_a_gap_is_held_through_the_pooler(pgbouncer: tuple[str, Engine]) -> None:
    url, past_it = pgbouncer
    store = event_store(url)
    store.create()
    with past_it.connect() as late:
        store.append(late, NewEvent("First", {}))
        with past_it.begin() as connection:
            store.append(connection, NewEvent("Second", {}))
        for _again in range(8):
            assert store.all_stored_events_since(0, 10) == []
        late.commit()
    assert [e.type_name for e in store.all_stored_events_since(0, 10)] == ["First", "Second"]
    store.close()


def test_a_restart_behind_the_pooler_decides_no_gap(own_postgresql: Factory[PostgreSQL]) -> None:
    server = own_postgresql()
    url = server.new_database()
    engine = application_engine(url)
    with servers(PgBouncer) as start:
        store = event_store(start(before=url).through(url))
        store.create()
        with Session(engine, twophase=True) as late:
            record(late, NewEvent("First", {}))
            late.prepare()
            with engine.begin() as connection:
                store.append(connection, NewEvent("Second", {}))
            assert store.all_stored_events_since(0, 10) == []

            server.restart()  # the pooler keeps our connection, and makes itself new ones
            for _again in range(2):  # the prepared transaction has another name by now
                assert store.all_stored_events_since(0, 10) == []
            hold = store.hold()
            assert hold is not None
            assert hold.missing_id == 1

            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                (name,) = connection.execute(text("SELECT gid FROM pg_prepared_xacts")).scalars()
                assert name in hold.holder
                connection.execute(text(f"COMMIT PREPARED '{name}'"))
            late.invalidate()
        found = store.all_stored_events_since(0, 10)
        assert [e.type_name for e in found] == ["First", "Second"]
        store.close()
    engine.dispose()


def test_after_a_restart_behind_the_pooler_a_gap_is_looked_at_afresh(
    own_postgresql: Factory[PostgreSQL],
) -> None:
    server = own_postgresql()
    url = server.new_database()
    engine = application_engine(url)
    with servers(PgBouncer) as start:
        store = event_store(start(before=url).through(url))
        store.create()
        lost = engine.connect()
        store.append(lost, NewEvent("Lost", {}))
        with engine.begin() as connection:
            store.append(connection, NewEvent("Second", {}))
        assert store.all_stored_events_since(0, 10) == []

        server.restart()
        with pytest.raises(StoreUnavailableError, match="restarted behind its pooler"):
            store.all_stored_events_since(0, 10)
        found = store.all_stored_events_since(0, 10)
        assert [e.type_name for e in found] == ["Second"]
        lost.invalidate()
        lost.close()
        store.close()
    engine.dispose()


def test_leases_and_positions_are_kept_through_the_pooler(pgbouncer: tuple[str, Engine]) -> None:
    url, _past_it = pgbouncer
    store = event_store(url)
    store.create()
    tracker = SqlAlchemyTracker(SqlAlchemySettings(url=SecretStr(url)))
    with store.transaction() as connection:
        store.append(connection, *(NewEvent("A", n) for n in range(10)))
    for owner in ("a", "b"):
        lease = tracker.acquire_lease("shop", owner, 15)
        for event in store.all_stored_events_since(lease.position.event_id, 5):
            tracker.track_most_recent_published_message("shop", event, lease)
        tracker.release_lease(lease)

    assert tracker.most_recent_published_message_id("shop") == 10
    tracker.close()
    store.close()


def test_what_we_set_counts_on_every_connection_of_the_pooler(
    pgbouncer: tuple[str, Engine],
) -> None:
    url, past_it = pgbouncer
    role_setting(past_it, "DateStyle = 'German'")
    role_setting(past_it, "TimeZone = 'Australia/Sydney'")
    store = event_store(url)
    store.create()
    event = NewEvent("A", {})
    with store.transaction() as connection:
        store.append(connection, event)
    with store.database.connect() as other, store.database.connect() as third:
        for _each_of_the_poolers_connections in range(4):
            for reader in (other, third):
                (zone,) = reader.execute(text("SHOW TimeZone")).scalars()
                assert zone == "UTC"
                assert [e.occurred_on for e in store.all_stored_events_since(0, 9)] == [
                    event.occurred_on
                ]
    store.close()


def test_driver_options_with_a_type_may_stand_in_the_url(pgbouncer: tuple[str, Engine]) -> None:
    url = make_url(pgbouncer[0]).update_query_dict({"prepare_threshold": "None"})
    store = event_store(url.render_as_string(hide_password=False))
    store.create()
    assert store.newest_event_id() is None
    store.close()
