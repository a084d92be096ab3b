"""Fresh databases in a database server, whoever started it."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator


def create_database(server_url: str, *, encoding: str | None = None) -> str:
    """Make a new, empty database in the server and return its URL; the name is unique.

    ``encoding`` is PostgreSQL's; without one it is the server's own, mostly UTF-8.
    """
    url = make_url(server_url)
    name = f"tidings_{uuid.uuid4().hex[:12]}"
    options = "" if url.get_backend_name() == "postgresql" else " CHARACTER SET utf8mb4"
    if encoding:
        options = f" ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    with _connection(url) as connection:
        connection.execute(text(f"CREATE DATABASE {name}{options}"))
    return url.set(database=name).render_as_string(hide_password=False)


def drop_database(server_url: str, database_url: str) -> None:
    """Drop a database that `create_database` made, also while somebody is connected to it."""
    force = " WITH (FORCE)" if make_url(server_url).get_backend_name() == "postgresql" else ""
    with _connection(make_url(server_url)) as connection:
        connection.execute(
            text(f"DROP DATABASE IF EXISTS {make_url(database_url).database}{force}")
        )


@contextmanager
def _connection(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
