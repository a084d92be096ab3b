"""What the URL of a database says: which one it is, and its name for people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tidings.errors import ConfigurationError
from tidings.sql import driver
from tidings.sql.settings import sqlalchemy_url

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from tidings.sql.settings import SqlAlchemySettings

TITLES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "sqlite": "SQLite"}
"""What people call the kinds of databases."""

_PORTS = {"postgresql": 5432, "mysql": 3306, "sqlite": 0}
_LOOPBACK = {"127.0.0.1", "::1"}
_NO_HOST = re.compile("^//(localhost)?/")


def url_of(settings: SqlAlchemySettings) -> URL:
    """Return the URL, or raise ``ConfigurationError``, which shows nothing of it."""
    try:
        url = sqlalchemy_url(settings.url)
        return make_url(driver.with_hosts_as_option(url) if url.startswith("postgresql") else url)
    except (ArgumentError, ValueError):  # of the port: their texts hold parts of the URL
        raise unreadable() from None


def unreadable() -> ConfigurationError:
    """Return what to say of a URL that cannot be read."""
    return ConfigurationError(
        [
            (
                "The database's url cannot be read: is its port a number, and are the "
                "characters @ : / % in its password percent-encoded?"
            )
        ]
    )


def place(url: URL) -> tuple[str, ...]:
    """Return which database it is; see :attr:`Database.place`."""
    name = url.get_backend_name()
    if (path := file_of(url)) is not None:
        return (name, str(path.resolve()))
    host = (url.host or driver.addresses(url)).lower()
    port = url.port or _PORTS[name]
    return (name, "localhost" if host in _LOOPBACK else host, str(port), url.database or "")


def file_of(url: URL) -> Path | None:
    """Return the file of a SQLite database; ``None`` if it is none, or in memory."""
    if url.get_backend_name() != "sqlite":
        return None
    name = url.database or ""
    if "uri" not in url.query or not name.startswith("file:"):
        return Path(name)
    # As SQLite reads it: file:events.db, file:/srv/events.db or file:///srv/events.db.
    path = unquote(_NO_HOST.sub("/", name.removeprefix("file:"), count=1))
    return None if path == ":memory:" or url.query.get("mode") == "memory" else Path(path)


def name_of(url: URL) -> str:
    """Return what a database is called in sentences; no secret is in it."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite database {url.database}"
    title = TITLES[url.get_backend_name()]
    user = f" as user {url.username!r}" if url.username else ""
    return f"{title} database {url.database or ''!r} at {driver.addresses(url)}{user}"
