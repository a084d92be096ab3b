"""The tables for those who make them by themselves: with ``create_all``, or with Alembic.

They have SQLAlchemy's own types alone, so that a generated migration needs no import of tidings. By
the time that it runs, tidings may have other types.
"""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, Table, event
from sqlalchemy.sql.schema import RETAIN_SCHEMA

from tidings.sql import tables
from tidings.sql.inbox_table import inbox
from tidings.sql.schema import first_rows
from tidings.sql.types import plain


def with_plain_types(
    table: Table, into: MetaData, *, name: str | None = None, schema: str | None = None
) -> Table:
    """Return a copy of ``table`` in ``into``, which brings its first row along when it is made."""
    copy = table.to_metadata(into, name=name or table.name, schema=schema or RETAIN_SCHEMA)
    for column in copy.columns:
        column.type = plain(column.type)
    event.listen(copy, "after_create", _insert_first_row)
    return copy


def _insert_first_row(table: Table, connection: Connection, **_options: object) -> None:
    for row in first_rows([table]):
        connection.execute(row)


def metadata_for(table_name: str = "event", schema: str | None = None) -> MetaData:
    """Return :data:`metadata` with the table of events called so, and all of it in ``schema``."""
    made = MetaData()
    for table in tables.metadata.sorted_tables:
        name = table_name if table is tables.event else table.name
        with_plain_types(table, made, name=name, schema=schema)
    return made


metadata = metadata_for()
"""Every table of tidings: give it to Alembic's ``target_metadata`` beside your own."""

inbox_metadata = MetaData()
with_plain_types(inbox, inbox_metadata)
"""The inbox's table: give it to Alembic's ``target_metadata`` beside your own.

Apart from the tables of the event store: a consumer is seldom the service that records events.
"""
