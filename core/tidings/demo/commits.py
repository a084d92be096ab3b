"""The commits of a git repository as domain events."""

from __future__ import annotations

import subprocess
from datetime import datetime
from typing import TYPE_CHECKING

from tidings.errors import TidingsError
from tidings.event import NewEvent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARK = "\x1e"


def commit_events(repository: Path) -> Iterator[NewEvent]:
    """Yield a ``CommitRecorded`` for every commit, oldest first; no names, no addresses."""
    log = _git(
        repository, "log", "--reverse", "--no-merges", "--numstat", f"--format={_MARK}%H %cI"
    )
    for entry in log.split(_MARK)[1:]:
        head, *files = entry.strip().splitlines()
        sha, time = head.split(" ", 1)
        changes = [line.split("\t") for line in files if line.count("\t") >= 2]  # noqa: PLR2004
        yield NewEvent(
            "CommitRecorded",
            {
                "sha": sha,
                "files_changed": len(changes),
                "lines_added": sum(int(added) for added, *_ in changes if added.isdigit()),
                "lines_deleted": sum(int(gone) for _, gone, *_ in changes if gone.isdigit()),
            },
            occurred_on=datetime.fromisoformat(time),
        )


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - no shell
    except FileNotFoundError:
        raise TidingsError("The demo reads a git repository, and git is not installed.") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise TidingsError(
            f"Cannot read the commits of {repository}: {' '.join(reason)}. "
            "Name a git repository: tidings demo PATH."
        )
    return done.stdout.decode(errors="replace")
