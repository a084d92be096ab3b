from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Project

GOOD = '{"type_name": "A", "body": {}}\n'


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('{"type_name": "A", "bdy": 1}', "Did you mean 'body'?"),
        ('{"type_name": "A"}', "'body' is missing"),
        ('{"body": 1}', "'type_name' is missing"),
        ('{"type_name": "A", "body": {"x": }}', "not JSON"),
        ('{"type_name": "A", "body": NaN}', "not JSON"),
        ("[1]", "a JSON object is wanted"),
        (json.dumps({"type_name": "x" * 256, "body": 1}), "255"),
        ('{"type_name": "", "body": 1}', "empty"),
        ('{"type_name": 7, "body": 1}', "must be text"),
        ('{"type_name": "A", "body": 1, "occurred_on": "2026-01-31T12:00:00"}', "time zone"),
        ('{"type_name": "A", "body": 1, "occurred_on": "yesterday"}', "is not a time"),
        ('{"type_name": "A", "body": 1, "metadata": [1]}', "metadata"),
        ('{"type_name": "A", "body": 1, "aggregate_id": 5}', "aggregate_id"),
        (b'{"type_name": "A", "body": "\xff"}', "not UTF-8"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_stored(
    project: Project, line: str | bytes, hint: str
) -> None:
    raw = line.encode() if isinstance(line, str) else line

    result = project.run("append", stdin=GOOD.encode() + b"\n" + raw + b"\n" + GOOD.encode())

    assert result.code == 1
    assert "line 3" in result.err
    assert hint in result.err
    assert project.status("orders")["newest_event_id"] is None


def test_a_bad_line_after_thousands_of_good_ones_stores_nothing(project: Project) -> None:
    result = project.run("append", stdin=GOOD * 5000 + "{}")

    assert result.code == 1
    assert "line 5001" in result.err
    assert project.status("orders")["newest_event_id"] is None


def test_an_unreadable_file_is_named(project: Project) -> None:
    for name in ("nothing.jsonl", "."):
        result = project.run("append", "--file", name)

        assert result.code == 1
        assert f"Cannot read {name}" in result.err


def test_a_file_is_stored_in_its_order_with_all_its_fields(project: Project) -> None:
    event = {
        "type_name": "Bestellt",
        "occurred_on": "2026-01-31T12:00:00.123456+02:00",
        "aggregate_id": "42",
        "metadata": {"user": "7"},
        "body": {"größe": 3, "none": None, "list": [1.5, "\u0000"]},
    }
    (project.folder / "events.jsonl").write_text(json.dumps(event) + "\n" + GOOD)

    project.succeed("append", "--file", "events.jsonl")
    project.succeed("spread")

    first, second = (project.folder / "orders.jsonl").read_text().splitlines()
    assert json.loads(first) == {
        **event,
        "exchange": "orders",
        "event_id": 1,
        "occurred_on": "2026-01-31T10:00:00.123456+00:00",
    }
    assert json.loads(second)["type_name"] == "A"
