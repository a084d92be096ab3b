"""Which routing keys a pattern stands for, as RabbitMQ has it."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.routing.patterns import KeyPatterns

words = st.sampled_from(["a", "b", "*", "#"])
patterns = st.lists(words, max_size=5).map(".".join)
keys = st.lists(st.sampled_from(["a", "b", "c"]), max_size=5).map(".".join)


@pytest.mark.parametrize(
    ("pattern", "these", "not_these"),
    [
        ("shop.paid", ["shop.paid"], ["shop", "shop.paid.late", "shop.pai", ""]),
        ("shop.*", ["shop.paid", "shop."], ["shop", "shop.paid.late", "a.shop.paid"]),
        ("shop.#", ["shop", "shop.paid", "shop.paid.late"], ["shopping", "", "a.shop"]),
        ("#.paid", ["paid", "shop.paid", "a.b.paid"], ["shop.paid.late", "unpaid"]),
        ("#", ["", "a", "a.b.c"], []),
        ("*", ["a"], ["", "a.b"]),
        ("a.#.*", ["a.b", "a.b.c"], ["a", "b.a"]),
        ("", [""], ["a"]),
    ],
)
def test_a_pattern_stands_for_these_keys_alone(
    pattern: str, these: list[str], not_these: list[str]
) -> None:
    asked = KeyPatterns([pattern])

    assert [key for key in these + not_these if asked.match(key)] == these


def test_one_of_several_patterns_is_enough_and_none_at_all_stand_for_nothing() -> None:
    asked = KeyPatterns(["a.*", "b"])

    assert [asked.match(key) for key in ("a.x", "b", "a", "b.x")] == [True, True, False, False]
    assert not KeyPatterns([]).match("")


@given(patterns, keys)
def test_it_agrees_with_a_regular_expression(pattern: str, key: str) -> None:
    # Each word with a dot before it, so that a "#" for no word takes its dot along.
    parts = {"*": r"(\.[^.]+)", "#": r"(\.[^.]+)*"}
    expected = "".join(
        parts.get(word, rf"\.{word}") for word in (pattern.split(".") if pattern else [])
    )
    found = re.fullmatch(expected, f".{key}" if key else "")

    assert KeyPatterns([pattern]).match(key) == (found is not None)


def test_many_keys_and_a_pattern_made_to_take_long_take_neither_memory_nor_time() -> None:
    asked = KeyPatterns([".".join(["#", "a"] * 60)])

    assert not asked.match(".".join(["a"] * 200 + ["b"]))
    assert asked.match(".".join(["a"] * 200))
    tracemalloc.start()
    try:
        for number in range(40_000):
            asked.match(str(number))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
