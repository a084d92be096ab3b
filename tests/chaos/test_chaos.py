"""The short form of the chaos suite; `make chaos` runs the long one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.backends import BACKENDS
from tests.chaos.databases import SmallDisk
from tests.chaos.disturbances import DISTURBANCES
from tests.chaos.experiment import experiment
from tests.chaos.oracle import Verdict, judge

pytestmark = pytest.mark.server  # a backend starts its own

ROUNDS = 2
CASES = [
    *(("kill relay", backend) for backend in BACKENDS),
    ("SIGTERM relay", "rabbitmq"),
    ("SIGTERM relay", "zeromq"),
    ("kill broker", "activemq"),
    ("kill both", "rabbitmq"),
    ("freeze broker", "activemq"),
    ("freeze relay", "zeromq"),
    ("two relays", "rabbitmq-tail"),
    ("cut connection", "rabbitmq"),
    ("freeze connection", "activemq"),
    ("delay connection", "zeromq"),
    ("kill database", "zeromq"),
    ("cut database", "activemq"),
    ("freeze database", "zeromq"),
    ("read-only database", "zeromq"),
    ("memory alarm", "rabbitmq"),
    ("queue full", "rabbitmq-tail"),
    ("no permission", "rabbitmq"),
    ("exchange deleted", "rabbitmq"),
    ("queue unbound", "rabbitmq"),
    ("kill subscriber", "zeromq"),
    ("freeze subscriber", "zeromq"),
    ("late subscriber", "zeromq"),
    ("lose a reader", "zeromq"),
]
"""What takes long is played on one backend; the long form plays everything everywhere."""
LONG_FORM_ONLY = {"store full"}
"""ActiveMQ frees its store but twice a minute."""


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("disturbance", "backend"), CASES)
def test_nothing_is_lost_or_reordered(disturbance: str, backend: str) -> None:
    _play(disturbance, backend)


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.skipif(SmallDisk.available() is not None, reason=SmallDisk.available() or "")
def test_nothing_is_lost_while_the_disk_is_full() -> None:
    _play("full database", "zeromq")


def _play(disturbance: str, backend: str) -> None:
    rounds = ROUNDS if disturbance == "kill relay" else 1

    outcome = experiment(backend, DISTURBANCES[disturbance], rounds, seed=7)

    assert outcome.kept, outcome


def test_every_disturbance_is_played_in_the_short_form() -> None:
    played = {name for name, _ in CASES} | {"full database"}

    assert played | LONG_FORM_ONLY == set(DISTURBANCES)


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
