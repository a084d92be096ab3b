"""Fresh parts for each test, and none of their threads left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, relay_threads
from tidings.relay import exchange_worker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def parts() -> Iterator[Parts]:
    yield Parts()
    eventually(lambda: not relay_threads())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker try again soon."""
    monkeypatch.setattr(exchange_worker, "STANDBY_DELAY", 0.05)
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_TRANSIENT", 0.05)
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_LASTING", 0.05)
