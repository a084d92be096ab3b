"""The command line, killed while it puts an event in quarantine.

The first argument says when: `before` or `after` the commit that notes it. The others are the
command's.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tidings.cli.main import main
from tidings.sql import quarantine, tracker


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


put = quarantine.put
whole = tracker.SqlAlchemyTracker.quarantine


def put_and_die(*arguments: Any) -> None:
    put(*arguments)
    die()


def commit_and_die(*arguments: Any) -> None:
    whole(*arguments)
    die()


when = sys.argv.pop(1)
if when == "before":
    quarantine.put = put_and_die  # type: ignore[assignment]  # what this program is for
else:
    tracker.SqlAlchemyTracker.quarantine = commit_and_die  # type: ignore[assignment, method-assign]  # what this program is for
main()
