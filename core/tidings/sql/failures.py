"""What databases say, as our errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tidings.errors import EventStoreError, StoreNotReadyError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.exc import SQLAlchemyError

_MISSING_TABLE = re.compile(r"no such (table|column)|has no column named")
_MISSING_DATABASE = re.compile(r'database ".*" does not exist')
_LOGIN = re.compile(r"authentication failed|no password supplied|role \".*\" does not exist")

_READ_ONLY = "25006"
_POSTGRESQL_PASSES = ("08", "40", "53", "55P03", "57", "58", _READ_ONLY)
# Deadlock, lock wait, changed since the snapshot, shutdown, too many connections, disk full
# (twice), read-only (twice).
_MYSQL_PASSES = {1213, 1205, 1020, 1053, 1040, 1021, 1114, 1290, 1836}
_SQLITE_PASSES = re.compile(r"database (table )?is locked|disk is full|readonly database|disk I/O")


def is_missing_table(error: DBAPIError) -> bool:
    """Return whether a table or a column isn't there."""
    original = error.orig
    if _sqlstate(original) in {"42P01", "42703"} or _mysql_code(original) in {1146, 1054}:
        return True
    return bool(_MISSING_TABLE.search(str(original)))


def is_read_only(error: BaseException) -> bool:
    """Return whether PostgreSQL says that a transaction may only read."""
    return _sqlstate(error) == _READ_ONLY


def leaves_the_transaction(error: DBAPIError) -> bool:
    """Return whether it is the driver's own word about what the server has answered.

    What the server itself says may have ended the transaction, or rolled it back.
    """
    codes = _sqlstate(error.orig), getattr(error.orig, "pgcode", None), _mysql_code(error.orig)
    return not error.connection_invalidated and codes == (None, None, None)


def translated(error: SQLAlchemyError, database: str, secrets: Sequence[str]) -> EventStoreError:
    """Return our error for SQLAlchemy's, with the database's name and without ``secrets``."""
    if isinstance(error, PoolTimeoutError):
        return StoreUnavailableError(f"{database}: all of tidings' connections are in use.")
    if not isinstance(error, DBAPIError):
        return EventStoreError(f"{database}: {shown(error, secrets)}")
    reason = shown(error.orig or error, secrets)
    for applies, kind, sentence in _SENTENCES:
        if applies(error):
            return kind(sentence.format(database=database, reason=reason))
    return EventStoreError(f"{database}: {reason}")


def _is_missing_right(error: DBAPIError) -> bool:
    return _sqlstate(error.orig) == "42501" or _mysql_code(error.orig) in {1142, 1143, 1370}


def _is_login(error: DBAPIError) -> bool:
    return _mysql_code(error.orig) in {1044, 1045} or bool(_LOGIN.search(str(error.orig)))


def _is_missing_database(error: DBAPIError) -> bool:
    unknown_database = 1049
    if _mysql_code(error.orig) == unknown_database:
        return True
    return bool(_MISSING_DATABASE.search(str(error.orig)))


def _is_missing_schema(error: DBAPIError) -> bool:
    return _sqlstate(error.orig) == "3F000"


def _is_missing_folder(error: DBAPIError) -> bool:
    return "unable to open database file" in str(error.orig)


def _passes(error: DBAPIError) -> bool:
    state = _sqlstate(error.orig)
    if state is not None:
        return state.startswith(_POSTGRESQL_PASSES)
    if error.connection_invalidated or _mysql_code(error.orig) in _MYSQL_PASSES:
        return True
    name = type(error.orig).__module__.partition(".")[0]
    if name == "sqlite3":
        return bool(_SQLITE_PASSES.search(str(error.orig)))
    # A driver's own word for a line that broke or was never there has no code of the server's.
    code = _mysql_code(error.orig)
    client_side = code is None or code == 0 or code >= 2000  # noqa: PLR2004 - MySQL's client errors
    return client_side and type(error.orig).__name__ in {"OperationalError", "InterfaceError"}


def _sqlstate(error: BaseException | None) -> str | None:
    return getattr(error, "sqlstate", None)


def _mysql_code(error: BaseException | None) -> int | None:
    code = error.args[0] if error is not None and error.args else None
    return code if isinstance(code, int) else None


def shown(error: BaseException, secrets: Sequence[str]) -> str:
    """Return what a driver says, on one line and without ``secrets``."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # Psycopg lists the hosts that it tried; its first line is about the last of them.
    tried = [line.removeprefix("- ") for line in lines if line.startswith("- host: ")]
    text = "; ".join(tried) or lines[0]
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


_SENTENCES: list[tuple[Callable[[DBAPIError], bool], type[EventStoreError], str]] = [
    (
        is_missing_table,
        StoreNotReadyError,
        (
            "{database} lacks a table or column of tidings ({reason}): run `tidings init "
            "--tables`, or run `tidings migrate` if an older tidings made its tables."
        ),
    ),
    (
        _is_missing_right,
        EventStoreError,
        "{database} denies a right ({reason}): grant it; docs/operations.md lists them all.",
    ),
    (
        _is_login,
        EventStoreError,
        "{database} refuses the login ({reason}): check user and password in the url.",
    ),
    (
        _is_missing_database,
        StoreNotReadyError,
        "{database} does not exist ({reason}): create it, then run `tidings init --tables`.",
    ),
    (
        _is_missing_schema,
        StoreNotReadyError,
        "{database} lacks a schema ({reason}): create it, then run `tidings init --tables`.",
    ),
    (
        _is_missing_folder,
        StoreUnavailableError,
        "{database} cannot be opened: is its folder there, and may this user write to it?",
    ),
    (_passes, StoreUnavailableError, "{database} is not available just now ({reason})."),
]
