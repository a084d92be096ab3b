"""The short form of the chaos suite; `make chaos` runs the long one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.experiment import experiment
from tests.chaos.faults import FAULTS
from tests.chaos.oracle import Verdict, judge

ROUNDS = 2
EVERYWHERE = ("kill relay", "SIGTERM relay", "kill broker", "two relays", "cut connection")
SOMEWHERE = {
    "kill both": "rabbitmq-tail",
    "freeze broker": "activemq",
    "freeze relay": "rabbitmq",
    "freeze connection": "rabbitmq-stream",
    "delay connection": "zeromq",
    "kill database": "activemq",
    "cut database": "zeromq",
    "freeze database": "rabbitmq-tail",
    "read-only database": "activemq",
    "full database": "zeromq",
    "memory alarm": "rabbitmq",
    "queue full": "rabbitmq-tail",
    "no permission": "rabbitmq-stream",
    "exchange deleted": "rabbitmq",
    "queue unbound": "rabbitmq",
    "store full": "activemq",
    "kill subscriber": "zeromq",
    "freeze subscriber": "zeromq",
    "late subscriber": "zeromq",
    "lose a reader": "zeromq",
}
"""Faults that take their time: each on one backend."""
CASES = [
    *((backend, name) for name in EVERYWHERE for backend in FAULTS[name].backends),
    *((backend, name) for name, backend in SOMEWHERE.items()),
]


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("backend", "fault"), CASES)
def test_nothing_is_lost_or_reordered(backend: str, fault: str) -> None:
    rounds = ROUNDS if fault in EVERYWHERE else 1

    outcome = experiment(backend, FAULTS[fault], rounds, seed=7)

    assert outcome.kept, outcome


def test_every_fault_is_played_in_the_short_form() -> None:
    assert {name for _, name in CASES} == set(FAULTS)


def test_the_oracle_counts_what_is_lost_repeated_and_out_of_order() -> None:
    verdict = judge([1, 2, 3, 4], [1, 3, 2, 3, 9])

    assert verdict == Verdict(4, lost=1, duplicated=1, reordered=1, longest_repeat=1, unknown=1)


def test_the_oracle_tells_two_steps_back_from_one() -> None:
    verdict = judge(range(1, 6), [1, 2, 3, 2, 3, 4, 1, 2, 3, 4, 5])

    assert (verdict.duplicated, verdict.longest_repeat) == (6, 4)


@given(st.integers(0, 50))
def test_the_oracle_finds_nothing_where_all_is_well(count: int) -> None:
    stored = range(1, count + 1)

    assert judge(stored, list(stored)) == Verdict(count, 0, 0, 0)
