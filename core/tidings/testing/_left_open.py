"""What a process has open: what a part has not given back is there after its ``close``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tidings.testing._judging import check
from tidings.testing._own_thread import THREAD_NAME
from tidings.testing.proxy import THREAD_PREFIX
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Collection

    from tidings.testing.proxy import Link

_OPEN_FILES = Path("/proc/self/fd")


def threads() -> set[threading.Thread]:
    """Return the threads that run, without those of the suites."""
    ours = (THREAD_PREFIX, THREAD_NAME)
    return {thread for thread in threading.enumerate() if not thread.name.startswith(ours)}


def files() -> Collection[str]:
    """Return the paths of open files; none on a system that does not tell."""
    paths = set()
    for entry in _OPEN_FILES.iterdir() if _OPEN_FILES.exists() else ():
        try:
            path = str(entry.readlink())
        except OSError:  # that of the listing itself, which is closed by now
            continue
        if path.startswith("/") and not path.startswith(("/dev/", "/proc/")):
            paths.add(path)
    return paths


def expect_nothing_open(
    promise: str,
    threads_before: Collection[threading.Thread],
    files_before: Collection[str],
    link: Link | None,
    *,
    seconds: float,
) -> None:
    """Fail if, after so many seconds, more is open than before: or a connection on the link."""

    def left() -> list[str]:
        found = [f"the thread {each.name!r}" for each in threads() - set(threads_before)]
        if link is None:
            found += [f"the file {each!r}" for each in set(files()) - set(files_before)]
        elif link.connections:
            found.append(f"{link.connections} connection(s)")
        return sorted(found)

    until(lambda: not left(), seconds)
    check(not left(), promise, f"{seconds:g} s after close() there is still {', '.join(left())}.")
