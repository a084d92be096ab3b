"""What a message carries beside what its serializer made of the event."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidings import JsonSerializer, NotificationMessage, StoredEvent, partition_of
from tidings.routing.addressing import Addressing
from tidings.routing.template import Field, Template

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MESSAGE = NotificationMessage(b"{}", "application/json", {"aggregate_id": "order-1"}, "its.own")


def event(metadata: str | None = None) -> StoredEvent:
    return StoredEvent(1, "OrderPlaced", "{}", datetime(2026, 1, 2, tzinfo=UTC), None, metadata)


@pytest.mark.parametrize("metadata", [None, "{}", '{"tenant":"acme"}', "[1]", "no JSON"])
def test_without_anything_configured_the_message_is_the_serializers_own(
    metadata: str | None,
) -> None:
    assert Addressing().complete(MESSAGE, event(metadata)) is MESSAGE


def test_a_configured_key_takes_the_place_of_the_serializers() -> None:
    addressed = Addressing(Template.parse("shop.{type_name}")).complete(MESSAGE, event())

    assert addressed == MESSAGE._replace(routing_key="shop.OrderPlaced")


def test_the_partition_key_stays_as_it_is() -> None:
    message = MESSAGE._replace(partition_key="order-1")

    addressed = Addressing(Template.parse("x")).complete(message, event())

    assert addressed.partition_key == "order-1"


def test_chosen_fields_are_headers_where_the_event_has_them() -> None:
    fields = {
        "tenant": Field.parse("metadata.tenant"),
        "region": Field.parse("metadata.region"),
        "user": Field.parse("metadata.user:nobody"),
        "what": Field.parse("type_name"),
    }
    addressing = Addressing(headers=fields)

    addressed = addressing.complete(MESSAGE, event('{"tenant":"acme"}'))

    assert addressed.headers == {
        "aggregate_id": "order-1",
        "tenant": "acme",
        "user": "nobody",
        "what": "OrderPlaced",
    }
    assert addressed.routing_key == "its.own"
    assert MESSAGE.headers == {"aggregate_id": "order-1"}, "the message may be another's, too"


def test_headers_are_there_for_an_event_without_metadata() -> None:
    addressing = Addressing(headers={"user": Field.parse("metadata.user:nobody")})

    assert addressing.complete(MESSAGE, event()).headers["user"] == "nobody"


def test_the_trace_context_travels_unchanged_as_headers_without_being_asked() -> None:
    metadata = (
        f'{{"user":"ü","traceparent":"{TRACEPARENT}","tracestate":"a=1,b=2","baggage":"k=%20v;p"}}'
    )

    addressed = Addressing().complete(JsonSerializer().serialize(event(metadata)), event(metadata))

    assert addressed.headers == {
        "metadata": metadata,
        "traceparent": TRACEPARENT,
        "tracestate": "a=1,b=2",
        "baggage": "k=%20v;p",
    }


def test_baggage_travels_without_a_trace() -> None:
    assert Addressing().complete(MESSAGE, event('{"baggage":"k=v"}')).headers["baggage"] == "k=v"


@pytest.mark.parametrize(
    "metadata",
    [
        '["traceparent"]',
        '"traceparent"',
        '{"traceparent":null}',
        '{"traceparent":7}',
        '{"traceparent":["x"]}',
        '{"traceparent":NaN}',
        '{"traceparent":"x"',
        '{"nested":{"traceparent":"x"}}',
        '{"traceparent":"\\ud800"}',
        '{"baggage":"ü\\ud800"}',
    ],
)
def test_what_is_no_trace_context_is_left_alone(metadata: str) -> None:
    addressed = Addressing().complete(MESSAGE, event(metadata))

    assert addressed == MESSAGE


def test_metadata_that_is_no_object_has_no_fields() -> None:
    addressing = Addressing(Template.parse("{metadata.tenant:none}"))

    assert addressing.complete(MESSAGE, event('["tenant"]')).routing_key == "none"
    assert addressing.complete(MESSAGE, event("tenant")).routing_key == "none"


@pytest.mark.parametrize(
    "other", ["[" * 250 + "]" * 250, '"\\ud83d"'], ids=["nested 250 times", "half a pair"]
)
def test_odd_metadata_beside_a_field_takes_its_key_partition_and_trace_from_no_event(
    other: str,
) -> None:
    metadata = f'{{"tenant":"acme","traceparent":"{TRACEPARENT}","other":{other}}}'
    tenant = Field.parse("metadata.tenant")
    template = Template.parse("{metadata.tenant:unknown}")
    addressing = Addressing(template, {"tenant": tenant}, tenant, 8)

    addressed = addressing.complete(MESSAGE, event(metadata))

    assert addressed.routing_key == "acme"
    assert addressed.partition == partition_of("acme", 8) != 0
    assert addressed.headers["tenant"] == "acme"
    assert addressed.headers["traceparent"] == TRACEPARENT


def test_a_partition_key_that_utf_8_cannot_hold_is_refused_and_does_not_belong_to_partition_0() -> (
    None
):
    addressing = Addressing(partition_by=Field.parse("metadata.tenant"), partitions=8)

    with pytest.raises(ValueError, match="that UTF-8 cannot hold"):
        addressing.complete(MESSAGE, event('{"tenant":"\\ud83d"}'))
