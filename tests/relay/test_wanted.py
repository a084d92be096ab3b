"""Which types an exchange sends: a name, with two wildcards and no more."""

from __future__ import annotations

import pytest

from tidings.relay.route import wanted


@pytest.mark.parametrize(
    ("pattern", "type_name", "is_sent"),
    [
        ("OrderPlaced", "OrderPlaced", True),
        ("OrderPlaced", "orderplaced", False),
        ("Order*", "OrderPlaced", True),
        ("Order?", "Orders", True),
        ("Order?", "OrderPlaced", False),
        ("Changed[Order]", "Changed[Order]", True),
        ("Changed[*]", "Changed[Invoice]", True),
        ("Changed[Order]", "ChangedO", False),
        ("a.b", "axb", False),
        ("Or*\n", "Or\n", True),
    ],
)
def test_a_name_means_itself_but_for_its_wildcards(
    pattern: str, type_name: str, is_sent: bool
) -> None:
    assert wanted([pattern], type_name) is is_sent
    assert wanted(["Other", pattern], type_name) is is_sent


def test_without_a_pattern_everything_is_sent() -> None:
    assert wanted([], "OrderPlaced")
