"""Many rows in few statements, on MySQL and MariaDB.

A driver puts rows into one statement only if their values stand there by themselves. Ours stand in
a function (:class:`~tidings.sql.types.InBase64`), so each row would be a statement, and a way to
the server and back.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from tidings.sql.types import in_base64

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Table, TextClause

MOST_ROWS = 64
"""In one statement. Fewer come in powers of two, so that there are few statements to keep."""
MOST_BYTES = 16 * 1024
"""Of what they hold: so little that servers with a low limit for a packet take them together."""
MOST_KEPT = 32
"""Statements: an application may have a schema for each of its tenants."""


class ManyRows:
    """Inserts rows into one table, so that their ids ascend in their order.

    **Threads.** May be used by any number of threads.
    """

    def __init__(self, table: Table, keys: Sequence[str]) -> None:
        """Take the keys of the columns that rows have; a row that lacks one has NULL there."""
        self._table = table
        in_it = in_base64(table)
        self._columns = {key: in_it.c[key] for key in keys}
        self._statement = lru_cache(maxsize=MOST_KEPT)(self._make_statement)

    def insert(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Insert the rows. One that is refused leaves those before it to the transaction."""
        for together in _pieces(rows):
            values = {
                f"{key}_{number}": row.get(key)
                for number, row in enumerate(together)
                for key in self._columns
            }
            statement = self._statement(self._start(connection), len(together))
            connection.execute(statement, values)

    def _start(self, connection: Connection) -> str:
        quoted = connection.dialect.identifier_preparer
        names = ", ".join(quoted.format_column(column) for column in self._columns.values())
        table = quoted.format_table(self._table, use_schema=False)
        # SQLAlchemy puts the application's own place of tables into no text.
        if schema := connection.schema_for_object(self._table):
            table = f"{quoted.quote_schema(schema)}.{table}"
        return f"INSERT INTO {table} ({names}) VALUES "  # noqa: S608 - quoted

    def _make_statement(self, start: str, count: int) -> TextClause:
        places = [[f"{key}_{number}" for key in self._columns] for number in range(count)]
        rows = ", ".join(f"({', '.join(f':{place}' for place in row)})" for row in places)
        types = [column.type for column in self._columns.values()]
        binds = [
            bindparam(place, type_=type_)
            for row in places
            for place, type_ in zip(row, types, strict=True)
        ]
        return text(start.replace(":", r"\:") + rows).bindparams(*binds)


def _pieces(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    """Cut rows into what goes together."""
    sizes = [sum(_size(value) for value in row.values() if isinstance(value, str)) for row in rows]
    at = 0
    while at < len(rows):
        count = MOST_ROWS
        while count > 1 and (count > len(rows) - at or sum(sizes[at : at + count]) > MOST_BYTES):
            count //= 2
        yield rows[at : at + count]
        at += count


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
