"""The suites notice faults that were planted into an author's plugin; `play.py` plays them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import Redis
from tests.servers.given import missing
from tests.testing.play import PARTS, is_noticed, with_fault

if TYPE_CHECKING:
    from tests.testing.mutants import Mutant

EVERY = [
    pytest.param(name, mutant, id=f"{name} {place}")
    for name, part in PARTS.items()
    for place, mutant in enumerate([*part.mutants, *part.harmless])
]

SOME = [
    ("producer", 32),
    ("consumer", 15),
    ("event store and tracker", 15),
    ("event store and tracker", 50),
]
"""One of each kind: what was sent is flushed to nowhere, acknowledgements are forgotten, ..."""


@pytest.fixture
def redis_installed() -> None:
    if reason := Redis.available():
        missing(reason)


@pytest.mark.parametrize(("name", "mutant"), EVERY)
def test_each_fault_can_still_be_planted(name: str, mutant: Mutant) -> None:
    assert with_fault(PARTS[name], mutant)


def test_what_is_called_harmless_says_why() -> None:
    harmless = [each for part in PARTS.values() for each in part.harmless]
    assert harmless
    assert all(each.why for each in harmless)


@pytest.mark.usefixtures("redis_installed")
@pytest.mark.parametrize("name", PARTS)
def test_no_fault_is_not_noticed(name: str) -> None:
    assert not is_noticed(PARTS[name], None)


@pytest.mark.usefixtures("redis_installed")
@pytest.mark.parametrize(("name", "place"), SOME)
def test_a_fault_is_noticed(name: str, place: int) -> None:
    part = PARTS[name]
    assert is_noticed(part, part.mutants[place])
