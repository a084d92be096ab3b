"""MariaDB, or MySQL if that is what is installed, for tests."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tests.servers.databases import create_database
from tests.servers.process import answers, free_port, run
from tests.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SYSTEM_PATH = "/usr/sbin:/usr/local/sbin"
PROTOCOL_10 = b"\x0a"  # the greeting's first byte, after its packet's header


class MariaDB(Server):
    """A MariaDB (or MySQL) server whose `root` needs no password."""

    name: ClassVar[str] = "MariaDB"

    def __init__(self, directory: Path, *, settings: Sequence[str] = ()) -> None:
        """Configure the server; `settings` are further `name=value` of my.cnf."""
        super().__init__(directory)
        self.port = free_port()
        self.settings = settings

    @staticmethod
    @override
    def available() -> str | None:
        """Return None if MariaDB or MySQL is installed, else what to install."""
        if _program("mariadbd", "mysqld"):
            return None
        return "MariaDB is not installed: install the package mariadb-server"

    @property
    @override
    def url(self) -> str:
        """The SQLAlchemy URL of root's session, in no database of ours."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/mysql?charset=utf8mb4"

    def new_database(self) -> str:
        """Make an empty database (utf8mb4) and return its URL."""
        return create_database(self.url)

    @override
    def prepare(self) -> None:
        """Make the system's tables, the first time."""
        if self._data.exists():
            return
        installer = _program("mariadb-install-db", "mysql_install_db")
        if installer:
            command = [installer, "--no-defaults", "--auth-root-authentication-method=normal"]
        else:
            command = [server_program(), "--no-defaults", "--initialize-insecure"]
        run(
            [*command, f"--datadir={self._data}", *_user_option()],
            environment=self.environment(),
            directory=self.directory,
        )

    @override
    def command(self) -> Sequence[str | Path]:
        """Return the server's command."""
        return [
            server_program(),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M",
            # A probe hangs up without logging in, which counts against its host.
            "--max-connect-errors=1000000",
            *_user_option(),
            *(f"--{setting}" for setting in self.settings),
        ]

    @override
    def ready(self) -> bool:
        """Wait for the server's greeting, which comes unasked."""
        return answers(self.port, b"", PROTOCOL_10, skip=4)

    @property
    def _data(self) -> Path:
        return self.directory / "data"


def server_program() -> str:
    """Return the path of the server's program, MariaDB's if both are installed."""
    return _program("mariadbd", "mysqld") or "mariadbd"


def _program(*names: str) -> str | None:
    # The server is often in sbin, which is not on everybody's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_PATH])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def _user_option() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []
