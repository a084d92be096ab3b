"""Processes and ports for the test servers: nothing here outlives the test session."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Where no system takes the ports of outgoing connections from (Linux begins at 32768, others at
# 49152). Any connection may take one of those while a server that had it is down.
OUR_PORTS = range(12_000, 22_000)
PROBE_SECONDS = 5.0

# A child's parent-death signal comes when the *thread* that started it ends. So every child is
# started from this one thread, which lives as long as the interpreter.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="test-servers")

# Test processes that run side by side must not be given the same port before either listens.
_OWN_NOTES = str(Path(tempfile.gettempdir()) / f"tidings-ports-{os.getpid()}")
_ports_given = Path(os.environ.setdefault("TIDINGS_TEST_PORTS", _OWN_NOTES))


class ServerFailedError(RuntimeError):
    """A server ended, or never became ready; the message holds the end of its output."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on, never the same one twice.

    A server that is killed and started again finds its port free again: see `OUR_PORTS`.
    """
    _ports_given.mkdir(exist_ok=True)
    while True:
        port = secrets.choice(OUR_PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            (_ports_given / str(port)).touch(exist_ok=False)
            return port


def forget_ports() -> None:
    """Remove the notes of which ports were given, if this process began them."""
    shutil.rmtree(_OWN_NOTES, ignore_errors=True)


def new_directory() -> Path:
    """Make a folder for one server, short enough for a Unix socket's path and open to its user.

    Not pytest's `tmp_path`: its parents are closed to other users, and PostgreSQL runs as one
    if the tests run as root.
    """
    directory = Path(tempfile.mkdtemp(prefix="tidings-"))
    directory.chmod(0o755)
    return directory


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


def listens(port: int) -> bool:
    """Tell whether anything accepts connections on `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


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
    seconds: float = 120.0,
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


def base_environment(directory: Path) -> dict[str, str]:
    """Return the little environment that a server needs to run in `directory`."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
    }


def stopped_family(pid: int) -> list[psutil.Process]:
    """Stop `pid` and its descendants; return all of them."""
    family = [psutil.Process(pid)]
    send(family, signal.SIGSTOP)
    # A stopped process starts no more children, so this goes down until nobody is left to stop.
    while new := [child for child in family[0].children(recursive=True) if child not in family]:
        send(new, signal.SIGSTOP)
        family += new
    return family


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal each of the processes that is still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def is_gone(process: psutil.Process) -> bool:
    """Tell whether the process has ended; nobody need have waited for it."""
    # A zombie whose new parent never waits for it holds neither a port nor a file.
    return _status(process) in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def is_stopped(process: psutil.Process) -> bool:
    """Tell whether the process stands still, or has ended."""
    return _status(process) == psutil.STATUS_STOPPED or is_gone(process)


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD
