"""PostgreSQL for tests, also if they run as root, which PostgreSQL refuses to."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import struct
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tests.servers.databases import create_database
from tests.servers.process import answers, free_port, run
from tests.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

SUPERUSER = "postgres"
PACKAGED = Path("/usr/lib/postgresql")
_STARTUP = struct.pack(">I", 196608) + b"user\0postgres\0database\0postgres\0\0"
PROBE = struct.pack(">I", len(_STARTUP) + 4) + _STARTUP  # answered by R, or E while it recovers


class PostgreSQL(Server):
    """A PostgreSQL cluster that trusts everybody on this machine.

    As root it runs as the user `postgres`, who must be able to reach `directory`
    (`new_directory` makes such a folder).
    """

    name: ClassVar[str] = "PostgreSQL"
    # Fast shutdown: TERM would wait for every client to go.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self, directory: Path, *, fsync: bool = True, settings: Sequence[str] = ()
    ) -> None:
        """Configure the cluster; `settings` are further `name=value` of postgresql.conf."""
        super().__init__(directory)
        self.port = free_port()
        self.settings = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={directory}",
            "max_prepared_transactions=10",
            "timezone=UTC",
            f"fsync={'on' if fsync else 'off'}",
            *settings,
        ]

    @staticmethod
    @override
    def available() -> str | None:
        """Return None if PostgreSQL is installed, else what to install."""
        if _binaries() is None:
            return "PostgreSQL is not installed: install the package postgresql"
        if os.geteuid() == 0 and not _user_exists(SUPERUSER):
            return "PostgreSQL does not run as root: add a user postgres, or use another account"
        return None

    @property
    @override
    def url(self) -> str:
        """The SQLAlchemy URL of the superuser's own database."""
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port}/postgres"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        return create_database(self.url)

    @override
    def user(self) -> str | None:
        """Return `postgres` if we are root."""
        return SUPERUSER if os.geteuid() == 0 else None

    @override
    def prepare(self) -> None:
        """Make the cluster, the first time."""
        if self.user():
            shutil.chown(self.directory, SUPERUSER)
        if self._data.exists():
            return
        run(
            [
                *(program("initdb"), "-D", self._data, "-U", SUPERUSER, "-A", "trust"),
                *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ],
            environment=self.environment(),
            directory=self.directory,
            user=self.user(),
        )

    @override
    def command(self) -> Sequence[str | Path]:
        """Return the server's own command: `pg_ctl` would leave it as somebody else's child."""
        options = [word for setting in self.settings for word in ("-c", setting)]
        return [program("postgres"), "-D", self._data, *options]

    @override
    def ready(self) -> bool:
        """Ask for a session, which is refused while the server still recovers."""
        return answers(self.port, PROBE, b"R")

    @property
    def _data(self) -> Path:
        return self.directory / "data"


def _binaries() -> Path | None:
    """Find the newest packaged version's programs, else those on the PATH."""
    packaged = [path.parent for path in PACKAGED.glob("*/bin/postgres")]
    if packaged:
        return max(packaged, key=lambda path: _version(path.parent.name))
    found = shutil.which("postgres")
    return Path(found).parent if found and shutil.which("initdb") else None


def program(name: str) -> Path:
    """Return the path of one of the newest packaged PostgreSQL's programs."""
    binaries = _binaries()
    return binaries / name if binaries else Path(name)


def _version(folder: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder))


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
