"""What every connection of ours begins with, whatever its database, role or URL says.

Nothing here travels as PostgreSQL's ``options`` or in a prepared statement. Poolers that give each
transaction another connection (PgBouncer) refuse the one and mix up the other. What is ``SET`` is
what they carry along.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tidings.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

SQLITE_BUSY_SECONDS = 30
"""How long a writer waits for another one's transaction on SQLite."""

_SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

_UNLESS_GIVEN: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": SQLITE_BUSY_SECONDS},
    "postgresql": {
        "connect_timeout": 10,
        # A cut line is noticed within a minute.
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "application_name": "tidings",
        "prepare_threshold": None,
    },
    "mysql": {"connect_timeout": 10, "read_timeout": 300, "write_timeout": 60},
}

_ALWAYS: dict[str, dict[str, Any]] = {
    "sqlite": {},
    # A database in SQL_ASCII or LATIN1 gives its clients that, if they ask for nothing.
    "postgresql": {"client_encoding": "utf8"},
    # Together with the login: SQLAlchemy looks at both before it lets anybody else in.
    "mysql": {"charset": "utf8mb4", "collation": None, "sql_mode": _SQL_MODE},
}

_FIRST_STATEMENTS = {
    # As people write times (DateStyle), the driver cannot read them; UTC spares conversions.
    "postgresql": ("SET DateStyle = 'ISO'", "SET TimeZone = 'UTC'"),
    # A server's limit for a SELECT without one would hide exchanges from a prune, say.
    "mysql": (f"SET time_zone = '+00:00', sql_select_limit = {2**64 - 1}",),
}

_OF_OTHER_DRIVERS = {
    "sqlite": (),
    "postgresql": (
        "async_fallback",
        "command_timeout",
        "max_cacheable_statement_size",
        "max_cached_statement_lifetime",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "timeout",
    ),
    "mysql": ("async_fallback", "echo", "maxsize", "minsize", "pool_recycle", "use_pure"),
}
"""What only tunes the application's driver, if one URL serves both."""


def arguments(url: URL) -> tuple[URL, dict[str, Any]]:
    """Return ``url`` without its options, and what our driver is called with beside it.

    Raises :class:`~tidings.errors.ConfigurationError` for an option with a value of a wrong kind.
    """
    dialect = url.get_backend_name()
    given = {k: v for k, v in url.query.items() if k not in _OF_OTHER_DRIVERS[dialect]}
    if dialect == "postgresql" and "ssl" in given:  # asyncpg's word
        mode = given.pop("ssl")
        given.setdefault("sslmode", "require" if mode == "true" else mode)
    typed = {name: _typed(dialect, name, value) for name, value in given.items()}
    kinds = _KINDS[dialect]
    rest = {name: value for name, value in given.items() if name not in kinds}
    extra = {name: value for name, value in typed.items() if name in kinds}
    defaults = {k: v for k, v in _UNLESS_GIVEN[dialect].items() if k not in given}
    return url.set(query=rest), defaults | extra | _ALWAYS[dialect]


def prepare(dialect: str, connection: Any) -> None:
    """Set on a new connection of the driver's what we depend on."""
    if dialect == "sqlite":
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        # A commit is on the disk when it returns: tidings says "stored" and "tracked" only then.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()
        return
    with connection.cursor() as cursor:
        for statement in _FIRST_STATEMENTS[dialect]:
            cursor.execute(statement)
    connection.commit()


def holdable(connection: Connection, words: str) -> str:
    """Return words of ours, or of a broker's, with what the database cannot hold escaped."""
    # PostgreSQL holds no zero, and no driver sends half a character.
    words = words.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    if connection.dialect.name != "postgresql":
        return words
    driver: Any = connection.connection.driver_connection
    if driver.info.parameter_status("server_encoding") in {"UTF8", "SQL_ASCII"}:
        return words
    return words.encode("ascii", "backslashreplace").decode()


def addresses(url: URL) -> str:
    """Return for people where ``url`` leads: every host, with its port, or the socket."""
    if url.host:
        return f"{url.host}:{url.port}" if url.port else url.host
    if socket := url.query.get("unix_socket"):
        return f"the socket {socket}"
    if service := url.query.get("service"):
        return f"the service {service!r}"
    hosts = _listed(url.query.get("host", ()))
    ports = _listed(url.query.get("port", ()))
    pairs = zip(hosts, ports or [""] * len(hosts), strict=False)
    return ", ".join(f"{host}:{port}" if port else host for host, port in pairs) or "localhost"


_SEVERAL = re.compile(r"(?P<login>[^/?]*@)?(?P<hosts>[^/?@]*,[^/?@]*)(?P<rest>.*)", re.DOTALL)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>\d*))?")


def with_hosts_as_option(url: str) -> str:
    """Return ``url`` with several hosts, as PostgreSQL writes them, as SQLAlchemy takes them."""
    scheme, _, rest = url.partition("://")
    several = _SEVERAL.fullmatch(rest)
    if several is None:
        return url
    found = [_HOST.fullmatch(part) for part in several["hosts"].split(",")]
    if not all(found):
        raise ValueError("a port is no number")
    hosts = ",".join(each["host"].strip("[]") for each in found if each)
    ports = ",".join(each["port"] or "" for each in found if each)
    path, _, query = several["rest"].partition("?")
    options = f"host={hosts}" + (f"&port={ports}" if ports.strip(",") else "")
    login = several["login"] or ""
    return f"{scheme}://{login}{path or '/'}?{options}{'&' if query else ''}{query}"


def _listed(value: str | tuple[str, ...]) -> list[str]:
    return [
        part for text in ((value,) if isinstance(value, str) else value) for part in text.split(",")
    ]


def _typed(dialect: str, name: str, value: str | tuple[str, ...]) -> Any:
    kind = _KINDS[dialect].get(name)
    if kind is None:
        return value
    try:
        return kind(value if isinstance(value, str) else value[-1])
    except (ValueError, LookupError):
        raise ConfigurationError(
            [f"The database's url has an option {name} that must be {_KIND_NAMES[kind]}."]
        ) from None


def _flag(text: str) -> bool:
    return _FLAGS[text.lower()]


def _number_or_none(text: str) -> int | None:
    return None if text.lower() == "none" else int(text)


_FLAGS = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_KIND_NAMES: Mapping[Any, str] = {
    int: "a whole number",
    _flag: "true or false",
    _number_or_none: "a whole number or None",
}
_KINDS: dict[str, dict[str, Callable[[str], Any]]] = {
    "sqlite": {},
    "postgresql": {"prepare_threshold": _number_or_none, "autocommit": _flag},
    "mysql": {
        "autocommit": _flag,
        "binary_prefix": _flag,
        "compress": _flag,
        "connect_timeout": int,
        "defer_connect": _flag,
        "max_allowed_packet": int,
        "read_timeout": int,
        "ssl_disabled": _flag,
        "ssl_verify_cert": _flag,
        "ssl_verify_identity": _flag,
        "write_timeout": int,
    },
}
"""Those of a driver's options that it does not take as text."""
