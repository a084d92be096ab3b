"""What a database, a role or an application's connection brings along, and we don't depend on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, select, text

from tests.servers import MariaDB
from tests.sql.databases import application_engine, event_store
from tidings.event import NewEvent, StoredEvent
from tidings.sql.outbox import OutboxMessageDispatcher, outbox_table
from tidings.sql.recording import record
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.sql.types import DatabaseClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.given import DatabaseServer
    from tidings.sql.event_store import SqlAlchemyEventStore

FACE = "x\N{GRINNING FACE}y"
WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def tracker_of(url: str) -> SqlAlchemyTracker:
    return SqlAlchemyTracker(SqlAlchemySettings(url=SecretStr(url)))


@pytest.mark.parametrize("style", ["German", "SQL, DMY", "Postgres, MDY"])
def test_times_are_read_however_a_database_writes_dates(
    postgresql: DatabaseServer, style: str
) -> None:
    url = postgresql.new_database()
    engine = application_engine(url)
    with engine.begin() as connection:
        name = f"ALTER DATABASE {make_url(url).database}"
        connection.execute(text(f"{name} SET DateStyle = '{style}'"))
        connection.execute(text(f"{name} SET TimeZone = 'America/St_Johns'"))
    store = event_store(url)
    store.create()
    store.check()
    with store.transaction() as connection:
        store.append(connection, NewEvent("A", {}, occurred_on=WHEN))

    (stored,) = store.all_stored_events_since(0, 10)
    assert stored.occurred_on == WHEN
    store.close()


@pytest.mark.parametrize("type_name", [FACE, "a\0b", "ж" * 255, "x" * 300])
def test_what_another_database_calls_its_events_can_be_tracked_and_put_in_quarantine(
    database_in: Callable[[str], str], type_name: str
) -> None:
    url = database_in("LATIN1")
    event_store(url).create()
    tracker = tracker_of(url)
    event = StoredEvent(7, type_name, "{}", WHEN)
    lease = tracker.acquire_lease("shop", "a", 15)

    tracker.track_most_recent_published_message("shop", event, lease)
    tracker.quarantine("shop", event._replace(event_id=8), "no", lease)

    assert tracker.acquire_lease("shop", "a", 15).position.event_id == 8
    assert [each.event_id for each in tracker.quarantined_events()] == [8]
    tracker.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_a_database_that_is_not_in_utf8_is_read_and_written(
    database_in: Callable[[str], str], encoding: str
) -> None:
    url = database_in(encoding)
    store, tracker = event_store(url), tracker_of(url)
    store.create()
    store.check()
    with store.transaction() as connection:
        store.append(connection, NewEvent("Größe", {"name": "Zoë"}, aggregate_id="café"))
    lease = tracker.acquire_lease("shop", "a", 15)

    held = "still “no”" if encoding == "SQL_ASCII" else r"still \u201cno\u201d"
    (stored,) = store.all_stored_events_since(0, 10)
    assert stored[1:3] == ("Größe", '{"name":"Zoë"}')
    assert stored.aggregate_id == "café"
    tracker.track_most_recent_published_message("shop", stored, lease)
    tracker.note_stop(stored.event_id, "the broker says “no”", lease)
    tracker.quarantine("shop", stored, "the broker says “no”", lease)
    tracker.note_retry(stored.event_id, "still “no”", lease)
    (quarantined,) = tracker.quarantined_events()
    assert quarantined.reason == held
    assert [row.exchange_name for row in tracker.tracked_exchanges()] == ["shop"]
    tracker.close()
    store.close()


@pytest.mark.parametrize("charset", ["utf8mb3", "latin1", "utf8mb4"])
def test_what_is_recorded_arrives_whatever_characters_the_connection_has(
    mariadb: DatabaseServer, charset: str
) -> None:
    url = mariadb.new_database()
    store = event_store(url)
    store.create()
    lax = make_url(url).update_query_dict({"charset": charset})
    engine = create_engine(lax, connect_args={"sql_mode": ""})
    outbox_table().create(engine)
    event = NewEvent(FACE, {FACE: FACE}, aggregate_id=FACE, metadata={"a": FACE})
    with engine.begin() as connection:
        record(connection, event)
        record(connection, event, NewEvent("A", "é"))
        OutboxMessageDispatcher(connection).dispatch(event)

    with engine.begin() as connection:
        (in_outbox,) = OutboxMessageDispatcher(connection).retrieve_not_dispatched_messages(10)
    stored = store.all_stored_events_since(0, 10)
    body, metadata = f'{{"{FACE}":"{FACE}"}}', f'{{"a":"{FACE}"}}'
    for each in (*stored[:2], in_outbox.stored):
        assert (each.type_name, each.body) == (FACE, body)
        assert (each.aggregate_id, each.metadata) == (FACE, metadata)
    assert stored[2][1:3] == ("A", '"é"')
    assert (stored[2].aggregate_id, stored[2].metadata) == (None, None)
    engine.dispose()
    store.close()


def test_a_url_with_the_applications_character_set_does_not_narrow_the_relay(
    mariadb: DatabaseServer,
) -> None:
    url = make_url(mariadb.new_database()).update_query_dict({"charset": "utf8mb3"})
    store = event_store(url.render_as_string(hide_password=False))
    store.create()
    with store.transaction() as connection:
        store.append(connection, NewEvent("A", FACE))
        (mode,) = connection.execute(text("SELECT @@sql_mode")).scalars()

    assert [e.body for e in store.all_stored_events_since(0, 10)] == [f'"{FACE}"']
    assert "STRICT_TRANS_TABLES" in mode
    store.close()


def zone_whose_summer_ends(in_seconds: float) -> str:
    """Return a TZ that puts its clocks back by an hour at that time of today."""
    end = datetime.now(UTC) + timedelta(seconds=in_seconds, hours=1)
    day = end.timetuple().tm_yday - 1
    start = (day + 180) % 365
    return f"XST0XDT-1,{start}/0,{day}/{end:%H:%M:%S}"


@pytest.mark.parametrize("in_seconds", [1800, -1800], ids=["before", "after"])
def test_the_lease_clock_goes_on_in_the_hour_that_comes_twice(
    own_mariadb: Callable[..., MariaDB], monkeypatch: pytest.MonkeyPatch, in_seconds: float
) -> None:
    zone = zone_whose_summer_ends(in_seconds)
    environment = MariaDB.environment
    monkeypatch.setattr(MariaDB, "environment", lambda self: environment(self) | {"TZ": zone})
    server = own_mariadb()
    engine = application_engine(server.new_database())

    with engine.connect() as connection:
        local, clock = connection.execute(select(text("NOW()"), DatabaseClock())).one()
        assert abs(clock - time.time()) < 60
    utc = datetime.now(UTC).replace(tzinfo=None)
    summer = 1 if in_seconds > 0 else 0
    assert abs(local - utc - timedelta(hours=summer)) < timedelta(minutes=1), "it is no such zone"
    engine.dispose()


def test_a_session_of_ours_has_utc_on_mariadb(mariadb_store: SqlAlchemyEventStore) -> None:
    with mariadb_store.database.connect() as connection:
        assert connection.execute(text("SELECT @@time_zone")).scalar_one() == "+00:00"


def test_a_limit_for_every_select_hides_no_exchange(
    own_mariadb: Callable[..., MariaDB],
) -> None:
    server = own_mariadb()
    url = server.new_database()
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SET GLOBAL sql_select_limit = 1"))
    engine.dispose()
    store, tracker = event_store(url), tracker_of(url)
    store.create()
    with store.transaction() as connection:
        store.append(connection, *(NewEvent("A", "x" * 900_000) for _ in range(4)))
    for name in ("one", "other"):
        tracker.acquire_lease(name, "a", 15)

    assert [row.exchange_name for row in tracker.tracked_exchanges()] == ["one", "other"]
    assert [event.event_id for event in store.all_stored_events_since(0, 10)] == [1, 2]
    tracker.close()
    store.close()
