"""The command's standard streams: one place that writes, and that knows what may go wrong."""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from typing_extensions import override

from tidings import standard_output
from tidings.blame import sentence_of
from tidings.errors import ConfigurationError, TidingsError
from tidings.shown import escaped, shown, shown_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed import ReadableBuffer

_ESCAPED = "tidings.escaped"


class OutputError(TidingsError):
    """Standard output takes nothing more."""


def open_streams() -> None:
    """Make all three standard streams usable, whatever the process was started with.

    A number that is closed would be given to the next file that is opened, a database perhaps.
    """
    _occupy(0, os.O_WRONLY)  # reading from it fails
    closed = _occupy(1, os.O_RDONLY)  # writing to it fails
    _occupy(2, os.O_WRONLY)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - a number
    encoding = "utf-8" if closed or sys.stdout is None else sys.stdout.encoding
    codecs.register_error(_ESCAPED, _escape)
    raw = StandardOutput(os.dup(1), "w", closefd=False)
    ours = io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors=_ESCAPED)
    standard_output.keep(ours)
    sys.stdout = ours
    os.dup2(2, 1)  # what libraries written in C print, and processes that they start


def divert_foreign() -> None:
    """From here on, what is printed by others than us goes to standard error."""
    sys.stdout = sys.stderr


def echo(line: object = "", *, err: bool = False) -> None:
    """Print one line; whatever is in it, it stays one line and moves no cursor."""
    if err:
        with telling():
            _print(line, sys.stderr)
    else:
        _print(line, standard_output.stream())


def echo_json(value: Any, indent: int | None = 2) -> None:
    """Print ``value`` as JSON for scripts; in one line without ``indent``."""
    for line in shown_json(
        json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    ).split("\n"):
        echo(line)


def end_torn_line() -> None:
    """End the last line of a file that is appended to, if it was cut short there."""
    with suppress(AttributeError, OSError, ValueError):  # what is printed next tells of it
        standard_output.write_lines(b"")


def sentences(error: Exception) -> Iterable[str]:
    """Return what an error says: a line for each problem of a configuration, else one."""
    if isinstance(error, ConfigurationError):
        where = f"{error.source}: " if error.source else ""
        return [f"{where}{problem}" for problem in error.problems]
    return [sentence_of(error)]


@contextmanager
def telling() -> Iterator[None]:
    """Let what is said go nowhere if standard error takes nothing, at the exit too."""
    try:
        yield
    except OSError:  # there is nobody left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def give_up_output() -> None:
    """Let what is left for standard output go nowhere, so that nothing fails at the exit."""
    with suppress(AttributeError, OSError, ValueError):
        number = standard_output.stream().fileno()  # type: ignore[union-attr]
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


class StandardOutput(io.FileIO):
    """The stream's lowest layer: waits for who reads it, whoever made it not wait by itself."""

    @override
    def write(self, data: ReadableBuffer, /) -> int:
        while True:
            try:
                taken: int | None = super().write(data)
            except OSError as error:
                raise OutputError(_why(error)) from error
            if taken is not None:
                return taken
            standard_output.await_room(self.fileno())


def _print(line: object, stream: TextIO | None) -> None:
    if stream is not None:
        stream.write(f"{shown(line)}\n")
        stream.flush()


def _why(error: OSError) -> str:
    if error.errno == errno.EPIPE:
        return "Standard output was closed by the program that read it."
    if error.errno == errno.EBADF:
        return "Standard output is closed, and there is something to print."
    return f"Cannot write to standard output: {error.strerror}."


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Write what the locale lacks as JSON does, so that JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return escaped(error.object[error.start : error.end]), error.end


def _occupy(number: int, mode: int) -> bool:
    """Open ``number`` on nothing, if it is closed; return whether it was."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, mode)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        return True
    return False
