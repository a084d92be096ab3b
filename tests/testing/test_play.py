"""The suites notice faults that were planted into an author's plugin; `play.py` plays them all."""

from __future__ import annotations

import pytest

from tests.servers import Redis
from tests.servers.given import missing
from tests.testing.mutants import MUTANTS, STORE, TRACKER, Mutant
from tests.testing.play import is_noticed, planted


@pytest.fixture
def redis_installed() -> None:
    if reason := Redis.available():
        missing(reason)


@pytest.mark.parametrize("mutant", MUTANTS, ids=range(len(MUTANTS)))
def test_each_fault_can_still_be_planted(mutant: Mutant) -> None:
    assert planted(mutant)


@pytest.mark.usefixtures("redis_installed")
@pytest.mark.parametrize("mutant", [None, *(MUTANTS[place] for place in (15, 50))])
def test_a_fault_is_noticed_and_no_fault_is_not(mutant: Mutant | None) -> None:
    assert mutant is None or mutant.file in (STORE, TRACKER)
    assert is_noticed(mutant) is (mutant is not None)
