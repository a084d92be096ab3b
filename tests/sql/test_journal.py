"""The journal in a SQL database: no exchange waits for it, whatever becomes of its table."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tests.relay.working import running
from tests.sql.databases import url_of
from tidings import InMemoryBroker, InMemoryProducer, JsonSerializer, NewEvent, Route
from tidings.plugins import JournalEntry, Pause
from tidings.relay import journal_writer as writer_module
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tidings.sql.event_store import SqlAlchemyEventStore

REFUSE = {
    "sqlite": [
        (
            "CREATE TRIGGER refuse BEFORE INSERT ON relay_journal "
            "BEGIN SELECT RAISE(ABORT, 'read-only'); END"
        )
    ],
    "mysql": [
        (
            "CREATE TRIGGER refuse BEFORE INSERT ON relay_journal FOR EACH ROW "
            "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'read-only'"
        )
    ],
    "postgresql": [
        (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'read-only'; END$$"
        ),
        (
            "CREATE TRIGGER refuse BEFORE INSERT ON relay_journal "
            "FOR EACH ROW EXECUTE FUNCTION refuse()"
        ),
    ],
}
ALLOW = dict.fromkeys(REFUSE, "DROP TRIGGER refuse") | {
    "postgresql": "DROP TRIGGER refuse ON relay_journal"
}
LOCK = {
    "postgresql": "LOCK TABLE relay_journal IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES relay_journal WRITE",
}


class Relay:
    """An exchange in memory, of a store and a tracker in a database."""

    def __init__(self, store: SqlAlchemyEventStore, tracker: SqlAlchemyTracker) -> None:
        self.store, self.tracker = store, tracker
        self.broker = InMemoryBroker()
        self.route = Route("x", store, tracker, InMemoryProducer(self.broker), JsonSerializer())
        self._appended = 0

    def carries(self) -> None:
        """See that events which are recorded now arrive."""
        with self.store.transaction() as transaction:
            self.store.append(transaction, *(NewEvent("A", {}) for _ in range(3)))
        self._appended += 3
        eventually(lambda: len(self.broker.messages("x")) == self._appended)
        eventually(lambda: self.tracker.most_recent_published_message_id("x") == self._appended)

    def words(self) -> list[str]:
        return [entry.what for entry in self.tracker.journal("x")]


@pytest.fixture
def relay(
    store: SqlAlchemyEventStore, tracker: SqlAlchemyTracker, monkeypatch: pytest.MonkeyPatch
) -> Relay:
    monkeypatch.setattr(writer_module, "TRY_AGAIN", 0.05)
    return Relay(store, tracker)


def do(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "journal" in r.getMessage()]


def test_a_store_without_it_is_ready_and_it_is_made_again(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    do(engine, "DROP TABLE relay_journal")

    store.check()
    store.create()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM relay_journal")).scalar() == 0


def test_an_exchange_goes_on_though_the_table_is_dropped_and_made_again(
    relay: Relay, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    do(engine, "DROP TABLE relay_journal")
    with caplog.at_level(logging.WARNING, "tidings"), running(relay.route):
        relay.carries()
        eventually(lambda: warned(caplog))
        relay.store.create()
        eventually(lambda: relay.words() == ["started", "lease taken"])
        relay.carries()
    assert len(warned(caplog)) == 1
    assert relay.words() == ["started", "lease taken", "ended"]


def test_an_exchange_goes_on_though_the_table_takes_nothing(
    relay: Relay, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    do(engine, *REFUSE[engine.dialect.name])
    with caplog.at_level(logging.WARNING, "tidings"), running(relay.route):
        relay.carries()
        eventually(lambda: warned(caplog))
        assert relay.words() == []
        do(engine, ALLOW[engine.dialect.name])
        eventually(lambda: relay.words() == ["started", "lease taken"])
        relay.carries()
    assert ["read-only" in text for text in warned(caplog)] == [True]


@pytest.mark.parametrize("server_store", ["postgresql", "mariadb"], indirect=True)
def test_an_exchange_goes_on_though_the_table_is_locked(
    server_store: SqlAlchemyEventStore, server_engine: Engine
) -> None:
    settings = SqlAlchemySettings(url=SecretStr(url_of(server_store)))
    relay = Relay(server_store, SqlAlchemyTracker(settings))
    with server_engine.connect() as locking:
        locking.execute(text(LOCK[server_engine.dialect.name]))
        with running(relay.route):
            relay.carries()
            relay.carries()
        locking.rollback()
        if server_engine.dialect.name == "mysql":
            locking.execute(text("UNLOCK TABLES"))
    eventually(lambda: relay.words() == ["started", "lease taken", "ended"])
    relay.tracker.close()


def test_ids_with_holes_bound_it_as_well(tracker: SqlAlchemyTracker) -> None:
    def write(number: int) -> None:
        entry = JournalEntry("x", str(number), "somebody", None, datetime.now(UTC))
        tracker.write_journal([entry], most=5, longest=timedelta(days=1))

    for number in range(12):
        write(number)
    assert [entry.what for entry in tracker.journal()] == ["7", "8", "9", "10", "11"]


def test_what_the_database_cannot_hold_is_escaped_and_keeps_no_other_entry_out(
    tracker: SqlAlchemyTracker,
) -> None:
    entry = JournalEntry("x", "failed", "ada\0@host", "a\0b\udcff", datetime.now(UTC))
    tracker.write_journal([entry], most=5, longest=timedelta(days=1))
    tracker.pause("x", Pause("ada\udcff@host", "a\0b", datetime.now(UTC)))

    (found,) = tracker.journal()
    assert (found.who, found.detail) == (r"ada\x00@host", r"a\x00b\udcff")
    paused = tracker.paused("x")
    assert paused is not None
    assert paused[:2] == (r"ada\udcff@host", r"a\x00b")
