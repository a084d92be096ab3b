"""From the tables of an older version to this one's."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import case, text, update
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment

from tidings.errors import StoreNotReadyError
from tidings.sql.found_tables import columns_of, is_there, problem_of_version, stated_version
from tidings.sql.schema import as_text, tables_of, transaction_alone
from tidings.sql.tables import SCHEMA_VERSION, tidings_schema
from tidings.sql.types import NewIdentity

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Table, TextClause, Update
    from sqlalchemy.schema import ExecutableDDLElement

    from tidings.sql.database import Database
    from tidings.sql.event_log import EventLog

    Step: TypeAlias = ExecutableDDLElement | TextClause | Update


def migrate(database: Database, event_log: EventLog | None, *, dry_run: bool = False) -> str:
    """Bring tables of an older version to this one's; return the statements that this took.

    ``dry_run`` only says which they would be. A version only adds tables, and columns that may be
    empty or have a default. What is missing is made, and then the version is set. So it may be run
    any number of times, by several at once, and again after it was interrupted (MySQL commits each
    of its steps). Events, positions and rows stay as they are.

    Raises :class:`~tidings.errors.StoreNotReadyError` if there are no tables yet, or if they are of
    a newer version.
    """
    if dry_run:
        with database.autocommit() as connection:
            steps = _steps(connection, database, event_log)
    else:
        with transaction_alone(database) as connection:
            steps = _steps(connection, database, event_log)
            for step in steps:
                connection.execute(step)
    return as_text(steps, database.dialect, database.schema)


def _steps(connection: Connection, database: Database, event_log: EventLog | None) -> list[Step]:
    """Return what is to be done, by what is there."""
    version = stated_version(connection)
    if version is None:
        raise StoreNotReadyError(
            f"The tables in {database.name} are not there, or bear no version: run "
            "`tidings init --tables`."
        )
    if version == SCHEMA_VERSION:
        return []
    if version > SCHEMA_VERSION and (problem := problem_of_version(connection, database.name)):
        raise problem
    steps: list[Step] = []
    for table in tables_of(database.dialect_name, event_log):
        if not is_there(connection, table):
            steps += [CreateTable(table), *map(CreateIndex, table.indexes)]
        else:
            steps += _new_columns(connection, table)
    return [*steps, now_of_this_version()]


def now_of_this_version() -> Update:
    """Return what says, once all else is done, that the tables are of this version."""
    store = tidings_schema.c.store
    identity = case((store == "", NewIdentity()), else_=store)
    return update(tidings_schema).values(version=SCHEMA_VERSION, store=identity)


def _new_columns(connection: Connection, table: Table) -> list[Step]:
    present = columns_of(connection, table)
    steps: list[Step] = []
    for column in table.columns:
        if column.name not in present:
            steps += _add(connection, column)
    return steps


def _add(connection: Connection, column: Column[object]) -> list[Step]:
    dialect = connection.dialect
    preparer = dialect.identifier_preparer
    schema = connection.schema_for_object(column.table)
    name = preparer.format_table(column.table, use_schema=False)
    if schema:
        name = f"{preparer.quote_schema(schema)}.{name}"
    written = dialect.ddl_compiler(dialect, None).get_column_specification(column)  # type: ignore[arg-type] # needs no statement
    steps: list[Step] = [text(f"ALTER TABLE {name} ADD COLUMN {written}")]
    if column.comment and dialect.supports_comments and not dialect.inline_comments:
        steps.append(SetColumnComment(column))
    return steps
