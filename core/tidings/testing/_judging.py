"""How a suite fails: with what was found, and the sentence that it breaks."""

from __future__ import annotations

from typing import NoReturn

import pytest


def broken(promise: str, found: str) -> NoReturn:
    """Fail the test: ``found`` is what was seen, ``promise`` what the interface says."""
    __tracebackhide__ = True
    pytest.fail(f"{found}\nThe interface promises: {promise}", pytrace=True)


def check(kept: object, promise: str, found: str) -> None:
    """Fail the test unless ``kept``."""
    __tracebackhide__ = True
    if not kept:
        broken(promise, found)
