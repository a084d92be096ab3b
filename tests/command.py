"""A folder with a `tidings.toml`, and the `tidings` command run there as a user would.

Commands that end by themselves run in processes forked from one that has imported everything
already. There are hundreds of them, and imports take half a second. Those in the background are
started as a user starts them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import pytest

from tidings.cli.main import COMMANDS, main
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 120
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["sqlalchemy.orm", "tidings.sql.event_store", "tidings.sql.tracker", "tidings.sql.retention"]
    + [f"tidings.cli.{name.replace('-', '_')}" for name in COMMANDS]
    + ["tidings.bootstrap", "tests.command"]
)


class Streams(NamedTuple):
    """Files that stand for a command's standard streams."""

    stdin: Path
    stdout: Path
    stderr: Path


def _run(
    arguments: tuple[str, ...], folder: Path, environment: dict[str, str], streams: Streams
) -> None:
    """Be the command: in a process of its own."""
    os.dup2(os.open(streams.stdin, os.O_RDONLY), 0)
    os.dup2(os.open(streams.stdout, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(os.open(streams.stderr, os.O_WRONLY | os.O_CREAT), 2)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("error")
    sys.argv = ["tidings", *arguments]
    main()


@dataclass(frozen=True)
class Result:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Project:
    """A folder to run `tidings` in."""

    folder: Path

    def configure(self, text: str) -> None:
        (self.folder / "tidings.toml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str, stdin: str | bytes = b"", **environment: str) -> Result:
        """Run a command to its end."""
        with TemporaryDirectory() as name:
            streams = Streams(*(Path(name, stream) for stream in ("in", "out", "err")))
            streams.stdin.write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
            process = FORKS.Process(
                target=_run, args=(arguments, self.folder, self._environment(environment), streams)
            )
            process.start()
            process.join(PATIENCE)
            if process.exitcode is None:
                process.kill()
                process.join()
                pytest.fail(f"{arguments} was not done in {PATIENCE} s: {streams}")
            code = process.exitcode
            process.close()
            return Result(code, streams.stdout.read_text(), streams.stderr.read_text())

    def succeed(self, *arguments: str, stdin: str | bytes = b"", **environment: str) -> Result:
        """Run a command that must end well."""
        result = self.run(*arguments, stdin=stdin, **environment)
        assert result.code == 0, result.err
        return result

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """Start a command; kill it at the end of the context if it still runs."""
        with (self.folder / "out").open("w+b") as out, (self.folder / "err").open("w+b") as err:
            process = subprocess.Popen(
                self._command(arguments),
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env=self._environment(environment),
            )
            try:
                yield Running(process, out, err)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGCONT)
                    process.kill()
                process.wait()

    def append(self, *events: dict[str, Any]) -> None:
        self.succeed("append", stdin="".join(json.dumps(event) + "\n" for event in events))

    def append_numbers(self, first: int, last: int) -> None:
        """Append an event for each number, with the number in its body."""
        self.append(*({"type_name": "Numbered", "body": {"n": n}} for n in range(first, last + 1)))

    def status(self, exchange: str) -> dict[str, Any]:
        rows = json.loads(self.succeed("status", "--json").out)["exchanges"]
        found: dict[str, Any] = next(row for row in rows if row["exchange"] == exchange)
        return found

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-W", "error", "-m", "tidings", *arguments]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TIDINGS_")}
        return {**kept, **more}


@dataclass(frozen=True)
class Running:
    """A `tidings` command in the background."""

    process: subprocess.Popen[bytes]
    _out: IO[bytes]
    _err: IO[bytes]

    @property
    def out(self) -> str:
        return _whole(self._out)

    @property
    def err(self) -> str:
        return _whole(self._err)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The whole lines of standard output, as JSON."""
        return [json.loads(line) for line in self.out.splitlines(keepends=True) if line[-1] == "\n"]

    def wait_for_log(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until `text` stands in what it logged."""
        eventually(lambda: text in self.err or self._ended(), f"{text!r} in the log", seconds)
        assert text in self.err, self.err

    def terminate(self, seconds: float = 10) -> int:
        """Send SIGTERM; return how it ended."""
        self.process.terminate()
        return self.process.wait(seconds)

    def _ended(self) -> bool:
        return self.process.poll() is not None


def _whole(file: IO[bytes]) -> str:
    with open(file.name, "rb") as again:  # noqa: PTH123 - a name that the file itself gives
        return again.read().decode()
