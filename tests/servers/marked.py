"""The tests that have the mark `server`, and what happens to others that start one."""

from __future__ import annotations

import os

TESTS: set[str] = set()
"""By their ids; empty in a process that collects no tests."""


def refuse_others() -> None:
    """Raise if the test that runs just now has no mark `server`."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    if TESTS and test and test not in TESTS:
        raise AssertionError(
            f"{test} starts a server and has no mark `server`: tests/servers/marking.py does not "
            "see it. Give it @pytest.mark.server."
        )
