"""The databases that hold the events, and what can be done to them."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool
from typing_extensions import override

from tests.servers import PostgreSQL
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection


class Database:
    """A SQLite file: what most disturbances are played on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def url(self) -> str:
        """Where the test finds it."""
        return f"sqlite:///{self.folder}/events.db"

    @property
    def relay_url(self) -> str:
        """Where relays find it."""
        return self.url

    def start(self) -> None:
        """Make it ready for tables."""

    def stop(self) -> None:
        """End it."""

    def stored_ids(self) -> list[int]:
        """Read the ids of all events, past the event store."""
        with self.connection(self.url) as connection:
            rows = connection.execute(text("SELECT event_id FROM event ORDER BY event_id"))
            return [int(row[0]) for row in rows]

    @contextmanager
    def connection(self, url: str) -> Iterator[Connection]:
        """Connect past the event store."""
        engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            yield connection
        engine.dispose()


class SmallDisk(Database):
    """A SQLite file on a disk of its own, which can be filled."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "disk")

    @staticmethod
    def available() -> str | None:
        """Return why there can be none here, if so."""
        return None if os.geteuid() == 0 else "only root can mount a small disk"

    @override
    def start(self) -> None:
        self.folder.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256m", "tidings-chaos", self.folder], check=True
        )

    @override
    def stop(self) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte, until the end of the ``with``."""
        ballast = self.folder / "ballast"
        with self.connection(self.url) as reader:
            # SQLite writes where it has room in its log: let it have none, and begin nothing anew.
            reader.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            reader.execute(text("BEGIN"))
            reader.execute(text("SELECT max(event_id) FROM event")).all()
            for size in (1 << 20, 512):
                with suppress(OSError), ballast.open("ab", buffering=0) as file:
                    while file.write(bytes(size)):
                        pass
            yield
        ballast.unlink()


class PostgreSQLDatabase(Database):
    """A database of a PostgreSQL of its own, which relays reach through a proxy."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = PostgreSQL(folder / "postgresql")

    @property
    @override
    def url(self) -> str:
        return self._url

    @property
    @override
    def relay_url(self) -> str:
        proxied = make_url(self._url).set(port=self.proxy.address[1])
        return proxied.render_as_string(hide_password=False)

    @override
    def start(self) -> None:
        self.server.start()
        self._url = self.server.new_database()
        self.proxy = TcpProxy("127.0.0.1", self.server.port)

    @override
    def stop(self) -> None:
        self.proxy.close()
        self.server.stop()

    def set_read_only(self, read_only: bool) -> None:
        """Let new sessions only read, or write again; and end those there are when it begins."""
        name = make_url(self._url).database
        state = "on" if read_only else "off"
        with self.connection(self.server.url) as connection:
            connection.execute(
                text(f"ALTER DATABASE {name} SET default_transaction_read_only = {state}")
            )
            if read_only:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = :name"
                    ),
                    {"name": name},
                )
