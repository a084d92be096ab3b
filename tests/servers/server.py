"""What all test servers have in common: a server is started, killed, frozen and started again."""

from __future__ import annotations

import signal
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import psutil

from tests.servers import marked
from tests.servers.process import (
    ServerFailedError,
    base_environment,
    is_gone,
    is_stopped,
    send,
    spawn,
    stopped_family,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Server(ABC):
    """One server process with its own folder and ports, which stay the same over restarts.

    Not thread safe, but any thread may use it: a server started by a thread outlives it.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 120.0
    stop_seconds: ClassVar[float] = 60.0

    def __init__(self, directory: Path) -> None:
        """Put everything the server writes into `directory`, which exists or can be made."""
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    @abstractmethod
    def available() -> str | None:
        """Return None if the server is installed, else a sentence that says what to install."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The server's address, as it stands in tidings.toml."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what must exist before the process starts; called at each start."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """Return the command that *becomes* the server: the child's pid is the server's."""

    @abstractmethod
    def ready(self) -> bool:
        """Ask the server, in its own protocol, whether it serves clients now."""

    def environment(self) -> dict[str, str]:
        """Return all of the server's environment: nothing of ours leaks into it."""
        return base_environment(self.directory)

    def user(self) -> str | None:
        """Return the user to run the server as, or None for our own."""
        return None

    @property
    def output(self) -> Path:
        """The file that holds what the server wrote to its standard output and error."""
        return self.directory / "output.log"

    @property
    def pid(self) -> int:
        """The running server's process id."""
        return self._running().pid

    def start(self) -> None:
        """Start the server, and return when it serves clients."""
        if self._process is not None:
            raise RuntimeError(f"this {self.name} is already running")
        marked.refuse_others()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._process = spawn(
            self.command(),
            environment=self.environment(),
            directory=self.directory,
            output=self.output,
            user=self.user(),
        )
        from tidings.testing import eventually  # noqa: PLC0415 - loads pytest, which benchmarks do without

        try:
            eventually(self._ready_or_dead, f"{self.name} to get ready", self.start_seconds)
        except (TimeoutError, ServerFailedError) as error:
            self.stop()
            raise ServerFailedError(f"{error}\n{self._last_words()}") from error

    def stop(self) -> None:
        """Ask the server to end (kill it if it doesn't), and wait; no error if none runs."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server and its children with `kill -9`, and wait until they are gone."""
        process = self._running()
        family = stopped_family(process.pid)
        send(family, signal.SIGKILL)
        process.wait()
        self._wait_for_all(family, is_gone, "be gone")
        self._process = None

    def freeze(self) -> None:
        """Stop the server and its children where they are (`SIGSTOP`): connected, but silent."""
        self._wait_for_all(stopped_family(self.pid), is_stopped, "freeze")

    def thaw(self) -> None:
        """Let a frozen server go on (`SIGCONT`); no effect on a running one."""
        server = psutil.Process(self.pid)
        send([server, *server.children(recursive=True)], signal.SIGCONT)

    def restart(self) -> None:
        """Stop the server if it runs, and start it with the same ports, settings and data."""
        self.stop()
        self.start()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"this {self.name} is not running")
        return self._process

    def _wait_for_all(
        self,
        processes: list[psutil.Process],
        condition: Callable[[psutil.Process], bool],
        what: str,
    ) -> None:
        from tidings.testing import eventually  # noqa: PLC0415 - loads pytest, which benchmarks do without

        eventually(
            lambda: all(map(condition, processes)), f"{self.name} to {what}", self.stop_seconds
        )

    def _ready_or_dead(self) -> bool:
        code = self._running().poll()
        if code is not None:
            raise ServerFailedError(f"{self.name} ended with {code} before it was ready")
        return self.ready()

    def _last_words(self) -> str:
        lines = self.output.read_text(errors="replace").splitlines() if self.output.exists() else []
        return "\n".join(lines[-40:])
