"""Backoff: soon at first, never too seldom, and never all at the same moment."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tidings.relay.backoff import (
    FIRST_LASTING,
    FIRST_TRANSIENT,
    LONGEST_LASTING,
    LONGEST_TRANSIENT,
    Backoff,
)

BOUNDS = {True: (FIRST_TRANSIENT, LONGEST_TRANSIENT), False: (FIRST_LASTING, LONGEST_LASTING)}
seeds = st.integers().map(random.Random)


@given(st.lists(st.booleans(), min_size=1, max_size=200), seeds)
def test_every_pause_is_within_its_bounds(kinds: list[bool], chance: random.Random) -> None:
    backoff = Backoff(_random=chance)
    failures, before = 0, kinds[0]

    for transient in kinds:
        failures = failures + 1 if transient == before else 1
        before = transient
        first, longest = BOUNDS[transient]
        ceiling = min(first * 2 ** (failures - 1), longest)
        assert ceiling / 2 <= backoff.next(transient=transient) <= ceiling


@given(st.booleans(), seeds)
def test_pauses_grow_until_they_are_longest(transient: bool, chance: random.Random) -> None:
    backoff = Backoff(_random=chance)
    pauses = [backoff.next(transient=transient) for _ in range(40)]
    first, longest = BOUNDS[transient]

    # The upper half is jitter, so every second one is longer for certain.
    growing = [pause for pause in pauses if pause < longest / 2]
    assert all(later >= pause for pause, later in zip(growing, growing[2:], strict=False))
    assert pauses[0] <= first
    assert all(pause >= longest / 2 for pause in pauses[-20:])


@given(st.booleans(), st.integers(0, 2000), seeds)
def test_after_success_it_begins_again(
    transient: bool, failures: int, chance: random.Random
) -> None:
    backoff = Backoff(_random=chance)
    for _ in range(failures):
        backoff.next(transient=transient)
    backoff.reset()

    assert backoff.next(transient=transient) <= BOUNDS[transient][0]


def test_what_was_mended_is_found_mended_within_half_a_minute() -> None:
    assert max(LONGEST_LASTING, LONGEST_TRANSIENT) < 30


def test_two_relays_do_not_try_at_the_same_moment() -> None:
    one, other = Backoff(), Backoff()

    assert [one.next(transient=True) for _ in range(5)] != [
        other.next(transient=True) for _ in range(5)
    ]
