"""PostgreSQL servers that crash, restart, stand by or draw ids otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, make_url, text

from tests.servers import PostgreSQL
from tests.sql.databases import application_engine, event_store, url_of
from tidings.errors import StoreUnavailableError, UnsafeStoreError
from tidings.event import NewEvent
from tidings.sql.outbox import OutboxMessageDispatcher, OutboxSettings, outbox_event_store
from tidings.testing import eventually

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


def test_a_gap_that_was_pending_when_the_server_crashed_is_decided_after_it(
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
    eventually(lambda: given(store) == ["A"], "the store to find its server again")
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


def autocommit(url: str, *statements: str) -> None:
    engine = application_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_a_logical_replica_is_refused_also_while_it_is_read(own_postgresql: Start) -> None:
    server = own_postgresql(settings=["wal_level=logical"])
    urls = [server.new_database() for _ in range(2)]
    primary, replica = map(event_store, urls)
    primary.create()
    replica.create()
    replica.check()
    assert given(replica) == []
    parts = make_url(urls[0])
    source = f"host={parts.host} port={parts.port} dbname={parts.database} user={parts.username}"
    autocommit(
        urls[0],
        "CREATE PUBLICATION events FOR TABLE event",
        "SELECT pg_create_logical_replication_slot('events', 'pgoutput')",
    )
    autocommit(
        urls[1],
        f"CREATE SUBSCRIPTION events CONNECTION '{source}' PUBLICATION events "
        "WITH (create_slot = false)",
    )
    refused = "'event' is filled by the subscription 'events'"
    for look in (replica.check, replica.watch, replica.newest_event_id):
        with pytest.raises(UnsafeStoreError, match=refused):
            look()
    primary.check()
    primary.close()
    autocommit(urls[1], "DROP SUBSCRIPTION events")
    replica.check()
    assert given(replica) == []
    replica.close()


ALL_SEEN = "FOR SELECT TO relay USING (true)"
ONLY_EVEN = "FOR SELECT USING (event_id % 2 = 0)"


@pytest.mark.parametrize(
    ("policies", "is_refused"),
    [
        ([], True),
        ([ONLY_EVEN], True),
        (["TO postgres USING (true)", "FOR INSERT WITH CHECK (true)"], True),
        ([ALL_SEEN, "AS RESTRICTIVE " + ONLY_EVEN], True),
        ([ALL_SEEN], False),
        (["USING (true)", ONLY_EVEN], False),
    ],
)
def test_a_user_from_whom_row_level_security_may_hide_events_is_refused(
    own_postgresql: Start, policies: list[str], is_refused: bool
) -> None:
    server = own_postgresql()
    url = server.new_database()
    owner = event_store(url)
    owner.create()
    autocommit(
        url,
        "CREATE USER relay",
        "GRANT SELECT ON event, tidings_schema, pruned_event TO relay",
        "GRANT SELECT ON SEQUENCE event_event_id_seq TO relay",
    )
    with owner.transaction() as transaction:
        owner.append(transaction, NewEvent("A", {}), NewEvent("B", {}))
    relay = event_store(make_url(url).set(username="relay").render_as_string())
    relay.check()
    assert given(relay) == ["A", "B"]
    autocommit(
        url,
        "ALTER TABLE event ENABLE ROW LEVEL SECURITY",
        *(f"CREATE POLICY p{number} ON event {said}" for number, said in enumerate(policies)),
    )
    anew = event_store(make_url(url).set(username="relay").render_as_string())
    for look in (relay.check, relay.watch, lambda: given(anew)):
        if is_refused:
            with pytest.raises(UnsafeStoreError, match="hide rows of the table 'event' from the"):
                look()
        else:
            look()
    assert given(owner) == ["A", "B"]
    for store in (relay, anew, owner):
        store.close()


def test_rows_that_are_hidden_under_a_reader_are_not_taken_for_rolled_back(
    own_postgresql: Start,
) -> None:
    server = own_postgresql()
    url = server.new_database()
    owner = event_store(url)
    owner.create()
    with owner.transaction() as transaction:
        owner.append(transaction, NewEvent("A", {}), NewEvent("B", {}))
    autocommit(url, "CREATE USER relay", "GRANT SELECT ON event TO relay")
    relay = event_store(make_url(url).set(username="relay").render_as_string())
    assert given(relay) == ["A", "B"]
    autocommit(
        url, "ALTER TABLE event ENABLE ROW LEVEL SECURITY", f"CREATE POLICY p ON event {ONLY_EVEN}"
    )
    with pytest.raises(UnsafeStoreError, match="hide rows of the table 'event' from the user"):
        given(relay)
    relay.close()
    owner.close()


def test_a_user_whom_postgresql_13_shows_no_ids_of_subscriptions_finds_none(
    own_postgresql: Start,
) -> None:
    server = own_postgresql()
    url = server.new_database()
    owner = event_store(url)
    owner.create()
    owner.close()
    autocommit(
        url,
        "REVOKE SELECT (oid) ON pg_subscription FROM public",  # as version 13 begins with
        "CREATE USER relay",
        "GRANT SELECT ON event, tidings_schema, pruned_event TO relay",
        "GRANT SELECT ON SEQUENCE event_event_id_seq TO relay",
    )
    relay = event_store(make_url(url).set(username="relay").render_as_string())
    relay.check()
    assert given(relay) == []
    relay.close()


@pytest.mark.parametrize("changed", [0, 10], ids=["no row changed", "newest changed"])
def test_events_under_ids_that_were_given_out_again_are_named_and_get_new_ones(
    postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine, changed: int
) -> None:
    store, engine = postgresql_store, postgresql_engine
    for number in range(1, 11):
        commit(store, engine, f"Old{number}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM event WHERE event_id BETWEEN 3 AND 8"))
        connection.execute(text("SELECT setval('event_event_id_seq', 2)"))
    with pytest.raises(UnsafeStoreError, match="newest event 10") as raised:
        store.check()
    assert "meanwhile" not in str(raised.value)
    commit(store, engine, "LowOne", "LowTwo")
    commit(store, engine, "LowThree")
    with engine.begin() as connection:  # as who mends a row that cannot be read
        mended = text("UPDATE event SET body = '1' WHERE event_id = :id")
        connection.execute(mended, {"id": changed})
    with pytest.raises(
        UnsafeStoreError, match=r"3 event\(s\) .* meanwhile: 3, 4, 5\. Run `tidings"
    ):
        store.check()
    assert store.renumber() == [3, 4, 5]
    store.check()
    commit(store, engine, "New")
    behind = [(e.event_id, e.type_name) for e in store.all_stored_events_since(10, 100)]
    assert behind == [(11, "LowOne"), (12, "LowTwo"), (13, "LowThree"), (14, "New")]
    assert given(store)[:4] == ["Old1", "Old2", "Old9", "Old10"]
    assert store.renumber() == []


def test_an_outbox_of_which_rows_were_marked_gets_new_ids_for_those_that_wait_alone(
    postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine
) -> None:
    settings = OutboxSettings.model_validate({"url": url_of(postgresql_store)})
    outbox = outbox_event_store(settings)
    outbox.create()

    def dispatch(*names: str) -> None:
        with postgresql_engine.begin() as connection:
            OutboxMessageDispatcher(connection).dispatch(*(NewEvent(name, {}) for name in names))

    dispatch(*(f"Old{number}" for number in range(1, 11)))
    with postgresql_engine.begin() as connection:
        connection.execute(text("DELETE FROM outbox WHERE event_id BETWEEN 3 AND 9"))
        connection.execute(text("SELECT setval('outbox_event_id_seq', 2)"))
    dispatch("LowOne", "LowTwo")
    with postgresql_engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET dispatched_on = now() WHERE event_id < 3"))
    assert outbox.renumber() == [3, 4]
    outbox.check()
    assert [(e.event_id, e.type_name) for e in outbox.all_stored_events_since(10, 100)] == [
        (11, "LowOne"),
        (12, "LowTwo"),
    ]
    outbox.close()
