"""PostgreSQL: gaps in the ids, and who may still fill them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from tests.servers.databases import drop_database
from tests.sql.databases import application_engine, event_store, url_of
from tests.sql.waiting import Beside
from tidings.errors import StoreUnavailableError, UnsafeStoreError
from tidings.event import NewEvent
from tidings.sql.commit_order.postgresql import PostgreSQLCommitOrder
from tidings.sql.event_log import EventId
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.given import DatabaseServer
    from tidings.sql.event_store import SqlAlchemyEventStore


@pytest.fixture
def store(postgresql_store: SqlAlchemyEventStore) -> SqlAlchemyEventStore:
    return postgresql_store


@pytest.fixture
def engine(postgresql_engine: Engine) -> Engine:
    return postgresql_engine


def append(store: SqlAlchemyEventStore, connection: Connection, *names: str) -> None:
    store.append(connection, *(NewEvent(name, {}) for name in names))


def commit(store: SqlAlchemyEventStore, engine: Engine, *names: str) -> None:
    with engine.begin() as connection:
        append(store, connection, *names)


def roll_back(store: SqlAlchemyEventStore, engine: Engine, *names: str) -> None:
    with engine.connect() as connection:
        append(store, connection, *names)
        connection.rollback()


def given(store: SqlAlchemyEventStore, since: int = 0) -> list[str]:
    return [stored.type_name for stored in store.all_stored_events_since(since, 100)]


@contextmanager
def statements(store: SqlAlchemyEventStore) -> Iterator[list[str]]:
    """Give the list of what the store asks the database."""
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(re.sub(r"\s+", " ", statement))

    event.listen(store.database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(store.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("first_commits", [True, False], ids=["commits", "rolls-back"])
@pytest.mark.parametrize("statement", range(9))
def test_wherever_in_a_read_a_transaction_ends_its_event_is_not_passed(
    engine: Engine, store: SqlAlchemyEventStore, statement: int, first_commits: bool
) -> None:
    """Ends the transaction just after the reader's n-th statement, for every n of two reads."""
    store.newest_event_id()  # the connection and what it asks first are not counted
    with engine.connect() as first:
        append(store, first, "First")
        commit(store, engine, "Second")
        count = 0

        def end_first(*_event: Any) -> None:
            nonlocal count
            if count == statement:
                first.commit() if first_commits else first.rollback()
            count += 1

        event.listen(store.database.engine, "after_cursor_execute", end_first)
        read: list[str] = []
        position = 0
        for _read in range(8):
            events = store.all_stored_events_since(position, 100)
            read += [stored.type_name for stored in events]
            position = events[-1].event_id if events else position
        event.remove(store.database.engine, "after_cursor_execute", end_first)
    assert count > statement, "the transaction did not end while the store was read"
    assert read == (["First", "Second"] if first_commits else ["Second"])


def test_without_a_gap_a_read_is_one_statement(engine: Engine, store: SqlAlchemyEventStore) -> None:
    commit(store, engine, *("A" * 50))
    store.newest_event_id()
    with statements(store) as asked:
        assert len(store.all_stored_events_since(0, 20)) == 20
        assert len(store.all_stored_events_since(20, 100)) == 30
        assert len(store.all_stored_events_since(50, 100)) == 0
    assert len(asked) == 3


def test_gaps_that_nobody_can_fill_are_decided_at_once_and_only_once(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    for number in range(30):
        roll_back(store, engine, "Gone")
        commit(store, engine, f"Event{number}")
    store.check()  # else the first gap has it look for the sequence, too
    store.newest_event_id()
    with statements(store) as asked:
        assert given(store) == [f"Event{number}" for number in range(30)]
        decided = len(asked)
        assert given(store) == [f"Event{number}" for number in range(30)]
        assert len(store.all_stored_events_since(20, 5)) == 5
    assert decided <= 5
    assert len(asked) == decided + 4  # two reads, and for each whether the server is the same


def test_a_gap_at_the_head_left_by_pruning_is_decided_at_the_first_read(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    commit(store, engine, *("A" * 40))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM event WHERE event_id < 39"))
    assert [e.event_id for e in store.all_stored_events_since(0, 100)] == [39, 40]
    assert store.hold() is None


def test_ids_may_begin_and_go_on_anywhere(engine: Engine, store: SqlAlchemyEventStore) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER SEQUENCE event_event_id_seq RESTART 5000000000"))
    commit(store, engine, "A")
    with engine.begin() as connection:
        connection.execute(text("ALTER SEQUENCE event_event_id_seq RESTART 9000000000000000000"))
    commit(store, engine, "B")
    assert [e.event_id for e in store.all_stored_events_since(0, 10)] == [
        5_000_000_000,
        9_000_000_000_000_000_000,
    ]


def test_an_open_transaction_above_the_newest_visible_event_holds_nothing(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    commit(store, engine, "A")
    with engine.connect() as last:
        append(store, last, "B")
        assert given(store) == ["A"]
        assert store.hold() is None


def test_an_open_transaction_is_waited_for_named_and_blocks_no_writer(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    commit(store, engine, "Before")
    with engine.connect() as slow:
        append(store, slow, "Slow")
        pid = slow.execute(text("SELECT pg_backend_pid()")).scalar_one()
        for number in range(20):
            with engine.begin() as connection:
                connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
                append(store, connection, f"Quick{number}")
            assert given(store) == ["Before"]
        hold = store.hold()
        assert hold is not None
        assert (hold.missing_id, hold.holder) == (2, f"process {pid}")
        assert 0 < hold.seconds < 60
        slow.commit()
    assert given(store) == ["Before", "Slow", *(f"Quick{number}" for number in range(20))]
    assert store.hold() is None


def test_a_hold_lasts_until_the_next_read_though_its_transaction_has_just_ended(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.connect() as slow:
        append(store, slow, "Slow")
        commit(store, engine, "Quick")
        assert given(store) == []
        slow.commit()
    hold = store.hold()
    assert hold is not None, "who is told that nothing holds the reader rests: nobody wakes it"
    assert (hold.missing_id, hold.holder) == (1, "a transaction that has just ended")
    assert given(store) == ["Slow", "Quick"]
    assert store.hold() is None


def test_a_gap_filled_while_another_one_is_awaited_moves_the_reader_to_that(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.connect() as first, engine.connect() as third:
        append(store, first, "First")
        commit(store, engine, "Second")
        append(store, third, "Third")
        commit(store, engine, "Fourth")
        assert given(store) == []
        first.commit()
        assert given(store) == ["First", "Second"]
        hold = store.hold()
        assert hold is not None
        assert hold.missing_id == 3
        third.rollback()
    assert given(store) == ["First", "Second", "Fourth"]


def test_whoever_begins_after_a_gap_was_seen_is_not_waited_for(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.connect() as first, engine.connect() as later:
        append(store, first, "First")
        commit(store, engine, "Second")
        assert given(store) == []
        append(store, later, "Later")
        first.rollback()
        assert given(store) == ["Second"]


def test_a_reader_far_behind_is_not_held_back_for_ever_by_one_ahead(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    """Two exchanges at different positions read through one store, new writers come all the time.

    The reader behind waits for the first transaction alone, not for all that began since.
    """
    with engine.connect() as first:
        append(store, first, "First")
        commit(store, engine, "Second")
        assert given(store) == []
        following: Connection | None = None
        for number in range(100):
            newer = engine.connect()
            append(store, newer, f"Open{number}")
            commit(store, engine, f"Event{number}")
            assert given(store, since=2 + 2 * number) == []
            if following is not None:
                following.commit()
                following.close()
            following = newer
        assert given(store) == []
        first.rollback()
        assert given(store)[:2] == ["Second", "Open0"]
        assert following is not None
        following.close()


def test_a_long_transaction_on_other_tables_or_reading_events_holds_nothing(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE other (n int)"))
    with engine.connect() as long, engine.connect() as reading:
        long.execute(text("INSERT INTO other VALUES (1)"))
        reading.execute(text("SELECT * FROM event"))
        roll_back(store, engine, "Gone")
        commit(store, engine, "A")
        assert given(store) == ["A"]


def test_a_long_transaction_in_another_database_holds_nothing(
    postgresql: DatabaseServer, engine: Engine, store: SqlAlchemyEventStore
) -> None:
    """The other database is a copy, so that its tables have the very same oids."""
    store.close()
    name = engine.url.database
    assert name is not None
    copy_url = engine.url.set(database=f"{name}_copy").render_as_string(hide_password=False)
    server = application_engine(postgresql.url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}_copy TEMPLATE {name}"))
    try:
        copy = application_engine(copy_url)
        with copy.connect() as long:
            append(store, long, "InTheCopy")
            roll_back(store, engine, "Gone")
            commit(store, engine, "A")
            assert given(store) == ["A"]
    finally:
        drop_database(postgresql.url, copy_url)


def test_a_savepoint_rolled_back_and_appended_again_is_still_waited_for(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.connect() as connection:
        savepoint = connection.begin_nested()
        append(store, connection, "RolledBack")
        commit(store, engine, "Second")
        assert given(store) == []
        savepoint.rollback()
        assert given(store) == ["Second"]
        append(store, connection, "Third")
        commit(store, engine, "Fourth")
        assert given(store) == ["Second"]
        connection.commit()
    assert given(store) == ["Second", "Third", "Fourth"]


PARTED = (
    "CREATE SEQUENCE numbers",
    (
        "CREATE TABLE event (event_id bigint NOT NULL DEFAULT nextval('numbers'), "
        "type_name varchar(255), body text, occurred_on timestamptz, "
        "aggregate_id varchar(255), metadata text) PARTITION BY RANGE (event_id)"
    ),
)


def test_an_insert_straight_into_a_partition_is_waited_for(
    postgresql: DatabaseServer,
) -> None:
    url = postgresql.new_database()
    engine = application_engine(url)
    with engine.begin() as connection:
        for statement in (
            *PARTED,
            "CREATE TABLE event_low PARTITION OF event FOR VALUES FROM (1) TO (1000)",
        ):
            connection.execute(text(statement))
    store = event_store(url)
    store.create()
    store.check()
    with engine.connect() as direct:
        direct.execute(text("INSERT INTO event_low VALUES (DEFAULT, 'Direct', '{}', now())"))
        commit(store, engine, "Second")
        assert given(store) == []
        direct.commit()
    assert given(store) == ["Direct", "Second"]
    store.close()


def test_an_insert_straight_into_a_table_that_inherits_is_waited_for(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE event_child () INHERITS (event)",
            "CREATE TABLE event_grandchild () INHERITS (event_child)",
            (
                "ALTER TABLE event_grandchild ALTER COLUMN event_id "
                "SET DEFAULT nextval(pg_get_serial_sequence('event', 'event_id'))"
            ),
        ):
            connection.execute(text(statement))
    store.check()
    insert = "INSERT INTO event_grandchild VALUES (DEFAULT, 'Direct', '{}', now())"
    with engine.connect() as direct:
        direct.execute(text(insert))
        commit(store, engine, "Second")
        assert given(store) == []
        direct.commit()
    assert given(store) == ["Direct", "Second"]


INTO_THE_CHILD = (
    "INSERT INTO event_child VALUES "
    "(nextval(pg_get_serial_sequence('event', 'event_id')), 'Direct', '{}', now())"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["CREATE TABLE event_child () INHERITS (event)"], []),
        (
            ["CREATE TABLE event_child (LIKE event)"],
            ["ALTER TABLE event_child INHERIT event"],
        ),
    ],
    ids=["made-to-inherit", "inherits-later"],
)
def test_an_insert_into_a_table_that_inherits_only_with_its_transaction_is_waited_for(
    engine: Engine, store: SqlAlchemyEventStore, before: list[str], after: list[str]
) -> None:
    with engine.connect() as direct:
        for statement in before:
            direct.execute(text(statement))
        direct.execute(text(INTO_THE_CHILD))
        commit(store, engine, "Second")
        assert given(store) == []
        hold = store.hold()
        assert hold is not None
        assert hold.holder.startswith("process ")
        for statement in after:
            direct.execute(text(statement))
        direct.commit()
    assert given(store) == ["Direct", "Second"]


def test_an_insert_into_a_table_that_is_attached_only_with_its_transaction_is_waited_for(
    postgresql: DatabaseServer,
) -> None:
    url = postgresql.new_database()
    engine = application_engine(url)
    with engine.begin() as connection:
        for statement in (*PARTED, "CREATE TABLE event_rest PARTITION OF event DEFAULT"):
            connection.execute(text(statement))
    store = event_store(url)
    store.create()
    with engine.connect() as direct:
        direct.execute(text("CREATE TABLE event_low (LIKE event INCLUDING DEFAULTS)"))
        direct.execute(text("INSERT INTO event_low VALUES (DEFAULT, 'Direct', '{}', now())"))
        commit(store, engine, "Second")
        assert given(store) == []
        attach = "ALTER TABLE event ATTACH PARTITION event_low FOR VALUES FROM (1) TO (2)"
        direct.execute(text(attach))
        direct.commit()
    assert given(store) == ["Direct", "Second"]
    store.close()


def test_who_draws_ids_of_ours_for_another_table_holds_nothing(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with engine.begin() as connection:
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence('event', 'event_id')")
        ).scalar_one()
        connection.execute(text(f"CREATE TABLE other (n bigint DEFAULT nextval('{sequence}'))"))
    with engine.connect() as long:
        long.execute(text("INSERT INTO other DEFAULT VALUES"))
        commit(store, engine, "A")
        assert given(store) == ["A"]


@pytest.mark.parametrize("first_commits", [True, False], ids=["commits", "rolls-back"])
def test_a_reader_cut_off_or_begun_anew_still_waits(
    engine: Engine, store: SqlAlchemyEventStore, first_commits: bool
) -> None:
    with engine.connect() as first:
        append(store, first, "First")
        commit(store, engine, "Second")
        assert given(store) == []
        with engine.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'tidings' AND datname = current_database()"
                )
            )
        with pytest.raises(StoreUnavailableError, match="PostgreSQL database"):
            store.all_stored_events_since(0, 100)
        restarted = event_store(url_of(store))
        assert given(store) == given(restarted) == []
        first.commit() if first_commits else first.rollback()
    expected = ["First", "Second"] if first_commits else ["Second"]
    assert given(store) == given(restarted) == expected
    restarted.close()


def test_what_was_known_of_the_old_connection_is_not_used_on_the_new_one(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    """After a failover, or a restart, the same name may be another transaction's."""
    with engine.connect() as first:
        append(store, first, "First")
        commit(store, engine, "Second")
        assert given(store) == []
        store.close()
        with statements(store) as asked:
            assert given(store) == []
        # It looked at the rows before it asked who might still fill the gap.
        asked_for = [word for s in asked for word in ("FROM event", "pg_locks") if word in s]
        assert asked_for[0] == "FROM event"
        first.rollback()
    assert given(store) == ["Second"]


def test_an_insert_that_waits_for_its_lock_has_no_id_yet_and_holds_nothing(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    roll_back(store, engine, "Gone")
    commit(store, engine, "A")
    with engine.connect() as locking:
        locking.execute(text("LOCK TABLE event IN SHARE MODE"))
        waiting = Beside(lambda: commit(store, engine, "Waiting"))
        eventually(lambda: waits(locking), "the insert to wait")
        assert given(store) == ["A"]
        locking.rollback()
    waiting.result()
    assert given(store) == ["A", "Waiting"]


def waits(connection: Connection) -> bool:
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'")
    return bool(connection.execute(query).scalar_one())


def test_another_sequence_that_gives_low_ids_is_seen_while_the_store_is_read(
    postgresql: DatabaseServer,
) -> None:
    url = postgresql.new_database()
    engine = application_engine(url)
    with engine.begin() as connection:
        for statement in (
            "CREATE SEQUENCE numbers",
            "CREATE SEQUENCE others",
            (
                "CREATE TABLE event (event_id bigint PRIMARY KEY DEFAULT nextval('numbers'), "
                "type_name varchar(255), body text, occurred_on timestamptz, "
                "aggregate_id varchar(255), metadata text)"
            ),
        ):
            connection.execute(text(statement))
    store = event_store(url)
    store.create()
    store.check()
    commit(store, engine, "A", "B", "C")
    store.watch()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM event WHERE event_id < 3"))
        connection.execute(text("ALTER TABLE event ALTER event_id SET DEFAULT nextval('others')"))
    commit(store, engine, "Low")
    with pytest.raises(UnsafeStoreError, match=r"sequence others stands at 1, .*renumber"):
        store.watch()
    assert store.renumber() == [1]
    store.watch()
    assert given(store, since=3) == ["Low"]
    store.close()


@pytest.mark.parametrize("checked", [True, False])
def test_a_cache_that_the_sequence_gets_under_a_reader_lets_no_gap_be_passed(
    store: SqlAlchemyEventStore, engine: Engine, checked: bool
) -> None:
    commit(store, engine, "A")
    if checked:  # who polls for others is not told to
        store.check()
    assert given(store) == ["A"]
    with engine.connect() as one, engine.connect() as other:
        one.execute(text("ALTER SEQUENCE event_event_id_seq CACHE 10"))
        one.commit()
        for connection, name in ((one, "B"), (other, "far ahead")):
            append(store, connection, name)
            connection.commit()
        for _ in range(2):
            with pytest.raises(UnsafeStoreError, match="hands out 10 ids at a time"):
                given(store, 1)
        append(store, one, "late, under a low id")
        one.commit()
        one.execute(text("ALTER SEQUENCE event_event_id_seq CACHE 1"))
        one.commit()
    assert given(store, 1) == ["B", "late, under a low id", "far ahead"]


def test_a_sequence_that_descends_under_a_reader_lets_no_gap_be_passed(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    commit(store, engine, "A")
    store.check()
    assert given(store) == ["A"]
    with engine.begin() as connection:
        connection.execute(
            text("ALTER SEQUENCE event_event_id_seq INCREMENT -1 MINVALUE 1 RESTART 9")
        )
    commit(store, engine, "high")
    with pytest.raises(UnsafeStoreError, match="does not only rise"):
        given(store, 1)
    commit(store, engine, "low")
    with engine.begin() as connection:
        connection.execute(text("ALTER SEQUENCE event_event_id_seq INCREMENT 1 RESTART 10"))
    assert given(store, 1) == ["low", "high"]


def test_a_transaction_that_is_prepared_under_another_name_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So it is before PostgreSQL 13.5 and 14.1."""
    first, second = EventId(1), EventId(2)
    visible = [second]
    holders: set[str] = {"3/17"}
    connection: Any = None
    log: Any = SimpleNamespace(newest_id=lambda _: visible[-1].event_id)
    order = PostgreSQLCommitOrder(log)
    monkeypatch.setattr(order, "_holders", lambda _: frozenset(holders))
    monkeypatch.setattr(order, "_refuse_what_changed", lambda _: None)

    def read() -> list[EventId]:
        return order.rows_since(connection, lambda *_: list(visible), 0, 10)

    assert read() == []
    holders = {"-1/700"}
    assert read() == []
    visible, holders = [first, second], set()
    assert read() == [first, second]
