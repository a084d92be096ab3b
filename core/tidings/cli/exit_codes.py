"""What the command's exit code says."""

from __future__ import annotations

from typing import Final

from tidings.errors import ConfigurationError, MissingLibraryError, UnknownBackendError

FAILED: Final = 1
WRONG_USE: Final = 2
"""Of the command or of the configuration; also one that asks for what is not installed."""
INTERRUPTED: Final = 130
TERMINATED: Final = 143


def exit_code(error: Exception) -> int:
    """Return the code of a command that ended with ``error``."""
    asks_for_what_is_not = MissingLibraryError | UnknownBackendError
    return WRONG_USE if isinstance(error, ConfigurationError | asks_for_what_is_not) else FAILED
