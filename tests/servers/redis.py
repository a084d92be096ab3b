"""Redis for tests."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tests.servers.process import answers, free_port
from tests.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Redis(Server):
    """A Redis that has written each command to its log before it answers."""

    name: ClassVar[str] = "Redis"

    def __init__(self, directory: Path) -> None:
        """Take a port."""
        super().__init__(directory)
        self.port = free_port()

    @staticmethod
    @override
    def available() -> str | None:
        """Return None if Redis is installed, else what to install."""
        if shutil.which("redis-server"):
            return None
        return "Redis is not installed: install the package redis-server"

    @property
    @override
    def url(self) -> str:
        """The address of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @override
    def prepare(self) -> None:
        """Nothing to make."""

    @override
    def command(self) -> Sequence[str | Path]:
        """Return the server's command."""
        return [
            shutil.which("redis-server") or "redis-server",
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
        ]

    @override
    def ready(self) -> bool:
        """Ask PING, which is refused while it still loads its log."""
        return answers(self.port, b"PING\r\n", b"+PONG")
