"""Text that a PostgreSQL database, or the connection to it, has no characters for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tests.sql.databases import application_engine, event_store, url_of
from tidings.errors import InvalidEventError
from tidings.event import NewEvent
from tidings.sql.character_sets import codec_of
from tidings.sql.outbox import OutboxMessageDispatcher, outbox_table
from tidings.sql.recording import record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tidings.sql.event_store import SqlAlchemyEventStore

READ = """CREATE FUNCTION pg_temp.read(byte int, encoding name) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN RETURN convert_from(set_byte('x', 0, byte), encoding);
    EXCEPTION WHEN others THEN RETURN NULL; END $$"""
FITS, FACE = "Größe", "x\N{GRINNING FACE}y"
FOR_THE_DATABASE = (
    "The body of 'A' holds '\N{GRINNING FACE}' (U+1F600), which the application's database cannot "
    "keep: its encoding is LATIN1. Leave it out, or move to a database in UTF8."
)
FOR_THE_CONNECTION = (
    "The type_name of {0!r} holds {1!r} (U+{2:04X}), which the application's connection cannot "
    "carry: its client_encoding is {3}. Connect with client_encoding=utf8."
)


@pytest.fixture
def latin1(database_in: Callable[[str], str]) -> Iterator[SqlAlchemyEventStore]:
    """Give an event store in a database in LATIN1."""
    store = event_store(database_in("LATIN1"))
    store.create()
    yield store
    store.close()


@pytest.fixture
def engine(latin1: SqlAlchemyEventStore) -> Iterator[Engine]:
    """Give the application's engine for it, which has not connected yet."""
    engine = application_engine(url_of(latin1))
    yield engine
    engine.dispose()


def types(store: SqlAlchemyEventStore) -> list[str]:
    return [event.type_name for event in store.all_stored_events_since(0, 100)]


@pytest.mark.parametrize("connected", [True, False])
def test_record_refuses_what_the_database_has_no_character_for(
    latin1: SqlAlchemyEventStore, engine: Engine, connected: bool
) -> None:
    with Session(engine) as session:
        if connected:
            session.execute(text("SELECT 1"))
        record(session, NewEvent(FITS, FITS, aggregate_id=FITS, metadata={FITS: FITS}))
        with pytest.raises(InvalidEventError) as refused:
            record(session, NewEvent("Kept", {}), NewEvent("A", FACE))
        session.commit()

    assert str(refused.value) == FOR_THE_DATABASE
    assert types(latin1) == [FITS]


@pytest.mark.parametrize("field", ["type_name", "aggregate_id", "metadata"])
def test_each_field_is_looked_at(engine: Engine, field: str) -> None:
    given: dict[str, Any] = {"type_name": "A", field: {"by": FACE} if field == "metadata" else FACE}
    with Session(engine) as session, pytest.raises(InvalidEventError, match=f"^The {field} of "):
        record(session, NewEvent(body={}, **given))


def test_recording_what_every_database_holds_takes_no_connection(engine: Engine) -> None:
    connected = []
    event.listen(engine, "connect", lambda *_: connected.append(True))
    with Session(engine) as session:
        record(session, NewEvent("A", {"a": "b"}, aggregate_id="1"))
        assert not connected

        record(session, NewEvent("A", "é"))
        assert connected, "nothing would have been seen"


@pytest.mark.parametrize("through", ["connection", "store", "outbox"])
def test_what_writes_at_once_leaves_the_callers_transaction_intact(
    latin1: SqlAlchemyEventStore, engine: Engine, through: str
) -> None:
    outbox_table().create(engine)
    with engine.begin() as connection:
        ways: dict[str, Callable[[NewEvent], None]] = {
            "connection": partial(record, connection),
            "store": partial(latin1.append, connection),
            "outbox": OutboxMessageDispatcher(connection).dispatch,
        }
        with pytest.raises(InvalidEventError) as refused:
            ways[through](NewEvent("A", FACE))
        record(connection, NewEvent(FITS, {}))

    assert str(refused.value) == FOR_THE_DATABASE
    assert types(latin1) == [FITS]


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP"])
def test_record_refuses_what_the_connection_has_no_character_for(
    postgresql_store: SqlAlchemyEventStore, encoding: str
) -> None:
    options = {"options": f"-c client_encoding={encoding}"}
    engine = create_engine(url_of(postgresql_store), connect_args=options)
    with Session(engine) as session:
        record(session, NewEvent("é", {}))
        with pytest.raises(InvalidEventError) as refused:
            record(session, NewEvent(FACE, {}))
        session.commit()
    engine.dispose()

    assert str(refused.value) == FOR_THE_CONNECTION.format(FACE, FACE[1], 0x1F600, encoding)
    assert types(postgresql_store) == ["é"]


def test_a_database_that_keeps_any_bytes_is_not_given_what_the_relay_could_not_read(
    database_in: Callable[[str], str],
) -> None:
    url = make_url(database_in("SQL_ASCII"))
    store = event_store(url.render_as_string(hide_password=False))
    store.create()
    in_utf8 = create_engine(url.update_query_dict({"client_encoding": "utf8"}))
    in_latin1 = create_engine(url.update_query_dict({"client_encoding": "latin1"}))
    with Session(in_utf8) as session:
        record(session, NewEvent(FACE, FACE))
        session.commit()
    with Session(in_latin1) as session:
        with pytest.raises(InvalidEventError) as refused:
            record(session, NewEvent("é", {}))
        record(session, NewEvent("A", {}))
        session.commit()

    assert str(refused.value) == FOR_THE_CONNECTION.format("é", "é", 0xE9, "LATIN1")
    assert types(store) == [FACE, "A"]
    in_utf8.dispose()
    in_latin1.dispose()
    store.close()


def in_asyncio(url: str, driver: str, work: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    async def run() -> None:
        engine = create_async_engine(make_url(url).set(drivername=f"postgresql+{driver}"))
        try:
            await work(engine)
        finally:
            await engine.dispose()

    asyncio.run(run())


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_with_asyncio_record_knows_the_database_from_the_first_statement_on(
    latin1: SqlAlchemyEventStore, driver: str
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            await session.execute(text("SELECT 1"))
            with pytest.raises(InvalidEventError) as refused:
                record(session, NewEvent("A", FACE))
            assert str(refused.value) == FOR_THE_DATABASE
            record(session, NewEvent(FITS, {}))
            await session.commit()
        async with AsyncSession(engine) as session:
            with pytest.raises(InvalidEventError):
                record(session, NewEvent("A", FACE))  # the engine has been there before

    in_asyncio(url_of(latin1), driver, work)
    assert types(latin1) == [FITS]


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_with_asyncio_an_engine_that_never_connected_learns_at_the_commit(
    latin1: SqlAlchemyEventStore, driver: str
) -> None:
    async def work(engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            record(session, NewEvent("A", FACE))
            with pytest.raises(InvalidEventError) as refused:
                await session.commit()
            assert str(refused.value) == FOR_THE_DATABASE

    in_asyncio(url_of(latin1), driver, work)
    assert types(latin1) == []


def test_an_engine_that_leads_to_several_databases_refuses_nothing_that_this_one_holds(
    latin1: SqlAlchemyEventStore, postgresql_store: SqlAlchemyEventStore
) -> None:
    engine = application_engine(url_of(latin1))
    event.listen(engine, "do_connect", lambda *a: a[3].update(dbname=led_to.database))
    led_to = make_url(url_of(latin1))
    with Session(engine) as session:
        session.execute(text("SELECT 1"))

    led_to = make_url(url_of(postgresql_store))
    with Session(engine) as session:
        record(session, NewEvent(FACE, FACE))
        session.commit()

    assert types(postgresql_store) == [FACE]


@pytest.mark.parametrize(
    "encoding",
    ["LATIN1", "LATIN2", "LATIN9", "LATIN10", "ISO_8859_5", "KOI8R", "KOI8U", "WIN866", "WIN874"]
    + [f"WIN125{digit}" for digit in range(9)],
)
def test_a_character_set_is_the_one_that_the_server_means(
    postgresql_engine: Engine, encoding: str
) -> None:
    codec = codec_of(encoding)
    assert codec
    ours = {c for byte in range(1, 256) if (c := bytes([byte]).decode(codec, "ignore"))}
    with postgresql_engine.connect() as connection:
        connection.execute(text(READ))
        query = text("SELECT pg_temp.read(i, :e) FROM generate_series(1, 255) i")
        theirs = set(connection.execute(query, {"e": encoding}).scalars()) - {None}

    assert ours == theirs
