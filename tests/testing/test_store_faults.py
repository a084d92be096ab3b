"""The suite for event stores finds each planted fault, and says which promise it breaks."""

from __future__ import annotations

import pytest

from tests.testing.planted import run_planted
from tests.testing.planted_stores import FAULTS

PATH = "tests/testing/planted_stores.py"

pytestmark = pytest.mark.slow  # most faults are found by what does not come


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_planted(PATH, FAULTS, tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_store_fails(said: dict[str, str], fault: str) -> None:
    for words in FAULTS[fault].says:
        assert words in said[fault]


def test_the_same_store_without_a_fault_passes(said: dict[str, str]) -> None:
    assert said["Base"] == ""
