"""A file of whole lines, to which several processes may append."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 64 * 1024


class LinesFile:
    """Appends lines, each whole or not at all, and reads them from the end.

    A device, such as ``/dev/null``, is written to and nothing more. Raises ``OSError``.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._is_regular = _is_regular(self._descriptor)
            if is_new:
                _sync_folder(path.parent)
            with self._locked():
                self._cut_torn_line()
        except BaseException:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Append whole lines, and return when they are on the disk."""
        with self._locked():
            end = self._cut_torn_line()
            try:
                write_all(self._descriptor, data)
                if self._is_regular:
                    os.fsync(self._descriptor)
            except OSError:
                with suppress(OSError):  # what stays is cut by the next to append
                    os.ftruncate(self._descriptor, end)
                raise
        if self._is_regular and not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(0, "it was deleted meanwhile")

    def lines_backwards(self) -> Iterator[bytes]:
        """Yield the lines, the last one first."""
        position = self._size()
        rest = b""
        while position > 0:
            start = max(position - _BLOCK, 0)
            rest, *lines = (os.pread(self._descriptor, position - start, start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            position = start
        if rest:
            yield rest

    def close(self) -> None:
        """Let go of it. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Other exchanges, of other processes perhaps, may append to the same file.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _cut_torn_line(self) -> int:
        """Cut what a crash, of whichever process, left of a last line; return the end."""
        end = self._size()
        whole = end
        if end and os.pread(self._descriptor, 1, end - 1) != b"\n":
            whole = self._end_of_last_line(end)
            os.ftruncate(self._descriptor, whole)
        return whole

    def _end_of_last_line(self, end: int) -> int:
        position = end
        while position > 0:
            start = max(position - _BLOCK, 0)
            found = os.pread(self._descriptor, position - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            position = start
        return 0


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, however little a call of the system takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _is_regular(descriptor: int) -> bool:
    """Return whether it is a file, not a device; refuse what might block for ever."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
        raise FileExistsError(0, "it is not a file")
    return stat.S_ISREG(mode)


def _sync_folder(folder: Path) -> None:
    """Let a new file's name survive a power failure, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
