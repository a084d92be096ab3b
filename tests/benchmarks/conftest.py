"""What the tests of several benchmarks are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks import stored
from benchmarks.wire import librabbitmq

from tests.servers.given import missing

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = 30


@pytest.fixture
def filled_url(tmp_path: Path) -> str:
    """Give a database with a few events."""
    url = f"sqlite:///{tmp_path / 'events.db'}"
    stored.fill(url, EVENTS)
    return url


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Give the C client, compiled."""
    try:
        return librabbitmq.compiled(tmp_path)
    except librabbitmq.NotThereError as reason:
        missing(f"{reason}: install gcc and librabbitmq-dev")
