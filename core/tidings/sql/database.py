"""Connections to a database, and its errors as ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError

from tidings.errors import (
    ConfigurationError,
    EventStoreError,
    MissingLibraryError,
    StoreNotReadyError,
    StoreUnavailableError,
)
from tidings.sql import driver
from tidings.sql.database_url import TITLES, file_of, name_of, place, unreadable, url_of
from tidings.sql.failures import is_missing_table, is_read_only, shown, translated
from tidings.sql.found_tables import problem_of_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Engine
    from sqlalchemy.engine import Dialect, ExceptionContext
    from sqlalchemy.pool import ConnectionPoolEntry

    from tidings.sql.settings import SqlAlchemySettings

_EXTRAS = {"postgresql": "postgresql", "mysql": "mysql"}


class Database:
    """One database, as an engine of our own with what every connection of it needs.

    Connects when first used, not when made. Any thread may use it. Raises
    :class:`~tidings.errors.MissingLibraryError` if its driver isn't installed.
    """

    _pool: ClassVar[Mapping[str, Any]] = {}
    """What the engine's pool is made with, beside SQLAlchemy's own defaults."""

    def __init__(self, settings: SqlAlchemySettings) -> None:
        """Take the settings; import the driver."""
        url = url_of(settings)
        self.dialect_name = url.get_backend_name()
        self.name = name_of(url)
        self.schema = settings.db_schema
        self._url, self._arguments = driver.arguments(url)
        self._file = file_of(self._url)
        self.engine = self._create_engine()
        """What connects. Who listens to its events hears what the database is asked."""

    @property
    def place(self) -> tuple[str, ...]:
        """Which database it is: equal for two URLs that name it alike, whoever logs in."""
        return place(self._url)

    @property
    def dialect(self) -> Dialect:
        """What SQLAlchemy knows of this kind of database."""
        return self.engine.dialect

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what the database says as one of our errors."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self._of_another_version(error) or self._translated(error) from error

    def _translated(self, error: SQLAlchemyError) -> EventStoreError:
        return translated(error, self.name, self._secrets)

    def _of_another_version(self, error: SQLAlchemyError) -> EventStoreError | None:
        """Return what to do about a table that is missing since another tidings made the others."""
        if not isinstance(error, DBAPIError) or not is_missing_table(error):
            return None
        try:
            with self.engine.connect() as connection:
                return problem_of_version(connection, self.name)
        except SQLAlchemyError:
            return None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction that may write: commits at the end, or rolls back."""
        with self.errors():
            self._refuse_missing_file()
            with self.engine.begin() as connection:
                if self.dialect_name == "sqlite":
                    # A transaction that reads before it writes may not be able to go on.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection

    def connect(self) -> Connection:
        """Give a connection on which every statement is its own transaction."""
        with self.errors():
            self._refuse_missing_file()
            connection = self.engine.connect()
            try:
                return connection.execution_options(isolation_level="AUTOCOMMIT")
            except BaseException as error:
                connection.invalidate()
                connection.close()
                # Here SQLAlchemy lets the driver's own error through.
                driver_error = self.dialect.loaded_dbapi.Error
                if not isinstance(error, driver_error):
                    raise
                raise DBAPIError.instance(
                    None, None, error, driver_error, dialect=self.dialect
                ) from error

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Lend a connection on which every statement is its own transaction."""
        with self.errors(), self.connect() as connection:
            yield connection

    @property
    def _secrets(self) -> tuple[str, ...]:
        words = (
            self._url.password,
            *(self._url.query.get(name) for name in ("password", "passwd")),
        )
        return tuple(str(word) for word in words if word)

    def make_file(self) -> None:
        """Make the file of a SQLite database that isn't there yet, and let reads pass writes."""
        path = self._file
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
        """Close every connection, lent ones when they come back. May be used again."""
        self.engine.dispose()

    def _create_engine(self) -> Engine:
        # Not for no schema: SQLAlchemy would name the one that the first connection began with.
        places = {"schema_translate_map": {None: self.schema}} if self.schema else {}
        options: dict[str, Any] = {}
        if self.dialect_name != "sqlite":
            # Sets by itself what the compare-and-set of the tracker relies on. It also finds out
            # that the server was restarted, before a checkpoint has to fail for it.
            options = {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
        try:
            engine = create_engine(
                self._url,
                connect_args=self._arguments,
                hide_parameters=True,
                execution_options=places,
                **options,
                **self._pool,
            )
        except ImportError as error:
            from tidings.plugins.installing import install_command  # noqa: PLC0415 - for this alone

            extra = _EXTRAS[self.dialect_name]
            raise MissingLibraryError(
                f"{TITLES[self.dialect_name]} needs a driver that is not installed ({error}): "
                f"{install_command(f'tidings[{extra}]')}"
            ) from error
        except (ArgumentError, ValueError):
            raise unreadable() from None
        event.listen(engine, "do_connect", self._open)
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "checkout", self._renew)
        event.listen(engine, "checkin", self._part)
        event.listen(engine, "handle_error", _leave_read_only_session)
        return engine

    def _open(self, dialect: Dialect, record: ConnectionPoolEntry, given: Any, options: Any) -> Any:
        """Let the driver connect; what it raises beside its own errors is about the URL."""
        # Before that: one that takes its place meanwhile shall not be taken for what is opened.
        record.info["file"] = self._file_number()
        try:
            return dialect.connect(*given, **options)
        except RuntimeError as error:  # PyMySQL's word for a library that it lacks
            raise MissingLibraryError(
                f"{self.name} asks for a login that needs a library ({error}): "
                f"pip install 'tidings[{_EXTRAS.get(self.dialect_name)}]'"
            ) from error
        except OSError as error:
            raise StoreUnavailableError(
                f"{self.name} cannot be opened ({shown(error, self._secrets)}): are the files "
                "there that its url names, and may this user read them?"
            ) from error
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise ConfigurationError(
                [
                    (
                        f"{self.name} cannot be opened with the options in its url "
                        f"({type(error).__name__}: {shown(error, self._secrets)}): correct them."
                    )
                ]
            ) from error

    def _prepare(self, connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["pool"] = self.engine.pool
        driver.prepare(self.dialect_name, connection)

    def _renew(self, _connection: object, record: ConnectionPoolEntry, _lent: object) -> None:
        """Let the pool open the file again if another one has taken its place."""
        if record.info["file"] != self._file_number():
            raise DisconnectionError

    def _part(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """Close what was lent to another thread when the others were closed.

        It comes back to a pool that lends nothing any more.
        """
        if record.info.get("pool") is not self.engine.pool:
            record.close()

    def refuse_another_file(self, connection: Connection) -> None:
        """Raise if the connection reads a file of SQLite's that is no longer in its place.

        It would go on in a file that nobody else sees.
        """
        if self._file is None:
            return
        found = self._file_number()
        if found is None:
            self._refuse_missing_file()
        if connection.info["file"] != found:
            raise StoreUnavailableError(
                f"{self.name} was replaced by another file while it was open. What is there now "
                "is looked at afresh."
            )

    def _file_number(self) -> tuple[int, int] | None:
        """Return what tells a file of SQLite's from another one in its place."""
        path = self._file
        try:
            found = None if path is None else path.stat()
        except OSError:
            return None
        return None if found is None else (found.st_dev, found.st_ino)

    def _refuse_missing_file(self) -> None:
        # SQLite would make an empty file of any mistyped path.
        if self._file is not None and not self._file.exists():
            raise StoreNotReadyError(
                f"{self.name} does not exist yet: run `tidings init --tables`."
            )


def _leave_read_only_session(context: ExceptionContext) -> None:
    # A session that began read-only stays so when the database no longer is, or when another
    # server is the primary by now.
    if is_read_only(context.original_exception):
        context.is_disconnect = True
