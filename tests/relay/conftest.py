"""Fresh parts for each test, and none of their threads left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, relay_threads, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def parts() -> Iterator[Parts]:
    yield Parts()
    until(lambda: not relay_threads())
