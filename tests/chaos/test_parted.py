"""The short form of the rounds on parted exchanges; `make chaos` runs the long one."""

from __future__ import annotations

import pytest

from tests.chaos.parted import BACKENDS, play

pytestmark = pytest.mark.server  # a backend starts its own


@pytest.mark.chaos
@pytest.mark.timeout(500)
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_keys_order_is_kept_and_nothing_is_lost(backend: str) -> None:
    outcome = play(backend, 1, seed=7)

    assert outcome.kept, outcome
