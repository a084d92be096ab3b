"""The process's standard output, for those who may write to it.

The command keeps it for itself. What a plugin, or a library, prints goes to standard error, so that
it cannot get between lines of JSON. In any other process it is ``sys.stdout``.
"""

from __future__ import annotations

import sys
from typing import TextIO

_kept: TextIO | None = None
_holds_data = False


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
