"""Column types that are the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import TIMESTAMP, BigInteger, DateTime, Double, Integer, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from tidings.errors import EventStoreError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

MYSQL = ("mysql", "mariadb")
"""SQLAlchemy's names for what is one kind of database to us."""

# SQLite numbers rows by itself only where the column is called INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")

# MySQL's TEXT ends at 64 KB, and its comparisons ignore case where nothing else is said.
LongText = Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *MYSQL)
Name = String(255).with_variant(
    mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), *MYSQL
)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time to the microsecond, UTC on every database.

    ``timestamptz`` on PostgreSQL, ``DATETIME(6)`` in UTC on MySQL, and on SQLite ISO text of
    fixed width, which sorts: ``2026-01-02T03:04:05.000006+00:00``. What others wrote is read as
    UTC where it has no zone.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that this database keeps."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(40))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return ``value`` as this database takes it."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return value.isoformat(timespec="microseconds")
        if dialect.name in MYSQL:
            return value.replace(tzinfo=None)
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the interface's
        """Return ``value`` as a datetime in UTC."""
        if value is None:
            return None
        when = value if isinstance(value, datetime) else _read(value)
        if when.tzinfo is UTC:
            return when
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _read(value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise EventStoreError(
            f"A time in the database is {value!r}, which is not ISO 8601: correct that row."
        ) from None


class ExactText(TypeDecorator[str]):
    """Text of at most ``length`` characters, equal only to itself; fit for a unique key.

    On MySQL bytes: its texts are equal whatever spaces they end with.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that this database keeps."""
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.VARBINARY(4 * self.length))
        return dialect.type_descriptor(String(self.length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Return ``value`` as this database takes it."""
        return value.encode() if value is not None and dialect.name in MYSQL else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - the interface's
        """Return ``value`` as text."""
        return value.decode() if isinstance(value, bytes) else value


class DatabaseClock(FunctionElement[float]):
    """The database's time of day, now, in seconds since 1970."""

    name = "database_clock"
    type = Double()
    inherit_cache = True


@compiles(DatabaseClock, "postgresql")
def _postgresql_clock(_element: DatabaseClock, _compiler: Any, **_options: Any) -> str:
    # Not now(), which stands still in a transaction.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(DatabaseClock, *MYSQL)
def _mysql_clock(_element: DatabaseClock, _compiler: Any, **_options: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(SYSDATE(6)) AS DOUBLE)"


@compiles(DatabaseClock, "sqlite")
def _sqlite_clock(_element: DatabaseClock, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
