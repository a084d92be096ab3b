"""The short form of the rounds on parted exchanges; `make chaos` runs the long one."""

from __future__ import annotations

import pytest

from tests.chaos.parted import play
from tests.chaos.parted_backends import PARTED

pytestmark = pytest.mark.server  # a backend starts its own


@pytest.mark.chaos
@pytest.mark.timeout(500)
@pytest.mark.parametrize("backend", PARTED)
def test_each_partitions_order_is_kept_and_nothing_is_lost(backend: str) -> None:
    outcome = play(backend, 1, seed=7)

    assert outcome.kept, outcome
