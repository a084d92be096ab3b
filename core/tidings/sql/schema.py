"""Making the tables, showing how, and finding out whether they are the right ones."""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.schema import CreateIndex, CreateTable

from tidings.errors import StoreNotReadyError
from tidings.sql.event_log import EVENTS, EventLog
from tidings.sql.found_tables import columns_of, is_there, problem_of_version, stated_version
from tidings.sql.tables import FIRST_ROWS, tables_for, tidings_schema, wake_up_statements
from tidings.sql.types import MYSQL, NewIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Table
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql import ClauseElement
    from sqlalchemy.sql.dml import Insert

    from tidings.sql.database import Database

_CREATE_LOCK = 0x7469_6469_6E67  # "tiding", for PostgreSQL's advisory locks


def create(database: Database, event_log: EventLog | None) -> None:
    """Make the tables and rows that aren't there yet. Safe when several do it at once.

    Raises :class:`~tidings.errors.StoreNotReadyError` if a table of the same name is not ours,
    or if the tables are of another version.
    """
    database.make_file()
    with transaction_alone(database) as connection:
        if problem := problem_of_version(connection, database.name):
            raise problem
        for table in tables_of(database.dialect_name, event_log):
            table.create(connection, checkfirst=True)
            _check_columns(connection, table, database.name)
        ensure_rows(connection)


def ensure_rows(connection: Connection) -> None:
    """Add the rows that the tables need, whatever made them: version, identity, the lock's.

    In the caller's transaction. Idempotent; leaves those as they are that are there.
    """
    for row in first_rows(tables_for(connection.dialect.name)):
        if connection.execute(select(row.table)).first() is None:
            connection.execute(row)
    without = tidings_schema.c.store == ""
    connection.execute(update(tidings_schema).where(without).values(store=NewIdentity()))


def check(connection: Connection, database: Database, event_log: EventLog) -> None:
    """Raise :class:`~tidings.errors.StoreNotReadyError` if the tables aren't as they must be."""
    if problem := problem_of_version(connection, database.name):
        raise problem
    tables = [t for t in tables_of(database.dialect_name, event_log) if not t.info.get("optional")]
    missing = [table.name for table in tables if not is_there(connection, table)]
    if missing:
        raise StoreNotReadyError(
            f"{database.name} has no table {', '.join(map(repr, missing))}: "
            "run `tidings init --tables`."
        )
    for table in tables:
        _check_columns(connection, table, database.name)
    if stated_version(connection) is None or not identity(connection):
        raise StoreNotReadyError(
            f"The tables in {database.name} bear no version, or no identity: run "
            "`tidings init --tables`."
        )


def identity(connection: Connection) -> str:
    """Return what tells this database's event store from every other one."""
    return connection.execute(select(tidings_schema.c.store)).scalar() or ""


def ddl(dialect_name: str, event_log: EventLog = EVENTS, *, wake_up: bool = False) -> str:
    """Return the statements that :func:`create` would run, as SQL text; needs no database.

    ``dialect_name`` is one of ``"postgresql"``, ``"mysql"`` (MariaDB too) and ``"sqlite"``.
    """
    tables = tables_of(dialect_name, event_log)
    made: list[ClauseElement] = []
    for table in tables:
        made += [CreateTable(table), *map(CreateIndex, table.indexes)]
    dialect = import_module(f"sqlalchemy.dialects.{dialect_name}").dialect()
    statements = as_text([*made, *first_rows(tables)], dialect, event_log.table.schema)
    if wake_up:
        statements += ";\n\n".join(["", *wake_up_statements(event_log.table)]).removeprefix(";\n\n")
    return statements


def as_text(statements: Iterable[ClauseElement], dialect: Dialect, schema: str | None) -> str:
    """Return statements as SQL text for this kind of database, a semicolon behind each."""
    options: dict[str, Any] = {"compile_kwargs": {"literal_binds": True}}
    if schema is not None:
        options |= {"schema_translate_map": {None: schema}, "render_schema_translate": True}
    texts = [str(each.compile(dialect=dialect, **options)).strip() for each in statements]
    return "".join(f"{text};\n\n" for text in texts).replace("\t", "    ").replace(" \n", "\n")


def tables_of(dialect_name: str, event_log: EventLog | None) -> list[Table]:
    """Return the tables that a database of this kind needs, with ``event_log`` or without any."""
    return [*([event_log.table] if event_log else []), *tables_for(dialect_name)]


def first_rows(tables: Iterable[Table]) -> list[Insert]:
    """Return what inserts the rows that ``tables`` begin with."""
    return [insert(t).values(FIRST_ROWS[t.name]) for t in tables if t.name in FIRST_ROWS]


@contextmanager
def transaction_alone(database: Database) -> Iterator[Connection]:
    """Begin a transaction that creates; the next one sees all that it has committed."""
    with database.transaction() as connection, alone(connection):
        yield connection
        if connection.dialect.name in MYSQL:
            # The lock goes before the transaction does, unlike PostgreSQL's.
            connection.exec_driver_sql("COMMIT")


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Let one connection at a time create; on SQLite its transaction must see to it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CREATE_LOCK})")
        yield
    elif connection.dialect.name in MYSQL:
        # No row lock would do: CREATE TABLE ends the transaction, and with it the lock.
        lock = _create_lock(connection.exec_driver_sql("SELECT DATABASE()").scalar_one())
        connection.exec_driver_sql(f"SELECT GET_LOCK('{lock}', 60)")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK('{lock}')")
    else:
        yield


def _create_lock(database_name: str) -> str:
    # Such a lock counts for the whole server, and its name may have 64 characters.
    return f"tidings {sha256(database_name.encode()).hexdigest()[:32]}"


def _check_columns(connection: Connection, table: Table, database_name: str) -> None:
    present = columns_of(connection, table)
    missing = [column.name for column in table.columns if column.name not in present]
    if missing:
        raise StoreNotReadyError(
            f"{database_name} has a table {table.name!r} without the columns "
            f"{', '.join(missing)}: it is another application's, or an older one. Rename it, or "
            "give tidings a database or schema of its own (`tidings schema` shows the tables)."
        )
