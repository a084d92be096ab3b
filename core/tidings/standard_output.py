"""The process's standard output, for those who may write to it.

The command keeps it for itself. What a plugin, or a library, prints goes to standard error, so that
it cannot get between lines of JSON. In any other process it is ``sys.stdout``.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import threading
from pathlib import Path
from typing import TextIO

_kept: TextIO | None = None
_holds_data = False
_NEWLINE = ord("\n")
_writing = threading.Lock()
_ends_torn: bool | None = None
"""Whether the last line there lacks its end; ``None`` while nobody has looked."""


def keep(stream: TextIO) -> None:
    """Keep ``stream``, whatever ``sys.stdout`` becomes."""
    global _kept  # noqa: PLW0603 - a process has one
    _kept = stream


def stream() -> TextIO | None:
    """Return it; ``None`` if the process has none."""
    return _kept or sys.stdout


def descriptor_for_data() -> int:
    """Return its number, for data that no sentence may stand between.

    Raises ``AttributeError`` or ``ValueError`` if there is none, or it is no real one.
    """
    global _holds_data  # noqa: PLW0603 - as above
    found = stream()
    found.flush()  # type: ignore[union-attr] # what was printed before stays before
    number = found.fileno()  # type: ignore[union-attr]
    _holds_data = True
    return number


def holds_data() -> bool:
    """Return whether somebody writes data to it."""
    return _holds_data


def write_lines(data: bytes) -> None:
    """Write whole lines; those of several threads stand one behind the other.

    Waits for whoever reads, also if the descriptor itself would not. A line that was cut short is
    ended first, so that nothing is added to it: by a full disk, or in a file that is appended to.

    Raises ``OSError``, and what :func:`descriptor_for_data` does.
    """
    global _ends_torn  # noqa: PLW0603 - a process has one
    with _writing:
        descriptor = descriptor_for_data()
        if _ends_torn is None:
            _ends_torn = _is_torn(descriptor)
        rest = memoryview(b"\n" + data if _ends_torn else data)
        while rest:
            try:
                taken = os.write(descriptor, rest)
            except BlockingIOError:
                await_room(descriptor)
                continue
            _ends_torn = rest[taken - 1] != _NEWLINE
            rest = rest[taken:]


def await_room(descriptor: int) -> None:
    """Wait until a descriptor that does not wait by itself takes more, or will never."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()


def _is_torn(descriptor: int) -> bool:
    """Return whether it appends to a file whose last line has no end."""
    found = os.fstat(descriptor)
    appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
    if not appends or not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    try:
        # Anew: the one that we have is for writing alone, perhaps.
        with Path(f"/dev/fd/{descriptor}").open("rb") as file:
            return os.pread(file.fileno(), 1, found.st_size - 1) != b"\n"
    except OSError:
        return False  # it is not for us to read
