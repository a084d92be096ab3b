"""Connections to a database, its name for people, and its errors as ours."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from tidings.errors import (
    ConfigurationError,
    MissingLibraryError,
    StoreNotReadyError,
    StoreUnavailableError,
)
from tidings.sql.database_errors import is_read_only, translated
from tidings.sql.settings import sqlalchemy_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine
    from sqlalchemy.engine import Dialect, ExceptionContext

    from tidings.sql.settings import SqlAlchemySettings

SQLITE_BUSY_SECONDS = 30
"""How long a writer waits for another one's transaction on SQLite."""

_EXTRAS = {"postgresql": "postgresql", "mysql": "mysql"}
_TITLES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "sqlite": "SQLite"}

_CONNECT_ARGS: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": SQLITE_BUSY_SECONDS},
    # A cut line is noticed within a minute; UTC spares a conversion of every time that is read.
    "postgresql": {
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": "-c TimeZone=UTC",
        "application_name": "tidings",
    },
    "mysql": {"connect_timeout": 10, "read_timeout": 300, "write_timeout": 60},
}


class Database:
    """One database, as an engine of our own with what every connection of it needs.

    Connects when first used, not when made. Any thread may use it. Raises
    :class:`~tidings.errors.MissingLibraryError` where its driver isn't installed.
    """

    def __init__(self, settings: SqlAlchemySettings) -> None:
        """Take the settings; import the driver."""
        self._url = _parse(settings)
        self.dialect_name = self._url.get_backend_name()
        self.name = _name(self._url)
        self._engine = self._create_engine()

    @property
    def dialect(self) -> Dialect:
        """What SQLAlchemy knows of this kind of database."""
        return self._engine.dialect

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what the database says as one of our errors."""
        try:
            yield
        except SQLAlchemyError as error:
            raise translated(error, self.name, self._url.password) from error

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction that may write: commits at the end, or rolls back."""
        with self.errors():
            self._refuse_missing_file()
            with self._engine.begin() as connection:
                if self.dialect_name == "sqlite":
                    # A transaction that reads before it writes may not be able to go on.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection

    def connect(self) -> Connection:
        """Give a connection on which every statement is its own transaction."""
        with self.errors():
            self._refuse_missing_file()
            return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Lend a connection on which every statement is its own transaction."""
        with self.errors(), self.connect() as connection:
            yield connection

    def make_file(self) -> None:
        """Make the file of a SQLite database that isn't there yet, and let reads pass writes."""
        path = self._file()
        if self.dialect_name != "sqlite":
            return
        if path is not None:
            try:
                path.touch()
            except OSError as error:
                raise StoreUnavailableError(
                    f"{self.name} cannot be made ({error.strerror}): is its folder there, and may "
                    "this user write to it?"
                ) from error
        with self.autocommit() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close every connection that isn't lent. The database may be used again."""
        self._engine.dispose()

    def _create_engine(self) -> Engine:
        options: dict[str, Any] = {}
        if self.dialect_name != "sqlite":
            # Sets by itself what the compare-and-set of the tracker relies on, and finds out
            # that the server was restarted before a checkpoint has to fail for it.
            options = {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
        arguments = {
            name: value
            for name, value in _CONNECT_ARGS[self.dialect_name].items()
            if name not in self._url.query
        }
        try:
            engine = create_engine(
                self._url, connect_args=arguments, hide_parameters=True, **options
            )
        except ImportError as error:
            extra = _EXTRAS[self.dialect_name]
            raise MissingLibraryError(
                f"{_TITLES[self.dialect_name]} needs a driver that is not installed ({error}): "
                f"pip install 'tidings[{extra}]'"
            ) from error
        if self.dialect_name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "handle_error", _leave_read_only_session)
        return engine

    def _file(self) -> Path | None:
        if self.dialect_name != "sqlite" or "uri" in self._url.query:
            return None
        return Path(self._url.database or "")

    def _refuse_missing_file(self) -> None:
        # SQLite would make an empty file of any mistyped path.
        if (path := self._file()) is not None and not path.exists():
            raise StoreNotReadyError(
                f"{self.name} does not exist yet: run `tidings init --tables`."
            )


def _parse(settings: SqlAlchemySettings) -> URL:
    try:
        url = make_url(sqlalchemy_url(settings.url))
    except (ArgumentError, ValueError):  # of the port: their texts hold parts of the URL
        raise ConfigurationError(
            [
                (
                    "The database's url cannot be read: is its port a number, and are the "
                    "characters @ : / % in its password percent-encoded?"
                )
            ]
        ) from None
    return url


def _name(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"SQLite database {url.database}"
    title = _TITLES[url.get_backend_name()]
    port = f":{url.port}" if url.port else ""
    user = f" as user {url.username!r}" if url.username else ""
    return f"{title} database {url.database or ''!r} at {url.host or 'localhost'}{port}{user}"


def _leave_read_only_session(context: ExceptionContext) -> None:
    # A session that began read-only stays so when the database no longer is, or when another
    # server is the primary by now.
    if is_read_only(context.original_exception):
        context.is_disconnect = True


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # A commit is on the disk when it returns: tidings says "stored" and "tracked" only then.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
