"""Events that are recorded by what a commit runs: SQLAlchemy's hooks, and savepoints that fail."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, String, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from tidings.errors import EventStoreError
from tidings.event import NewEvent
from tidings.sql.pending_events import PendingEvents
from tidings.sql.recording import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings.sql.event_store import SqlAlchemyEventStore


class Base(DeclarativeBase):
    """The application's tables."""


class Order(Base):
    """The application's aggregate, as a row."""

    __tablename__ = "orders"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)


HOOKS = ["before_commit", "before_flush", "after_flush", "after_flush_postexec"]


@pytest.fixture(autouse=True)
def orders(engine: Engine) -> None:
    Base.metadata.create_all(engine)


@pytest.fixture
def listen() -> Iterator[Callable[[Any, str, Callable[..., None]], None]]:
    """Give a function that listens until the end of the test."""
    listening = []

    def listen(target: Any, name: str, hook: Callable[..., None]) -> None:
        event.listen(target, name, hook)
        listening.append((target, name, hook))

    yield listen
    for target, name, hook in listening:
        event.remove(target, name, hook)


def new(name: str) -> NewEvent:
    return NewEvent(name, {})


def recorded(store: SqlAlchemyEventStore) -> list[str]:
    return [stored.type_name for stored in store.all_stored_events_since(0, 1000)]


def recording_once(name: str) -> Callable[..., None]:
    names = [name]

    def hook(session: Session, *_: object) -> None:
        if names:
            record(session, new(names.pop()))

    return hook


@pytest.mark.parametrize("target", ["session", "class", "subclass"])
@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_hook_records_first_in_a_session_is_stored(
    engine: Engine,
    store: SqlAlchemyEventStore,
    listen: Callable[..., None],
    hook: str,
    target: str,
) -> None:
    class OwnSession(Session):
        """The application's."""

    session = OwnSession(engine)
    targets: dict[str, object] = {"session": session, "class": Session, "subclass": OwnSession}
    listen(targets[target], hook, recording_once(hook))
    with session:
        session.add(Order(id="a"))
        session.commit()
    assert recorded(store) == [hook]


@pytest.mark.parametrize("mapper_hook", ["before_insert", "after_insert"])
def test_what_a_mappers_hook_records_first_in_a_session_is_stored(
    engine: Engine, store: SqlAlchemyEventStore, listen: Callable[..., None], mapper_hook: str
) -> None:
    def hook(_mapper: object, _connection: object, order: Order) -> None:
        session = Session.object_session(order)
        assert session is not None
        record(session, new(order.id))

    listen(Order, mapper_hook, hook)
    with Session(engine) as session:
        session.add_all([Order(id="a"), Order(id="b")])
        session.commit()
    assert recorded(store) == ["a", "b"]


@pytest.mark.parametrize("hook", HOOKS)
def test_an_inner_savepoint_left_open_does_not_hide_a_hooks_event(
    engine: Engine, store: SqlAlchemyEventStore, hook: str
) -> None:
    with Session(engine) as session:
        root = session.begin()
        record(session, new("first"))
        session.begin_nested()
        event.listen(session, hook, recording_once(hook))
        session.add(Order(id="a"))
        root.commit()
    assert recorded(store) == ["first", hook]


def test_a_savepoints_after_commit_records_in_what_is_around_it(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        event.listen(session, "after_commit", recording_once("released"))
        with session.begin_nested():
            record(session, new("inside"))
        session.commit()
    assert recorded(store) == ["inside", "released"]


def test_a_savepoint_in_a_flushs_hook_keeps_its_events(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    def hook(session: Session, _context: object) -> None:
        with session.begin_nested():
            record(session, new("in a savepoint"))

    with Session(engine) as session:
        event.listen(session, "after_flush", hook)
        session.add(Order(id="a"))
        session.flush()
        session.commit()
    assert recorded(store) == ["in a savepoint"]


def test_other_listeners_of_before_commit_still_see_what_is_not_flushed(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    def hook(session: Session) -> None:
        for order in session.new:
            record(session, new(order.id))

    with Session(engine) as session:
        event.listen(session, "before_commit", hook)
        record(session, new("first"))
        session.add(Order(id="unflushed"))
        session.commit()
    assert recorded(store) == ["first", "unflushed"]


@pytest.mark.parametrize("hook", ["after_commit", "after_rollback"])
def test_a_hook_of_what_is_over_is_told_that_nothing_can_be_recorded(
    engine: Engine, store: SqlAlchemyEventStore, hook: str
) -> None:
    with Session(engine) as session:
        session.add(Order(id="a"))
        session.flush()
        event.listen(session, hook, recording_once("too late"))
        with pytest.raises(EventStoreError, match="Nothing can be recorded on this session"):
            (session.commit if hook == "after_commit" else session.rollback)()
    assert recorded(store) == []


def test_after_the_end_a_hook_records_in_the_next_transaction(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        session.begin()
        event.listen(session, "after_transaction_end", recording_once("next"))
        session.commit()
        assert recorded(store) == []
        session.commit()
    assert recorded(store) == ["next"]


def test_savepoints_that_fail_lose_nothing_recorded_around_them(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        session.add(Order(id="a"))
        session.commit()
        record(session, new("kept"))
        for _ in range(3):
            with suppress(IntegrityError), session.begin_nested():
                record(session, new("gone"))
                session.add(Order(id="a"))
        session.commit()
    assert recorded(store) == ["kept"]


def test_what_was_inserted_early_in_a_savepoint_that_fails_is_inserted_again(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        session.add(Order(id="a"))
        session.commit()
        root = session.begin()
        record(session, new("outside"))
        savepoint = session.begin_nested()
        session.add(Order(id="a"))
        with pytest.raises(IntegrityError):
            root.commit()
        savepoint.rollback()
        record(session, new("after"))
        session.commit()
    assert recorded(store) == ["outside", "after"]


def test_a_commit_that_nobody_told_us_of_is_not_made_without_the_events(
    engine: Engine, store: SqlAlchemyEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PendingEvents, "before_commit", lambda _pending: None)
    with Session(engine) as session:
        session.add(Order(id="1"))
        record(session, new("lost"), new("too"))
        with pytest.raises(EventStoreError, match=r"cannot commit: 2 event\(s\) .* not written"):
            session.commit()
        session.rollback()
        assert session.get(Order, "1") is None
    assert recorded(store) == []


def test_an_event_that_was_not_stored_with_the_commit_is_an_error(
    engine: Engine, store: SqlAlchemyEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("before_commit", "has_begun"):
        monkeypatch.setattr(PendingEvents, name, lambda *_: None)
    with Session(engine) as session:
        record(session, new("lost"), new("too"))
        with pytest.raises(EventStoreError, match=r"committed without 2 event\(s\)"):
            session.commit()
        record(session, new("rolled back"))
        session.rollback()
    assert recorded(store) == []


def test_no_commit_leaves_events_behind_after_a_hook_failed_while_a_savepoint_began(
    store: SqlAlchemyEventStore, engine: Engine
) -> None:
    with Session(engine) as session:
        session.begin_nested()

        @event.listens_for(session, "after_transaction_create", once=True)
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        with suppress(ZeroDivisionError):
            session.begin_nested()
        session.begin_nested()
        session.add(Order(id="1"))
        record(session, new("A"))
        with pytest.raises(EventStoreError, match="lost count of its savepoints"):
            session.commit()
        session.rollback()
        assert session.get(Order, "1") is None
        record(session, new("B"))
        session.commit()
    assert recorded(store) == ["B"]


def test_a_record_that_failed_in_a_hook_is_not_recorded(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    failing = [True]

    def before_execute(*_: object) -> None:
        if failing and failing.pop():
            raise ZeroDivisionError

    def hook(session: Session) -> None:
        with pytest.raises(ZeroDivisionError):
            record(session, new("failed"))
        record(session, new("stored"))

    event.listen(engine, "before_cursor_execute", before_execute)
    with Session(engine) as session:
        event.listen(session, "before_commit", hook)
        session.begin()
        session.commit()
    assert recorded(store) == ["stored"]


def test_what_a_hook_of_the_insert_itself_records_is_stored(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    with Session(engine) as session:
        event.listen(session, "after_begin", recording_once("begun"))
        record(session, new("first"))
        session.commit()
    assert recorded(store) == ["first", "begun"]


def test_sessions_of_a_sessionmaker_with_listeners_record(
    engine: Engine, store: SqlAlchemyEventStore
) -> None:
    sessions = sessionmaker(engine)
    event.listen(sessions, "before_commit", recording_once("of the maker"))
    with sessions() as session:
        session.add(Order(id="a"))
        session.commit()
    assert recorded(store) == ["of the maker"]


FIRST_IN_A_HOOK = """
import sys, tidings
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session
assert "tidings.sql.recording" not in sys.modules

@event.listens_for(Session, "before_commit")
def hook(session):
    tidings.record(session, tidings.NewEvent("A", {}))

engine = create_engine("sqlite:///" + sys.argv[1])
for _ in range(3):
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        session.commit()
"""


def test_a_hook_may_be_the_first_of_its_process_to_import_tidings(tmp_path: Path) -> None:
    from tests.sql.databases import event_store  # noqa: PLC0415

    store = event_store(f"sqlite:///{tmp_path / 'events.db'}")
    store.create()
    done = subprocess.run(
        [sys.executable, "-c", FIRST_IN_A_HOOK, str(tmp_path / "events.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert recorded(store) == ["A", "A", "A"]
    store.close()
