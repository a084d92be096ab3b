"""PostgreSQL servers that crash, restart, stand by or draw ids otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, make_url, text

from tests.servers import PostgreSQL
from tests.sql.databases import application_engine, event_store
from tests.sql.waiting import wait_until
from tidings.errors import StoreUnavailableError, UnsafeStoreError
from tidings.event import NewEvent

if TYPE_CHECKING:
    from tests.servers.given import DatabaseServer
    from tidings.sql.event_store import SqlAlchemyEventStore

Start = Callable[..., PostgreSQL]


def commit(store: SqlAlchemyEventStore, engine: Engine, *names: str) -> None:
    with engine.begin() as connection:
        store.append(connection, *(NewEvent(name, {}) for name in names))


def given(store: SqlAlchemyEventStore) -> list[str]:
    return [stored.type_name for stored in store.all_stored_events_since(0, 1000)]


def reconnected(store: SqlAlchemyEventStore) -> list[str]:
    with pytest.raises(StoreUnavailableError):
        store.all_stored_events_since(0, 1000)
    return given(store)


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls-back"])
def test_a_prepared_transaction_is_waited_for_and_named_also_across_a_restart(
    own_postgresql: Start, commits: bool
) -> None:
    server = own_postgresql()
    engine = application_engine(server.url)
    store = event_store(server.url)
    store.create()
    with engine.connect() as connection:
        store.append(connection, NewEvent("Prepared", {}))
        connection.execute(text("PREPARE TRANSACTION 'shop 17'"))
        connection.rollback()
    commit(store, engine, "Second")
    for read in (given, reconnected):
        if read is reconnected:
            server.restart()
        assert read(store) == []
        hold = store.hold()
        assert hold is not None
        assert (hold.missing_id, hold.holder) == (1, "prepared transaction 'shop 17'")
        assert hold.seconds >= 0
        # The second read compares with the holders that the first one remembered.
        assert given(store) == []
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"{'COMMIT' if commits else 'ROLLBACK'} PREPARED 'shop 17'"))
    assert given(store) == (["Prepared", "Second"] if commits else ["Second"])
    store.close()


def test_the_ids_that_a_crash_of_the_server_skips_hold_nothing(own_postgresql: Start) -> None:
    server = own_postgresql()
    engine = application_engine(server.url)
    store = event_store(server.url)
    store.create()
    commit(store, engine, "Before")
    with engine.connect() as lost:
        store.append(lost, NewEvent("LostInTheCrash", {}))
        assert given(store) == ["Before"]
        server.kill()
        lost.invalidate()
    server.start()
    commit(store, engine, "After")
    assert reconnected(store) == ["Before", "After"]
    skipped = [event.event_id for event in store.all_stored_events_since(0, 10)]
    assert skipped[1] - skipped[0] > 10, "the crash left no gap: the test shows nothing"
    assert store.hold() is None
    store.close()


def test_a_gap_that_was_pending_when_the_server_crashed_is_settled_after_it(
    own_postgresql: Start,
) -> None:
    server = own_postgresql()
    engine = application_engine(server.url)
    store = event_store(server.url)
    store.create()
    with engine.connect() as lost:
        store.append(lost, NewEvent("LostInTheCrash", {}))
        commit(store, engine, "Second")
        assert given(store) == []
        server.kill()
        lost.invalidate()
    server.start()
    assert reconnected(store) == ["Second"]
    store.close()


def test_a_standby_is_refused_by_check_and_by_the_first_read(own_postgresql: Start) -> None:
    server = own_postgresql()
    store = event_store(server.url)
    store.create()
    store.check()
    commit(store, application_engine(server.url), "A")
    assert given(store) == ["A"]
    server.stop()
    (server.directory / "data" / "standby.signal").touch()
    server.start()
    with pytest.raises(UnsafeStoreError, match=r"standby.*read the primary"):
        store.check()
    with pytest.raises(StoreUnavailableError):
        store.all_stored_events_since(0, 10)
    with pytest.raises(UnsafeStoreError, match=r"standby.*read the primary"):
        store.all_stored_events_since(0, 10)
    store.close()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER SEQUENCE event_event_id_seq CACHE 20", "20 ids at a time"),
        ("ALTER SEQUENCE event_event_id_seq INCREMENT -1", "does not only rise"),
        ("ALTER SEQUENCE event_event_id_seq CYCLE", "does not only rise"),
        ("ALTER SEQUENCE event_event_id_seq RESTART 2", r"stands at 2, below the newest event 3"),
        ("ALTER TABLE event ALTER event_id DROP IDENTITY", "from 0 sequences"),
    ],
)
def test_ids_that_are_not_drawn_one_by_one_are_refused(
    postgresql_store: SqlAlchemyEventStore,
    postgresql_engine: Engine,
    change: str,
    sentence: str,
) -> None:
    commit(postgresql_store, postgresql_engine, "A", "B", "C")
    postgresql_store.check()
    with postgresql_engine.begin() as connection:
        connection.execute(text(change))
    with pytest.raises(UnsafeStoreError, match=sentence):
        postgresql_store.check()


def test_an_id_drawn_beforehand_cannot_be_inserted(
    postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine
) -> None:
    insert = text(
        "INSERT INTO event (event_id, type_name, body, occurred_on) VALUES (5, 'A', '{}', now())"
    )
    with (
        postgresql_engine.begin() as connection,
        pytest.raises(Exception, match="GENERATED ALWAYS"),
    ):
        connection.execute(insert)


def test_a_server_that_is_down_is_named_without_its_password_and_found_again(
    own_postgresql: Start,
) -> None:
    server = own_postgresql()
    url = server.url.replace("postgres@", "postgres:s3cret@")
    store = event_store(url)
    store.create()
    commit(store, application_engine(url), "A")
    assert given(store) == ["A"]
    server.stop()
    for _again in range(2):
        with pytest.raises(StoreUnavailableError) as caught:
            store.all_stored_events_since(0, 10)
        assert f"PostgreSQL database 'postgres' at 127.0.0.1:{server.port}" in str(caught.value)
        assert "s3cret" not in str(caught.value)
    server.start()
    wait_until(lambda: given(store) == ["A"], "the store to find its server again")
    store.close()


def test_a_database_that_was_read_only_is_written_again_as_soon_as_it_can_be(
    postgresql: DatabaseServer,
) -> None:
    url = postgresql.new_database()
    store = event_store(url)
    store.create()
    store.close()  # what it opens next begins read-only
    engine = application_engine(postgresql.url)
    setting = f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only = "

    def append() -> None:
        with store.transaction() as transaction:
            store.append(transaction, NewEvent("Late", {}))

    with engine.begin() as connection:
        connection.execute(text(f"{setting} on"))
    with pytest.raises(StoreUnavailableError, match="read-only"):
        append()
    with engine.begin() as connection:
        connection.execute(text(f"{setting} off"))
    append()

    assert given(store) == ["Late"]
    store.close()
    engine.dispose()
