"""Making the tables, showing how, and finding out whether they are the right ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from tidings.errors import StoreNotReadyError
from tidings.sql.connection import Database
from tidings.sql.event_log import EVENTS, EventLog
from tidings.sql.tables import (
    SCHEMA_VERSION,
    event_append_lock,
    tables_for,
    tidings_schema,
    wake_up_statements,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Table
    from sqlalchemy.sql.dml import Insert

    from tidings.sql.settings import SqlAlchemySettings

_CREATE_LOCK = 0x7469_6469_6E67  # "tiding", for PostgreSQL's advisory locks


def create(database: Database, log: EventLog = EVENTS) -> None:
    """Make the tables and rows that aren't there yet. Safe when several do it at once.

    Raises :class:`~tidings.errors.StoreNotReadyError` where a table of the same name is not ours,
    or where the tables are of another version.
    """
    database.make_file()
    with database.transaction() as connection, alone(connection):
        for table in _tables(database, log):
            table.create(connection, checkfirst=True)
            _check_columns(connection, table, database.name)
        for row in _first_rows(database.dialect_name):
            if connection.execute(select(row.table)).first() is None:
                connection.execute(row)
        _check_version(connection, database.name)


def check(connection: Connection, database: Database, log: EventLog = EVENTS) -> None:
    """Raise :class:`~tidings.errors.StoreNotReadyError` where the tables aren't as they must be."""
    present = set(inspect(connection).get_table_names())
    missing = [t.name for t in _tables(database, log) if t.name not in present]
    if missing:
        raise StoreNotReadyError(
            f"{database.name} has no table {', '.join(map(repr, missing))}: "
            "run `tidings init --tables`."
        )
    for table in _tables(database, log):
        _check_columns(connection, table, database.name)
    _check_version(connection, database.name)


def ddl(settings: SqlAlchemySettings, log: EventLog = EVENTS) -> str:
    """Return, without connecting, the statements that :func:`create` would run, as SQL text."""
    database = Database(settings)
    dialect = database.dialect
    made: list[ExecutableDDLElement] = []
    for table in _tables(database, log):
        made += [CreateTable(table), *map(CreateIndex, table.indexes)]
    statements = [str(statement.compile(dialect=dialect)).strip() for statement in made] + [
        str(row.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        for row in _first_rows(database.dialect_name)
    ]
    if settings.wake_up:
        statements += wake_up_statements(log.table)
    return ";\n\n".join(statements).replace("\t", "    ").replace(" \n", "\n") + ";\n"


def _tables(database: Database, log: EventLog) -> list[Table]:
    """Return the tables that a database with ``log`` needs."""
    return list(dict.fromkeys([*tables_for(database.dialect_name), log.table]))


def _first_rows(dialect_name: str) -> list[Insert]:
    rows = [insert(tidings_schema).values(schema_id=1, version=SCHEMA_VERSION)]
    if event_append_lock in tables_for(dialect_name):
        rows.append(insert(event_append_lock).values(lock_id=1))
    return rows


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Let one connection at a time create; on SQLite its transaction must see to it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})")
        yield
    elif connection.dialect.name == "mysql":
        # No row lock would do: CREATE TABLE ends the transaction, and with it the lock.
        lock = "CONCAT('tidings ', MD5(DATABASE()))"
        connection.exec_driver_sql(f"SELECT GET_LOCK({lock}, 60)")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK({lock})")
    else:
        yield


def _check_columns(connection: Connection, table: Table, database_name: str) -> None:
    present = {column["name"] for column in inspect(connection).get_columns(table.name)}
    missing = [column.name for column in table.columns if column.name not in present]
    if missing:
        raise StoreNotReadyError(
            f"{database_name} has a table {table.name!r} without the columns "
            f"{', '.join(missing)}: it is another application's, or an older one. Rename it, or "
            "give tidings a database or schema of its own (`tidings schema` shows the tables)."
        )


def _check_version(connection: Connection, database_name: str) -> None:
    version = connection.execute(select(tidings_schema.c.version)).scalar()
    if version is None:
        raise StoreNotReadyError(
            f"The tables in {database_name} bear no version: run `tidings init --tables`."
        )
    if version < SCHEMA_VERSION:
        raise StoreNotReadyError(
            f"The tables in {database_name} are of version {version}, older than this tidings, "
            f"which needs {SCHEMA_VERSION}: migrate them (`tidings schema` shows the tables)."
        )
    if version > SCHEMA_VERSION:
        raise StoreNotReadyError(
            f"The tables in {database_name} are of version {version}, newer than this tidings, "
            f"which knows {SCHEMA_VERSION}: update tidings here too."
        )
