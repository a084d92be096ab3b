"""The short form of the chaos suite; `make chaos` runs the long one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.backends import BACKENDS
from tests.chaos.experiment import applies, experiment
from tests.chaos.faults import FAULTS
from tests.chaos.oracle import Verdict, judge

ROUNDS = 3
QUICK = ("kill relay", "SIGTERM relay", "kill broker", "two relays", "cut connection")


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", QUICK)
@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_lost_or_reordered(backend: str, fault: str) -> None:
    if not applies(backend, FAULTS[fault]):
        return
    outcome = experiment(backend, FAULTS[fault], ROUNDS, seed=7)

    assert outcome.kept, outcome


def test_the_oracle_counts_what_is_lost_repeated_and_out_of_order() -> None:
    assert judge([1, 2, 3, 4], [1, 3, 2, 3]) == Verdict(4, lost=1, duplicated=1, reordered=1)


@given(st.integers(0, 50))
def test_the_oracle_finds_nothing_where_all_is_well(count: int) -> None:
    stored = range(1, count + 1)

    assert judge(stored, list(stored)) == Verdict(count, 0, 0, 0)
