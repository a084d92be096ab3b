"""Backoff: soon at first, never too seldom, and never all at the same moment."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tidings.relay.retry import (
    FIRST_LASTING,
    FIRST_PASSING,
    LONGEST_LASTING,
    LONGEST_PASSING,
    Backoff,
)

BOUNDS = {True: (FIRST_PASSING, LONGEST_PASSING), False: (FIRST_LASTING, LONGEST_LASTING)}
seeds = st.integers().map(random.Random)


@given(st.lists(st.booleans(), min_size=1, max_size=200), seeds)
def test_every_pause_is_within_its_bounds(kinds: list[bool], chance: random.Random) -> None:
    backoff = Backoff(_random=chance)
    failures, before = 0, kinds[0]

    for passes in kinds:
        failures = failures + 1 if passes == before else 1
        before = passes
        first, longest = BOUNDS[passes]
        ceiling = min(first * 2 ** (failures - 1), longest)
        assert ceiling / 2 <= backoff.next(passes=passes) <= ceiling


@given(st.booleans(), seeds)
def test_pauses_grow_until_they_are_longest(passes: bool, chance: random.Random) -> None:
    backoff = Backoff(_random=chance)
    pauses = [backoff.next(passes=passes) for _ in range(40)]
    first, longest = BOUNDS[passes]

    # The upper half is left to chance, so every second one is longer for certain.
    growing = [pause for pause in pauses if pause < longest / 2]
    assert all(later >= pause for pause, later in zip(growing, growing[2:], strict=False))
    assert pauses[0] <= first
    assert all(pause >= longest / 2 for pause in pauses[-20:])


@given(st.booleans(), st.integers(0, 2000), seeds)
def test_after_success_it_begins_again(passes: bool, failures: int, chance: random.Random) -> None:
    backoff = Backoff(_random=chance)
    for _ in range(failures):
        backoff.next(passes=passes)
    backoff.reset()

    assert backoff.next(passes=passes) <= BOUNDS[passes][0]


def test_what_was_mended_is_found_mended_within_half_a_minute() -> None:
    assert max(LONGEST_LASTING, LONGEST_PASSING) < 30


def test_two_relays_do_not_try_at_the_same_moment() -> None:
    one, other = Backoff(), Backoff()

    assert [one.next(passes=True) for _ in range(5)] != [other.next(passes=True) for _ in range(5)]
