"""What a database has of our tables: which are there, their columns, and their version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, select

from tidings.errors import StoreNotReadyError
from tidings.sql.tables import SCHEMA_VERSION, tidings_schema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


def is_there(connection: Connection, table: Table) -> bool:
    """Return whether the database has a table of that name in its place."""
    return inspect(connection).has_table(table.name, connection.schema_for_object(table))


def columns_of(connection: Connection, table: Table) -> set[str]:
    """Return the names of the columns that are there."""
    schema = connection.schema_for_object(table)
    return {column["name"] for column in inspect(connection).get_columns(table.name, schema)}


def stated_version(connection: Connection, table: Table = tidings_schema) -> int | None:
    """Return the version that the tables bear; ``None`` if they bear none, or aren't there."""
    if not is_there(connection, table):
        return None
    if "version" not in columns_of(connection, table):
        return None
    version: int | None = connection.execute(select(table.c.version)).scalar()
    return version


def problem_of_version(connection: Connection, database_name: str) -> StoreNotReadyError | None:
    """Return what to do if another version of tidings has made the tables."""
    version = stated_version(connection)
    if version is None or version == SCHEMA_VERSION:
        return None
    if version > SCHEMA_VERSION:
        return StoreNotReadyError(
            f"The tables in {database_name} are of version {version}, newer than this tidings, "
            f"which knows {SCHEMA_VERSION}: update tidings here too."
        )
    return StoreNotReadyError(
        f"The tables in {database_name} are of version {version}, older than this tidings, "
        f"which needs {SCHEMA_VERSION}: stop every relay, and run `tidings migrate`."
    )
