"""What many rows for MySQL and MariaDB cost the application; the rest is tried on a server."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from tidings.sql.many_rows import MOST_KEPT, ManyRows
from tidings.sql.tables import event

if TYPE_CHECKING:
    from sqlalchemy import Connection, TextClause


class NoConnection:
    """Notes statements; its tables lie in the schema of a tenant."""

    def __init__(self) -> None:
        self.dialect = MySQLDialect_pymysql()
        self.tenant = 0
        self.statements: list[weakref.ref[TextClause]] = []

    def schema_for_object(self, _table: object) -> str:
        return f"tenant_{self.tenant}"

    def execute(self, statement: TextClause, _values: dict[str, Any]) -> None:
        self.statements.append(weakref.ref(statement))


def test_an_application_with_many_tenants_keeps_few_statements() -> None:
    rows, connection = ManyRows(event, ["type_name", "body"]), NoConnection()
    for connection.tenant in range(3 * MOST_KEPT):
        rows.insert(cast("Connection", connection), [{"type_name": "A", "body": "{}"}] * 2)
    gc.collect()
    kept = [
        each for each in (statement() for statement in connection.statements) if each is not None
    ]
    assert len(connection.statements) == 3 * MOST_KEPT
    assert len(kept) == MOST_KEPT
    assert "tenant_95" in str(kept[-1])
