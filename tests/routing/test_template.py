"""Routing keys as a configuration writes them."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest

from tidings import StoredEvent
from tidings.routing.template import KEPT, Field, Template

METADATA = {"tenant": "acme", "n": 7, "big": 2**70, "yes": True, "a.b": "dotted", "null": None}
EVENT = StoredEvent(3, "order.placed", "{}", datetime(2026, 1, 2, tzinfo=UTC), "order-1")


def filled(text: str, metadata: dict[str, Any] = METADATA, event: StoredEvent = EVENT) -> str:
    return Template.parse(text).of(event._replace(metadata=json.dumps(metadata)), metadata)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("constant", "constant"),
        ("shop.{type_name}", "shop.order.placed"),
        ("{aggregate_id}", "order-1"),
        ("a{{.{aggregate_id}.}}b", "a{.order-1.}b"),
        ("{metadata.tenant}.{type_name}", "acme.order.placed"),
        ("{metadata.tenant:unknown}", "acme"),
        ("{metadata.other:unknown}", "unknown"),
        ("{metadata.other:}x", "x"),
        ("{metadata.other:a:b}", "a:b"),
        ("{metadata.null:none}", "none"),
        ("{metadata.n}-{metadata.yes}-{metadata.big}", f"7-true-{2**70}"),
        ("{metadata.a.b}", "dotted"),
        ("{{}}", "{}"),
        ("{{{type_name}}}", "{order.placed}"),
        ("ü {type_name}\n", "ü order.placed\n"),
    ],
)
def test_fields_are_put_in_their_places(text: str, key: str) -> None:
    assert filled(text) == key


def test_a_key_made_of_types_alone_is_each_types_own_however_many_there_are() -> None:
    template = Template.parse("shop.{type_name}")
    names = [f"type-{number}" for number in range(3 * KEPT)]
    for _ in range(2):
        keys = [template.of(EVENT._replace(type_name=name), {}) for name in names]
        assert keys == [f"shop.{name}" for name in names]


def test_keys_made_of_types_take_no_more_memory_however_many_there_are() -> None:
    template = Template.parse("shop.{type_name}")
    events = [EVENT._replace(type_name=f"type-{number:06}") for number in range(4 * KEPT)]
    taken = []
    tracemalloc.start()
    try:
        for begin in range(0, len(events), KEPT):
            for event in events[begin : begin + KEPT]:
                template.of(event, {})
            taken.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert taken[0] > KEPT * len("shop.type-000000"), "the first ones are kept"
    assert max(taken) < 1.2 * taken[0]


@pytest.mark.parametrize("text", ["{type_name}.{aggregate_id}", "{type_name}.{metadata.n}"])
def test_a_key_made_of_more_than_the_type_is_each_events_own(text: str) -> None:
    template = Template.parse(text)
    keys = [
        template.of(EVENT._replace(aggregate_id=str(number)), {"n": number}) for number in (1, 2)
    ]

    assert keys == ["order.placed.1", "order.placed.2"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty; leave it out, or write a text"),
        (
            "{typ_name}",
            "'typ_name' is no field of an event; there are type_name, aggregate_id",
        ),
        ("{}", "'' is no field of an event"),
        ("{metadata.}", "'metadata.' is no field of an event"),
        ("{metadata}", "'metadata' is no field of an event"),
        ("{ type_name}", "' type_name' is no field of an event"),
        ("shop.{type_name", "a brace opens at character 6 of 'shop.{type_name' without its other"),
        ("shop.}x", "a brace closes at character 6 of 'shop.}x' without its other half; double it"),
        ("{{type_name}", "a brace closes at character 12"),
        ("{type_name{", "a brace opens at character 1 "),
        ("{metadata.{type_name}}", "a brace opens at character 1 "),
    ],
)
def test_what_is_no_template_is_told_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        Template.parse(text)

    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("text", ["{metadata.other}", "{metadata.null}", "{aggregate_id}"])
def test_an_event_that_lacks_a_field_without_default_has_no_key(text: str) -> None:
    name = text.strip("{}")

    with pytest.raises(ValueError, match=f"it lacks {name}. A default, {{{name}:unknown}}, would"):
        filled(text, event=EVENT._replace(aggregate_id=None))


def test_an_empty_aggregate_id_is_none() -> None:
    assert filled("{aggregate_id:none}", event=EVENT._replace(aggregate_id="")) == "none"


@pytest.mark.parametrize(("value", "kind"), [([1], "a list"), ({"a": 1}, "an object")])
def test_a_value_that_is_no_single_one_is_no_text(value: object, kind: str) -> None:
    with pytest.raises(ValueError, match=f"its metadata.x is {kind}; a text or a number"):
        Field.parse("metadata.x:default").of(EVENT, {"x": value})
