"""What the demo does, one step after another, with nothing but the ``tidings`` command."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidings.errors import TidingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXCHANGE = "commits"
PATIENCE = 60
"""Seconds after which a step is given up."""
# No system takes the ports of outgoing connections from here. A subscriber that looks for a
# stopped relay on one of those can connect to itself, and keep the relay from its port.
PORTS = range(12_000, 32_000)

CONFIGURATION = """\
[event_store]
url = "sqlite:///{folder}/events.db"

[exchanges.commits]
producer = "zeromq"

[producers.zeromq]
bind = "tcp://127.0.0.1:{port}"
subscribers = ["app"]
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What arrived, against what was stored."""

    stored: Sequence[str]
    arrived: Sequence[str]

    @property
    def lost(self) -> int:
        """How many commits never arrived."""
        return len(set(self.stored) - set(self.arrived))

    @property
    def twice(self) -> int:
        """How many arrived more than once."""
        return len(self.arrived) - len(set(self.arrived))

    @property
    def in_order(self) -> bool:
        """Whether they came in the order in which they were stored."""
        return list(dict.fromkeys(self.arrived)) == [
            s for s in self.stored if s in set(self.arrived)
        ]


@dataclass(frozen=True, slots=True)
class Listener:
    """A ``tidings listen`` that runs, and the file that it prints to.

    A file, because nobody reads while it runs: it would wait at a pipe that is full.
    """

    process: subprocess.Popen[bytes]
    printed: Path

    def received(self) -> list[dict[str, Any]]:
        """Return what it printed, when it has ended."""
        try:
            _, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise TidingsError(f"The subscriber did not get everything in {PATIENCE} s.") from None
        if self.process.returncode:
            raise TidingsError(err.decode(errors="replace").strip())
        return [json.loads(line) for line in self.printed.read_bytes().splitlines()]


@dataclass(slots=True)
class Stage:
    """A folder with a configuration, and the ``tidings`` commands run there."""

    folder: Path
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def write_configuration(self) -> None:
        """Write a ``tidings.toml`` on a free port."""
        text = CONFIGURATION.format(folder=self.folder, port=_free_port())
        (self.folder / "tidings.toml").write_text(text, encoding="utf-8")

    def tidings(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run a command to its end; return what it prints."""
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                self._command(arguments),
                input=stdin,
                capture_output=True,
                cwd=self.folder,
                timeout=PATIENCE,
                check=False,
                env=self._environment(),
            )
        except subprocess.TimeoutExpired as slow:
            raise TidingsError(
                f"`tidings {' '.join(arguments)}` was not done in {PATIENCE} s. "
                f"{(slow.stderr or b'').decode(errors='replace').strip()}"
            ) from None
        if done.returncode:
            raise TidingsError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode()

    def start(self, *arguments: str) -> Listener:
        """Start a command in the background; it ends with the stage."""
        printed = self.folder / f"{arguments[0]}.out"
        with printed.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - our own command
                self._command(arguments),
                stdout=out,
                stderr=subprocess.PIPE,
                cwd=self.folder,
                env=self._environment(),
            )
        self._processes.append(process)
        return Listener(process, printed)

    def clear(self) -> None:
        """End what still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "tidings", "--config", "tidings.toml", *arguments]

    def _environment(self) -> dict[str, str]:
        """Return the environment without settings that would change the demo's configuration."""
        return {k: v for k, v in os.environ.items() if not k.startswith("TIDINGS_")}


def _free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
