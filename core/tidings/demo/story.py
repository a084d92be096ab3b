"""What the demo does, one step after another, with nothing but the ``tidings`` command."""

from __future__ import annotations

import json
import os
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


@dataclass(slots=True)
class Stage:
    """A folder with a configuration, and the ``tidings`` commands run there."""

    folder: Path
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def write_configuration(self) -> None:
        """Write a ``tidings.toml`` on a free port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        text = CONFIGURATION.format(folder=self.folder, port=port)
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

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command in the background; it ends with the stage."""
        process = subprocess.Popen(  # noqa: S603 - our own command
            self._command(arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self._environment(),
        )
        self._processes.append(process)
        return process

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


def received(listener: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """Return what a ``tidings listen`` printed, when it has ended."""
    try:
        out, err = listener.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise TidingsError(f"The subscriber did not get everything in {PATIENCE} s.") from None
    if listener.returncode:
        raise TidingsError(err.decode(errors="replace").strip())
    return [json.loads(line) for line in out.splitlines()]
