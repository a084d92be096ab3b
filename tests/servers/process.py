"""Server processes for tests: started on private ports, and gone when the test session is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

POLL_SECONDS = 0.02
PROBE_SECONDS = 5.0

# A child's parent-death signal comes when the *thread* that started it ends, so every child is
# started from this one thread, which lives as long as the interpreter.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="test-servers")

_ports_given: set[int] = set()


class ServerFailedError(RuntimeError):
    """A server ended, or never became ready; the message holds the end of its output."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, never the same one twice."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = int(listener.getsockname()[1])
        if port not in _ports_given:
            _ports_given.add(port)
            return port


def new_directory() -> Path:
    """Make a folder for one server, short enough for a Unix socket's path and open to its user.

    Not pytest's `tmp_path`: its parents are closed to other users, and PostgreSQL runs as one
    where the tests run as root.
    """
    directory = Path(tempfile.mkdtemp(prefix="tidings-"))
    directory.chmod(0o755)
    return directory


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Return once `condition()` is true; raise `TimeoutError` naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} seconds for {what}")
        time.sleep(POLL_SECONDS)


def answers(port: int, question: bytes, answer: bytes, *, skip: int = 0) -> bool:
    """Tell whether what listens on `port` answers `question` with `answer`, `skip` bytes in."""
    expected = skip + len(answer)
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), PROBE_SECONDS) as connection:
            connection.sendall(question)
            while len(received) < expected and (chunk := connection.recv(4096)):
                received += chunk
    except OSError:
        return False
    return received[skip:expected] == answer


def spawn(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    directory: Path,
    output: Path,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` with its output appended to `output`; on Linux it dies when we do."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

    def start() -> subprocess.Popen[bytes]:
        with output.open("ab") as log:
            return subprocess.Popen(
                [*prefix, *command],
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=user,
                # A Ctrl-C in the terminal is for the tests: they stop the servers in order.
                process_group=0,
            )

    return _starter.submit(start).result()


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    directory: Path,
    user: str | None = None,
    seconds: float = 60.0,
) -> str:
    """Run `command` to its end and return its output; raise `ServerFailedError` if it fails."""
    done = subprocess.run(
        command,
        env=dict(environment),
        cwd=directory,
        user=user,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=seconds,
    )
    if done.returncode:
        words = " ".join(str(word) for word in command)
        raise ServerFailedError(f"{words}\nended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class Server(ABC):
    """One server process with its own folder and ports, which stay the same over restarts.

    Not thread safe, but any thread may use it: a server started by a thread outlives it.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 60.0
    stop_seconds: ClassVar[float] = 30.0

    def __init__(self, directory: Path) -> None:
        """Put everything the server writes into `directory`, which exists or can be made."""
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    @abstractmethod
    def available() -> str | None:
        """Return None where the server is installed, else a sentence that says what to install."""

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
        self.directory.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._process = spawn(
            self.command(),
            environment=self.environment(),
            directory=self.directory,
            output=self.output,
            user=self.user(),
        )
        try:
            wait_for(self._ready_or_dead, f"{self.name} to get ready", self.start_seconds)
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
        family = _stopped_family(process.pid)
        _send(family, signal.SIGKILL)
        process.wait()
        self._wait_for_all(family, is_gone, "be gone")
        self._process = None

    def freeze(self) -> None:
        """Stop the server and its children where they are (`SIGSTOP`): connected, but silent."""
        self._wait_for_all(_stopped_family(self.pid), _is_stopped, "freeze")

    def thaw(self) -> None:
        """Let a frozen server go on (`SIGCONT`); no effect on a running one."""
        server = psutil.Process(self.pid)
        _send([server, *server.children(recursive=True)], signal.SIGCONT)

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
        wait_for(
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


def base_environment(directory: Path) -> dict[str, str]:
    """Return the little environment that a server needs to run in `directory`."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def _stopped_family(pid: int) -> list[psutil.Process]:
    """Stop `pid` and its descendants; return all of them."""
    family = [psutil.Process(pid)]
    _send(family, signal.SIGSTOP)
    # A stopped process starts no more children, so this goes down until nobody is left to stop.
    while new := [child for child in family[0].children(recursive=True) if child not in family]:
        _send(new, signal.SIGSTOP)
        family += new
    return family


def _send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def is_gone(process: psutil.Process) -> bool:
    """Tell whether the process has ended; nobody need have waited for it."""
    # A zombie whose new parent never waits for it holds neither a port nor a file.
    return _status(process) in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def _is_stopped(process: psutil.Process) -> bool:
    return _status(process) == psutil.STATUS_STOPPED or is_gone(process)


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD
