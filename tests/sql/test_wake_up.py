"""PostgreSQL wakes whoever waits for events, and nobody depends on it."""

from __future__ import annotations

import array
import fcntl
import termios
import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.waiting import READY_R
from pydantic import SecretStr, ValidationError
from sqlalchemy import Connection, Engine, event, text

from tests.sql.databases import application_engine
from tests.sql.waiting import Beside
from tidings.errors import StoreNotReadyError, StoreUnavailableError
from tidings.event import NewEvent
from tidings.plugins import Waited
from tidings.sql import event_store as event_store_module
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.outbox import OutboxMessageDispatcher, OutboxSettings, outbox_event_store
from tidings.sql.schema import ddl
from tidings.sql.settings import SqlAlchemySettings
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.servers import PostgreSQL
    from tests.servers.given import DatabaseServer

LONG = 30.0
SOON = 10.0
"""Far below LONG, and far above what a loaded machine needs."""

INSERT = text("INSERT INTO event (type_name, body, occurred_on) VALUES ('Plain', '{}', now())")


def waking(url: str, *, wake_up: bool = True) -> SqlAlchemyEventStore:
    return SqlAlchemyEventStore(SqlAlchemySettings(url=SecretStr(url), wake_up=wake_up))


@pytest.fixture
def url(postgresql: DatabaseServer) -> str:
    return postgresql.new_database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = application_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[SqlAlchemyEventStore]:
    """Give a store that has read all there is, and that listens."""
    store = waking(url)
    store.create()
    begin_to_listen(store)
    yield store
    store.close()


def create_without(url: str) -> None:
    """Create the tables as they were before anybody asked for the trigger."""
    with closing(waking(url, wake_up=False)) as store:
        store.create()


def begin_to_listen(store: SqlAlchemyEventStore) -> None:
    store.all_stored_events_since(0, 10)
    assert store.wait(LONG) is Waited.MAY_BE_NEW, "before it listened, events may have come"
    store.all_stored_events_since(0, 10)


def driver_connection(store: SqlAlchemyEventStore) -> Any:
    """Return the driver's connection that the store reads on."""
    found: list[Connection] = []

    def note(connection: Connection, *_statement: object) -> None:
        found.append(connection)

    event.listen(store.database.engine, "before_cursor_execute", note)
    store.newest_event_id()
    event.remove(store.database.engine, "before_cursor_execute", note)
    return found[0].connection.driver_connection


def commit(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT)


def assert_wakes(store: SqlAlchemyEventStore) -> None:
    begun = time.monotonic()
    assert store.wait(LONG) is Waited.MAY_BE_NEW
    assert time.monotonic() - begun < SOON


def test_a_commit_of_any_program_ends_the_wait_while_it_lasts(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    begun = time.monotonic()
    waiter = Beside(lambda: assert_wakes(store))
    commit(engine)
    waiter.result()
    assert time.monotonic() - begun < SOON
    assert len(store.all_stored_events_since(0, 10)) == 1


def test_a_commit_between_the_read_and_the_wait_is_not_missed(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    commit(engine)
    assert_wakes(store)


@pytest.mark.parametrize("queries", [1, 2])
def test_a_commit_that_came_with_the_answer_to_a_query_is_not_missed(
    store: SqlAlchemyEventStore, engine: Engine, queries: int
) -> None:
    commit(engine)
    for _ in range(queries):
        assert store.newest_event_id() == 1, "the server tells of the commit with this answer"
    assert_wakes(store)


def test_a_commit_that_came_right_behind_the_answer_to_a_query_is_not_missed(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    """As in a process that was slow: the socket is empty then, and the news read already."""
    driver = driver_connection(store)
    drive = driver.wait

    def let_news_arrive() -> None:
        answer = arrived(driver.fileno())
        commit(engine)
        eventually(lambda: arrived(driver.fileno()) > answer, "the notification")

    def drive_late(communication: Generator[int, int, object], **options: object) -> object:
        def late() -> Generator[int, int, object]:
            wanted = next(communication)
            while True:
                ready = yield wanted
                if ready & READY_R:
                    let_news_arrive()
                try:
                    wanted = communication.send(ready)
                except StopIteration as end:
                    return end.value

        return drive(late(), **options)

    driver.wait = drive_late
    assert store.newest_event_id() is None
    del driver.wait
    assert arrived(driver.fileno()) == 0, "the socket would not tell"
    assert_wakes(store)


def arrived(socket: int) -> int:
    """Return how many bytes lie in a socket, unread."""
    count = array.array("i", [0])
    fcntl.ioctl(socket, termios.FIONREAD, count)
    return count[0]


def test_what_was_read_wakes_nobody_again(store: SqlAlchemyEventStore, engine: Engine) -> None:
    for _ in range(3):
        commit(engine)
    assert_wakes(store)
    assert len(store.all_stored_events_since(0, 10)) == 3
    # The server may tell of a commit after we have read it, but of each only once.
    eventually(lambda: store.wait(0.3) is Waited.TIME_IS_UP, "a wait that nothing ends")


def test_a_rollback_wakes_nobody_and_a_wait_takes_its_time(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    with engine.connect() as connection:
        connection.execute(INSERT)
        connection.rollback()
    begun = time.monotonic()
    assert store.wait(0.3) is Waited.TIME_IS_UP
    assert 0.3 <= time.monotonic() - begun < SOON


def test_without_the_setting_nothing_is_there_and_the_store_asks(url: str, engine: Engine) -> None:
    store = waking(url, wake_up=False)
    store.create()
    store.all_stored_events_since(0, 10)
    begin_to_listen(store)
    commit(engine)
    assert_wakes(store)
    with engine.connect() as connection:
        triggers = text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
        assert connection.execute(triggers).all() == []
    store.close()


def test_a_lost_connection_is_no_error_and_the_next_one_listens_again(
    store: SqlAlchemyEventStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_connections(engine)
    assert store.wait(LONG) is Waited.CANNOT_TELL
    commit(engine)
    assert len(store.all_stored_events_since(0, 10)) == 1, "on a new connection"
    assert store.wait(LONG) is Waited.CANNOT_TELL, "not tried again at once"
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + event_store_module.LISTEN_AGAIN)
    monkeypatch.setattr(event_store_module, "time", later)
    begin_to_listen(store)
    commit(engine)
    assert_wakes(store)


def end_connections(engine: Engine) -> None:
    with engine.begin() as connection:
        ended = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert connection.execute(ended).all() == [(True,)]


def test_a_server_that_is_down_ends_the_wait_and_is_told_by_the_read(
    own_postgresql: Callable[[], PostgreSQL], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store_module, "LISTEN_AGAIN", 0.0)
    server = own_postgresql()
    store = waking(server.url)
    store.create()
    begin_to_listen(store)
    server.kill()
    begun = time.monotonic()
    assert store.wait(LONG) is Waited.CANNOT_TELL
    with pytest.raises(StoreUnavailableError):
        store.all_stored_events_since(0, 10)
    assert store.wait(LONG) is Waited.CANNOT_TELL
    assert time.monotonic() - begun < SOON
    server.start()
    begin_to_listen(store)
    engine = application_engine(server.url)
    commit(engine)
    assert_wakes(store)
    engine.dispose()
    store.close()


def test_closing_gives_the_listening_connection_back(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    def connections() -> int:
        with engine.connect() as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            count = text(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")
            return int(connection.execute(count).scalar_one())

    assert connections() == 1, "it listens on the connection that it reads on"
    store.close()
    eventually(lambda: connections() == 0, "the connection to go")
    assert store.wait(LONG) is Waited.CANNOT_TELL
    begin_to_listen(store)
    commit(engine)
    assert_wakes(store)


def test_a_missing_or_disabled_trigger_says_what_to_run(url: str, engine: Engine) -> None:
    create_without(url)
    store = waking(url)
    with pytest.raises(StoreNotReadyError, match=r"no trigger.*`tidings init --tables`"):
        store.check()
    store.create()
    store.check()
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE event DISABLE TRIGGER tidings_wake_up"))
    with pytest.raises(StoreNotReadyError, match="or it is disabled"):
        store.check()
    store.close()


def test_several_may_create_the_trigger_at_once_and_again(url: str, engine: Engine) -> None:
    create_without(url)
    stores = [waking(url) for _ in range(6)]
    for maker in [Beside(store.create) for store in stores]:
        maker.result()
    with engine.connect() as writer:
        # Creating anew would wait for this transaction.
        writer.execute(INSERT)
        Beside(stores[0].create).result(SOON)
    for store in stores:
        store.check()
        store.close()


def test_the_printed_statements_make_the_trigger(url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in ddl("postgresql", wake_up=True).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    store = waking(url)
    store.check()
    begin_to_listen(store)
    commit(engine)
    assert_wakes(store)
    store.close()


def test_an_outbox_wakes_its_relay_and_not_that_of_the_event_store(
    store: SqlAlchemyEventStore, url: str, engine: Engine
) -> None:
    outbox = outbox_event_store(OutboxSettings(url=SecretStr(url), wake_up=True))
    outbox.create()
    outbox.check()
    begin_to_listen(outbox)
    with engine.begin() as connection:
        OutboxMessageDispatcher(connection).dispatch(NewEvent("InOutbox", {}))
    assert_wakes(outbox)
    assert store.wait(0.1) is Waited.TIME_IS_UP
    outbox.close()


@pytest.mark.parametrize("other", ["sqlite:///events.db", "mysql://u:s3cret@h/d"])
def test_another_database_is_refused_with_a_sentence(other: str) -> None:
    with pytest.raises(ValidationError, match="wake_up = true needs PostgreSQL") as caught:
        waking(other)
    assert "s3cret" not in str(caught.value)
