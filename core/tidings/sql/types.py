"""Column types that are the same on every database."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    cast,
    func,
    type_coerce,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

from tidings.errors import EventStoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import BindParameter, ColumnElement, Table
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

MYSQL = ("mysql", "mariadb")
"""SQLAlchemy's names for what is one kind of database to us."""

# SQLite numbers rows by itself only if the column is called INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")


class _AsBytes:
    """Sends text as the bytes that it is in UTF-8.

    So the driver does not look for it in the connection's character set. Not every driver says
    that they are bytes: to a server that expects other text, :class:`InBase64` goes.
    """

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], bytes | None]:  # noqa: ARG002 - the interface's
        """Return what makes bytes of text."""
        return lambda value: None if value is None else value.encode()


class _Utf8Longtext(_AsBytes, mysql.LONGTEXT):
    pass


class _Utf8Varchar(_AsBytes, mysql.VARCHAR):
    pass


# MySQL's TEXT ends at 64 KB, and its comparisons ignore case if nothing else is said.
_UTF8: dict[str, Any] = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}
LongText = Text().with_variant(mysql.LONGTEXT(**_UTF8), *MYSQL)
Name = String(255).with_variant(mysql.VARCHAR(255, **_UTF8), *MYSQL)

# The application writes these, on connections of its own.
RecordedText = Text().with_variant(_Utf8Longtext(**_UTF8), *MYSQL)
RecordedName = String(255).with_variant(_Utf8Varchar(255, **_UTF8), *MYSQL)


class InBase64(mysql.LONGTEXT):
    """Sends text in base64, whose characters a connection of any character set holds.

    MySQL takes what it gets for text of that set. What the set lacks becomes a question mark,
    without a word if the session isn't strict.
    """

    @override
    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """Return what makes base64 of text."""
        return lambda value: None if value is None else b64encode(value.encode()).decode()

    @override
    def bind_expression(self, bindvalue: BindParameter[Any]) -> ColumnElement[Any]:
        """Return what makes bytes of it."""
        return func.from_base64(bindvalue)


def in_base64(table: Table) -> Table:
    """Return ``table`` with every text sent so."""
    copy = table.to_metadata(MetaData())
    for column in copy.columns:
        if isinstance(column.type, String | ExactText):
            column.type = InBase64()
    return copy


class _FromUtf8(TypeDecorator[str]):
    """Reads text as the bytes that it is in UTF-8."""

    impl = LargeBinary
    cache_ok = True

    @override
    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else value.decode()


def as_it_is_kept(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return what reads MySQL's text whole, if the connection's character set lacks some of it.

    The server puts a question mark for what it lacks, without a word.
    """
    if not isinstance(column.type, String):
        return column
    return type_coerce(cast(column, LargeBinary), _FromUtf8())


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time to the microsecond, UTC on every database.

    ``timestamptz`` on PostgreSQL, ``DATETIME(6)`` in UTC on MySQL, and on SQLite ISO text of
    fixed width, which sorts: ``2026-01-02T03:04:05.000006+00:00``. What others wrote is read as
    UTC if it has no zone.
    """

    impl = DateTime
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(40))
        return dialect.type_descriptor(DateTime(timezone=True))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        value = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return value.isoformat(timespec="microseconds")
        if dialect.name in MYSQL:
            return value.replace(tzinfo=None)
        return value

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return _in_utc(value) if isinstance(value, datetime) else _read(value)


def _read(value: object) -> datetime:
    text = str(value)
    try:
        # Python takes 1712101200000 for a time of the year 1712, too.
        return _in_utc(datetime.fromisoformat("" if text.isdigit() else text))
    except (ValueError, OverflowError):
        raise EventStoreError(
            f"A time in the database is {value!r}, which is not ISO 8601."
        ) from None


def plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return what a column of that type is in the database, in SQLAlchemy's own types alone."""
    if isinstance(kind, UtcDateTime):
        text = String(40)
        return (
            TIMESTAMP(timezone=True)
            .with_variant(mysql.DATETIME(fsp=6), *MYSQL)
            .with_variant(text, "sqlite")
        )
    if isinstance(kind, ExactText):
        return String(kind.length).with_variant(mysql.VARBINARY(4 * kind.length), *MYSQL)
    if kind is RecordedText:
        return LongText
    return Name if kind is RecordedName else kind


def _in_utc(when: datetime) -> datetime:
    if when.tzinfo is UTC:
        return when
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


class ExactText(TypeDecorator[str]):
    """Text of at most ``length`` characters, equal only to itself; fit for a unique key.

    On MySQL bytes: its texts are equal whatever spaces they end with.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in MYSQL:
            return dialect.type_descriptor(mysql.VARBINARY(4 * self.length))
        return dialect.type_descriptor(String(self.length))

    @override
    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value.encode() if value is not None and dialect.name in MYSQL else value

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


class NewIdentity(FunctionElement[str]):
    """A name that nobody has had yet: 32 hexadecimal digits, drawn by the database."""

    name = "new_identity"
    type = String()
    inherit_cache = True


@compiles(NewIdentity, "postgresql")
def _postgresql_identity(_element: NewIdentity, _compiler: Any, **_options: Any) -> str:
    return "replace(CAST(gen_random_uuid() AS text), '-', '')"


@compiles(NewIdentity, *MYSQL)
def _mysql_identity(_element: NewIdentity, _compiler: Any, **_options: Any) -> str:
    return "REPLACE(UUID(), '-', '')"


@compiles(NewIdentity, "sqlite")
def _sqlite_identity(_element: NewIdentity, _compiler: Any, **_options: Any) -> str:
    return "lower(hex(randomblob(16)))"


class ByteLength(FunctionElement[int]):
    """How many bytes a text takes in the database, found out without fetching it."""

    name = "byte_length"
    type = Integer()
    inherit_cache = True


@compiles(ByteLength)
def _octet_length(element: ByteLength, compiler: Any, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"


@compiles(ByteLength, "sqlite")
def _sqlite_byte_length(element: ByteLength, compiler: Any, **options: Any) -> str:
    # octet_length() came with SQLite 3.43.
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


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
    # UTC is the same in every session, and has no hour twice. It stands still in a statement, which
    # may have waited for a lock.
    return (
        "((TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
        " + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))) / 1E6)"
    )


@compiles(DatabaseClock, "sqlite")
def _sqlite_clock(_element: DatabaseClock, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
