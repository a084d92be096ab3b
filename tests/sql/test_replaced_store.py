"""The event store is truncated, set back or exchanged while a relay works on it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from sqlite3 import dbapi2
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from tests.relay.parts import Parts
from tests.sql.databases import event_store, url_of
from tidings import NotificationService
from tidings.errors import (
    PositionMismatchError,
    StoreNotReadyError,
    StoreUnavailableError,
    TidingsError,
    UnsafeStoreError,
)
from tidings.event import NewEvent
from tidings.relay.owner import Owner
from tidings.relay.run import Run, running
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker as Tracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings import Route
    from tidings.sql.event_store import SqlAlchemyEventStore

X = "x"
EMPTY = {
    "sqlite": ["DELETE FROM event", "DELETE FROM sqlite_sequence WHERE name = 'event'"],
    "postgresql": ["TRUNCATE event RESTART IDENTITY"],
    "mysql": ["TRUNCATE event"],
}

IDS_GO_ON = {
    "sqlite": "UPDATE sqlite_sequence SET seq = {0} WHERE name = 'event'",
    "postgresql": "SELECT setval('event_event_id_seq', {0})",
    "mysql": "ALTER TABLE event AUTO_INCREMENT = {1}",
}


def append(store: SqlAlchemyEventStore, count: int) -> None:
    with store.transaction() as transaction:
        store.append(transaction, *(NewEvent("A", number) for number in range(count)))


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def sent(parts: Parts, store: SqlAlchemyEventStore, tracker: Tracker) -> Route:
    """Give an exchange that has had six events of the store."""
    append(store, 6)
    route = parts.route(event_store=store, tracker=tracker)
    NotificationService(route).publish_notifications(X)
    assert tracker.most_recent_published_message_id(X) == 6
    return route


@pytest.fixture
def relay(sent: Route) -> Iterator[Run]:
    """Give a run that goes on there."""
    with running(sent, Owner()) as relay:
        yield relay


@pytest.fixture
def writer(store: SqlAlchemyEventStore) -> Iterator[SqlAlchemyEventStore]:
    """Give a store object of the application's."""
    writer = event_store(url_of(store))
    yield writer
    writer.close()


def idle_until_it_stops(relay: Run) -> TidingsError:
    """Let the relay look for events, find none, and idle; return what ends it."""
    ended: list[TidingsError] = []

    def stops() -> bool:
        try:
            relay.step()
            relay.idle(0.01)
        except TidingsError as error:
            ended.append(error)
        return bool(ended)

    eventually(stops)
    return ended[0]


def test_a_table_that_begins_anew_stops_an_idle_relay(
    relay: Run, parts: Parts, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    execute(engine, *EMPTY[engine.dialect.name])
    append(writer, 3)

    error = idle_until_it_stops(relay)

    assert isinstance(error, PositionMismatchError)
    assert "has had event 6, but the event store ends with event 3" in str(error)
    assert parts.ids() == [1, 2, 3, 4, 5, 6]


def test_a_table_that_has_grown_past_the_position_meanwhile_moves_it_no_further(
    relay: Run, tracker: Tracker, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    execute(engine, *EMPTY[engine.dialect.name])
    append(writer, 9)

    with pytest.raises(PositionMismatchError, match=r"had event 6, which was .A of"):
        relay.step()

    assert tracker.most_recent_published_message_id(X) == 6


def test_what_a_table_that_went_back_got_behind_the_position_meanwhile_is_not_sent(
    sent: Route, parts: Parts, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    owner = Owner()
    with running(sent, owner) as relay:
        take_back(engine, 2)
        append(writer, 9)
        with pytest.raises(PositionMismatchError, match=r"had event 6, which was .A of"):
            relay.step()

    for _ in range(2):  # nor later: the broker would vouch for it
        with pytest.raises(PositionMismatchError, match="had event 6"), running(sent, owner):
            pass
    assert parts.ids() == [1, 2, 3, 4, 5, 6]


def test_nor_what_it_got_behind_events_that_are_in_flight(
    relay: Run, parts: Parts, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    append(writer, 3)
    parts.broker.freeze()
    relay.step()
    execute(engine, "DELETE FROM event WHERE event_id > 7")
    execute(engine, IDS_GO_ON[engine.dialect.name].format(7, 8))
    append(writer, 9)
    parts.broker.thaw()

    with pytest.raises(PositionMismatchError, match="had event 9"):
        relay.step()
    assert parts.ids()[-1] <= 9


def test_an_event_that_is_mended_in_flight_stops_nothing(
    relay: Run, parts: Parts, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    append(writer, 3)
    parts.broker.freeze()
    relay.step()
    execute(engine, "UPDATE event SET type_name = 'B' WHERE event_id = 9")
    append(writer, 1)
    parts.broker.thaw()
    relay.step()
    relay.flush()
    assert parts.ids() == [*range(1, 11)]


def test_nor_does_a_run_begin_there(
    sent: Route, tracker: Tracker, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    execute(engine, *EMPTY[engine.dialect.name])
    append(writer, 9)

    with (
        pytest.raises(PositionMismatchError, match=r"had event 6, which was .A of"),
        running(sent, Owner()),
    ):
        pass

    assert tracker.most_recent_published_message_id(X) == 6


def take_back(engine: Engine, event_id: int) -> None:
    """Bring events and position back to what a backup had, as its restore does."""
    execute(
        engine,
        f"DELETE FROM event WHERE event_id > {event_id}",
        "UPDATE event_published_message_tracker "
        f"SET most_recent_published_message_id = {event_id}, fingerprint = NULL",
    )
    execute(engine, IDS_GO_ON[engine.dialect.name].format(event_id, event_id + 1))


def test_a_position_that_went_back_with_the_events_stops_the_relay_that_was_further(
    sent: Route, parts: Parts, tracker: Tracker, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    owner = Owner()
    with running(sent, owner):
        pass
    take_back(engine, 2)
    for others in (0, 9):  # it stands still until somebody says where to go on
        append(writer, others)
        with pytest.raises(PositionMismatchError, match="had event 6"), running(sent, owner):
            pass
    assert parts.ids() == [1, 2, 3, 4, 5, 6]

    tracker.replay(X, 2)
    with running(sent, owner) as relay:
        relay.step()
        relay.flush()
    assert parts.ids() == [*range(1, 7), *range(3, 12)]


def test_events_that_a_crash_takes_before_they_are_tracked_stop_the_relay_that_has_sent_them(
    sent: Route,
    tracker: Tracker,
    engine: Engine,
    writer: SqlAlchemyEventStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = Owner()

    def is_away(*_: object) -> None:
        raise StoreUnavailableError("The database is away.")

    append(writer, 3)
    with running(sent, owner) as relay:
        monkeypatch.setattr(tracker, "track_most_recent_published_message", is_away)
        with pytest.raises(StoreUnavailableError):
            relay.step()
    monkeypatch.undo()
    take_back(engine, 6)
    append(writer, 4)  # under the ids of those that were sent
    for _ in range(2):
        with pytest.raises(PositionMismatchError, match="had event 9"), running(sent, owner):
            pass


@pytest.fixture
def owner_with_events_in_flight(sent: Route, parts: Parts, writer: SqlAlchemyEventStore) -> Owner:
    """Give a relay that lost its database while the broker had to accept three events."""
    owner = Owner()
    append(writer, 3)
    with suppress(StoreUnavailableError), running(sent, owner) as relay:
        parts.broker.freeze()
        relay.step()
        raise StoreUnavailableError("The database is away.")
    parts.broker.thaw()
    return owner


def test_so_do_events_that_the_broker_had_not_accepted_yet(
    sent: Route, owner_with_events_in_flight: Owner, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    take_back(engine, 6)
    append(writer, 4)
    for _ in range(2):
        with (
            pytest.raises(PositionMismatchError, match="had event 9"),
            running(sent, owner_with_events_in_flight),
        ):
            pass


def test_a_database_that_was_away_and_lost_nothing_stops_nothing(
    sent: Route, parts: Parts, owner_with_events_in_flight: Owner, engine: Engine
) -> None:
    # Somebody mends the event that the broker may have refused meanwhile.
    execute(engine, "UPDATE event SET type_name = 'B' WHERE event_id = 9")
    with running(sent, owner_with_events_in_flight) as relay:
        relay.step()
        relay.flush()
    assert parts.ids()[-3:] == [7, 8, 9]


def test_a_position_of_before_a_replay_went_back_too(
    sent: Route, tracker: Tracker, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    owner = Owner()
    tracker.replay(X, 5)
    with running(sent, owner) as relay:
        relay.step()
        relay.flush()
    take_back(engine, 2)
    execute(engine, "UPDATE event_published_message_tracker SET generation = 0")
    append(writer, 9)
    with pytest.raises(PositionMismatchError, match="had event 6"), running(sent, owner):
        pass


def test_a_position_that_went_back_alone_stops_nothing(
    sent: Route, parts: Parts, engine: Engine
) -> None:
    owner = Owner()
    with running(sent, owner):
        pass
    execute(
        engine,
        "UPDATE event_published_message_tracker "
        "SET most_recent_published_message_id = 2, fingerprint = NULL",
    )
    with running(sent, owner) as relay:
        relay.step()
        relay.flush()
    assert parts.ids() == [*range(1, 7), *range(3, 7)]


def test_a_position_that_a_replay_has_set_is_watched_too(
    sent: Route, tracker: Tracker, engine: Engine, writer: SqlAlchemyEventStore
) -> None:
    tracker.replay(X, 6)
    with running(sent, Owner()) as relay:
        execute(engine, *EMPTY[engine.dialect.name])
        append(writer, 9)

        with pytest.raises(PositionMismatchError, match="had event 6"):
            relay.step()


def test_what_is_pruned_under_a_relay_stops_nothing(
    relay: Run,
    parts: Parts,
    engine: Engine,
    writer: SqlAlchemyEventStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append(writer, 2)
    execute(engine, "DELETE FROM event WHERE event_id < 8")
    monkeypatch.setattr("tidings.relay.position_check.LOOK_AGAIN", 0.0)
    relay.idle(0)
    relay.step()
    relay.flush()

    assert parts.ids() == [1, 2, 3, 4, 5, 6, 8]


def test_a_sequence_that_is_set_back_stops_an_idle_relay(
    postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine, parts: Parts
) -> None:
    append(postgresql_store, 6)
    with running(parts.route(event_store=postgresql_store), Owner()) as relay:
        relay.step()
        relay.flush()
        execute(postgresql_engine, "DELETE FROM event WHERE event_id IN (3, 4)")
        execute(postgresql_engine, "SELECT setval('event_event_id_seq', 2)")

        error = idle_until_it_stops(relay)

    assert isinstance(error, UnsafeStoreError)
    assert "below the newest event 6" in str(error)


def carry(relay: Run) -> None:
    """Carry a backlog to its end, never idle."""
    while relay.step(1):
        relay.flush()


def test_a_sequence_that_is_set_back_stops_a_busy_relay(
    postgresql_store: SqlAlchemyEventStore,
    postgresql_engine: Engine,
    parts: Parts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidings.relay.position_check.LOOK_AGAIN", 0.0)
    append(postgresql_store, 1)
    with running(parts.route(event_store=postgresql_store), Owner()) as relay:
        relay.step()
        append(postgresql_store, 6)
        execute(postgresql_engine, "SELECT setval('event_event_id_seq', 6)")

        with pytest.raises(UnsafeStoreError, match="below the newest event 7"):
            carry(relay)


@pytest.fixture(params=["sqlite:///{}", "sqlite:///file:{}?uri=true"])
def sqlite_route(
    request: pytest.FixtureRequest, parts: Parts, tmp_path: Path
) -> Iterator[tuple[Route, Path]]:
    """Give an exchange that has had two events out of a file of SQLite's, and the file."""
    file = tmp_path / "events.db"
    url = request.param.format(file)
    store = event_store(url)
    store.create()
    tracker = Tracker(SqlAlchemySettings(url=SecretStr(url)))
    append(store, 2)
    route = parts.route(event_store=store, tracker=tracker)
    NotificationService(route).publish_notifications(X)
    yield route, file
    tracker.close()


def another(file: Path, count: int) -> None:
    """Put a new database with so many events in the file's place."""
    new = file.with_suffix(".new")
    store = event_store(f"sqlite:///{new}")
    store.create()
    append(store, count)
    store.close()
    _forget_log(file)
    new.replace(file)


def copied(file: Path, _count: int) -> None:
    """Put a copy in the file's place: its lease is the running relay's, too."""
    new = file.with_suffix(".new")
    shutil.copy(file, new)
    for side in ("-wal", "-shm"):
        shutil.copy(f"{file}{side}", f"{new}{side}")
    writer = event_store(f"sqlite:///{new}")
    append(writer, 1)  # and what stands in the log is in the file when the last one closes it
    writer.close()
    _forget_log(file)
    new.replace(file)


def removed(file: Path, _count: int) -> None:
    _forget_log(file)
    file.unlink()


def _forget_log(file: Path) -> None:
    for side in ("-wal", "-shm"):
        Path(f"{file}{side}").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        (another, StoreUnavailableError, "was replaced by another file"),
        (copied, StoreUnavailableError, "was replaced by another file"),
        (removed, StoreNotReadyError, "does not exist"),
    ],
)
def test_a_relay_does_not_go_on_in_a_file_that_has_gone(
    sqlite_route: tuple[Route, Path],
    change: Callable[[Path, int], None],
    kind: type[TidingsError],
    sentence: str,
) -> None:
    route, file = sqlite_route
    with running(route, Owner()) as relay:
        relay.step()
        change(file, 5)

        with pytest.raises(kind, match=sentence):
            relay.step()


def test_after_a_restart_it_works_in_the_new_file(
    parts: Parts, sqlite_route: tuple[Route, Path]
) -> None:
    route, file = sqlite_route
    with running(route, Owner()) as relay:
        relay.step()
        another(file, 5)
        with pytest.raises(StoreUnavailableError):
            relay.step()
    NotificationService(route).publish_notifications(X)

    assert parts.ids() == [1, 2, 1, 2, 3, 4, 5]
    assert route.tracker.most_recent_published_message_id(X) == 5


def test_the_tracker_writes_into_the_file_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    url = f"sqlite:///{file}"
    store, tracker = event_store(url), Tracker(SqlAlchemySettings(url=SecretStr(url)))
    store.create()
    tracker.replay(X, 5)
    another(file, 1)

    assert tracker.tracked_exchanges() == []
    tracker.replay(X, 7)
    fresh = Tracker(SqlAlchemySettings(url=SecretStr(url)))
    assert fresh.most_recent_published_message_id(X) == 7
    for each in (store, tracker, fresh):
        each.close()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///file:{}?uri=true",
        "sqlite:///file://{}?uri=true&mode=rwc",
        "sqlite:///file://localhost{}?uri=true",
    ],
)
def test_a_file_is_the_same_one_however_its_url_is_written(tmp_path: Path, url: str) -> None:
    file = tmp_path / "two words.db"
    plain = event_store(f"sqlite:///{file}")
    plain.create()
    append(plain, 3)

    store = event_store(url.format(str(file).replace(" ", "%2520")))
    assert store.newest_event_id() == 3
    assert store.database.place == plain.database.place
    for each in (plain, store):
        each.close()


def test_a_file_that_is_replaced_while_it_is_opened_is_not_taken_for_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.db"
    store = event_store(f"sqlite:///{file}")
    store.create()
    store.close()
    connect: Any = dbapi2.connect

    def slowly(*arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        connection = connect(*arguments, **options)
        connection.execute("SELECT count(*) FROM event")
        another(file, 5)
        return connection

    monkeypatch.setattr(dbapi2, "connect", slowly)
    with suppress(StoreUnavailableError):  # it is opened anew, or the next call does so
        store.newest_event_id()
    assert store.newest_event_id() == 5
    store.close()
