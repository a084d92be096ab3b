"""A file of whole lines, to which several processes may append."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tidings.builtin import json_line
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = escaping_logger(__name__)

_BLOCK = 64 * 1024
PATIENCE = 10.0
"""Seconds to wait for another process to let go of the file's lock."""
_DELAYS = (0.0005, 0.02)
"""Seconds between two looks at the lock, the first and the longest."""


class NotOursError(OSError):
    """The file ends in a line without an end that was not begun by us: nothing may follow it."""


class OvertakenError(OSError):
    """Somebody else has appended lines that begin as ours do."""


class LinesFile:
    """Appends lines, each whole or not at all, and reads them from the end.

    ``beginning`` is what our lines begin with. If somebody else has appended such a line since the
    file was opened, an append writes nothing: :class:`OvertakenError`.

    What is appended stands in the file that has the path *then*. One that was renamed or deleted
    since, as when logs are rotated, is let go, and another is made. A line cut short by a crash is
    cut off before the next is appended, and never before. One that is not ours stays, and is a
    :class:`NotOursError`.

    A device, such as ``/dev/null``, is written to and nothing more. Raises ``OSError``, also if
    another process keeps the file locked for long.
    """

    def __init__(self, path: Path, beginning: bytes) -> None:
        self._path = path
        self._beginning = b"\n" + beginning
        self._descriptor = -1
        try:
            self._reopen()
            with self._locked():
                self._end = self._whole_end()
        except BaseException:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Append whole lines, and return when they are on the disk."""
        while True:
            with self._locked():
                replaced = self._is_replaced()
                if not replaced:
                    self._write(data)
            if replaced:
                self._reopen()
            elif not self._is_replaced():
                return
            # Else it went away while it was written to, perhaps unread: better twice than lost.

    def lines_backwards(self) -> Iterator[bytes]:
        """Yield the whole lines, the last one first."""
        position = self._end_of_last_line(self._size())
        rest = b""
        while position > 0:
            start = max(position - _BLOCK, 0)
            rest, *lines = (os.pread(self._descriptor, position - start, start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            position = start
        if rest:
            yield rest

    def sync(self) -> None:
        """See that what stands there is on the disk: who wrote it may have died before that."""
        if self._is_regular:
            os.fsync(self._descriptor)

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
        self._lock()
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _lock(self) -> None:
        until = time.monotonic() + PATIENCE
        delay, longest = _DELAYS
        while True:
            try:
                return fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    why = f"another process has kept it locked for {PATIENCE:g} s. Does it hang?"
                    raise TimeoutError(errno.ETIMEDOUT, why) from error
            time.sleep(delay)
            delay = min(delay * 2, longest)

    def _reopen(self) -> None:
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._path.exists()
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666
        )
        self._is_regular = _is_regular(self._descriptor)
        self._end = 0
        if is_new:
            _sync_folder(self._path.parent)

    def _is_replaced(self) -> bool:
        """Return whether the path names another file by now, or none."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return True

    def _write(self, data: bytes) -> None:
        end = self._whole_end()
        if self._is_overtaken(end):
            raise OvertakenError
        if end < self._size():
            os.ftruncate(self._descriptor, end)
        self._warn_if_cut(end)
        try:
            write_all(self._descriptor, data)
            if self._is_regular:
                os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):  # what stays is cut by the next to append
                os.ftruncate(self._descriptor, end)
            raise
        self._end = end + len(data)

    def _is_overtaken(self, end: int) -> bool:
        """Return whether a line that begins as ours do stands between where we were and ``end``."""
        position, before = self._end, b"\n"
        while position < end:
            block = os.pread(self._descriptor, min(end - position, _BLOCK), position)
            if self._beginning in before + block:
                return True
            position += len(block)
            before = (before + block)[-len(self._beginning) :]
        return False

    def _warn_if_cut(self, end: int) -> None:
        if end < self._end:
            log.warning(
                "%s was cut while lines were appended to it. What was appended between its copy "
                "and the cut is in neither: rotate it by renaming, as logrotate does without "
                "copytruncate.",
                self._path,
            )

    def _whole_end(self) -> int:
        """Return the end of the last whole line, after which there is at most a torn one of ours.

        A crash, of whichever process, may have left that.
        """
        size = self._size()
        end = self._end_of_last_line(size)
        torn = os.pread(self._descriptor, min(size - end, _BLOCK), end)
        if torn and not self._is_ours(torn):
            raise NotOursError(0, "its last line has no end, and tidings did not write it")
        return end

    def _is_ours(self, torn: bytes) -> bool:
        if json_line.is_ours(torn):
            return True
        # So short that it alone says little: the line before it tells.
        return json_line.may_be_ours(torn) and json_line.is_ours(next(self.lines_backwards(), b""))

    def _end_of_last_line(self, end: int) -> int:
        position = end
        if end and os.pread(self._descriptor, 1, end - 1) == b"\n":
            return end
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
