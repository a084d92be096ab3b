"""PgBouncer before a PostgreSQL of the tests, giving each transaction another connection."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import make_url
from typing_extensions import override

from tests.servers.databases import create_database
from tests.servers.postgresql import SUPERUSER
from tests.servers.process import answers, free_port
from tests.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SYSTEM_PATH = "/usr/sbin:/usr/local/sbin"
_STARTUP = struct.pack(">I", 196608) + b"user\0postgres\0database\0pgbouncer\0\0"
PROBE = struct.pack(">I", len(_STARTUP) + 4) + _STARTUP


class PgBouncer(Server):
    """A pooler in transaction mode whose users need no password."""

    name: ClassVar[str] = "PgBouncer"

    def __init__(self, directory: Path, *, before: str, settings: Sequence[str] = ()) -> None:
        """Configure the pooler before the server with the URL `before`."""
        super().__init__(directory)
        self.port = free_port()
        self.before = make_url(before)
        self.settings = settings

    @staticmethod
    @override
    def available() -> str | None:
        """Return None if PgBouncer is installed, else what to install."""
        return None if _program() else "PgBouncer is not installed: install the package pgbouncer"

    @staticmethod
    def version() -> tuple[int, ...]:
        """Return the version that is installed; of none, nothing."""
        if not (program := _program()):
            return ()
        said = subprocess.run([program, "--version"], capture_output=True, check=True)
        found = re.search(rb"PgBouncer (\d+)\.(\d+)", said.stdout)
        return tuple(map(int, found.groups())) if found else ()

    @property
    @override
    def url(self) -> str:
        """The SQLAlchemy URL of the superuser's own database, through the pooler."""
        return self.through(self.before.render_as_string(hide_password=False))

    def through(self, url: str) -> str:
        """Return the URL of a database of the server, through the pooler."""
        return make_url(url).set(port=self.port).render_as_string(hide_password=False)

    def new_database(self) -> str:
        """Make an empty database and return its URL through the pooler."""
        return self.through(create_database(self.before.render_as_string(hide_password=False)))

    @override
    def user(self) -> str | None:
        """Return `postgres` if we are root, as which PgBouncer does not run."""
        return SUPERUSER if os.geteuid() == 0 else None

    @override
    def prepare(self) -> None:
        """Write the configuration."""
        lines = [
            "[databases]",
            f"* = host=127.0.0.1 port={self.before.port}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = trust",
            f"auth_file = {self.directory / 'users'}",
            "pool_mode = transaction",
            "default_pool_size = 3",
            # The connection that has rested longest comes next: nobody gets the same one twice.
            "server_round_robin = 1",
            *self.settings,
        ]
        (self.directory / "users").write_text(f'"{SUPERUSER}" ""\n')
        (self.directory / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        if user := self.user():
            shutil.chown(self.directory, user)

    @override
    def command(self) -> Sequence[str | Path]:
        """Return the pooler's command."""
        return [_program() or "pgbouncer", self.directory / "pgbouncer.ini"]

    @override
    def ready(self) -> bool:
        """Ask for a session with its console."""
        return answers(self.port, PROBE, b"R") or answers(self.port, PROBE, b"E")


def _program() -> str | None:
    # It is often in sbin, which is not on everybody's PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_PATH])
    return shutil.which("pgbouncer", path=path)
