"""Tells of an error that stops nothing, or not for long: whose it is, and how much is said."""

from __future__ import annotations

import logging

from tidings.blame import is_of_a_plugin, sentence_of
from tidings.errors import TidingsError


def tell(
    log: logging.Logger, beginning: str, error: Exception, end: str = "", level: int = logging.ERROR
) -> None:
    """Log the error's sentence between two others.

    A fault of our own has its traceback beside it. That of a plugin may hold what its sentence
    does not show, a password perhaps: it is for those who ask for it, with ``--debug``.
    """
    of_a_plugin = is_of_a_plugin(error)
    ours = not of_a_plugin and not isinstance(error, TidingsError)
    said = " ".join(filter(None, (beginning, sentence_of(error), end)))
    log.log(level, "%s", said, exc_info=error if ours else None)
    if of_a_plugin and not isinstance(error, TidingsError):
        log.debug("%s", beginning, exc_info=error)
