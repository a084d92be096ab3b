"""The suites find a store, or a tracker, that does not say that its database is away."""

from __future__ import annotations

import pytest

from tests.testing.planted import run_planted
from tests.testing.planted_away import BASES, FAULTS

PATH = "tests/testing/planted_away.py"

pytestmark = pytest.mark.slow  # most faults are found by what does not come


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_planted(PATH, FAULTS, tmp_path_factory.mktemp("planted"), list(BASES))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_hides_that_the_database_is_away_fails(said: dict[str, str], fault: str) -> None:
    for words in FAULTS[fault].says:
        assert words in said[fault]


@pytest.mark.parametrize("base", BASES)
def test_the_same_without_a_fault_passes(said: dict[str, str], base: str) -> None:
    assert said[base] == ""
