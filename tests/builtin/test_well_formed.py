"""The faster reader takes for JSON nothing that the strict one does not."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidings.builtin.well_formed import check_json
from tidings.event import from_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
PIECES = st.sampled_from(
    [
        *("NaN", "-Infinity", "01", "1.", ".5", "+1", "1e", "1e999", "0x1", "1_0", "nul"),
        *("\\ud800", "\\x", "\\u12", "\0", "\t", "\x0b", "\ufeff", "\ud800"),
        *(",", ",,", "}", "{", '"', "//", "'"),
    ]
)


def is_json(check: object, text: str) -> bool:
    assert callable(check)
    try:
        check(text)
    except ValueError:
        return False
    return True


@given(
    value=VALUES, piece=PIECES | st.text(max_size=2), place=st.integers(0, 40), cut=st.booleans()
)
@example(value={}, piece='{"a":NaN}', place=0, cut=True)
@example(value=[], piece="\ud800", place=0, cut=False)
def test_what_is_json_is_what_the_strict_reader_says(
    value: object, piece: str, place: int, cut: bool
) -> None:
    whole = json.dumps(value, ensure_ascii=False)
    place = min(place, len(whole))
    text = whole[:place] + piece + whole[place + cut :]

    assert is_json(check_json, text) == is_json(from_json, text)


@pytest.mark.parametrize("depth", [190, 300])
def test_deep_nesting_is_json(depth: int) -> None:
    check_json("[" * depth + "]" * depth)


def test_the_reason_is_the_strict_readers() -> None:
    with pytest.raises(ValueError, match="NaN is not JSON"):
        check_json('{"a": NaN}')


def test_nesting_without_end_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        check_json("[" * 100_000)
